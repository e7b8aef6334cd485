"""A process that has loaded the program, and from which windows and commands are forked: real ones, but for their imports.

`Warm` is its face for the run that kills them. It has never opened SQLite, nor does it have threads.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


def environment(folder: Path, **more: str) -> dict[str, str]:
    """That of a program whose folders are in `folder`, and nowhere else."""
    own = {f"PALAVER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "LOG")}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | own | {"TERM": "xterm-256color"} | more


class Warm:
    """Starts programs by forking. To be used as a context."""

    def __enter__(self) -> Warm:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.warm"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def window(self, argv: list[str], environment: dict[str, str], size: tuple[int, int]) -> tuple[int, int]:
        """A program on a terminal of its own, of so many columns by lines: its process, and the terminal's other side."""
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (size[1], size[0]))
        pid = self._ask({"argv": argv, "environment": environment, "terminal": os.ttyname(theirs)})
        os.close(theirs)
        return pid, ours

    def kill(self, pid: int) -> int:
        """End a window, and give its status as `subprocess` does: below 0 for a signal."""
        os.kill(pid, signal.SIGKILL)
        return self._ask({"wait": pid})

    def run(self, argv: list[str], environment: dict[str, str]) -> Done:
        """A command, to its end."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            files = [f"/proc/{os.getpid()}/fd/{one.fileno()}" for one in (out, err)]
            pid = self._ask({"argv": argv, "environment": environment, "files": files})
            status = self._ask({"wait": pid})
            out.seek(0)
            err.seek(0)
            return Done(status, out.read().decode(), err.read().decode())

    def _ask(self, what: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _serve() -> None:
    """Fork or wait, as each line of standard input says, and answer with a number once it is done."""
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if "wait" in order:
            number = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            ready, told = os.pipe()
            number = os.fork()
            if number == 0:
                _become(order, told)
            os.close(told)
            # Until it has the terminal, the other side must not let go of it.
            os.read(ready, 1)
            os.close(ready)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _become(order: dict[str, Any], told: int) -> None:
    """Be the program, in the child, to its end."""
    from tui import process
    from tui.cli import main

    status = 70
    try:
        os.setsid()
        if "terminal" in order:
            terminal = os.open(order["terminal"], os.O_RDWR)
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            targets = [terminal, terminal, terminal]
        else:
            targets = [os.open(os.devnull, os.O_RDONLY), *(os.open(name, os.O_WRONLY) for name in order["files"])]
        for number, target in enumerate(targets):
            os.dup2(target, number)
        os.write(told, b"x")
        os.closerange(3, 64)
        os.environ.clear()
        os.environ.update(order["environment"])
        process.begin()
        status = main(order["argv"])
        sys.stdout.flush()
    finally:
        os._exit(status)


def _load() -> None:
    """What a window needs, without beginning one."""
    import tui.app.app
    import tui.app.driver
    import tui.app.run
    import tui.cli
    import tui.client.protocols.responses
    import tui.commands.sessions
    import tui.process  # noqa: F401


if __name__ == "__main__":
    _load()
    _serve()
