"""Columns of text for the terminal, and JSON for scripts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from tui.console import write_out
from tui.text import clean, one_line

LEAST = 8
"""Cells that are left of a column that is cut."""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], empty: str, *, cut: Sequence[int] = ()) -> None:
    """Print rows under a head, each column as wide as it has to be; `empty` where there are none. On a terminal the columns
    `cut` are made as narrow as it takes for a row to fit into a line, the widest first."""
    from rich.cells import cell_len

    if not rows:
        print_line(empty)
        return
    cells = [[one_line(cell, 120) for cell in row] for row in [head, *rows]]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(head))]
    room = _columns() if cut else 0
    over = sum(widths) + 2 * (len(head) - 1) - room
    while room and over > 0 and max(widths[column] for column in cut) > LEAST:
        widest = max(cut, key=lambda column: widths[column])
        widths[widest] -= 1
        over -= 1
    for row in cells:
        shown = [_shortened(cell, width) for cell, width in zip(row, widths, strict=True)]
        padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(shown, widths, strict=True)]
        line = "  ".join(padded).rstrip()
        print_line(_shortened(line, room) if room else line)


def _columns() -> int:
    """How wide the terminal is; 0 where standard output is none."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 0


def _shortened(text: str, width: int) -> str:
    """As much of `text` as fits into so many cells."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def print_line(text: str = "") -> None:
    """A line on standard output, cleaned of what a terminal would obey, in UTF-8 whatever the locale says."""
    print_styled(clean(text))


def print_styled(text: str) -> None:
    """The same for a line with styles of ours in it; whoever makes it has cleaned all the rest."""
    write_out(text.encode("utf-8", "replace") + b"\n")


def is_colourful() -> bool:
    """Whether standard output shows styles, and the user wants any."""
    return sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def print_json(value: Any) -> None:
    """A value as JSON on standard output, cleaned as a line is.

    Raises:
        OutputRefused: It is closed, or takes no more.
    """
    print_line(json.dumps(value, indent=2))
