"""The conversations that servers keep for sessions, known by their ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tui.errors import StoreError
from tui.model import Mapping, MappingState
from tui.store import sql
from tui.store.access import Access
from tui.store.overlay import address_of

if TYPE_CHECKING:
    from tui.account import Event


class Conversations:
    """The conversation map: which conversation a session has with which server."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def all(self) -> list[tuple[str, Mapping]]:
        """All conversations, with the label of their session."""
        return await self._access.read(sql.conversations.list_mappings, [])

    async def get(
        self, session_id: str, origin: str, protocol: str, principal: str, *, must_read: bool = False
    ) -> Mapping | None:
        """The conversation a server keeps for a session; as it was known last, where the history cannot be read now.

        Raises:
            StoreError: It cannot be read and is not known, and it `must`.
        """
        access, address = self._access, (session_id, origin, protocol, principal)
        kept = access.overlay.mapping(address)
        if kept is not None:
            return kept
        try:
            found = await access.read(sql.conversations.get_mapping, None, *address, must_read=True)
        except StoreError:
            if address in access.known:
                return access.known[address]
            if must_read or access.must_read:
                raise
            return None
        access.known[address] = found
        return found

    async def keep(self, mapping: Mapping) -> None:
        """Keep a conversation's id, in place of the one known before.

        Raises:
            StoreError: It cannot be kept.
        """
        await self._access.write(sql.conversations.put_mapping, mapping)
        self._access.known[address_of(mapping)] = mapping

    async def let_go(self, mapping: Mapping) -> None:
        """Note that a session has a conversation no longer; in memory, where it cannot be written."""
        gone = replace(mapping, state=MappingState.DETACHED)
        try:
            await self._access.write(sql.conversations.put_mapping, gone, is_awaited=True)
        except StoreError as error:
            self._access.overlay.add_mapping(gone)
            self._access.not_saved(error)
        else:
            self._access.known[address_of(gone)] = gone

    async def account(self, session_id: str) -> tuple[tuple[Mapping, ...], tuple[Event, ...]]:
        """The conversations of a session, the one used last first, and what was remarkable about its requests."""
        return await self._access.read(sql.conversations.get_account, ((), ()), session_id)
