"""The last gate before the terminal: no line leaves with a character in it that a terminal could obey, or with a link.

Textual writes escape sequences in text to the terminal as they are, whatever the widget (18 ways were tried), and a
style's link between two of its own. Text is cleaned where it comes in; this filter holds whatever was missed there, or
was made again by a parser since.
"""

from __future__ import annotations

from bisect import bisect_right

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.text import FORBIDDEN


class Gate(LineFilter):
    """Replaces forbidden characters in every segment of a line, which stays as wide as it was. It cannot be switched off."""

    def __init__(self) -> None:
        super().__init__(enabled=True)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's shape
        if not any(_is_held(segment) for segment in segments):
            return segments
        passed = [_passed(segment) if _is_held(segment) else segment for segment in segments]
        # What is replaced took no room, or that of two: the line would run into what is beside it.
        return _fitted(passed, Segment.get_line_length(segments))


def _is_held(segment: Segment) -> bool:
    if segment.control:
        return False
    return bool(FORBIDDEN.search(segment.text) or (segment.style is not None and segment.style.link))


def _passed(segment: Segment) -> Segment:
    style = segment.style.update_link(None) if segment.style is not None and segment.style.link else segment.style
    return Segment(FORBIDDEN.sub("\ufffd", segment.text), style)


def _fitted(segments: list[Segment], width: int) -> list[Segment]:
    """A line of just `width` cells: its end cut off, or blanks put to it. What is said to the terminal stays in it.

    Rich's own way to cut stumbles over characters that join others (it counts them in two ways that differ), so here
    each beginning of a text is as wide as Rich says of a text that is only that.
    """
    fitted: list[Segment] = []
    left = width
    for segment in segments:
        if segment.control:
            fitted.append(segment)
        elif left > 0 or segment.cell_length == 0:
            text = segment.text if segment.cell_length <= left else _cut(segment.text, left)
            fitted.append(Segment(text, segment.style))
            if text is not segment.text and (half := left - cell_len(text)):
                # In a segment of its own: after a joiner it would be no wider than nothing.
                fitted.append(Segment(" " * half, segment.style))
                left = 0
            else:
                left -= cell_len(text)
    return [*fitted, Segment(" " * left)] if left else fitted


def _cut(text: str, width: int) -> str:
    """The longest beginning of `text` that is no wider than `width`."""
    return text[: bisect_right(range(len(text) + 1), width, key=lambda end: cell_len(text[:end])) - 1]
