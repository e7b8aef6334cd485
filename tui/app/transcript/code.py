"""Highlighted code, in the theme's colours."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

from tui.app.transcript.palette import Palette
from tui.app.transcript.wrap import Line, chop
from tui.markup import highlighted


def code_lines(code: str, info: str, width: int, palette: Palette, *, is_start: bool = True) -> list[Line]:
    """A block of code, or with `is_start` false more of one, as lines `width` cells wide.

    `info` is what its fence says: a language, and sometimes a title. A line too wide goes on in the next row.
    """
    inner = max(4, width - 2)
    lines: list[Line] = []
    if is_start and info:
        label = info if cell_len(info) <= inner else set_cell_size(info, inner - 1) + "…"
        text = " " * (width - cell_len(label) - 1) + label + " "
        lines.append(Line([Segment(text, palette.fence_label)], "", lead=len(text)))
    for segments in _highlighted(code, info, palette):
        rows = chop(segments, inner)
        for number, row in enumerate(rows):
            free = max(1, width - 1 - sum(cell_len(segment.text) for segment in row))
            padded = [Segment(" ", palette.fence), *row, Segment(" " * free, palette.fence)]
            lines.append(Line(padded, "" if number < len(rows) - 1 else "\n", lead=1, tail=free))
    return lines


def _highlighted(code: str, info: str, palette: Palette) -> list[list[Segment]]:
    """Code as lines of segments, without their line ends."""
    tokens = highlighted(code, info)
    if not tokens:
        return [[Segment(line, palette.fence)] if line else [] for line in code.split("\n")]
    lines: list[list[Segment]] = [[]]
    for kind, text in tokens:
        style = palette.token(_name(kind))
        first, *others = text.split("\n")
        if first:
            _append(lines[-1], Segment(first, style))
        lines += [[Segment(other, style)] if other else [] for other in others]
    return lines[:-1]


def _append(line: list[Segment], segment: Segment) -> None:
    if line and line[-1].style is segment.style:
        line[-1] = Segment(line[-1].text + segment.text, segment.style)
    else:
        line.append(segment)


@lru_cache(maxsize=256)
def _name(kind: Any) -> str:
    """A token type's name, as the palette knows it."""
    return str(kind).removeprefix("Token.")
