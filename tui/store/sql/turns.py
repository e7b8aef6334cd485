"""The SQL of turns, their items and their attempts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from sqlite3 import Connection
from typing import Any

from tui.errors import SessionBusy
from tui.model import (
    Attempt,
    AttemptKind,
    Failure,
    Item,
    ItemKind,
    ItemState,
    Session,
    SessionLease,
    Turn,
    TurnStatus,
    Usage,
)
from tui.store.sql import branches, leases, sessions
from tui.store.sql.leases import Writer
from tui.text import storable

_COLUMNS = (
    "id, session_id, depth, status, finish, profile, protocol, model, origin, conversation_id, created_at, first_text_at, "
    "ended_at, input_tokens, output_tokens, reasoning_tokens, cached_tokens, notes, error, run"
)
_FINAL_COLUMNS = (
    "status", "finish", "model", "conversation_id", "first_text_at", "ended_at", "input_tokens", "output_tokens",
    "reasoning_tokens", "cached_tokens", "notes", "error", "run",
)  # fmt: skip
LONGEST_RECALLED = 100_000
"""Characters of a prompt beyond which it is not brought to another session."""

_RUNNING = "('pending', 'streaming')"
_INDEXED = "('prompt', 'message')"

_CRASHED = Failure(
    "crash", "Palaver ended before the answer did; what came is kept.", "press r to send it again", None, 7
)
_SEIZED = Failure(
    "taken", "Another window took the session over; what came is kept.", "press r to send it again", None, 7
)


def begin_turn(
    conn: Connection,
    turn: Turn,
    session: Session,
    title: str,
    at: int | None,
    writer: Writer,
) -> Turn:
    """Insert a turn at the end of its session, which is made if it is not there, and take the session for it.

    Gives the turn with its depth. A session that has no title yet gets `title`. With `at` it goes on from its first `at`
    turns, on a branch of its own.

    Raises:
        SessionBusy: Another window, still alive, is answering in this session.
    """
    sessions.ensure_session(conn, session)
    conn.execute(
        "UPDATE sessions SET title = ?, title_source = 'generated' WHERE id = ? AND title_source = 'none'",
        (storable(title), session.id),
    )
    sessions.drop_draft(conn, session.id, turn.prompt)
    refuse_others(conn, turn.session_id, writer)
    if at is not None and at < count_turns(conn, turn.session_id):
        branches.branch_off(conn, turn.session_id, at)
    branch, _, free = _end_of(conn, turn.session_id)
    turn = replace(turn, depth=free)
    _insert(conn, turn, branch, writer.holder)
    leases.take(conn, turn.session_id, turn.id, writer)
    return turn


def choose_branch(conn: Connection, session_id: str, turn_id: str, writer: Writer) -> Session | None:
    """Let a session go on with the branch that a turn lies on. Gives it as it is then; None where it has no such turn.

    Raises:
        SessionBusy: Another window, still alive, is answering in it.
    """
    refuse_others(conn, session_id, writer)
    return branches.go_on_through(conn, session_id, turn_id)


def reopen_turn(conn: Connection, turn_id: str, writer: Writer) -> Turn | None:
    """Let a turn that was interrupted run on, and take its session. Gives it as it was, or None where it is not one.

    Raises:
        SessionBusy: Another window, still alive, is answering in its session.
    """
    turn = get_turn(conn, turn_id)
    if turn is None or turn.status is not TurnStatus.INTERRUPTED:
        return None
    refuse_others(conn, turn.session_id, writer)
    leases.take(conn, turn.session_id, turn_id, writer)
    _unindex(conn, turn_id)
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
    return get_turn(conn, turn_id)


def put_turn(
    conn: Connection, turn: Turn, since: Turn | None, session: Session, writer: Writer, keeps: bool = False
) -> bool:
    """Bring a stored turn to the state of `turn`, given that it was stored as `since`. Safe to repeat.

    Without `since`, or where the turn is not there any more, all of it is written. It stays in the place it has. The
    session is let go of once the turn has ended, unless this `keeps` it. Gives whether someone else wants it, or has taken
    it: one turn at a time runs in it, so that this one is cut short then.
    """
    wants = "" if turn.status.is_final else beat(conn, turn.session_id, turn.id, writer)
    if wants and not _is_held(conn, turn.session_id, writer):
        turn = replace(turn, status=TurnStatus.INTERRUPTED, error=_SEIZED)
    row = conn.execute("SELECT status FROM turns WHERE id = ?", (turn.id,)).fetchone()
    if row is None:
        sessions.ensure_session(conn, session)
        branch, low, free = _end_of(conn, turn.session_id)
        taken = conn.execute("SELECT 1 FROM turns WHERE branch_id = ? AND depth = ?", (branch, turn.depth)).fetchone()
        turn = replace(turn, depth=free if taken or turn.depth < low or turn.depth > free else turn.depth)
        _insert(conn, turn, branch, writer.holder)
        since = None
    elif row[0] not in (TurnStatus.PENDING, TurnStatus.STREAMING):
        if since is not None and since.status.is_final:
            return bool(wants)
        _unindex(conn, turn.id)
        since = None
    _put_items(conn, turn, since)
    _put_attempts(conn, turn, since)
    now = sessions.next_revision(conn)
    values = _values(turn)
    assignments = ", ".join(f"{name} = ?" for name in _FINAL_COLUMNS)
    conn.execute(
        f"UPDATE turns SET {assignments}, revision = ? WHERE id = ?",  # noqa: S608
        (*(values[name] for name in _FINAL_COLUMNS), now, turn.id),
    )
    if turn.status.is_final:
        _finish(conn, turn.id)
        if not keeps:
            _let_go(conn, turn, writer)
    _touch(conn, turn, now)
    return bool(wants)


def insert_ended(conn: Connection, turn: Turn, branch: str, revision: int) -> None:
    """Insert a turn that has ended elsewhere, whole, on a branch where its place is free."""
    values = _values(turn) | {"branch_id": branch, "revision": revision}
    marks = ", ".join("?" * len(values))
    conn.execute(f"INSERT INTO turns ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    conn.execute(
        "INSERT INTO items (turn_id, position, kind, text) VALUES (?, 0, 'prompt', ?)", (turn.id, storable(turn.prompt))
    )
    _put_items(conn, turn, None)
    _finish(conn, turn.id)


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


def changed_turns(conn: Connection, since: int, limit: int = 200) -> list[Turn]:
    """The turns changed after a revision, newest change last."""
    found = conn.execute(
        f"SELECT {_COLUMNS} FROM turns WHERE revision > ? ORDER BY revision DESC LIMIT ?",  # noqa: S608
        (since, limit),
    ).fetchall()
    return _with_items(conn, found[::-1])


def count_turns(conn: Connection, session_id: str) -> int:
    """How many turns a session's present branch has."""
    return _end_of(conn, session_id)[2] if sessions.lineage(conn, session_id) else 0


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
        SELECT i.text FROM (SELECT id, session_id FROM turns ORDER BY id DESC LIMIT ?) t
        JOIN sessions s ON s.id = t.session_id AND s.deleted_at IS NULL AND s.provenance NOT IN ('foreign', 'imported')
        JOIN items i ON i.turn_id = t.id AND i.position = 0
        WHERE t.session_id != ? AND length(i.text) <= ? ORDER BY t.id DESC LIMIT ?
        """,
        (20 * limit, session_id, LONGEST_RECALLED, limit),
    )
    return [str(text) for (text,) in rows][::-1]


def recover(conn: Connection, writer: Writer) -> int:
    """Mark turns whose process died as interrupted, and free what the dead have held. Gives how many turns there were."""
    held = leases.get_leases(conn)
    dead = {lease.session_id: lease.holder for lease in held if not writer.is_live(lease)}
    kept = {lease.turn_id for lease in held} - {lease.turn_id for lease in held if lease.session_id in dead}
    for session_id, holder in dead.items():
        _free(conn, session_id, holder)
    cut = 0
    for turn_id, session_id, holder in conn.execute(
        f"SELECT id, session_id, holder FROM turns WHERE status IN {_RUNNING}"  # noqa: S608 - constants only
    ).fetchall():
        if turn_id not in kept and (dead.get(session_id) == holder or not writer.is_alive(holder)):
            _cut_short(conn, turn_id, _CRASHED)
            cut += 1
    return cut


def has_running(conn: Connection) -> bool:
    """Whether any turn claims to be running, or anyone to be sending."""
    running = f"SELECT 1 FROM turns WHERE status IN {_RUNNING} UNION ALL SELECT 1 FROM leases LIMIT 1"  # noqa: S608
    return conn.execute(running).fetchone() is not None


def has_dead(conn: Connection, writer: Writer) -> bool:
    """Whether a session is held by a process that is gone."""
    return any(not writer.is_live(lease) for lease in leases.get_leases(conn))


def refuse_others(conn: Connection, session_id: str, writer: Writer) -> None:
    """See to it that no one else is sending in a session; what the dead have left is marked as cut short.

    Raises:
        SessionBusy: Another process, still alive, is.
    """
    holder = live_holder(conn, session_id, writer)
    if holder and holder != writer.holder:
        pid = holder.partition(":")[0]
        raise SessionBusy(
            f"This session is answering in another window (process {pid}).", hint="wait for it, or take it over"
        )
    lease = leases.get_lease(conn, session_id)
    if lease is not None and lease.holder != writer.holder:
        _free(conn, session_id, lease.holder)
    for turn_id, other in _running(conn, session_id):
        if other != writer.holder:
            _cut_short(conn, turn_id, _CRASHED)


def live_holder(conn: Connection, session_id: str, writer: Writer) -> str:
    """The process that is sending in a session: this one, or another that is still alive; nothing, where none is."""
    lease = leases.get_lease(conn, session_id)
    if lease is not None and writer.is_live(lease):
        return lease.holder
    others = [other for _, other in _running(conn, session_id) if lease is None or other != lease.holder]
    # An older Palaver that still runs keeps no lease.
    return next((other for other in others if writer.is_alive(other)), "")


def ask_for(conn: Connection, session_id: str, writer: Writer, seizes: bool) -> SessionLease | None:
    """Have whoever is sending in a session let go of it. Gives who that is; None where it is free, or is now.

    A process that is gone is not asked, and with `seizes` none is: what it was answering is marked as taken over.

    Raises:
        SessionBusy: It is answering in a window that cannot be asked.
    """
    lease = leases.get_lease(conn, session_id)
    if lease is not None and lease.holder == writer.holder:
        return None
    if lease is None or not writer.is_live(lease):
        refuse_others(conn, session_id, writer)
        return None
    if seizes:
        _free(conn, session_id, lease.holder)
        for turn_id, other in _running(conn, session_id):
            if other == lease.holder:
                _cut_short(conn, turn_id, _SEIZED)
        return None
    leases.want(conn, session_id, writer)
    _tell_of(conn, session_id)
    return lease


def beat(conn: Connection, session_id: str, turn_id: str, writer: Writer) -> str:
    """Say that a turn goes on. Gives who wants its session, or has had it since; nothing where no one does."""
    return _overtaken(conn, turn_id) or leases.beat(conn, session_id, turn_id, writer)


def _overtaken(conn: Connection, turn_id: str) -> str:
    """Who has sent something after a turn that was cut short here, or has taken its session over; nothing, if no one."""
    row = conn.execute(
        f"SELECT error, branch_id, depth, holder FROM turns WHERE id = ? AND status NOT IN {_RUNNING}",  # noqa: S608
        (turn_id,),
    ).fetchone()
    if row is None:
        return ""
    error, branch, depth, holder = row
    later = conn.execute("SELECT holder FROM turns WHERE branch_id = ? AND depth > ?", (branch, depth)).fetchone()
    if later is not None:
        return str(later[0]) or str(holder)
    failure = _failure(error)
    return str(holder) if failure is not None and failure.kind == _SEIZED.kind else ""


def _is_held(conn: Connection, session_id: str, writer: Writer) -> bool:
    lease = leases.get_lease(conn, session_id)
    return lease is not None and lease.holder == writer.holder


def release(conn: Connection, session_id: str, writer: Writer) -> None:
    """Let go of a session in which nothing more is sent."""
    _free(conn, session_id, writer.holder)


def running_turn(conn: Connection, session_id: str, holder: str) -> str:
    """The turn that a process runs in a session; nothing, where it runs none."""
    return next((turn_id for turn_id, other in _running(conn, session_id) if other == holder), "")


def _running(conn: Connection, session_id: str) -> list[tuple[str, str]]:
    """The turns that claim to be running in a session, with their processes."""
    return conn.execute(
        f"SELECT id, holder FROM turns WHERE session_id = ? AND status IN {_RUNNING}",  # noqa: S608 - constants only
        (session_id,),
    ).fetchall()


def _free(conn: Connection, session_id: str, holder: str) -> None:
    if leases.release(conn, session_id, holder):
        _tell_of(conn, session_id)


def _let_go(conn: Connection, turn: Turn, writer: Writer) -> None:
    """End the lease of a turn that has ended, unless it is another turn's by now."""
    lease = leases.get_lease(conn, turn.session_id)
    if lease is not None and lease.turn_id == turn.id:
        _free(conn, turn.session_id, writer.holder)


