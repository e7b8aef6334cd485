"""Rows of a transcript as strips: what is drawn around a line, or over it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.app.transcript.blocks import Look
from tui.app.transcript.palette import Palette
from tui.app.transcript.viewport import Row

_NEWS = " ↓ new text "
_REVERSED = Style(reverse=True)


def row_strip(row: Row, width: int, palette: Palette, *, has_cursor: bool) -> Strip:
    """A line with what stands before it: a bar where it is a prompt or has the cursor, or its mark."""
    fill: Style | None = None
    gutter = Segment("  ")
    is_gap = row.unit is not None and row.unit.gap and not row.line.segments
    if row.block is not None and row.block.look is Look.PROMPT and not is_gap:
        gutter, fill = Segment("▌ ", palette.prompt_bar), palette.prompt
    mark = row.line.mark
    if has_cursor and not is_gap:
        bar = palette.cursor_bar if fill is None else palette.cursor_bar + Style(bgcolor=fill.bgcolor)
        gutter = Segment(mark.text, bar + _REVERSED) if mark is not None else Segment("┃ ", bar)
    elif mark is not None:
        gutter = mark
    return Strip([gutter, *row.line.segments]).adjust_cell_length(width, fill)


def news_start(room: int) -> int:
    """The column at which the mark for new text begins, in a window with `room` columns for text."""
    return room - len(_NEWS) - 1


def with_news(strip: Strip, room: int, palette: Palette) -> Strip:
    """A line with the mark for new text on it."""
    start = news_start(room)
    mark = Strip([Segment(_NEWS, palette.mark)])
    return Strip.join([strip.crop(0, start), mark, strip.crop(start + len(_NEWS))])


def hint_strip(hint: Sequence[str], y: int, size: tuple[int, int], room: int, palette: Palette) -> Strip:
    """Line `y` of a hint in the middle of a window: `size` is that of the window in cells, `room` its columns for text."""
    width, height = size
    lines = [line for text in hint for line in wrap(text, max(10, room - 2)) or [""]]
    at = y - max(0, (height - len(lines)) // 2)
    if not 0 <= at < len(lines):
        return Strip.blank(width)
    text = lines[at]
    pad = " " * max(0, (room - cell_len(text)) // 2)
    style = palette.strong if at == 0 else palette.muted
    return Strip([Segment(pad), Segment(text, style)]).adjust_cell_length(width)


def restyled(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """A strip with another style on the characters from `start` to before `end`; -1 means to its end."""
    text = strip.text
    left = cell_len(text[:start])
    right = strip.cell_length if end == -1 else cell_len(text[:end])
    middle = [Segment(segment.text, (segment.style or Style()) + style) for segment in strip.crop(left, right)]
    return Strip.join([strip.crop(0, left), Strip(middle), strip.crop(right)])
