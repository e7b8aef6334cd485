"""Look over everything Palaver needs, for the eye and for a bug report; nothing is sent over the network."""

from __future__ import annotations

import argparse
import os
import re
import textwrap
from collections.abc import Iterator

from tui.commands import doctor_crashes, doctor_history, doctor_machine, doctor_servers
from tui.commands.doctor_lines import Line, Mark, guarded
from tui.commands.table import is_colourful, print_json, print_line, print_styled
from tui.errors import Exit
from tui.text import clean, one_line

WRONG = 1
"""The exit status where something is wrong."""

LAST = "Nothing was sent over the network; `palaver profiles test` tries a server."

_PARTS = (
    ("Palaver", doctor_machine.versions),
    ("SQLite", doctor_machine.sqlite),
    ("terminal", doctor_machine.terminal),
    ("encoding", doctor_machine.encoding),
    ("config", doctor_servers.configuration),
    ("history", doctor_history.history),
    ("crashes", doctor_crashes.reports),
)
_SIGNS = {Mark.OK: "✓", Mark.NOTE: "!", Mark.WRONG: "✗"}
_STYLES = {Mark.OK: "\x1b[32m", Mark.NOTE: "\x1b[1;33m", Mark.WRONG: "\x1b[1;31m"}
_PLAIN = "\x1b[0m"
_INDENT = 12
"""The columns before what is said of a thing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    if args.json:
        lines = list(look_over())
        told = [{"mark": one.mark, "about": one.about, "text": one.text, "remedy": one.remedy} for one in lines]
        print_json({"ok": _count(lines, Mark.WRONG) == 0, "lines": told})
        return _status(lines)
    lines = []
    width = _columns()
    for line in look_over():
        lines.append(line)
        _print(line, width)
    print_line()
    print_line(_summary(_count(lines, Mark.WRONG), _count(lines, Mark.NOTE)))
    print_line(LAST)
    return _status(lines)


def look_over() -> Iterator[Line]:
    """Everything there is to say, as it is found out. The user's home folder is not named in it.

    Raises nothing that a part of it raises: that is a line.
    """
    home = os.path.expanduser("~").rstrip("/")
    # A quoted path stays as it is: a shell takes no ~ in quotes for a folder.
    at_home = re.compile(rf"(?<!\S){re.escape(home)}/") if home else None
    for about, look in _PARTS:
        for line in guarded(about, look):
            text, remedy = ((at_home.sub("~/", one) if at_home else one) for one in (line.text, line.remedy))
            yield Line(line.mark, line.about, one_line(text), one_line(remedy))


def _print(line: Line, width: int) -> None:
    style, plain = (_STYLES[line.mark], _PLAIN) if is_colourful() else ("", "")
    first, *rest = _wrapped(clean(line.text), width)
    print_styled(f"{style}{_SIGNS[line.mark]}{plain} {line.about:<{_INDENT - 2}}{first}")
    # What is to be typed is one line, to be copied.
    for one in (*rest, *([f"→ {line.remedy}"] if line.remedy else [])):
        print_line(f"{'':{_INDENT}}{one}")


def _wrapped(text: str, width: int) -> list[str]:
    room = max(20, width - _INDENT)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _columns() -> int:
    """As wide as the terminal; 80 where there is none."""
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def _count(lines: list[Line], mark: Mark) -> int:
    return sum(line.mark is mark for line in lines)


def _summary(wrong: int, notes: int) -> str:
    said = f"{wrong} thing{' is' if wrong == 1 else 's are'} wrong" if wrong else "Nothing is wrong"
    return f"{said}; {notes} {'is' if notes == 1 else 'are'} worth a look." if notes else f"{said}."


def _status(lines: list[Line]) -> int:
    return WRONG if _count(lines, Mark.WRONG) else int(Exit.DONE)
