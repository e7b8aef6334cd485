"""The SQL of what agents' scripts say in sessions: items in their exact JSON, beside what people read of them.

An item of a script's is one row or more; the first of them holds the JSON (`original`), the others an empty text. Rows
that Palaver itself wrote hold none: what they stand for is told in the SDK's form when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from tui.model import Item, ItemKind, Session, Turn, TurnStatus, new_id, title_from
from tui.store.sql import branches, saving, sending, sessions, turns
from tui.store.sql.leases import Writer
from tui.text import storable
from tui.values import dataclass

PROTOCOL = "agents-sdk"
"""What turns of scripts have in the place of a protocol: no server of ours was asked."""

NOTHING_ASKED = "(nothing was asked)"
"""The prompt of what a script said without being asked."""

_PAGE = 64


@dataclass(frozen=True, slots=True)
class AgentItem:
    """Something a script said: its JSON, and what people read of it: a prompt, or parts of an answer, at least one."""

    original: str
    prompt: str | None = None
    parts: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """A turn as a script is told of it: its items, with the rows that the JSON of each is in."""

    turn: Turn
    is_own: bool
    items: tuple[tuple[int, Any], ...]


def get_items(conn: Connection, session_id: str, limit: int | None) -> list[Any]:
    """A session's newest `limit` items (None, or less than 0: all) in the order they were said.

    Those that cannot be read any more are passed over, and do not count.
    """
    if limit is None or limit < 0:
        return [item for told in _told(conn, session_id) for _, item in told.items]
    found: list[Any] = []
    stop = turns.count_turns(conn, session_id)
    while stop > 0 and len(found) < limit:
        start = max(0, stop - _PAGE)
        found = [item for told in _told(conn, session_id, start, stop) for _, item in told.items] + found
        stop = start
    return found[-limit:] if limit else []


def add_items(
    conn: Connection, session: Session, items: Sequence[AgentItem], turn_id: str, writer: Writer
) -> tuple[Session, str]:
    """Add items to a session, which is made if it is not there; what answers goes on with turn `turn_id`, if it can.

    Gives the session as it is then, and the turn that the last item is in.

    Raises:
        LabelTaken: The session is new, and another one has its label.
        SessionBusy: A window is answering in it, and this would begin another turn.
    """
    sessions.put_session(conn, session)
    current = _own_turn(conn, session.id, turn_id) or _own_turn(conn, session.id, _last_turn(conn, session.id))
    for item in items:
        is_question = item.prompt is not None
        if current is None or (is_question and not _is_open(conn, session.id, current)):
            sending.refuse_others(conn, session.id, writer)
            current = _begin(conn, session.id, item, writer.now)
        elif item.prompt is not None:
            _add_row(conn, current, "prompt", Item("", ItemKind.MESSAGE, item.prompt), item.original)
        if not is_question:
            _add_parts(conn, current, item)
    if current is not None and _settle(conn, current, writer.now):
        conn.execute("UPDATE sessions SET unread = 1 WHERE id = ?", (session.id,))
    return sessions.get_session(conn, session.id) or session, current or ""


def pop_item(conn: Connection, session_id: str, writer: Writer) -> Any:
    """Take the newest item away, and give it; None where there is none.

    What Palaver itself wrote, or another branch goes on from, stays as it is, on a branch of its own.

    Raises:
        SessionBusy: A window is answering in the session.
    """
    sending.refuse_others(conn, session_id, writer)
    told = _newest_told(conn, session_id)
    if told is None:
        return None
    row, item = told.items[-1]
    turn = told.turn
    is_last = turn.id == _last_turn(conn, session_id)
    if is_last and _own_turn(conn, session_id, turn.id):
        _take_away(conn, turn, row, writer.now)
    else:
        branches.branch_off(conn, session_id, turn.depth)
        if len(told.items) > 1:
            _copy(conn, session_id, told, row, writer.now)
    return item


def clear(conn: Connection, session_id: str, writer: Writer) -> None:
    """Let a session begin again. What was said in it stays, on a branch of its own.

    Raises:
        SessionBusy: A window is answering in the session.
    """
    sending.refuse_others(conn, session_id, writer)
    if turns.count_turns(conn, session_id):
        branches.branch_off(conn, session_id, 0)


def _told(conn: Connection, session_id: str, start: int = 0, stop: int | None = None) -> list[_Told]:
    said = turns.get_turns(conn, session_id, start, stop)
    originals = _originals(conn, [turn.id for turn in said])
    return [_as_told(turn, originals.get(turn.id)) for turn in said]


def _newest_told(conn: Connection, session_id: str) -> _Told | None:
    """The newest turn a script is told anything of."""
    stop = turns.count_turns(conn, session_id)
    while stop > 0:
        start = max(0, stop - _PAGE)
        for told in reversed(_told(conn, session_id, start, stop)):
            if told.items:
                return told
        stop = start
    return None


def _originals(conn: Connection, turn_ids: list[str]) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for at in range(0, len(turn_ids), 500):
        some = turn_ids[at : at + 500]
        marks = ", ".join("?" * len(some))
        for turn_id, position, original in conn.execute(
            f"SELECT turn_id, position, original FROM items WHERE turn_id IN ({marks}) AND original IS NOT NULL "  # noqa: S608
            "ORDER BY turn_id, position",
            some,
        ):
            found.setdefault(turn_id, []).append((position, original))
    return found


def _as_told(turn: Turn, originals: list[tuple[int, str]] | None) -> _Told:
    if originals is not None:
        return _Told(turn, True, tuple(pair for row in originals for pair in _read(*row)))
    if not turn.is_context:
        return _Told(turn, False, ())
    items = [(0, {"role": "user", "content": turn.prompt})]
    if turn.text:
        items.append((1, {"role": "assistant", "content": turn.text}))
    return _Told(turn, False, tuple(items))


def _read(position: int, original: str) -> list[tuple[int, Any]]:
    """What a row's JSON says; nothing where it is that of another row, or cannot be read."""
    try:
        return [(position, json.loads(original))] if original else []
    except ValueError:
        return []


