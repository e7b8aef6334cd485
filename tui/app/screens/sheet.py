"""A screen of text over the others, to be read and scrolled."""

from __future__ import annotations

from textual.screen import ModalScreen

from tui.app.steady import Steady


class Sheet(Steady, ModalScreen[None]):
    """Has one `VerticalScroll` in a frame of its own, as high as its text where there is room."""

    DEFAULT_CSS = """
    Sheet {
        align: center middle;
        & > VerticalScroll {
            width: 84; max-width: 98%; height: auto; max-height: 90%; padding: 0 2;
            border: round $primary; background: $surface;
            border-title-style: bold; border-title-align: center;
            scrollbar-size-vertical: 1;
        }
        & .sheet--title { text-style: bold; color: $text-accent; margin-top: 1; }
        & .sheet--note { color: $foreground 60%; margin: 1 0; }
    }
    """
