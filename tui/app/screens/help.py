"""F1: every key that does something now, and a few words on what is on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

MARKS = (
    ("◌", "a session that is answering"),
    ("●", "an answer you have not seen"),
    ("✗", "the last prompt failed; r sends it again"),
    ("◆", "a note on how a turn went"),
    ("■", "an answer that was stopped or broke off; what came is kept"),
    ("▸", "folded: reasoning, a tool's call; Enter or a click unfolds it"),
)


class HelpScreen(ModalScreen[None]):
    """Keys, as they are bound at this moment."""

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & > VerticalScroll {
            width: 72; max-width: 95%; height: auto; max-height: 90%; padding: 1 2;
            border: round $primary; background: $surface;
            border-title-style: bold; border-title-align: center;
        }
        & .help--title { text-style: bold; color: $accent; margin-top: 1; }
        & .help--note { color: $foreground 60%; margin-top: 1; }
    }
    """

    BINDINGS = [Binding("escape,f1,q,enter", "dismiss(None)", "Close", id="help.close")]

    def __init__(self, keys: Sequence[tuple[str, str, str]]) -> None:
        """`keys` are (keys as shown, what they do, the id to bind them by)."""
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        width = max((len(keys) for keys, _, _ in self._keys), default=8)
        with VerticalScroll() as box:
            box.border_title = Content("Keys")
            lines = [f"{keys:<{width}}  {text}" + (f"  ({name})" if name else "") for keys, text, name in self._keys]
            yield Static(Content("\n".join(lines)))
            yield Static(Content("Marks"), classes="help--title")
            yield Static(Content("\n".join(f"{mark}  {text}" for mark, text in MARKS)))
            note = "Names in brackets are those to bind keys by, under [keys] in config.toml. Esc closes this."
            yield Static(Content(note), classes="help--note")
