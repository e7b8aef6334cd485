"""The least a chat window can be in Textual: a list, a pane, an input, a status line. The floor of starting."""

import os

os.environ.setdefault("TEXTUAL_FPS", "120")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.scroll_view import ScrollView
from textual.widgets import Static, TextArea


class FloorApp(App[None]):
    CSS = "#side { width: 30; } #main { width: 1fr; } TextArea { height: 3; }"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("sessions", id="side")
            with Vertical(id="main"):
                yield ScrollView()
                yield TextArea()
        yield Static("ready to type")

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()


if __name__ == "__main__":
    FloorApp().run()
