"""The SQL of conversations: which one a session has with a server, what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from tui.account import Event
from tui.model import AttemptKind, Mapping, MappingState, TurnStatus
from tui.store.sql import sessions
from tui.text import storable

MOST = 1000
"""Requests told of at most: the newest ones."""

_RUNNING = frozenset(status for status in TurnStatus if not status.is_final)


def get_mapping(conn: Connection, session_id: str, origin: str, protocol: str, principal: str) -> Mapping | None:
    """The conversation a server keeps for a session's present branch."""
    row = conn.execute(
        """
        SELECT c.session_id, c.origin, c.protocol, c.principal, c.conversation_id, c.depth, c.issued_at, c.used_at, c.state
        FROM conversations c JOIN sessions s ON s.branch_id = c.branch_id
        WHERE s.id = ? AND c.origin = ? AND c.protocol = ? AND c.principal = ?
        """,
        (session_id, origin, protocol, principal),
    ).fetchone()
    return _mapping(row) if row else None


def put_mapping(conn: Connection, mapping: Mapping, turn_id: str = "") -> None:
    """Keep a conversation's id, in place of the one known before: on the branch of a turn, or on the session's present one.

    One that knows less of the branch, as that of a window which has slept since, takes no one's place.
    """
    conn.execute(
        """
        INSERT INTO conversations (branch_id, session_id, origin, protocol, principal, conversation_id, depth, issued_at,
                                   used_at, state)
        SELECT coalesce((SELECT branch_id FROM turns WHERE id = ?), branch_id), id, ?, ?, ?, ?, ?, ?, ?, ?
        FROM sessions WHERE id = ?
        ON CONFLICT (branch_id, origin, protocol, principal) DO UPDATE SET
            conversation_id = excluded.conversation_id, depth = excluded.depth, used_at = excluded.used_at,
            state = excluded.state,
            issued_at = CASE conversation_id WHEN excluded.conversation_id THEN issued_at ELSE excluded.issued_at END
        WHERE excluded.depth >= conversations.depth
        """,
        (
            turn_id,
            mapping.origin,
            mapping.protocol,
            mapping.principal,
            storable(mapping.conversation_id),
            mapping.depth,
            mapping.issued_at,
            mapping.used_at,
            mapping.state,
            mapping.session_id,
        ),
    )


def list_mappings(conn: Connection) -> list[tuple[str, Mapping]]:
    """All conversations known, with the label of their session; the one used last first."""
    rows = conn.execute(
        """
        SELECT s.label, c.session_id, c.origin, c.protocol, c.principal, c.conversation_id, c.depth, c.issued_at, c.used_at,
               c.state
        FROM conversations c JOIN sessions s ON s.branch_id = c.branch_id
        WHERE s.deleted_at IS NULL ORDER BY c.used_at DESC, s.label
        """
    )
    return [(str(row[0]), _mapping(row[1:])) for row in rows]


def get_account(conn: Connection, session_id: str) -> tuple[tuple[Mapping, ...], tuple[Event, ...]]:
    """The conversations of a session's present branch, the one used last first, and what was remarkable about its
    requests, oldest first."""
    rows = conn.execute(
        "SELECT c.origin, c.protocol, c.principal FROM conversations c JOIN sessions s ON s.branch_id = c.branch_id "
        "WHERE s.id = ? ORDER BY c.used_at DESC",
        (session_id,),
    ).fetchall()
    found = [get_mapping(conn, session_id, *row) for row in rows]
    events: list[Event] = []
    for branch, low, high in sessions.lineage(conn, session_id):
        for depth, kind, started_at, ended_at, sent_id, received_id, outcome, status in conn.execute(
            "SELECT t.depth, a.kind, a.started_at, a.ended_at, a.sent_id, a.received_id, a.outcome, t.status "
            "FROM turns t JOIN attempts a ON a.turn_id = t.id "
            "WHERE t.branch_id = ? AND t.depth >= ? AND t.depth < ? ORDER BY t.depth DESC, a.number DESC",
            (branch, low, high),
        ):
            if not outcome and status not in _RUNNING:
                outcome = "cut short when Palaver ended"
            known = AttemptKind(kind) if kind in set(AttemptKind) else AttemptKind.RETRY
            event = Event(depth + 1, known, started_at, ended_at, sent_id, received_id, outcome)
            if event.is_remarkable and len(events) < MOST:
                events.append(event)
    return tuple(one for one in found if one is not None), tuple(reversed(events))


def _mapping(row: Sequence[Any]) -> Mapping:
    return Mapping(
        session_id=row[0],
        origin=row[1],
        protocol=row[2],
        principal=row[3],
        conversation_id=row[4],
        depth=row[5],
        issued_at=row[6],
        used_at=row[7],
        state=MappingState(row[8]) if row[8] in set(MappingState) else MappingState.DETACHED,
    )
