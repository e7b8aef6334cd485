"""Asking the user for a line of text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App


async def anything(_text: str) -> None:
    """Whatever it is, it can be taken."""


def _nothing(_text: str) -> None:
    """All is done."""


def ask(
    app: App[Any],
    question: str,
    proposal: str,
    take: Callable[[str], Awaitable[object]],
    then: Callable[[str], None] = _nothing,
) -> None:
    """Ask, with a proposal in the line, until the user leaves it or `take` raises no PalaverError for what they gave; then
    `then` is called with that."""
    # Loaded behind the first frame.
    from tui.app.widgets.dialogs import TextDialog

    def done(text: str | None) -> None:
        if text is not None:
            then(text)

    app.push_screen(TextDialog(question, proposal, take), done)
