"""The SQL that writes turns."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from sqlite3 import Connection
from typing import Any

from tui.errors import UsageError
from tui.model import ItemState, Session, Settled, Turn, TurnStatus, Usage
from tui.store.sql import branches, items, leases, recovery, sending, sessions, turns
from tui.store.sql.leases import Writer
from tui.text import storable

_FINAL_COLUMNS = (
    "status", "finish", "model", "conversation_id", "first_text_at", "ended_at", "input_tokens", "output_tokens",
    "reasoning_tokens", "cached_tokens", "notes", "error", "run",
)  # fmt: skip


def begin_turn(
    conn: Connection,
    turn: Turn,
    session: Session,
    title: str,
    at: int | None,
    writer: Writer,
    settles: Settled | None = None,
) -> Turn:
    """Insert a turn at the end of its session, which is made if it is not there, and take the session for it.

    Gives the turn with its depth. A session that has no title yet gets `title`. With `at` it goes on from its first `at`
    turns, on a branch of its own. What it `settles` is settled with it.

    Raises:
        SessionBusy: Another window, still alive, is answering in this session.
        UsageError: What it settles was settled before.
    """
    sessions.ensure_session(conn, session)
    conn.execute(
        "UPDATE sessions SET title = ?, title_source = 'generated' WHERE id = ? AND title_source = 'none'",
        (storable(title), session.id),
    )
    sessions.drop_draft(conn, session.id, turn.prompt)
    sending.refuse_others(conn, turn.session_id, writer)
    if settles is not None:
        _settle(conn, settles)
    if at is not None and at < turns.count_turns(conn, turn.session_id):
        branches.branch_off(conn, turn.session_id, at)
    branch, _, free = branches.end_of(conn, turn.session_id)
    turn = replace(turn, depth=free)
    _insert(conn, turn, branch, writer.holder)
    leases.take(conn, turn.session_id, turn.id, writer)
    return turn


def choose_branch(conn: Connection, session_id: str, turn_id: str, writer: Writer) -> Session | None:
    """Let a session go on with the branch that a turn lies on. Gives it as it is then; None where it has no such turn.

    Raises:
        SessionBusy: Another window, still alive, is answering in it.
    """
    sending.refuse_others(conn, session_id, writer)
    return branches.go_on_through(conn, session_id, turn_id)


def reopen_turn(conn: Connection, turn_id: str, writer: Writer) -> Turn | None:
    """Let a turn that was interrupted run on, and take its session. Gives it as it was, or None where it is not one.

    Raises:
        SessionBusy: Another window, still alive, is answering in its session.
    """
    turn = turns.get_turn(conn, turn_id)
    if turn is None or turn.status is not TurnStatus.INTERRUPTED:
        return None
    sending.refuse_others(conn, turn.session_id, writer)
    leases.take(conn, turn.session_id, turn_id, writer)
    items.unindex(conn, turn_id)
    now = sessions.next_revision(conn)
    conn.execute(
        "UPDATE turns SET status = 'streaming', error = NULL, ended_at = NULL, holder = ?, revision = ? WHERE id = ?",
        (writer.holder, now, turn_id),
    )
    # What waits behind it was stopped when it broke off.
    conn.execute("UPDATE queue SET follows = '' WHERE session_id = ? AND follows = ?", (turn.session_id, turn_id))
    return turn


def set_item_state(conn: Connection, turn_id: str, key: str, state: ItemState) -> Turn | None:
    """Note how it went with an item of a turn that has ended. Gives the turn as it is now."""
    now = sessions.next_revision(conn)
    conn.execute("UPDATE items SET state = ? WHERE turn_id = ? AND key = ?", (state, turn_id, storable(key)))
    conn.execute("UPDATE turns SET revision = ? WHERE id = ?", (now, turn_id))
    return turns.get_turn(conn, turn_id)


def _settle(conn: Connection, settles: Settled) -> None:
    key = storable(settles.key)
    row = conn.execute("SELECT state FROM items WHERE turn_id = ? AND key = ?", (settles.turn_id, key)).fetchone()
    if row is not None and row[0] != ItemState.OPEN:
        raise UsageError("That has been answered already.")
    set_item_state(conn, settles.turn_id, settles.key, settles.state)


def put_turn(
    conn: Connection, turn: Turn, since: Turn | None, session: Session, writer: Writer, keeps: bool = False
) -> tuple[int, bool]:
    """Bring a stored turn to the state of `turn`, given that it was stored as `since`. Safe to repeat.

    Without `since`, or where the turn is not there any more, all of it is written. It stays in the place it has; one that
    was not there yet, and whose place someone else has taken, comes after that. The session is let go of once the turn has
    ended, unless this `keeps` it. Gives the depth it is at, and whether someone else wants the session, or has taken it: one
    turn at a time runs in it, so that this one is cut short then.
    """
    wants = "" if turn.status.is_final else sending.beat(conn, turn.session_id, turn.id, writer)
    if wants and not sending.is_held(conn, turn.session_id, writer):
        turn = replace(turn, status=TurnStatus.INTERRUPTED, error=recovery.SEIZED)
    row = conn.execute("SELECT status, depth FROM turns WHERE id = ?", (turn.id,)).fetchone()
    if row is None:
        sessions.ensure_session(conn, session)
        branch, low, free = branches.end_of(conn, turn.session_id)
        taken = conn.execute("SELECT 1 FROM turns WHERE branch_id = ? AND depth = ?", (branch, turn.depth)).fetchone()
        turn = replace(turn, depth=free if taken or turn.depth < low or turn.depth > free else turn.depth)
        _insert(conn, turn, branch, writer.holder)
        if not turn.status.is_final:
            sending.pass_on(conn, turn, writer)
        since = None
    else:
        turn = replace(turn, depth=row[1])
        if row[0] not in (TurnStatus.PENDING, TurnStatus.STREAMING):
            if since is not None and since.status.is_final:
                return turn.depth, bool(wants)
            items.unindex(conn, turn.id)
            since = None
    items.put_items(conn, turn, since)
    _put_attempts(conn, turn, since)
    now = sessions.next_revision(conn)
    values = _values(turn)
    assignments = ", ".join(f"{name} = ?" for name in _FINAL_COLUMNS)
    conn.execute(
        f"UPDATE turns SET {assignments}, revision = ? WHERE id = ?",  # noqa: S608
        (*(values[name] for name in _FINAL_COLUMNS), now, turn.id),
    )
    if turn.status.is_final:
        items.finish(conn, turn.id)
        if not keeps:
            sending.let_go(conn, turn, writer)
    _touch(conn, turn, now)
    return turn.depth, bool(wants)


def insert_ended(conn: Connection, turn: Turn, branch: str, revision: int) -> None:
    """Insert a turn that has ended elsewhere, whole, on a branch where its place is free."""
    values = _values(turn) | {"branch_id": branch, "revision": revision}
    marks = ", ".join("?" * len(values))
    conn.execute(f"INSERT INTO turns ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    conn.execute(
        "INSERT INTO items (turn_id, position, kind, text) VALUES (?, 0, 'prompt', ?)", (turn.id, storable(turn.prompt))
    )
    items.put_items(conn, turn, None)
    items.finish(conn, turn.id)


def _insert(conn: Connection, turn: Turn, branch: str, holder: str) -> None:
    now = sessions.next_revision(conn)
    values = _values(turn)
    if not turn.status.is_final:
        values["status"] = turn.status.value
    marks = ", ".join("?" * len(values))
    conn.execute(
        f"INSERT INTO turns ({', '.join(values)}, branch_id, holder, revision) VALUES ({marks}, ?, ?, ?)",  # noqa: S608
        (*values.values(), branch, holder, now),
    )
    conn.execute(
        "INSERT INTO items (turn_id, position, kind, text) VALUES (?, 0, 'prompt', ?)", (turn.id, storable(turn.prompt))
    )
    # Only now: while it is answered, its session may be given another profile.
    conn.execute(
        "UPDATE sessions SET profile = ?, touched = ? WHERE id = ?", (storable(turn.profile), now, turn.session_id)
    )
    _touch(conn, turn, now)


def _touch(conn: Connection, turn: Turn, now: int) -> None:
    """Let the session's row say what its newest turn says."""
    conn.execute(
        "UPDATE sessions SET last_turn_at = max(coalesce(last_turn_at, 0), ?), revision = ? WHERE id = ?",
        (turn.created_at, now, turn.session_id),
    )
    sessions.tell_status(conn, turn.id)


