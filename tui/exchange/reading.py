"""Reads a file to import aside, so that nothing else waits for it, and neither does the program's end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tui.aside import aside
from tui.errors import FileRefused
from tui.exchange.sources import Source, open_source
from tui.exchange.thread import Refusal, Thread


class Reading:
    """A file that is being read, thread by thread."""

    def __init__(self) -> None:
        self._source: Source | None = None
        self._threads: Iterator[Thread | Refusal] = iter(())
        self._is_over = threading.Event()
        self._in_use = threading.Lock()

    async def open(self, file: Path) -> int:
        """Begin with a file. Gives how many threads it holds."""
        return await aside(partial(self._open, file))

    async def next(self) -> Thread | Refusal | None:
        """The next thread; None after the last one."""
        return await aside(self._next)

    def close(self) -> None:
        """Let go of the file, as soon as what is being read of it is read."""
        self._is_over.set()
        threading.Thread(target=self._close, name="palaver-import", daemon=True).start()

    def go_on(self) -> None:
        """Whoever reads or keeps something of the file calls this now and then.

        Raises:
            FileRefused: It is not to go on.
        """
        if self._is_over.is_set():
            raise FileRefused("The import was stopped.")

    def _open(self, file: Path) -> int:
        with self._in_use:
            self.go_on()
            self._source = open_source(file)
            count = self._source.count(self.go_on)
            self._threads = self._source.threads()
            return count

    def _next(self) -> Thread | Refusal | None:
        with self._in_use:
            return next(self._threads, None)

    def _close(self) -> None:
        with self._in_use:
            if self._source is not None:
                self._source.close()
