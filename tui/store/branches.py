"""The ways a session was gone on, of which one is present."""

from __future__ import annotations

from tui.errors import StoreError
from tui.model import Branch, Session, Variants
from tui.store import sql
from tui.store.access import Access


class Branches:
    """The branches of all sessions."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def of(self, session_id: str) -> list[Branch]:
        """The ways a session was gone on, the one begun first first."""
        return await self._access.read(sql.branches.list_branches, [], session_id)

    async def variants(self, session_id: str) -> dict[int, Variants]:
        """Where a session was gone on with in several ways: by the depths at which those on its present branch part."""
        return await self._access.read(sql.branches.get_variants, {}, session_id)

    async def choose(self, session_id: str, turn_id: str) -> Session:
        """Let a session go on with the branch that a turn lies on. Gives it as it is then.

        Raises:
            SessionBusy: Another window is answering in it.
            StoreError: It has no such turn, or that cannot be kept.
        """
        chosen = await self._access.write(
            sql.saving.choose_branch, session_id, turn_id, self._access.writer(), is_awaited=True
        )
        # They were another branch's.
        self._access.known.clear()
        if chosen is None:
            raise StoreError("There is no such message any more.")
        return chosen
