"""F6: what is known of the session's conversations with servers."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.app.key_names import first_key
from tui.app.screens.sheet import Sheet


class AccountScreen(Sheet):
    """Lines about one session, to be read and scrolled."""

    DEFAULT_CSS = "AccountScreen > VerticalScroll { width: 100; }"

    BINDINGS = [Binding("escape,f6,q,enter", "dismiss(None)", "Close", id="help.close-account")]

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._name = name
        self._lines = lines

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(f"Conversation: {self._name}")
            yield Static(Content("\n".join(self._lines)))
            note = "After /forget the next prompt begins a new conversation. "
            close = first_key(self, "help.close-account")
            yield Static(Content(f"{note}{close} closes this."), classes="sheet--note")
