"""The SQL of answers that were cut short: by the end of their process, or by another one."""

from __future__ import annotations

import json
from dataclasses import asdict
from sqlite3 import Connection

from tui.model import Failure
from tui.store.sql import items, leases, sessions
from tui.store.sql.leases import Writer

RUNNING = "('pending', 'streaming')"
"""How a turn is that claims to be running, in SQL."""

CRASHED = Failure(
    "crash", "Palaver ended before the answer did; what came is kept.", "press r to send it again", None, 7
)
SEIZED = Failure(
    "taken", "Another window took the session over; what came is kept.", "press r to send it again", None, 7
)


def recover(conn: Connection, writer: Writer) -> int:
    """Mark turns whose process died as interrupted, and free what the dead have held. Gives how many turns there were."""
    held = leases.get_leases(conn)
    dead = {lease.session_id: lease.holder for lease in held if not writer.is_live(lease)}
    kept = {lease.turn_id for lease in held} - {lease.turn_id for lease in held if lease.session_id in dead}
    for session_id, holder in dead.items():
        leases.free(conn, session_id, holder)
    cut = 0
    for turn_id, session_id, holder in conn.execute(
        f"SELECT id, session_id, holder FROM turns WHERE status IN {RUNNING}"  # noqa: S608 - constants only
    ).fetchall():
        if turn_id not in kept and (dead.get(session_id) == holder or not writer.is_alive(holder)):
            cut_short(conn, turn_id, CRASHED)
            cut += 1
    return cut


def has_running(conn: Connection) -> bool:
    """Whether any turn claims to be running, or anyone to be sending."""
    running = f"SELECT 1 FROM turns WHERE status IN {RUNNING} UNION ALL SELECT 1 FROM leases LIMIT 1"  # noqa: S608
    return conn.execute(running).fetchone() is not None


def has_dead(conn: Connection, writer: Writer) -> bool:
    """Whether a session is held by a process that is gone."""
    return any(not writer.is_live(lease) for lease in leases.get_leases(conn))


def running(conn: Connection, session_id: str) -> list[tuple[str, str]]:
    """The turns that claim to be running in a session, with their processes."""
    return conn.execute(
        f"SELECT id, holder FROM turns WHERE session_id = ? AND status IN {RUNNING}",  # noqa: S608 - constants only
        (session_id,),
    ).fetchall()


def cut_short(conn: Connection, turn_id: str, failure: Failure) -> None:
    """End a turn where it is, for a reason."""
    now = sessions.next_revision(conn)
    conn.execute(
        "UPDATE turns SET status = 'interrupted', error = ?, revision = ? WHERE id = ?",
        (json.dumps(asdict(failure)), now, turn_id),
    )
    items.finish(conn, turn_id)
    conn.execute(
        "UPDATE sessions SET revision = ? WHERE id = (SELECT session_id FROM turns WHERE id = ?)", (now, turn_id)
    )
    sessions.tell_status(conn, turn_id)