def _put_attempts(conn: Connection, turn: Turn, since: Turn | None) -> None:
    before = since.attempts if since else ()
    for place, attempt in enumerate(turn.attempts):
        if place >= len(before) or before[place] != attempt:
            conn.execute(
                "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    turn.id,
                    attempt.number,
                    attempt.kind,
                    attempt.started_at,
                    attempt.ended_at,
                    storable(attempt.sent_id),
                    storable(attempt.received_id),
                    storable(attempt.outcome),
                ),
            )


def _values(turn: Turn) -> dict[str, Any]:
    usage = turn.usage or Usage()
    return {
        "id": turn.id,
        "session_id": turn.session_id,
        "depth": turn.depth,
        "status": turn.status.value,
        "finish": storable(turn.finish),
        "profile": storable(turn.profile),
        "protocol": storable(turn.protocol),
        "model": storable(turn.model),
        "origin": storable(turn.origin),
        "principal": None if turn.principal is None else storable(turn.principal),
        "conversation_id": storable(turn.conversation_id),
        "created_at": turn.created_at,
        "first_text_at": turn.first_text_at,
        "ended_at": turn.ended_at,
        "input_tokens": _number(usage.input_tokens),
        "output_tokens": _number(usage.output_tokens),
        "reasoning_tokens": _number(usage.reasoning_tokens),
        "cached_tokens": _number(usage.cached_tokens),
        "notes": json.dumps([storable(note) for note in turn.notes], ensure_ascii=False),
        "error": json.dumps(_kept(asdict(turn.error)), ensure_ascii=False) if turn.error else None,
        "run": storable(turn.run),
    }


def _kept(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: storable(value) if isinstance(value, str) else value for name, value in fields.items()}


def _number(value: int | None) -> int | None:
    """A count as SQLite can keep it: one beyond 64 bits means nothing."""
    return value if value is not None and -(1 << 63) <= value < 1 << 63 else None
