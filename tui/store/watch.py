"""What other processes change in the history, seen at the price of a `stat` while they change nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tui.model import Queued, Session, SessionLease, Turn
from tui.store import sql
from tui.store.access import Access
from tui.values import dataclass

if TYPE_CHECKING:
    from sqlite3 import Connection

SETTLED = 50_000_000
"""Nanoseconds after which a file's time of change tells the next change from the last: file systems' clocks tick slowly."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since a revision, by anyone; with the queues of the sessions among that, and all leases there are."""

    revision: int
    sessions: tuple[Session, ...] = ()
    turns: tuple[Turn, ...] = ()
    queues: tuple[tuple[str, tuple[Queued, ...]], ...] = ()
    leases: tuple[SessionLease, ...] = ()


class Watch:
    """Looks at the file, and reads what is new where it is not the file it was."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._seen: tuple[int, int, int] | None = None

    async def revision(self) -> int:
        """The number of the newest change."""
        return await self._access.read(sql.sessions.revision, 0)

    async def poll(self, since: int | None) -> Changes | None:
        """What changed after revision `since`; None where nothing did. Costs one `stat` while nothing happens."""
        seen = self._look()
        if seen is None or (seen == self._seen and since is not None):
            return None
        changes = await self._access.read(_changes, None, since)
        if changes is None:
            return None
        self._note_seen(seen)
        return changes if changes.revision != since else None

    async def poll_leases(self) -> tuple[SessionLease, ...]:
        """Who is sending, in all sessions, if anything at all has changed since it was last asked; else nothing."""
        seen = self._look()
        if seen is None or seen == self._seen:
            return ()
        found: tuple[SessionLease, ...] = await self._access.read(sql.leases.get_leases, ())
        self._note_seen(seen)
        return found

    def _look(self) -> tuple[int, int, int] | None:
        """What tells the file as it is from the file as it was; None where it cannot be seen."""
        try:
            info = self._access.file.stat()
        except OSError:
            return None
        return info.st_ino, info.st_size, info.st_mtime_ns

    def _note_seen(self, seen: tuple[int, int, int]) -> None:
        """What has been read is the file as it was seen before, if that was not changed just then."""
        if abs(time.time_ns() - seen[2]) > SETTLED:
            self._seen = seen


def _changes(conn: Connection, since: int | None) -> Changes:
    now = sql.sessions.revision(conn)
    if since is None or now == since:
        return Changes(now, leases=sql.leases.get_leases(conn))
    if now < since:
        # Another file is in the place of the one known so far: all of it is new.
        since = 0
    sessions = tuple(sql.sessions.changed_sessions(conn, since))
    queues = sql.queues.get_queues(conn, (session.id for session in sessions))
    turns = tuple(sql.turns.changed_turns(conn, since))
    return Changes(now, sessions, turns, tuple(queues.items()), sql.leases.get_leases(conn))
