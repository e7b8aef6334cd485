"""The last gate before the terminal: no line leaves with a character in it that a terminal could obey.

Textual writes escape sequences in text to the terminal as they are, whatever the widget (18 ways were tried). Text is
cleaned where it comes in; this filter holds whatever was missed there, or was made again by a parser since.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.text import FORBIDDEN


class Gate(LineFilter):
    """Replaces forbidden characters in every segment. It cannot be switched off."""

    def __init__(self) -> None:
        super().__init__(enabled=True)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's shape
        if not any(FORBIDDEN.search(segment.text) for segment in segments if not segment.control):
            return segments
        return [
            segment if segment.control else Segment(FORBIDDEN.sub("\ufffd", segment.text), segment.style)
            for segment in segments
        ]
