"""The log: a small file for what went wrong behind the scenes. No address's query, no header and no text goes into it."""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from types import TracebackType

from tui.crash import place_of
from tui.paths import Paths, make_private_dir

SIZE = 512 * 1024
"""Bytes at which the file is begun anew; one older file is kept."""


class _Lines(logging.Formatter):
    """A line of the log. An error is told by its place: its message may quote what was said, or a key."""

    def formatException(  # noqa: N802 - logging's name for it
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return place_of(ei[1]) if ei[1] is not None else ""


class _PrivateFile(RotatingFileHandler):
    """A log file only its owner can read, made when there is something to write."""

    def _open(self):  # type: ignore[no-untyped-def]
        make_private_dir(self._folder)
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        return super()._open()

    def __init__(self, paths: Paths) -> None:
        self._folder = paths.log_dir
        super().__init__(paths.log_file, maxBytes=SIZE, backupCount=1, encoding="utf-8", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name for it
        """A log that cannot be written is no one's trouble."""


def begin(paths: Paths) -> None:
    """Send what is logged to the file, at the level PALAVER_LOG names (WARNING if none), and nowhere else."""
    level = logging.getLevelNamesMapping().get(os.environ.get("PALAVER_LOG", "").upper(), logging.WARNING)
    handler = _PrivateFile(paths)
    handler.setFormatter(_Lines("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("tui").setLevel(level)
    # Others log whole addresses, keys in their queries among them.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.ERROR)
