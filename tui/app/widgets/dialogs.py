"""Small questions laid over the screen: a line of text, or yes and no."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.app.key_names import first_key
from tui.app.steady import Steady
from tui.app.widgets.line import Line
from tui.errors import PalaverError
from tui.text import one_line

HELD = 0.4
"""Seconds for which the keys after Enter wait for what is to come of it."""


class TextDialog(Steady, ModalScreen[str | None]):
    """Asks for a line of text. `take` raises a PalaverError for what cannot be taken: then that is told, and it stands
    as it was."""

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

    def __init__(self, question: str, value: str, take: Callable[[str], Awaitable[object]]) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._take = take

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(one_line(self._question)), classes="dialog--question")
            yield Line(self._value)
            yield Static(Content(""), classes="dialog--problem")
            yield Static(Content(f"Enter confirms, {first_key(self, 'dialog.cancel')} cancels"), classes="dialog--hint")

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        told = asyncio.Event()
        # Whatever is waited for, the dialog can be left meanwhile.
        self.run_worker(self._try(self.query_one(Line).text, told), exclusive=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(HELD):
                await told.wait()

    async def _try(self, text: str, told: asyncio.Event) -> None:
        try:
            await self._take(text)
        except PalaverError as error:
            self._tell(str(error))
        else:
            self.dismiss(text)
        finally:
            told.set()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._tell("")

    def _tell(self, problem: str) -> None:
        self.query_one(".dialog--problem", Static).update(Content(one_line(problem)))


class ConfirmDialog(Steady, ModalScreen[bool]):
    """Shows something in full and asks whether to go on; `does` says what that would do with it."""

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

    def __init__(self, question: str, matter: str, does: str) -> None:
        super().__init__()
        self._question = question
        self._matter = matter
        self._does = does

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self._question))
            with VerticalScroll(classes="dialog--matter"):
                yield Static(Content(one_line(self._matter, 2048)))
            yes, no = first_key(self, "dialog.yes"), first_key(self, "dialog.no")
            yield Static(Content(f"{yes} {self._does}, {no} cancels"), classes="dialog--hint")
