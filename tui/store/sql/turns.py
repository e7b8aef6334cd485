"""The SQL that reads turns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from tui.model import Attempt, AttemptKind, Failure, Item, ItemKind, ItemState, Turn, TurnStatus, Usage
from tui.store.sql import branches, sessions

_COLUMNS = (
    "id, session_id, depth, status, finish, profile, protocol, model, origin, principal, conversation_id, created_at, "
    "first_text_at, ended_at, input_tokens, output_tokens, reasoning_tokens, cached_tokens, notes, error, run"
)
NEWEST_TOLD = 8
"""Turns of a session, from its end, that are told of when they have changed, however many others have."""

LONGEST_RECALLED = 100_000
"""Characters of a prompt beyond which it is not brought to another session."""


def get_turns(conn: Connection, session_id: str, start: int = 0, stop: int | None = None) -> list[Turn]:
    """The turns of a session's present branch from depth `start` up to, not including, `stop`; without attempts."""
    found: list[Any] = []
    for branch, low, high in reversed(sessions.lineage(conn, session_id)):
        first, last = max(low, start), high if stop is None else min(high, stop)
        if first < last:
            found += conn.execute(
                f"SELECT {_COLUMNS} FROM turns WHERE branch_id = ? AND depth >= ? AND depth < ? ORDER BY depth",  # noqa: S608
                (branch, first, last),
            ).fetchall()
    return _with_items(conn, found)


def get_turn(conn: Connection, turn_id: str) -> Turn | None:
    """One turn, with its attempts."""
    found = conn.execute(f"SELECT {_COLUMNS} FROM turns WHERE id = ?", (turn_id,)).fetchall()  # noqa: S608
    for turn in _with_items(conn, found):
        return replace(turn, attempts=_attempts(conn, turn_id))
    return None


def is_elsewhere(conn: Connection, turn_id: str) -> bool:
    """Whether a turn is on another branch than the one its session is on."""
    found = conn.execute("SELECT session_id, branch_id, depth FROM turns WHERE id = ?", (turn_id,)).fetchone()
    if found is None:
        return False
    session_id, branch, depth = found
    return not any(one == branch and low <= depth < high for one, low, high in sessions.lineage(conn, session_id))


def changed_turns(conn: Connection, since: int, limit: int = 200) -> list[Turn]:
    """The turns changed after a revision, newest change last: of very many those changed last, and before them, no more
    than so many again, the newest ones of each session that were not imported. What someone looks at is among these."""
    found = conn.execute(
        f"SELECT {_COLUMNS}, revision FROM turns WHERE revision > ? ORDER BY revision DESC LIMIT ?",  # noqa: S608
        (since, limit),
    ).fetchall()
    others: list[Any] = []
    if len(found) == limit:
        # By way of the sessions: there may be a million turns, of which one import has changed most.
        others = conn.execute(
            f"""
            SELECT {_COLUMNS}, revision FROM turns WHERE id IN (
                SELECT t.id FROM sessions s CROSS JOIN turns t ON t.branch_id = s.branch_id AND t.depth >= s.turns - ?4
                WHERE s.revision > ?1 AND t.revision > ?1 AND t.revision <= ?2 AND (t.holder != '' OR s.source = '')
                ORDER BY t.revision DESC LIMIT ?3
            ) ORDER BY revision DESC
            """,  # noqa: S608 - constants only
            (since, found[-1][-1], limit, NEWEST_TOLD),
        ).fetchall()
    known = {row[0] for row in found}
    rows = [*found, *(row for row in others if row[0] not in known)]
    return _with_items(conn, [row[:-1] for row in reversed(rows)])


def count_turns(conn: Connection, session_id: str) -> int:
    """How many turns a session's present branch has."""
    return branches.end_of(conn, session_id)[2] if sessions.lineage(conn, session_id) else 0


def get_prompts(conn: Connection, session_id: str, limit: int = 200) -> list[str]:
    """What the user said last in a session, oldest first."""
    said: list[str] = []
    for branch, low, high in sessions.lineage(conn, session_id):
        rows = conn.execute(
            """
            SELECT i.text FROM turns t JOIN items i ON i.turn_id = t.id AND i.position = 0
            WHERE t.branch_id = ? AND t.depth >= ? AND t.depth < ? ORDER BY t.depth DESC LIMIT ?
            """,
            (branch, low, high, limit - len(said)),
        )
        said += (str(text) for (text,) in rows)
    return said[::-1]