def _last_turn(conn: Connection, session_id: str) -> str:
    depth = turns.count_turns(conn, session_id) - 1
    for branch, low, high in sessions.lineage(conn, session_id):
        if low <= depth < high:
            row = conn.execute("SELECT id FROM turns WHERE branch_id = ? AND depth = ?", (branch, depth)).fetchone()
            return str(row[0]) if row else ""
    return ""


def _own_turn(conn: Connection, session_id: str, turn_id: str) -> str | None:
    """The turn, if a script wrote it and it can be changed: no other branch or session goes on from it."""
    row = conn.execute("SELECT branch_id, depth, protocol FROM turns WHERE id = ?", (turn_id,)).fetchone()
    if row is None or row[2] != PROTOCOL:
        return None
    branch, depth, _ = row
    line = sessions.lineage(conn, session_id)
    if not line or line[0][0] != branch or depth < line[0][1]:
        return None
    query = "SELECT 1 FROM branches WHERE parent_id = ? AND base > ?"
    return None if conn.execute(query, (branch, depth)).fetchone() else turn_id


def _is_open(conn: Connection, session_id: str, turn_id: str) -> bool:
    """Whether a turn is the last one and nothing has been said to its prompt yet, so that more can be asked in it."""
    answered = conn.execute("SELECT 1 FROM items WHERE turn_id = ? AND kind != 'prompt'", (turn_id,)).fetchone()
    return answered is None and _last_turn(conn, session_id) == turn_id


def _begin(conn: Connection, session_id: str, item: AgentItem, now: float) -> str:
    """Begin a turn at the end of a session, with a prompt if `item` is one. Gives its id."""
    depth = turns.count_turns(conn, session_id)
    branch = sessions.lineage(conn, session_id)[0][0]
    prompt = NOTHING_ASKED if item.prompt is None else item.prompt
    turn = Turn(new_id(), session_id, depth, prompt, TurnStatus.INTERRUPTED, created_at=now, protocol=PROTOCOL)
    saving.insert_ended(conn, turn, branch, sessions.next_revision(conn))
    original = "" if item.prompt is None else item.original
    conn.execute("UPDATE items SET original = ? WHERE turn_id = ? AND position = 0", (original, turn.id))
    if item.prompt is not None:
        conn.execute(
            "UPDATE sessions SET title = ?, title_source = 'generated' WHERE id = ? AND title_source = 'none'",
            (storable(title_from(item.prompt)), session_id),
        )
    return turn.id


