"""Asking the user for a line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App


def ask(
    app: App[Any], question: str, proposal: str, check: Callable[[str], object], then: Callable[[str], None]
) -> None:
    """Ask, with a proposal in the line, and call `then` with what is taken; `check` raises a PalaverError where it
    cannot be. Nothing is called where the user leaves it."""
    # Loaded behind the first frame.
    from tui.app.widgets.dialogs import TextDialog

    def done(text: str | None) -> None:
        if text is not None:
            then(text)

    app.push_screen(TextDialog(question, proposal, check), done)
