"""Reports of our own mistakes: the place in the program, and nothing of what it was working on.

An error's message may quote a prompt, an answer or a key, and so may the values of variables: neither is written.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from tui import __version__
from tui.console import print_error
from tui.errors import Exit

SIZE = 256 * 1024
"""Bytes after which a process adds nothing to its report: a mistake made over and over says nothing new."""


class Reports:
    """The report of this process, made when there is something to tell, and added to from then on.

    It is in the log's folder, or in a temporary one of its own where it cannot be there.
    """

    def __init__(self) -> None:
        self.file: Path | None = None

    def keep(self, error: BaseException) -> Path | None:
        """Write down where `error` came from. Gives the report's file, or None where none could be written."""
        text = f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{place_of(error)}\n"
        try:
            if self.file is None:
                self.file = self._begin()
            elif self.file.stat().st_size > SIZE:
                return self.file
            with os.fdopen(os.open(self.file, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as stream:
                stream.write(text)
        except OSError:
            return None
        return self.file

    def _begin(self) -> Path:
        from tui import paths

        folder = paths.find().log_dir
        try:
            paths.make_private_dir(folder)
            return self._begun_in(folder)
        except OSError:
            import tempfile

            paths.check_may_make(Path(tempfile.gettempdir()))
            return self._begun_in(Path(tempfile.mkdtemp(prefix="palaver-")))

    def _begun_in(self, folder: Path) -> Path:
        file = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(f"palaver {__version__}, Python {sys.version}, {sys.platform}\n\n")
        return file


reports = Reports()
"""This process's."""


def tell(error: BaseException) -> int:
    """Keep a report of an error that ends the program, say so in a line on standard error, and give the exit status."""
    print_error(f"palaver: {sentence(error)}")
    return int(Exit.BUG)


def sentence(error: BaseException) -> str:
    """What the user is told of an error, once its report is kept."""
    file = reports.keep(error)
    where = f"a report is in {file}" if file else f"no report could be written{_at(error.__traceback__)}"
    return f"an internal error ({type(error).__name__}); {where}"


def place_of(error: BaseException) -> str:
    """Where an error was raised, and those it came from: files, lines and kinds, as in a traceback, but no message."""
    return "\n".join(_chain(error, set()))


def _at(trace: TracebackType | None) -> str:
    """The line of the program an error was raised in, for a report that is only said."""
    last = traceback.extract_tb(trace)[-1:]
    return f"; it was at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""


def place_in(trace: TracebackType | None) -> list[str]:
    """The lines of a traceback: each place, with its line of the source."""
    return [line for entry in traceback.format_tb(trace) for line in entry.rstrip("\n").split("\n")]


def _chain(error: BaseException, known: set[int]) -> Iterator[str]:
    known.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in known:
        yield from _chain(before, known)
        yield ""
        yield "and then, while that was handled:" if error.__cause__ is None else "which led to:"
        yield ""
    yield from place_in(error.__traceback__)
    kind = type(error)
    yield kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions, 1):
            if id(one) not in known:
                yield f"  part {number}:"
                yield from (f"  {line}" for line in _chain(one, known))