def get_prompts_elsewhere(conn: Connection, session_id: str, limit: int = 200) -> list[str]:
    """What the user said last in other sessions, oldest first; not what others said, whose session was taken over, and
    not what is very long. Only the newest turns are looked at."""
    rows = conn.execute(
        """
        SELECT i.text FROM (SELECT id, session_id FROM turns ORDER BY revision DESC LIMIT ?) t
        JOIN sessions s ON s.id = t.session_id AND s.deleted_at IS NULL AND s.provenance NOT IN ('foreign', 'imported')
        JOIN items i ON i.turn_id = t.id AND i.position = 0
        WHERE t.session_id != ? AND length(i.text) <= ? ORDER BY i.id DESC LIMIT ?
        """,
        (20 * limit, session_id, LONGEST_RECALLED, limit),
    )
    return [str(text) for (text,) in rows][::-1]


def failure_of(text: str | None) -> Failure | None:
    """What a turn's row says of its error."""
    if not text:
        return None
    try:
        return Failure(**json.loads(text))
    except (ValueError, TypeError):
        return Failure("error", text)


def _with_items(conn: Connection, found: Sequence[Any]) -> list[Turn]:
    turns = [_turn(row) for row in found]
    for at in range(0, len(turns), 500):
        some = turns[at : at + 500]
        marks = ", ".join("?" * len(some))
        ids = [turn.id for turn in some]
        parts: dict[str, list[Any]] = {}
        for row in conn.execute(
            "SELECT turn_id, position, kind, key, name, call_id, text, state FROM items "  # noqa: S608
            f"WHERE turn_id IN ({marks}) ORDER BY turn_id, position",
            ids,
        ):
            parts.setdefault(row[0], []).append(row)
        running = [turn.id for turn in some if not turn.status.is_final]
        grown = _chunks(conn, running) if running else {}
        for place, turn in enumerate(some, at):
            turns[place] = _filled(turn, parts.get(turn.id, []), grown)
    return turns


def _chunks(conn: Connection, turn_ids: list[str]) -> dict[tuple[str, int], str]:
    marks = ", ".join("?" * len(turn_ids))
    grown: dict[tuple[str, int], list[str]] = {}
    for turn_id, position, text in conn.execute(
        f"SELECT turn_id, position, text FROM chunks WHERE turn_id IN ({marks}) ORDER BY turn_id, position, start",  # noqa: S608
        turn_ids,
    ):
        grown.setdefault((turn_id, position), []).append(text)
    return {place: "".join(pieces) for place, pieces in grown.items()}


def _filled(turn: Turn, rows: list[Any], grown: dict[tuple[str, int], str]) -> Turn:
    prompt, items = "", []
    for turn_id, position, kind, key, name, call_id, text, state in rows:
        if kind == "prompt":
            prompt = f"{prompt}\n\n{text}" if prompt else text
        else:
            text += grown.get((turn_id, position), "")
            items.append(Item(key, _kind(kind), text, name, call_id, _state(state)))
    return replace(turn, prompt=prompt, items=tuple(items))


def _turn(row: Iterable[Any]) -> Turn:
    (
        turn_id, session_id, depth, status, finish, profile, protocol, model, origin, principal, conversation_id, created_at,
        first_text_at, ended_at, input_tokens, output_tokens, reasoning_tokens, cached_tokens, notes, error, run,
    ) = row  # fmt: skip
    tokens = (input_tokens, output_tokens, reasoning_tokens, cached_tokens)
    return Turn(
        id=turn_id,
        session_id=session_id,
        depth=depth,
        prompt="",
        status=TurnStatus(status) if status in set(TurnStatus) else TurnStatus.INTERRUPTED,
        created_at=created_at,
        first_text_at=first_text_at,
        ended_at=ended_at,
        usage=Usage(*tokens) if any(one is not None for one in tokens) else None,
        notes=_notes(notes),
        error=failure_of(error),
        finish=finish,
        profile=profile,
        protocol=protocol,
        model=model,
        origin=origin,
        principal=principal,
        conversation_id=conversation_id,
        run=run,
    )


def _attempts(conn: Connection, turn_id: str) -> tuple[Attempt, ...]:
    rows = conn.execute(
        "SELECT number, kind, started_at, ended_at, sent_id, received_id, outcome FROM attempts "
        "WHERE turn_id = ? ORDER BY number",
        (turn_id,),
    )
    return tuple(
        Attempt(number, AttemptKind(kind) if kind in set(AttemptKind) else AttemptKind.RETRY, *rest)
        for number, kind, *rest in rows
    )


def _kind(name: str) -> ItemKind:
    return ItemKind(name) if name in set(ItemKind) else ItemKind.NOTICE


def _state(name: str) -> ItemState:
    return ItemState(name) if name in set(ItemState) else ItemState.NONE


def _notes(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(note) for note in json.loads(text))
    except (ValueError, TypeError):
        return ()
