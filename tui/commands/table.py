"""Columns of text for the terminal, and JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tui.console import write_out
from tui.text import clean, one_line


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print rows under a head, each column as wide as it has to be; `empty` where there are none."""
    from rich.cells import cell_len

    if not rows:
        print_line(empty)
        return
    cells = [[one_line(cell, 120) for cell in row] for row in [head, *rows]]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        print_line("  ".join(padded).rstrip())


def print_line(text: str = "") -> None:
    """A line on standard output, cleaned of what a terminal would obey, in UTF-8 whatever the locale says."""
    print_styled(clean(text))


def print_styled(text: str) -> None:
    """The same for a line with styles of ours in it; whoever makes it has cleaned all the rest."""
    write_out(text.encode("utf-8", "replace") + b"\n")


def print_json(value: Any) -> None:
    print_line(json.dumps(value, indent=2))
