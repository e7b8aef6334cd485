"""The last gate before the terminal: no line leaves with a character in it that a terminal could obey, or with a link.

Textual writes escape sequences in text to the terminal as they are, whatever the widget (18 ways were tried), and a
style's link between two of its own. Text is cleaned where it comes in; this filter holds whatever was missed there, or
was made again by a parser since.
"""

from __future__ import annotations

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
        return Segment.adjust_line_length(passed, Segment.get_line_length(segments))


def _is_held(segment: Segment) -> bool:
    if segment.control:
        return False
    return bool(FORBIDDEN.search(segment.text) or (segment.style is not None and segment.style.link))


def _passed(segment: Segment) -> Segment:
    style = segment.style.update_link(None) if segment.style is not None and segment.style.link else segment.style
    return Segment(FORBIDDEN.sub("\ufffd", segment.text), style)