def _tell_of(conn: Connection, session_id: str) -> None:
    """Let other windows see that something is different."""
    conn.execute("UPDATE sessions SET revision = ? WHERE id = ?", (sessions.next_revision(conn), session_id))


def _cut_short(conn: Connection, turn_id: str, failure: Failure) -> None:
    now = sessions.next_revision(conn)
    conn.execute(
        "UPDATE turns SET status = 'interrupted', error = ?, revision = ? WHERE id = ?",
        (json.dumps(asdict(failure)), now, turn_id),
    )
    _finish(conn, turn_id)
    conn.execute(
        "UPDATE sessions SET revision = ? WHERE id = (SELECT session_id FROM turns WHERE id = ?)", (now, turn_id)
    )
    _tell_status(conn, turn_id)


def _end_of(conn: Connection, session_id: str) -> tuple[str, int, int]:
    """A session's present branch: its id, its first depth and the next free one. A branch that is missing is made."""
    line = sessions.lineage(conn, session_id)
    if not line:
        conn.execute(
            "INSERT INTO branches (id, session_id) SELECT branch_id, id FROM sessions WHERE id = ?", (session_id,)
        )
        line = sessions.lineage(conn, session_id)
    branch, low, _ = line[0]
    newest = conn.execute("SELECT max(depth) FROM turns WHERE branch_id = ?", (branch,)).fetchone()[0]
    return branch, low, low if newest is None else max(low, int(newest) + 1)


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
    _touch(conn, turn, now)


