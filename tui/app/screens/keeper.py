"""Keeps what was typed and not sent, and the place in the transcript, as both change."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from tui.app.once import Later, Pending
from tui.chat import Chat
from tui.model import Session

KEEP_AFTER = 0.4
"""Seconds after the last change at which a draft or a place is kept."""

KEEP_WITHIN = 2.0
"""The same after the first change, for one who types without a pause."""


class Keeper:
    """Writes draft and place of the session shown once they rest.

    `look` gives that session as it stands on the screen, `later` calls something after some seconds.
    """

    def __init__(self, chat: Chat, look: Callable[[], Session | None], later: Later) -> None:
        self._chat = chat
        self._look = look
        self._later = later
        self._kept: Session | None = None
        self._timer: Pending | None = None
        self._changed_at = 0.0

    def begin(self, session: Session) -> None:
        """Take a session just shown for kept as it is."""
        self._kept = session

    def keep_soon(self, keep: Callable[[], None]) -> None:
        """Have `keep` called once nothing has changed for a moment, or something has for too long."""
        if self._timer is None:
            self._changed_at = time.monotonic()
        else:
            self._timer.stop()
        rest = self._changed_at + KEEP_WITHIN - time.monotonic()
        self._timer = self._later(max(0.0, min(KEEP_AFTER, rest)), keep)

    def keep(self) -> Coroutine[Any, Any, None]:
        """What keeps draft and place as they are at this moment."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        kept, self._kept = self._kept, self._look()
        return self._write(kept, self._kept)

    async def _write(self, kept: Session | None, now: Session | None) -> None:
        if kept is None or now is None or kept.id != now.id:
            return
        if (now.draft, now.scroll) != (kept.draft, kept.scroll):
            # Where the draft is as it was here, another window may have made something else of it.
            await self._chat.keep_place(now.id, now.draft if now.draft != kept.draft else None, now.scroll)
