"""The line below a transcript in which one types what to find in it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui.app.widgets.line import Line


class FindBar(Horizontal):
    """Says what is typed, and shows which of how many places it is."""

    DEFAULT_CSS = """
    FindBar {
        height: 1;
        background: $panel;
        & Input, & Input:focus { border: none; height: 1; width: 1fr; padding: 0; background: $panel; }
        & .find--title { width: auto; padding: 0 1; text-style: bold; }
        & .find--count { width: auto; padding: 0 1; color: $foreground 70%; }
    }
    """

    BINDINGS = [
        Binding("enter,f3,down", "step(1)", "Next", id="find.next", priority=True),
        Binding("shift+enter,shift+f3,up", "step(-1)", "Previous", id="find.previous", priority=True, key_display="↑"),
        Binding("escape", "close", "Close", id="find.close", priority=True),
    ]

    class Changed(Message):
        """Another text is to be found."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Stepped(Message):
        """The next match is wanted, or with -1 the one before."""

        def __init__(self, direction: int) -> None:
            super().__init__()
            self.direction = direction

    class Closed(Message):
        """The user is done."""

    def __init__(self, text: str) -> None:
        super().__init__(id="find")
        self._input = Line(text, placeholder="Find in this session")
        self._count = Static(Content(""), classes="find--count")

    def compose(self) -> ComposeResult:
        yield Static(Content("Find"), classes="find--title")
        yield self._input
        yield self._count

    def begin(self) -> None:
        """Take the keys, with what is there selected."""
        self._input.cursor_blink = False
        self._input.focus()
        self._input.select_all()

    def show(self, number: int, total: int, *, is_done: bool) -> None:
        """Show which of how many matches it is; until `is_done`, there may be more."""
        more = "" if is_done else "…"
        if not self._input.value.strip():
            said = ""
        elif not total:
            said = "not here" if is_done else "looking…"
        else:
            said = f"{number:,} of {total:,}{more}" if number else f"{total:,}{more}"
        self._count.update(Content(said))

    @property
    def text(self) -> str:
        """What it says."""
        return f"{self._input.value} {self._count.content}"

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    def action_step(self, direction: int) -> None:
        self.post_message(self.Stepped(direction))

    def action_close(self) -> None:
        self.post_message(self.Closed())