def _touch(conn: Connection, turn: Turn, now: int) -> None:
    """Let the session's row say what its newest turn says."""
    conn.execute(
        """
        UPDATE sessions SET last_turn_at = max(coalesce(last_turn_at, 0), ?), profile = ?, revision = ?,
                            touched = CASE ? WHEN 'pending' THEN ? ELSE touched END
        WHERE id = ?
        """,
        (turn.created_at, storable(turn.profile), now, turn.status, now, turn.session_id),
    )
    _tell_status(conn, turn.id)


def _tell_status(conn: Connection, turn_id: str) -> None:
    """Let the session's row say how its last turn is, if this is that turn: it may be one on another branch by now."""
    conn.execute(
        """
        UPDATE sessions SET turns = t.depth + 1, last_status = t.status FROM turns t
        WHERE t.id = ? AND sessions.id = t.session_id AND sessions.branch_id = t.branch_id AND t.depth + 1 >= sessions.turns
        """,
        (turn_id,),
    )


def _put_items(conn: Connection, turn: Turn, since: Turn | None) -> None:
    """Write what changed in the items: text that only grew is added as a chunk, all else is written again."""
    before = since.items if since else ()
    for position, item in enumerate(turn.items, 1):
        old = before[position - 1] if position <= len(before) else None
        if old == item:
            continue
        text = storable(item.text)
        grown = old is not None and _same_head(old, item) and text.startswith(storable(old.text))
        if grown and old is not None:
            start = len(storable(old.text))
            conn.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?)", (turn.id, position, start, text[start:]))
        else:
            conn.execute("DELETE FROM chunks WHERE turn_id = ? AND position = ?", (turn.id, position))
            conn.execute(
                "INSERT OR REPLACE INTO items (id, turn_id, position, kind, key, name, call_id, text, state) VALUES "
                "((SELECT id FROM items WHERE turn_id = ?1 AND position = ?2), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    turn.id,
                    position,
                    item.kind,
                    storable(item.key),
                    storable(item.name),
                    storable(item.call_id),
                    text,
                    item.state,
                ),
            )
    if since is None or len(turn.items) < len(before):
        conn.execute("DELETE FROM items WHERE turn_id = ? AND position > ?", (turn.id, len(turn.items)))
        conn.execute("DELETE FROM chunks WHERE turn_id = ? AND position > ?", (turn.id, len(turn.items)))


