"""The line that says where the next prompt goes, how the turn stands, and what the last action came to."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.app.cells import cut
from tui.app.widgets.base_style import BaseStyled
from tui.text import one_line

_BETWEEN = " · "

PARTS_KEPT = 2
"""Parts of the left text that the right one leaves room for, with what more there is to it: label and profile."""


class StatusBar(BaseStyled):
    """Two texts on one line. The right one, being news, is never cut for the left one's sake; what more there is to it is
    shown as far as there is room beside the left one."""

    DEFAULT_CSS = """
    StatusBar {
        height: 1;
        width: 1fr;
        background: $panel;
        color: $foreground 80%;
        & .status--trouble { color: $text-error; text-style: bold; }
        & .status--busy { color: $text-accent; text-style: bold; }
    }
    """

    COMPONENT_CLASSES = {"status--trouble", "status--busy"}

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._left: tuple[str, ...] = ()
        self._right = ""
        self._more: tuple[str, ...] = ()
        self._trouble = ""
        self._is_busy = False

    def show(
        self, left: tuple[str, ...], right: str, more: tuple[str, ...] = (), *, trouble: str = "", is_busy: bool = False
    ) -> None:
        """Show where prompts go, and what is new with `more` of it (of both the least important part last); `trouble` stands
        before all else."""
        right = one_line(right)
        now = (left, right, more, trouble, is_busy)
        if now != (self._left, self._right, self._more, self._trouble, self._is_busy):
            self._left, self._right, self._more, self._trouble, self._is_busy = now
            self.refresh()

    @property
    def text(self) -> str:
        """What it says."""
        right = _BETWEEN.join((self._right, *self._more))
        return "  ".join(part for part in (self._trouble, _BETWEEN.join(self._left), right) if part)

    def holds(self, text: str) -> bool:
        """Whether there is room for a text on the right."""
        return cell_len(one_line(text)) <= self.size.width - 2

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - Textual's shape: it has one line
        width = self.size.width
        busy = self.get_component_rich_style("status--busy", partial=True)
        trouble = self.get_component_rich_style("status--trouble", partial=True)
        right = cut(self._right, width - 2)
        taken = cell_len(_BETWEEN.join(map(one_line, self._left[:PARTS_KEPT]))) + cell_len(self._trouble) + 5
        for part in self._more:
            longer = f"{right}{_BETWEEN}{part}"
            if cell_len(longer) + taken > width:
                break
            right = longer
        room = width - cell_len(right) - 3
        segments = [Segment(" ")]
        if self._trouble and room > 8:
            text = cut(self._trouble, room)
            segments += [Segment(text, trouble), Segment("  ")]
            room -= cell_len(text) + 2
        left = ""
        for part in map(one_line, self._left):
            longer = f"{left}{_BETWEEN}{part}" if left else part
            if cell_len(longer) > room:
                break
            left = longer
        segments.append(Segment(left, Style()))
        used = sum(cell_len(segment.text) for segment in segments)
        segments.append(Segment(" " * max(1, width - used - cell_len(right) - 1)))
        segments.append(Segment(right, busy if self._is_busy else Style()))
        return Strip(segments).adjust_cell_length(width).apply_style(self.base_style)
