"""The SQL of leases: who is sending in a session, for how long that holds, and who wants it instead."""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection
from typing import Any

from tui.model import HolderKind, SessionLease
from tui.store.lease import this_computer
from tui.store.sql import sessions
from tui.values import dataclass

STALE_AFTER = 60.0
"""Seconds without a heartbeat after which a process that is still there counts as gone: stopped, or hung. A living one
may have to wait 30 seconds for a locked history, and beats every 5."""

_COLUMNS = "session_id, turn_id, holder, kind, process, computer, since, heartbeat, uptime, wanted_by"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: this process, by its name and kind, and when it began; and what tells it of others.

    `is_alive` says whether a process of this computer still runs. `now` is in seconds since the epoch, `uptime` in those of
    a clock that all processes of this computer share, and that stands still while it sleeps.
    """

    holder: str
    kind: HolderKind
    is_alive: Callable[[str], bool]
    started_at: float
    now: float
    uptime: float

    def is_live(self, lease: SessionLease) -> bool:
        """Whether a lease still holds. That of another computer is judged by its heartbeat alone."""
        if lease.holder == self.holder:
            return True
        if lease.computer != this_computer():
            return self.now - lease.heartbeat < STALE_AFTER
        return self.is_alive(lease.holder) and self.uptime - lease.uptime < STALE_AFTER


def get_leases(conn: Connection) -> tuple[SessionLease, ...]:
    """All leases there are, of the living and of the dead."""
    return tuple(_lease(row) for row in conn.execute(f"SELECT {_COLUMNS} FROM leases ORDER BY since"))  # noqa: S608 - our own names


def get_lease(conn: Connection, session_id: str) -> SessionLease | None:
    """The lease on a session, of the living or the dead."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM leases WHERE session_id = ?", (session_id,)).fetchone()  # noqa: S608
    return _lease(row) if row else None


def take(conn: Connection, session_id: str, turn_id: str, writer: Writer) -> None:
    """Take a session that no one else holds, for a turn. What is wanted of a lease that is had already stays wanted."""
    conn.execute(
        """
        INSERT INTO leases (session_id, turn_id, holder, kind, process, computer, started_at, since, heartbeat, uptime)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)
        ON CONFLICT (session_id) DO UPDATE SET
            since = CASE holder WHEN excluded.holder THEN since ELSE excluded.since END,
            wanted_by = CASE holder WHEN excluded.holder THEN wanted_by ELSE '' END,
            turn_id = excluded.turn_id, holder = excluded.holder, kind = excluded.kind, process = excluded.process,
            computer = excluded.computer, started_at = excluded.started_at, heartbeat = excluded.heartbeat,
            uptime = excluded.uptime
        """,
        (
            session_id,
            turn_id,
            writer.holder,
            writer.kind,
            _process(writer.holder),
            this_computer(),
            writer.started_at,
            writer.now,
            writer.uptime,
        ),
    )


def beat(conn: Connection, session_id: str, turn_id: str, writer: Writer) -> str:
    """Say that a turn goes on. Gives who wants its session, or has it by now; nothing where no one does.

    A lease that is not there, or that a dead process has, is taken anew: this process was taken for dead.
    """
    lease = get_lease(conn, session_id)
    if lease is not None and lease.holder != writer.holder and writer.is_live(lease):
        return lease.holder
    if lease is None or lease.holder != writer.holder:
        take(conn, session_id, turn_id, writer)
        return ""
    conn.execute(
        "UPDATE leases SET heartbeat = ?, uptime = ? WHERE session_id = ?", (writer.now, writer.uptime, session_id)
    )
    return lease.wanted_by


def want(conn: Connection, session_id: str, writer: Writer) -> None:
    """Ask whoever holds a session to let go of it."""
    conn.execute("UPDATE leases SET wanted_by = ? WHERE session_id = ?", (writer.holder, session_id))


def release(conn: Connection, session_id: str, holder: str) -> bool:
    """Let go of a session, if `holder` has it. False where it has not."""
    found = conn.execute("DELETE FROM leases WHERE session_id = ? AND holder = ?", (session_id, holder))
    return found.rowcount > 0


def free(conn: Connection, session_id: str, holder: str) -> None:
    """Let go of a session, if `holder` has it, for other windows to see."""
    if release(conn, session_id, holder):
        sessions.tell_of(conn, session_id)


def _process(holder: str) -> int:
    number = holder.partition(":")[0]
    return int(number) if number.isdecimal() else 0


def _lease(row: Any) -> SessionLease:
    session_id, turn_id, holder, kind, *others = row
    known = HolderKind(kind) if kind in set(HolderKind) else HolderKind.WINDOW
    return SessionLease(session_id, turn_id, holder, known, *others)