def _same_head(old: Item, item: Item) -> bool:
    return replace(old, text="") == replace(item, text="")


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


def fold_chunks(conn: Connection, turn_id: str) -> None:
    """Make the text that was added while a turn streamed part of its items."""
    grown: dict[int, list[str]] = {}
    for position, text in conn.execute(
        "SELECT position, text FROM chunks WHERE turn_id = ? ORDER BY position, start", (turn_id,)
    ):
        grown.setdefault(position, []).append(text)
    for position, pieces in grown.items():
        conn.execute(
            "UPDATE items SET text = text || ? WHERE turn_id = ? AND position = ?", ("".join(pieces), turn_id, position)
        )
    conn.execute("DELETE FROM chunks WHERE turn_id = ?", (turn_id,))


def _finish(conn: Connection, turn_id: str) -> None:
    """What an ended turn's text needs: to be in one piece, and in the index."""
    fold_chunks(conn, turn_id)
    conn.execute(
        f"INSERT INTO items_fts (rowid, text) SELECT id, text FROM items WHERE turn_id = ? AND kind IN {_INDEXED}",  # noqa: S608
        (turn_id,),
    )


def _unindex(conn: Connection, turn_id: str) -> None:
    """Take a finished turn out of the index, because it is going to be written again."""
    conn.execute(
        "INSERT INTO items_fts (items_fts, rowid, text) "  # noqa: S608
        f"SELECT 'delete', id, text FROM items WHERE turn_id = ? AND kind IN {_INDEXED}",
        (turn_id,),
    )


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
        turn_id, session_id, depth, status, finish, profile, protocol, model, origin, conversation_id, created_at,
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
        error=_failure(error),
        finish=finish,
        profile=profile,
        protocol=protocol,
        model=model,
        origin=origin,
        conversation_id=conversation_id,
        run=run,
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


def _kept(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: storable(value) if isinstance(value, str) else value for name, value in fields.items()}


def _number(value: int | None) -> int | None:
    """A count as SQLite can keep it: one beyond 64 bits means nothing."""
    return value if value is not None and -(1 << 63) <= value < 1 << 63 else None


def _kind(name: str) -> ItemKind:
    return ItemKind(name) if name in set(ItemKind) else ItemKind.NOTICE


def _state(name: str) -> ItemState:
    return ItemState(name) if name in set(ItemState) else ItemState.NONE


def _notes(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(note) for note in json.loads(text))
    except (ValueError, TypeError):
        return ()


def _failure(text: str | None) -> Failure | None:
    if not text:
        return None
    try:
        return Failure(**json.loads(text))
    except (ValueError, TypeError):
        return Failure("error", text)