def _add_parts(conn: Connection, turn_id: str, item: AgentItem) -> None:
    for place, part in enumerate(item.parts):
        _add_row(conn, turn_id, part.kind, part, item.original if place == 0 else "")


def _add_row(conn: Connection, turn_id: str, kind: str, part: Item, original: str) -> None:
    (position,) = conn.execute("SELECT max(position) + 1 FROM items WHERE turn_id = ?", (turn_id,)).fetchone()
    values = (kind, storable(part.name), storable(part.call_id), storable(part.text), part.state, original)
    _put_row(conn, turn_id, position, values)


def _put_row(conn: Connection, turn_id: str, position: int, values: tuple[str, ...]) -> None:
    """Insert a row, given its kind, name, call, text, state and JSON."""
    added = conn.execute(
        "INSERT INTO items (turn_id, position, key, kind, name, call_id, text, state, original) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (turn_id, position, str(position), *values),
    )
    if values[0] in ("prompt", "message"):
        conn.execute("INSERT INTO items_fts (rowid, text) VALUES (?, ?)", (added.lastrowid, values[3]))


def _settle(conn: Connection, turn_id: str, now: float) -> bool:
    """Let a turn's row say whether it has an answer, and the session's, what its newest turn says. Gives whether it has."""
    (has_answer,) = conn.execute(
        "SELECT EXISTS (SELECT 1 FROM items WHERE turn_id = ? AND kind = 'message' AND text != '')", (turn_id,)
    ).fetchone()
    status = TurnStatus.DONE if has_answer else TurnStatus.INTERRUPTED
    revision = sessions.next_revision(conn)
    conn.execute(
        "UPDATE turns SET status = ?, ended_at = ?, revision = ? WHERE id = ?", (status, now, revision, turn_id)
    )
    conn.execute(
        """
        UPDATE sessions SET last_turn_at = max(coalesce(last_turn_at, 0), ?), turns = max(turns, t.depth + 1),
                            last_status = ?, revision = ?, touched = ?
        FROM (SELECT session_id, depth FROM turns WHERE id = ?) t WHERE id = t.session_id
        """,
        (now, status, revision, revision, turn_id),
    )
    return bool(has_answer)


def _take_away(conn: Connection, turn: Turn, row: int, now: float) -> None:
    """Remove a turn's rows from `row` on; all of it, where nothing would be left that was said."""
    left = conn.execute(
        "SELECT 1 FROM items WHERE turn_id = ? AND position < ? AND original != ''", (turn.id, row)
    ).fetchone()
    first = row if left else 0
    _unindex(conn, turn.id, first)
    conn.execute("DELETE FROM items WHERE turn_id = ? AND position >= ?", (turn.id, first))
    if left:
        _settle(conn, turn.id, now)
        return
    conn.execute("DELETE FROM turns WHERE id = ?", (turn.id,))
    conn.execute(
        "UPDATE sessions SET turns = ?, revision = ? WHERE id = ?",
        (turn.depth, sessions.next_revision(conn), turn.session_id),
    )


def _copy(conn: Connection, session_id: str, told: _Told, until: int, now: float) -> None:
    """Write a turn's rows before `until` once more, as a script's, at the end of a session's present branch."""
    turn = told.turn
    copy = _begin(conn, session_id, AgentItem(json.dumps(told.items[0][1]), prompt=turn.prompt), turn.created_at)
    if told.is_own:
        rows = conn.execute(
            "SELECT position, kind, name, call_id, text, state, original FROM items WHERE turn_id = ? AND position < ? "
            "ORDER BY position",
            (turn.id, until),
        ).fetchall()
        _unindex(conn, copy, 0)
        conn.execute("DELETE FROM items WHERE turn_id = ?", (copy,))
        for position, kind, name, call_id, text, state, original in rows:
            _put_row(conn, copy, position, (kind, name, call_id, text, state, original))
    _settle(conn, copy, now)


def _unindex(conn: Connection, turn_id: str, position: int) -> None:
    """Take a turn's rows from `position` on out of the index, because they are about to go."""
    conn.execute(
        "INSERT INTO items_fts (items_fts, rowid, text) SELECT 'delete', id, text FROM items "
        "WHERE turn_id = ? AND position >= ? AND kind IN ('prompt', 'message')",
        (turn_id, position),
    )
