"""The lock on a history that all of Palaver's windows share."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tui.store.files import identity

SPIN = 0.03
"""Seconds one attempt to get our own lock may take before others get their turn in this thread."""


class Locked(Exception):
    """Another process is writing at this moment."""


class Lock:
    """Palaver's own lock on a history, which all its windows share. The thread that holds it may take it again.

    No one is waited for after the `last_moment` of the monotonic clock, neither for this lock nor for SQLite's: Palaver is
    about to end then.
    """

    def __init__(self, file: Path) -> None:
        self.last_moment = math.inf
        self._file = file.with_name(f"{file.name}.lock")
        self._fd = -1
        self._depth = 0

    def open(self) -> None:
        """Make the lock's file, if it is not there.

        Raises:
            OSError: It cannot be made.
        """
        if self._fd < 0 or not self._is_current():
            self.close()
            self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def patience(self, seconds: float) -> float:
        """So many seconds, or what is left of them before the last moment."""
        return max(0.0, min(seconds, self.last_moment - time.monotonic()))

    def is_late(self, deadline: float) -> bool:
        """Whether there is nothing more to wait for."""
        return time.monotonic() > min(deadline, self.last_moment)

    @contextmanager
    def held(self, patience: float | None = None) -> Iterator[None]:
        """With the lock; without a `patience`, waiting for it as long as one attempt may.

        Raises:
            Locked: Another process kept it for longer than `patience`.
        """
        if not self._depth:
            self._take(time.monotonic() + (SPIN if patience is None else patience))
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth and self._fd >= 0:
                with suppress(OSError):
                    fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _take(self, deadline: float) -> None:
        while True:
            try:
                self.open()
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.is_late(deadline):
                    raise Locked from None
                time.sleep(0.001)
            except OSError:
                # No such file can be had, or no such lock on it: SQLite's own, which every write takes as well, has to do.
                return
            else:
                if self._is_current():
                    return

    def _is_current(self) -> bool:
        """Whether others would find the same file: one that was deleted locks no one out."""
        return identity(self._file) in (None, identity(self._fd))
