"""What Palaver runs on: its own version and the libraries', the terminal, the encoding."""

from __future__ import annotations

import locale
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata

from tui import __version__
from tui.commands.doctor_lines import Line, Mark
from tui.store.library import library

_LIBRARIES = ("textual", "rich", "httpx", "sqlite-utils")
_COLOURS = {"truecolor": "all colours", "256": "256 colours", "standard": "16 colours"}
_AROUND = {"TMUX": "in tmux", "STY": "in screen", "ZELLIJ": "in zellij", "SSH_CONNECTION": "over ssh"}


def versions() -> Iterator[Line]:
    """Palaver, Python, the system and the libraries."""
    python = f"{platform.python_implementation().replace('CPython', 'Python')} {platform.python_version()}"
    yield Line(Mark.OK, "Palaver", f"{__version__}, {python}, {platform.system()} {platform.release()}")
    found, missing = [], []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    yield Line(Mark.OK, "libraries", ", ".join(found) or "none")
    if missing:
        yield Line(Mark.WRONG, "libraries", f"not installed: {', '.join(missing)}", "install Palaver again")


def sqlite() -> Iterator[Line]:
    """The SQLite library that is used, and that it is the only one."""
    found = library()
    unused = f"; {', '.join(found.unused)} is installed, too, and not used" if found.unused else ", and no other"
    yield Line(Mark.OK, "SQLite", f"{found.version}: Python's own{unused}")
    for wrong in found.wrong:
        yield Line(Mark.WRONG, "SQLite", wrong, "use another build of Python")


def terminal() -> Iterator[Line]:
    """The terminal: its name, its colours and size, and what it is seen through."""
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    told = [f"TERM={term}" if term else "no TERM", *([program] if program and program not in term else []), _colours()]
    size = _size()
    told += [f"{size[0]}×{size[1]}"] if size else []
    told += [words for variable, words in _AROUND.items() if os.environ.get(variable)]
    yield Line(Mark.OK, "terminal", ", ".join(told))
    if not (os.isatty(0) and os.isatty(2)):
        yield Line(
            Mark.NOTE,
            "terminal",
            "standard input or error is no terminal, and the window needs one",
            "use `palaver ask` here, or look again in a terminal",
        )
    elif term == "dumb":
        yield Line(Mark.NOTE, "terminal", "it can only show lines", "use `palaver ask` here, or another terminal")


def _colours() -> str:
    from rich.console import Console

    if os.environ.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    return _COLOURS.get(Console(force_terminal=True).color_system or "", "no colours")


def _size() -> tuple[int, int] | None:
    for number in (2, 0, 1):
        with suppress(OSError):
            columns, rows = os.get_terminal_size(number)
            return columns, rows
    return None


def encoding() -> Iterator[Line]:
    """The encoding of text, and the variable that says so."""
    name = locale.getencoding()
    variables = [variable for variable in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(variable)]
    source = f"{variables[0]}={os.environ[variables[0]]}" if variables else "LANG is not set"
    if name.lower().replace("-", "") == "utf8":
        yield Line(Mark.OK, "encoding", f"UTF-8 ({source})")
    else:
        yield Line(
            Mark.NOTE,
            "encoding",
            f"{name} ({source}): names and letters may come out wrong",
            "export LC_ALL=C.UTF-8, or another locale with UTF-8",
        )
