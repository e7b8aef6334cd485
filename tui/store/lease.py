"""Which processes are alive: each holds a lock on a small file of its own, which the system frees when it dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class Lease:
    """This process's sign of life. `holder` names it: its process id and a token that is never used twice.

    Where the folder cannot be written to there is none, and no one else's can be told either.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.holder = f"{os.getpid()}:{os.urandom(8).hex()}"
        self._fd = -1
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            # Locked before it has its name: a file seen without a lock is taken for a dead process's.
            unnamed = folder.with_name(f"{folder.name}-{self.holder.replace(':', '-')}")
            self._fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._fd, this_computer().encode())
            unnamed.rename(self._path(self.holder))

    def is_alive(self, holder: str) -> bool:
        """Whether the process of that name still runs."""
        if holder == self.holder:
            return True
        try:
            fd = os.open(self._path(holder), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            # Shared: two who ask at once must not take each other for the one they ask about.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            with suppress(OSError):
                # Where locks do not reach other computers, one of theirs says nothing.
                if os.read(fd, 256).decode(errors="replace") in ("", this_computer()):
                    self._path(holder).unlink()
            return False
        finally:
            os.close(fd)

    def elder(self) -> str:
        """Another computer that had the history open before us and still has, if there is one."""
        try:
            ours = os.fstat(self._fd).st_mtime_ns
            names = os.listdir(self._folder)
        except OSError:
            return ""
        for name in names:
            with suppress(OSError):
                file = self._folder / name
                computer = file.read_text(encoding="utf-8", errors="replace")[:256]
                is_elder = (file.stat().st_mtime_ns, name) < (ours, self._path(self.holder).name)
                if is_elder and computer not in ("", this_computer()) and self.is_alive(name.replace("-", ":", 1)):
                    return computer
        return ""

    @property
    def is_held(self) -> bool:
        """Whether others can tell that this process is alive."""
        return self._fd >= 0

    def release(self) -> None:
        """Give the sign of life up, and sweep away those of processes that could not."""
        if self._fd < 0:
            return
        with suppress(OSError):
            self._path(self.holder).unlink()
        os.close(self._fd)
        self._fd = -1
        with suppress(OSError):
            for file in self._folder.iterdir():
                self.is_alive(file.name.replace("-", ":", 1))

    def _path(self, holder: str) -> Path:
        return self._folder / holder.replace(":", "-", 1).replace("/", "_")


def this_computer() -> str:
    """The name of this computer, as others on its network know it."""
    return os.uname().nodename
