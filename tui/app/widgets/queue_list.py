"""The prompts that wait, under the transcript."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from tui.attachments import parted
from tui.model import Queued
from tui.text import one_line

MOST = 3
"""How many prompts are shown, one line for each."""

GOES_ON, WAITS = "↳", "□"
"""The marks of a prompt that is sent once the answer is done, and of one that waits for the user."""


class QueueList(Static):
    """Says what is to be sent, in which order, and which of it is being changed."""

    DEFAULT_CSS = """
    QueueList {
        height: auto;
        padding: 0 2;
        color: $foreground 60%;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        display: none;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.text = ""

    def show(self, queue: Sequence[Queued], *, is_waiting: bool, changing: str = "") -> None:
        """Show a queue; `is_waiting` is whether it waits for the user, `changing` the id of one that is being changed."""
        mark = WAITS if is_waiting else GOES_ON
        shown = queue[:MOST]
        places = [place for place, one in enumerate(queue) if one.id == changing]
        if places and places[0] >= MOST:
            shown = queue[places[0] - MOST + 1 : places[0] + 1]
        first = queue.index(shown[0]) if shown else 0
        lines = [
            f"{mark} {number} {'(being changed) ' if one.id == changing else ''}{one_line(parted(one.prompt)[0], 200)}"
            for number, one in enumerate(shown, first + 1)
        ]
        others = len(queue) - len(shown)
        if others:
            lines.append(f"  +{others} more")
        text = "\n".join(lines)
        self.display = bool(queue)
        if text != self.text:
            self.text = text
            self.update(Content(text))


def told(count: int, key: str) -> str:
    """What waits for the user, in words; `key` sends the next."""
    return f"1 prompt waits: {key} sends it" if count == 1 else f"{count:,} prompts wait: {key} sends the next"
