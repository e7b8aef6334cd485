"""Ctrl+O: find a session by a few letters of its name, and go there."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding

from tui.app.screens.picker import Choice, Picker
from tui.app.screens.sessions import full_name
from tui.model import Session


class Switcher(Picker):
    """Sessions that fit what is typed. Gives the chosen session's id, or "new:" and a label for a new one."""

    BINDINGS = [Binding("ctrl+o", "dismiss(None)", "Close", id="switcher.close", show=False)]

    def __init__(self, sessions: Sequence[Session], current: str) -> None:
        # The session one is in is the last one would switch to.
        ordered = sorted(sessions, key=lambda session: session.id == current)
        super().__init__(
            "Switch session",
            [Choice(session.id, full_name(session)) for session in ordered],
            hint="A few letters of a label or title",
            empty="None yet.",
            new="No session matches. Enter creates “{}”.",
        )
