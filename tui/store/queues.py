"""Prompts that wait in a session, kept on disk."""

from __future__ import annotations

from dataclasses import replace

from tui.errors import StoreError
from tui.model import Queued, Session, Turn
from tui.store import sql
from tui.store.access import Access


class Queues:
    """The queues of all sessions."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def get(self, session_id: str) -> tuple[Queued, ...] | None:
        """What waits in a session, in the order in which it is to be sent; None where that cannot be read."""
        return await self._access.read(sql.queues.get_queue, None, session_id)

    async def add(self, queued: Queued, session: Session) -> Queued | None:
        """Put a prompt at the end of its session's queue. Gives it with the turn it follows; None, and it is left out,
        where it follows none and no other window is answering.

        Raises:
            StoreError: It cannot be kept.
        """
        try:
            return await self._access.write(
                sql.queues.put_queued, queued, session, self._access.writer(), is_awaited=True
            )
        except StoreError:
            # It may be on disk all the same: a commit can fail after it was made.
            self._access.hurry()
            for one in await self.get(session.id) or ():
                if one.id == queued.id:
                    return one
            raise

    async def change(self, queued: Queued, prompt: str, *, is_held: bool = False) -> bool:
        """Let a prompt that waits be another one in the same place, or be held there. False where it waits no more.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self._access.write(sql.queues.change_queued, queued, prompt, is_held, is_awaited=True)

    async def remove(self, queued: Queued) -> bool:
        """Take a prompt out of its queue. False where it waits no more.

        Raises:
            StoreError: That cannot be kept.
        """
        return await self._access.write(sql.queues.remove_queued, queued, is_awaited=True)

    async def follow_on(self, session_id: str, old: str, new: str) -> None:
        """Let what waits behind one turn wait behind another one.

        Raises:
            StoreError: That cannot be kept.
        """
        await self._access.write(sql.queues.follow_on, session_id, old, new, is_awaited=True)

    async def begin(self, queued: Queued, turn: Turn, session: Session, title: str) -> Turn | None:
        """Make the first prompt of a queue a turn, in one go, before anything is sent. Gives it with its place; None where
        that prompt is not the first any more, or another one now.

        Raises:
            SessionBusy: Another window is answering in this session.
            StoreError: It cannot be kept: then it waits on.
        """
        try:
            begun = await self._access.write(
                sql.queues.begin_queued,
                queued,
                turn,
                replace(session, turns=0),
                title,
                self._access.writer(),
                is_awaited=True,
            )
        except StoreError:
            # It may be on disk all the same: a commit can fail after it was made. It waits no more then.
            self._access.hurry()
            begun = await self._access.read(sql.turns.get_turn, None, turn.id)
            if begun is None:
                raise
        if begun is not None:
            self._access.written[turn.id] = begun
        return begun
