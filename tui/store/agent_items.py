"""What scripts say in sessions, kept as they said it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui.model import Session
from tui.store.access import Access
from tui.store.sql import agent_items as agent_sql


class AgentItems:
    """The items of all scripts' sessions."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def get(self, session_id: str, limit: int | None) -> list[Any]:
        """A session's newest `limit` items (None, or less than 0: all), as a script is told them, in their order."""
        return await self._access.read(agent_sql.get_items, [], session_id, limit)

    async def add(self, session: Session, items: Sequence[agent_sql.AgentItem], turn_id: str) -> tuple[Session, str]:
        """Keep what a script said in a session, which is made if it is not there. What answers goes on with turn
        `turn_id`, if that can be. Gives the session as it is then, and the turn its last item is in.

        Raises:
            LabelTaken: The session is new, and another one has its label.
            SessionBusy: A window is answering in it, and this would begin another turn.
            StoreError: It cannot be kept.
        """
        return await self._access.write(agent_sql.add_items, session, items, turn_id, self._access.writer())

    async def pop(self, session_id: str) -> Any:
        """Take a session's newest item away, and give it; None where there is none.

        Raises:
            SessionBusy, StoreError: As for `add`.
        """
        return await self._access.write(agent_sql.pop_item, session_id, self._access.writer())

    async def clear(self, session_id: str) -> None:
        """Let a session begin again; what was said in it stays, on a branch of its own.

        Raises:
            SessionBusy, StoreError: As for `add`.
        """
        await self._access.write(agent_sql.clear, session_id, self._access.writer())
