"""Selected text, as it was meant and not as it was drawn: no padding, no bars, and no line ends that were not there."""

from __future__ import annotations

from collections.abc import Iterable

from textual.selection import Selection

from tui.app.transcript.wrap import Line

GUTTER = 2
"""Characters before every line that belong to no text."""

_UNIT_BITS, _LINE_BITS = 20, 12


def key_of(depth: int, unit: int, line: int) -> int:
    """A number for a line of a transcript that stays the same whatever is drawn above it, and grows downwards."""
    return (depth << _UNIT_BITS | min(unit, (1 << _UNIT_BITS) - 1)) << _LINE_BITS | min(line, (1 << _LINE_BITS) - 1)


def depth_of(key: int) -> int:
    """The turn a line's number belongs to."""
    return key >> _UNIT_BITS + _LINE_BITS


def selected_text(lines: Iterable[tuple[int, Line]], selection: Selection) -> str:
    """The text of the selected parts of `lines`, which come with their numbers."""
    parts: list[str] = []
    join = ""
    for key, line in lines:
        span = selection.get_span(key)
        if span is None:
            continue
        start, end = span
        text = line.text
        first, last = max(line.lead, start - GUTTER), len(text) - line.tail
        if end != -1:
            last = min(last, end - GUTTER)
        parts += [join, text[first : max(first, last)]]
        join = line.join
    return "".join(parts)
