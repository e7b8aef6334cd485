"""The log's file: only its owner can read it, and it is small."""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler

from tui.paths import Paths, make_private_dir

SIZE = 512 * 1024
"""Bytes at which the file is begun anew; one older file is kept."""


class PrivateFile(RotatingFileHandler):
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
