"""What the window loads with its first use, loaded ahead of it."""

from __future__ import annotations


def preload() -> None:
    """Load, in whatever thread has the time, all that the first frame does without and a key or an answer may need."""
    from tui import exchange, query  # noqa: F401
    from tui.app import browser  # noqa: F401
    from tui.app.screens import account, help, picker, search, switcher  # noqa: A004, F401
    from tui.app.transcript import data, find, markdown  # noqa: F401
    from tui.app.transcript.preloading import preload as preload_painting
    from tui.app.widgets import dialogs  # noqa: F401
    from tui.store import finds  # noqa: F401

    preload_painting()
