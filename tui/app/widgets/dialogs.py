"""Small questions laid over the screen: a line of text, or yes and no."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.app.steady import Steady
from tui.app.widgets.line import Line
from tui.errors import PalaverError
from tui.text import one_line


class TextDialog(Steady, ModalScreen[str | None]):
    """Asks for a line of text. `check` raises a PalaverError for what cannot be taken."""

    DEFAULT_CSS = """
    TextDialog {
        align: center middle;
        & > Vertical {
            width: 60; max-width: 90%; height: auto; padding: 1 2; border: round $primary; background: $surface;
        }
        & .dialog--problem { color: $text-error; height: auto; }
        & .dialog--hint { color: $foreground 60%; }
        & Input, & Input:focus { border: none; height: 1; margin: 1 0; padding: 0 1; background: $background; }
    }
    """

    BINDINGS = [Binding("escape", "dismiss(None)", "Leave it", id="dialog.cancel")]

    def __init__(self, question: str, value: str, check: Callable[[str], object]) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._check = check

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(one_line(self._question)), classes="dialog--question")
            yield Line(self._value)
            yield Static(Content(""), classes="dialog--problem")
            yield Static(Content("Enter takes it, Esc leaves it"), classes="dialog--hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = self.query_one(Line).text
        try:
            self._check(text)
        except PalaverError as error:
            self.query_one(".dialog--problem", Static).update(Content(one_line(str(error))))
        else:
            self.dismiss(text)


class ConfirmDialog(Steady, ModalScreen[bool]):
    """Shows something in full and asks whether to go on."""

    DEFAULT_CSS = """
    ConfirmDialog {
        align: center middle;
        & > Vertical {
            width: 76; max-width: 90%; height: auto; padding: 1 2; border: round $primary; background: $surface;
        }
        & .dialog--matter { height: auto; max-height: 20vh; margin: 1 0; text-style: bold; }
        & .dialog--hint { color: $foreground 60%; }
    }
    """

    BINDINGS = [
        Binding("enter,y", "dismiss(True)", "Yes", id="dialog.yes"),
        Binding("escape,n", "dismiss(False)", "No", id="dialog.no"),
    ]

    def __init__(self, question: str, matter: str, hint: str) -> None:
        super().__init__()
        self._question = question
        self._matter = matter
        self._hint = hint

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self._question))
            with VerticalScroll(classes="dialog--matter"):
                yield Static(Content(one_line(self._matter, 2048)))
            yield Static(Content(self._hint), classes="dialog--hint")
