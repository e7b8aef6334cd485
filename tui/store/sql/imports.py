"""The SQL of sessions that were held elsewhere: taken in whole, and once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from sqlite3 import Connection

from tui.model import Session, Turn
from tui.store.sql import saving, sessions

_FAR = 10**12
"""Seconds since the epoch that no turn comes near to: below it, times are in order, before all places given by use."""


TOLD_EVERY = 50
"""Turns after which it is told how many are saved."""


def put_thread(
    conn: Connection,
    session: Session,
    said: Sequence[Turn],
    source: str,
    on_top: bool,
    on_saved: Callable[[int], object] = lambda _: None,
) -> tuple[Session, bool]:
    """Insert a session with its turns. Gives it, or the one that came from `source` before, and whether it is new.

    `on_top` makes it the one used last; else it stands below all that were used here, among others like it by its last turn.
    `on_saved` is told now and then how many turns are saved.
    """
    known = find_source(conn, source)
    if known is not None:
        return known, False
    last = said[-1] if said else None
    session = replace(
        session,
        label=sessions.free_label(conn, session.label),
        turns=len(said),
        last_turn_at=max((turn.created_at for turn in said), default=None),
        last_status=last.status if last else None,
    )
    sessions.put_session(conn, session)
    conn.execute(
        "UPDATE sessions SET source = ?, touched = CASE ? WHEN 1 THEN touched ELSE ? END WHERE id = ?",
        (source, int(on_top), min(0, int(session.last_used_at) - _FAR), session.id),
    )
    branch, revision = conn.execute("SELECT branch_id, revision FROM sessions WHERE id = ?", (session.id,)).fetchone()
    for depth, turn in enumerate(said):
        saving.insert_ended(conn, replace(turn, session_id=session.id, depth=depth), branch, revision)
        if depth % TOLD_EVERY == 0:
            on_saved(depth + 1)
    return sessions.get_session(conn, session.id) or session, True


def find_source(conn: Connection, source: str) -> Session | None:
    """The session that came from `source`, deleted or not."""
    row = conn.execute("SELECT id FROM sessions WHERE source = ?", (source,)).fetchone()
    return sessions.get_session(conn, row[0]) if row else None
