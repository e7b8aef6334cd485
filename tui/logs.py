"""The log: a small file for what went wrong behind the scenes. No address's query, no header and no text goes into it."""

from __future__ import annotations

import copy
import logging
import os
from types import TracebackType

from tui.crash import place_of
from tui.errors import StoreError, TurnError
from tui.paths import Paths


class _Lines(logging.Formatter):
    """A line of the log. An error is told by its place or its kind: its message may quote what was said, or a key. So may
    every word of those whose log is not ours; asyncio's are whole objects, with the errors in them."""

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        if record.name.partition(".")[0] != "tui":
            record.msg, record.args = f"logged at {record.filename}:{record.lineno}", None
        elif isinstance(record.args, tuple):
            record.args = tuple(_told(one) for one in record.args)
        return super().format(record)

    def formatException(  # noqa: N802 - logging's name for it
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return place_of(ei[1]) if ei[1] is not None else ""


def _told(value: object) -> object:
    """What is logged, an error without its words, but for those of the history, which are all our own."""
    if not isinstance(value, BaseException) or isinstance(value, StoreError):
        return value
    status = f" ({value.status})" if isinstance(value, TurnError) and value.status else ""
    return f"{type(value).__name__}{status}"


class _File(logging.Handler):
    """The log's file, which is not even loaded before there is something to write."""

    def __init__(self, paths: Paths) -> None:
        super().__init__()
        self._paths = paths
        self._file: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self._file is None:
            from tui.log_file import PrivateFile

            self._file = PrivateFile(self._paths)
            self._file.setFormatter(self.formatter)
        self._file.emit(record)


def begin(paths: Paths) -> None:
    """Send what is logged to the file, at the level PALAVER_LOG names (WARNING if none), and nowhere else."""
    level = logging.getLevelNamesMapping().get(os.environ.get("PALAVER_LOG", "").upper(), logging.WARNING)
    handler = _File(paths)
    handler.setFormatter(_Lines("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("tui").setLevel(level)
    # Others log whole addresses, keys in their queries among them.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.ERROR)
