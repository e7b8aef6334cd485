"""A session screen that shows who else is sending in the session, and takes over."""

from __future__ import annotations

from datetime import datetime

from textual.binding import Binding
from textual.content import Content

from tui.app.screens.find_screen import FindScreen
from tui.changes import Change, LeaseChanged
from tui.model import HolderKind, SessionLease
from tui.store.lease import this_computer
from tui.text import one_line

FRAME = 6
"""Columns of the input's frame that no words can be in."""


class LeaseScreen(FindScreen):
    """While another process answers, the input says so: what is sent from it waits, until that is done or taken over."""

    DEFAULT_CSS = """
    LeaseScreen Prompt.-held {
        border: round $warning 60%;
        border-subtitle-align: left;
        border-subtitle-color: $warning;
        &:focus { border: round $warning; }
    }
    """

    BINDINGS = [Binding("f5", "take_over", "Take over", id="session.take-over")]

    @property
    def lease(self) -> SessionLease | None:
        """Who else is sending in the session shown."""
        return self._chat.lease(self._session.id) if self._session is not None else None

    def _changed(self, change: Change) -> None:
        super()._changed(change)
        if isinstance(change, LeaseChanged):
            self._refresh_sidebar_soon()
            if self._session is not None and change.session_id == self._session.id:
                self._keep_time()
                self.refresh_queue()

    def _refresh_status(self) -> None:
        super()._refresh_status()
        # Also how much room there is: this comes several times a second while someone sends.
        self.show_lease()

    def show_lease(self) -> None:
        """Have the input say who else is sending, if anyone is."""
        lease = self.lease
        said = ""
        if lease is not None:
            way_out = f" · {self.key('session.take-over')} takes over"
            # In a narrow window the way out comes first.
            room = self.prompt.outer_size.width - FRAME - len(way_out)
            said = next((one for one in _where(lease) if len(one) <= room), _where(lease)[-1]) + way_out
        if str(self.prompt.border_subtitle or "") != said:
            self.prompt.border_subtitle = Content(said)
            self.prompt.set_class(lease is not None, "-held")

    def action_take_over(self) -> None:
        if self._session is None or self.lease is None:
            self.say("No one else is answering here")
            return
        self.say("Taking over…")
        self.do(self._take_over(self._session.id), may_be_left=True)

    async def _take_over(self, session_id: str) -> None:
        taken = await self._chat.take_over(session_id)
        self.say("Taken over; what came is kept" if taken is not None else "The session is free")

    def key(self, name: str) -> str:
        """The first key of an action, as it is bound."""
        return self._first_keys[name]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.lease is not None if action == "take_over" else super().check_action(action, parameters)


def _where(lease: SessionLease) -> tuple[str, str]:
    """Where a session is answering, and since when: in full, and in short."""
    since = f"{datetime.fromtimestamp(lease.since).astimezone():%H:%M}"
    full = f"Answering in another window since {since}"
    if lease.computer != this_computer():
        full = f"Answering on {one_line(lease.computer, 30)} since {since}"
    elif lease.kind is HolderKind.ASK:
        full = f"Answering for palaver ask since {since}"
    return full, f"Elsewhere since {since}"
