"""The conversations that servers keep for sessions, known by their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.model import Mapping
from tui.store import sql
from tui.store.access import Access

if TYPE_CHECKING:
    from tui.account import Event


class Conversations:
    """The conversation map: which conversation a session has with which server."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def all(self) -> list[tuple[str, Mapping]]:
        """All conversations, with the label of their session."""
        return await self._access.read(sql.conversations.list_mappings, [])

    async def get(self, session_id: str, origin: str, protocol: str, principal: str) -> Mapping | None:
        """The conversation a server keeps for a session."""
        kept = self._access.overlay.mappings.get((session_id, origin, protocol, principal))
        return kept or await self._access.read(
            sql.conversations.get_mapping, None, session_id, origin, protocol, principal
        )

    async def keep(self, mapping: Mapping) -> None:
        """Keep a conversation's id, in place of the one known before.

        Raises:
            StoreError: It cannot be kept.
        """
        await self._access.write(sql.conversations.put_mapping, mapping)

    async def account(self, session_id: str) -> tuple[tuple[Mapping, ...], tuple[Event, ...]]:
        """The conversations of a session, the one used last first, and what was remarkable about its requests."""
        return await self._access.read(sql.conversations.get_account, ((), ()), session_id)
