"""F6: what is known of the session's conversations with servers."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class AccountScreen(ModalScreen[None]):
    """Lines about one session, to be read and scrolled."""

    DEFAULT_CSS = """
    AccountScreen {
        align: center middle;
        & > VerticalScroll {
            width: 100; max-width: 98%; height: auto; max-height: 90%; padding: 0 2;
            border: round $primary; background: $surface;
            border-title-style: bold; border-title-align: center;
            scrollbar-size-vertical: 1;
        }
        & .account--note { color: $foreground 60%; margin-top: 1; }
    }
    """

    BINDINGS = [Binding("escape,f6,q,enter", "dismiss(None)", "Close", id="help.close-account")]

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._name = name
        self._lines = lines

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(f"Conversation: {self._name}")
            yield Static(Content("\n".join(self._lines)))
            note = "/forget lets go of the conversation: the next prompt begins a new one. Esc closes this."
            yield Static(Content(note), classes="account--note")
