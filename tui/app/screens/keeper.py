"""Keeps what was typed and not sent, and the place in the transcript, as both change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tui.chat import Chat
from tui.model import Session

KEEP_AFTER = 0.4
"""Seconds after the last change at which a draft or a place is kept."""


class _Timer(Protocol):
    def stop(self) -> None: ...


class Keeper:
    """Writes draft and place of the session shown once they rest.

    `look` gives that session as it stands on the screen, `later` calls something after some seconds.
    """

    def __init__(
        self, chat: Chat, look: Callable[[], Session | None], later: Callable[[float, Callable[[], None]], _Timer]
    ) -> None:
        self._chat = chat
        self._look = look
        self._later = later
        self._kept: Session | None = None
        self._timer: _Timer | None = None

    def begin(self, session: Session) -> None:
        """Take a session just shown for kept as it is."""
        self._kept = session

    def keep_soon(self, keep: Callable[[], None]) -> None:
        """Have `keep` called once nothing has changed for a moment."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._later(KEEP_AFTER, keep)

    async def keep(self) -> None:
        """Keep what has changed."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        kept, now = self._kept, self._look()
        if kept is None or now is None or kept.id != now.id:
            return
        self._kept = now
        if now.draft != kept.draft:
            await self._chat.set_draft(now.id, now.draft)
        if now.scroll != kept.scroll:
            await self._chat.set_scroll(now.id, now.scroll)
