"""A file that holds one thread, read as a source of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tui.exchange.thread import Refusal, Thread


class OneThread:
    """Reads its thread when it is counted, and keeps it until it is closed. How it is read is for those who derive."""

    def __init__(self, file: Path, name: str) -> None:
        self._file = file
        self._name = name
        self._thread: Thread | None = None

    def count(self, go_on: Callable[[], None]) -> int:  # noqa: ARG002 - it is over soon
        self._thread = self._read()
        return 1

    def threads(self) -> Iterator[Thread | Refusal]:
        yield self._thread or self._read()

    def close(self) -> None:
        self._thread = None

    def _read(self) -> Thread:
        """The thread.

        Raises:
            FileRefused: The file cannot be one.
        """
        raise NotImplementedError
