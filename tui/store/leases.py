"""Who is sending in a session, kept on disk for other processes to see."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tui.errors import StoreError
from tui.model import SessionLease
from tui.store import sql
from tui.store.access import Access

if TYPE_CHECKING:
    from sqlite3 import Connection

log = logging.getLogger(__name__)


class Leases:
    """The leases of all processes. They are taken and let go of with the turns they are for."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def all(self) -> tuple[SessionLease, ...]:
        """Who is sending, in all sessions."""
        return await self._access.read(sql.leases.get_leases, ())

    async def get(self, session_id: str) -> SessionLease | None:
        """Who is sending in a session, if that is known."""
        return await self._access.read(sql.leases.get_lease, None, session_id)

    async def beat(self, session_id: str, turn_id: str) -> None:
        """Say that a turn goes on, where nothing of it is being saved. Never raises."""
        try:
            wants = await self._access.write(self._beat_now, session_id, turn_id)
        except StoreError as error:
            log.debug("no heartbeat: %s", error)
            return
        if wants and self._access.on_wanted is not None:
            self._access.on_wanted(session_id, turn_id)

    def _beat_now(self, conn: Connection, session_id: str, turn_id: str) -> str:
        home = self._access.kept_in.get(session_id)
        return sql.sending.beat(conn, home.id if home else session_id, turn_id, self._access.writer())

    async def release(self, session_id: str) -> None:
        """Let go of a session in which nothing more is sent. Never raises."""
        try:
            await self._access.write(sql.sending.release, session_id, self._access.writer())
        except StoreError as error:
            log.debug("not let go of: %s", error)

    async def ask_for(self, session_id: str, *, seizes: bool = False) -> SessionLease | None:
        """Have whoever is sending in a session let go of it. Gives who that is; None where it is free, or is now.

        With `seizes` it is not asked: what it was answering is marked as taken over.

        Raises:
            SessionBusy: It is answering in a window that cannot be asked.
            StoreError: That cannot be written.
        """
        return await self._access.write(sql.sending.ask_for, session_id, self._access.writer(), seizes, is_awaited=True)

    async def free_dead(self) -> None:
        """Free the sessions of processes that are gone. Never raises."""
        if await self._access.read(sql.recovery.has_dead, False, self._access.writer()):
            try:
                await self._access.write(sql.recovery.recover, self._access.writer())
            except StoreError as error:
                log.debug("not freed: %s", error)
