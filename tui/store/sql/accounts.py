"""The SQL of what is known of a session's conversations."""

from __future__ import annotations

from sqlite3 import Connection

from tui.account import Event
from tui.model import AttemptKind, Mapping
from tui.store.sql import sessions

MOST = 1000
"""Requests told of at most: the newest ones."""


def get_account(conn: Connection, session_id: str) -> tuple[tuple[Mapping, ...], tuple[Event, ...]]:
    """The conversations of a session's present branch, the one used last first, and what was remarkable about its
    requests, oldest first."""
    rows = conn.execute(
        "SELECT c.origin, c.protocol, c.principal FROM conversations c JOIN sessions s ON s.branch_id = c.branch_id "
        "WHERE s.id = ? ORDER BY c.used_at DESC",
        (session_id,),
    ).fetchall()
    found = [sessions.get_mapping(conn, session_id, *row) for row in rows]
    events: list[Event] = []
    for branch, low, high in sessions.lineage(conn, session_id):
        for depth, kind, started_at, ended_at, sent_id, received_id, outcome in conn.execute(
            "SELECT t.depth, a.kind, a.started_at, a.ended_at, a.sent_id, a.received_id, a.outcome "
            "FROM turns t JOIN attempts a ON a.turn_id = t.id "
            "WHERE t.branch_id = ? AND t.depth >= ? AND t.depth < ? ORDER BY t.depth DESC, a.number DESC",
            (branch, low, high),
        ):
            known = AttemptKind(kind) if kind in set(AttemptKind) else AttemptKind.RETRY
            event = Event(depth + 1, known, started_at, ended_at, sent_id, received_id, outcome)
            if event.is_remarkable and len(events) < MOST:
                events.append(event)
    return tuple(one for one in found if one is not None), tuple(reversed(events))
