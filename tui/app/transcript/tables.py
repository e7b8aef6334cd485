"""Tables, fitted to the width there is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment

from tui.app.transcript.palette import Palette
from tui.app.transcript.wrap import Line, Link, Run, indented, longest_word, wrap
from tui.values import dataclass

_GAP = " │ "
_DASH = "╌"

_WORD_LIMIT = 12
"""A word may be broken to make a column narrower, but never narrower than this."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row's cells, each as runs. `is_head` rows are bold and ruled off."""

    cells: tuple[tuple[Run, ...], ...]
    is_head: bool = False


def table_lines(
    rows: Sequence[Row], aligns: Sequence[str], width: int, palette: Palette, *, like: Sequence[Row] | None = None
) -> list[Line]:
    """Rows as lines, the columns aligned ("left", "right" or "center") and as narrow as they have to be.

    Where `like` is given, the columns are as wide as those rows need, so that a table can be drawn in parts. A table with
    more columns than there is room for is drawn as a list: each row's cells by the names of their columns.
    """
    measured = rows if like is None else like
    columns = max((len(row.cells) for row in measured), default=0)
    if not columns:
        return []
    widths = _fit(measured, columns, width - len(_GAP) * (columns - 1))
    if widths is None:
        return _as_list(rows, measured, width, palette, is_first=like is None)
    # Where cells take several lines, it takes rules to tell the rows apart.
    is_ruled = any(
        _cells(row, column) > widths[column] or _is_broken(row) for row in measured for column in range(columns)
    )
    lines: list[Line] = []
    is_first = like is None
    for row in rows:
        if is_ruled and not is_first:
            lines.append(_rule(_DASH, widths, palette))
        lines += _row_lines(row, widths, aligns, palette)
        if row.is_head:
            lines.append(_rule("─", widths, palette))
        is_first = row.is_head
    return lines


def _rule(mark: str, widths: Sequence[int], palette: Palette) -> Line:
    rule = f"{mark}┼{mark}".join(mark * one for one in widths)
    return Line([Segment(rule, palette.rule)], "", lead=len(rule))


def _is_broken(row: Row) -> bool:
    return any(run.text == "\n" for cell in row.cells for run in cell)


def _fit(rows: Sequence[Row], columns: int, room: int) -> list[int] | None:
    """Column widths that fill no more than `room`, or None where that would tear words apart.

    Every column gets what its longest word needs; what is left goes to those that want more, the narrow ones first.
    """
    wanted = [max(1, *(_cells(row, column) for row in rows)) for column in range(columns)]
    if sum(wanted) <= room:
        return wanted
    words = [max(1, *(_longest_word(row, column) for row in rows)) for column in range(columns)]
    if sum(words) > room:
        words = [min(word, _WORD_LIMIT) for word in words]
    return _share(wanted, words, room) if sum(words) <= room else None


def _share(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths between `least` and `wanted` that fill `room`, as even as they can be."""
    widths = list(least)
    left = room - sum(widths)
    growing = [column for column in range(len(widths)) if widths[column] < wanted[column]]
    while left > 0 and growing:
        narrow = min(widths[column] for column in growing)
        for column in [column for column in growing if widths[column] == narrow][:left]:
            widths[column] += 1
            left -= 1
        growing = [column for column in growing if widths[column] < wanted[column]]
    return widths


def _cells(row: Row, column: int) -> int:
    """The cells that a row's longest line in a column takes."""
    if column >= len(row.cells):
        return 0
    text = "".join(run.text for run in row.cells[column])
    return max(cell_len(line) for line in text.split("\n"))


def _longest_word(row: Row, column: int) -> int:
    return longest_word("".join(run.text for run in row.cells[column])) if column < len(row.cells) else 0


def _row_lines(row: Row, widths: list[int], aligns: Sequence[str], palette: Palette) -> list[Line]:
    cells = [
        wrap(row.cells[column], widths[column]) if column < len(row.cells) else [] for column in range(len(widths))
    ]
    lines = []
    for height in range(max(map(len, cells))):
        segments: list[Segment] = []
        links: list[Link] = []
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
        drawn = Line(segments, "\n", 0, tuple(links))
        drawn.tail = len(drawn.text) - len(drawn.text.rstrip())
        lines.append(drawn)
    return lines


def _as_list(
    rows: Sequence[Row], measured: Sequence[Row], width: int, palette: Palette, *, is_first: bool
) -> list[Line]:
    """Rows one under the other: the first cell, and under it the others, all with the names of their columns."""
    names = next((row.cells for row in measured if row.is_head), ())
    lines: list[Line] = []
    for row in rows:
        if row.is_head:
            continue
        if lines or not is_first:
            lines.append(Line([]))
        for column, cell in enumerate(row.cells):
            indent = 2 if column else 0
            if not cell and column:
                continue
            if column == 0:
                cell = tuple(run._replace(style=run.style + palette.strong) for run in cell)
            name = names[column] if column < len(names) else ()
            if name:
                colon = Run(": ", palette.muted)
                cell = (*(run._replace(style=palette.muted, url="") for run in name), colon, *cell)
            lines += indented(wrap(cell, width - indent), indent)
    if not lines and is_first:
        bar = Run(_GAP, palette.rule)
        return wrap([run for name in names for run in (*name, bar)][:-1], width)
    return lines
