"""Tables, fitted to the width there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment

from tui.app.transcript.palette import Palette
from tui.app.transcript.wrap import Line, Run, wrap

_GAP = " │ "
_CROSS = "─┼─"


@dataclass(frozen=True, slots=True)
class Row:
    """A row's cells, each as runs. `is_head` rows are bold and ruled off."""

    cells: tuple[tuple[Run, ...], ...]
    is_head: bool = False


def table_lines(
    rows: Sequence[Row], aligns: Sequence[str], width: int, palette: Palette, *, like: Sequence[Row] | None = None
) -> list[Line]:
    """Rows as lines, the columns aligned ("left", "right" or "center") and as narrow as they have to be.

    Where `like` is given, the columns are as wide as those rows need, so that a table can be drawn in parts.
    """
    measured = rows if like is None else like
    columns = max((len(row.cells) for row in measured), default=0)
    if not columns:
        return []
    widths = _fit([_natural(measured, column) for column in range(columns)], width - len(_GAP) * (columns - 1))
    lines: list[Line] = []
    for row in rows:
        lines += _row_lines(row, widths, aligns, palette)
        if row.is_head:
            rule = _CROSS.join("─" * one for one in widths)
            lines.append(Line([Segment(rule, palette.rule)], lead=len(rule)))
    return lines


def _natural(rows: Sequence[Row], column: int) -> int:
    return max(
        (sum(cell_len(run.text) for run in row.cells[column]) for row in rows if column < len(row.cells)), default=1
    )


def _fit(natural: list[int], room: int) -> list[int]:
    """Column widths that fill no more than `room`: narrow columns keep theirs, wide ones share the rest."""
    widths = [max(1, one) for one in natural]
    if sum(widths) <= room:
        return widths
    left, open_columns = max(room, len(widths) * 3), set(range(len(widths)))
    while open_columns:
        share = left // len(open_columns)
        small = {column for column in open_columns if widths[column] <= share}
        if not small:
            for column in sorted(open_columns):
                widths[column] = max(3, share)
            extra = left - share * len(open_columns)
            for column in sorted(open_columns)[:extra]:
                widths[column] += 1
            break
        left -= sum(widths[column] for column in small)
        open_columns -= small
    return widths


def _row_lines(row: Row, widths: list[int], aligns: Sequence[str], palette: Palette) -> list[Line]:
    cells = [
        wrap(row.cells[column], widths[column]) if column < len(row.cells) else [] for column in range(len(widths))
    ]
    lines = []
    for height in range(max(map(len, cells))):
        segments: list[Segment] = []
        links = []
        at = 0
        for column, cell in enumerate(cells):
            line = cell[height] if height < len(cell) else Line([])
            free = max(0, widths[column] - line.width)
            align = aligns[column] if column < len(aligns) else "left"
            before = free if align == "right" else free // 2 if align == "center" else 0
            if before:
                segments.append(Segment(" " * before, palette.text))
            segments += line.segments
            links += [link._replace(start=link.start + at + before, end=link.end + at + before) for link in line.links]
            if column < len(cells) - 1:
                if free - before:
                    segments.append(Segment(" " * (free - before), palette.text))
                segments.append(Segment(_GAP, palette.rule))
            at += widths[column] + len(_GAP)
        lines.append(Line(segments, "\n", 0, tuple(links)))
    return lines
