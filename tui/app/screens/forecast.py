"""What the next prompt will take along, found out beside everything else and kept for the screen."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from tui.app.once import Later, Pending
from tui.chat import Chat
from tui.model import Session
from tui.resending import NOTHING, Resending

ASK_AFTER = 0.1
"""Seconds a session has to be looked at before it is asked for, so that stepping through sessions costs nothing."""

GOOD_FOR = 60.0
"""Seconds after which typing has it asked for again: a conversation may have grown too old meanwhile."""


class Forecast:
    """What is known of it is `told`: nothing, where nothing goes along. `look` gives the session shown, `later` calls
    something after some seconds, `do` does something beside, and `show` is called when it is something else."""

    def __init__(
        self,
        chat: Chat,
        look: Callable[[], Session | None],
        later: Later,
        do: Callable[[Coroutine[Any, Any, None]], None],
        show: Callable[[], None],
    ) -> None:
        self.told = NOTHING
        self._chat = chat
        self._look = look
        self._later = later
        self._do = do
        self._show = show
        self._timer: Pending | None = None
        self._asked_at = 0.0
        self._number = 0

    def clear(self) -> None:
        """Nothing is told: a prompt has been sent, or another session is shown."""
        self._number += 1
        self._stop()
        self._tell(NOTHING)

    def ask_soon(self) -> None:
        """Find out anew, once nothing has changed for a moment."""
        self._number += 1
        self._stop()
        self._timer = self._later(ASK_AFTER, self._ask)

    def ask_if_old(self) -> None:
        """Find out anew, if that was not done for long."""
        if self._timer is None and not 0 <= self._chat.now() - self._asked_at <= GOOD_FOR:
            self.ask_soon()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _ask(self) -> None:
        self._timer = None
        self._asked_at = self._chat.now()
        session = self._look()
        if session is not None and not self._chat.is_running(session.id):
            self._do(self._find_out(session, self._number))

    async def _find_out(self, session: Session, number: int) -> None:
        resending = await self._chat.conversations.resending(session)
        if number == self._number:
            self._tell(resending)

    def _tell(self, told: Resending) -> None:
        if told != self.told:
            self.told = told
            self._show()
