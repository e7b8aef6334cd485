"""The SQL of sessions, their branches and their conversations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping as Fields
from dataclasses import replace
from sqlite3 import Connection, IntegrityError
from typing import Any

from tui.drafts import unsent
from tui.errors import LabelTaken
from tui.model import Provenance, Scroll, Session, TitleSource, TurnStatus, new_id, numbered_label
from tui.text import storable

_COLUMNS = (
    "id, label, title, title_source, profile, model, created_at, last_turn_at, turns, last_status, pinned, archived_at, "
    "deleted_at, unread, draft, scroll, notice, provenance, shared, branch_id"
)
_EDITABLE = frozenset(
    "label title title_source profile model pinned archived_at deleted_at unread draft scroll notice shared".split()
)


def next_revision(conn: Connection) -> int:
    """A number higher than that of every change before."""
    row = conn.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision' RETURNING value").fetchone()
    return int(row[0])


def revision(conn: Connection) -> int:
    """The number of the newest change."""
    return int(conn.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()[0])


def list_sessions(conn: Connection, deleted: bool = False) -> list[Session]:
    """All sessions, the one used last first."""
    where = "IS NOT NULL" if deleted else "IS NULL"
    rows = conn.execute(f"SELECT {_COLUMNS} FROM sessions WHERE deleted_at {where} ORDER BY touched DESC, id DESC")  # noqa: S608 - constants only
    return [_session(row) for row in rows]


def changed_sessions(conn: Connection, since: int) -> list[Session]:
    """The sessions changed after a revision, deleted ones among them."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM sessions WHERE revision > ? ORDER BY +touched DESC", (since,))  # noqa: S608
    return [_session(row) for row in rows]


def get_session(conn: Connection, session_id: str) -> Session | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM sessions WHERE id = ?", (session_id,)).fetchone()  # noqa: S608
    return _session(row) if row else None


def find_session(conn: Connection, label: str, deleted: bool = False) -> Session | None:
    """The session of that label; of deleted ones, the one deleted last."""
    where = "IS NOT NULL ORDER BY deleted_at DESC" if deleted else "IS NULL"
    row = conn.execute(f"SELECT {_COLUMNS} FROM sessions WHERE label = ? AND deleted_at {where}", (label,)).fetchone()  # noqa: S608
    return _session(row) if row else None


def remember(conn: Connection, session_id: str) -> None:
    """Note that this session is the one before the user's eyes."""
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('shown', ?)", (session_id,))


def last_session(conn: Connection) -> Session | None:
    """The session looked at last, or where that is gone, the one said something in last."""
    row = conn.execute(
        f"SELECT {_COLUMNS} FROM sessions WHERE deleted_at IS NULL AND archived_at IS NULL "  # noqa: S608
        "ORDER BY id = (SELECT value FROM meta WHERE key = 'shown') DESC, touched DESC, id DESC LIMIT 1"
    ).fetchone()
    return _session(row) if row else None


def ensure_session(conn: Connection, session: Session) -> None:
    """Insert a session if it is not there; where its label is taken, under another one that is like it."""
    stem, _, number = session.label.rpartition("-")
    stem, count = (stem, int(number)) if stem and number.isdecimal() and len(number) < 9 else (session.label, 1)
    while True:
        try:
            put_session(conn, session)
        except LabelTaken:
            count += 1
            session = replace(session, label=numbered_label(stem, count))
        else:
            return


def put_session(conn: Connection, session: Session) -> Session:
    """Insert a session with a branch of its own; an id that exists already is left as it is.

    Raises:
        LabelTaken: Another session has its label.
    """
    if conn.execute("SELECT 1 FROM sessions WHERE id = ?", (session.id,)).fetchone():
        return session
    taken = conn.execute("SELECT 1 FROM sessions WHERE label = ? AND deleted_at IS NULL", (session.label,)).fetchone()
    if taken and session.deleted_at is None:
        raise LabelTaken(session.label)
    now = next_revision(conn)
    branch = new_id()
    conn.execute("INSERT INTO branches (id, session_id) VALUES (?, ?)", (branch, session.id))
    values = _values(session)
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    conn.execute(
        f"INSERT INTO sessions ({names}, branch_id, revision, touched) VALUES ({marks}, ?, ?, ?)",  # noqa: S608
        (*values.values(), branch, now, now),
    )
    return session


def make_session(conn: Connection, session: Session, changes: Fields[str, Any]) -> Session:
    """Insert a session whose label is made up, with these changes; one that is there already is changed. Gives it as it is.

    Raises:
        LabelTaken: Another session has the label that it is to have by `changes`.
    """
    made = replace(session, **changes)
    if conn.execute("SELECT 1 FROM sessions WHERE id = ?", (session.id,)).fetchone():
        return update_session(conn, session.id, changes) or made
    if "label" in changes:
        return put_session(conn, made)
    ensure_session(conn, made)
    return get_session(conn, session.id) or made


def fork_session(conn: Connection, session: Session, last: str) -> Session | None:
    """Insert a session that goes on from the turn `last`, which it shares from then on, as all that leads to it.

    Gives it as it is, or None where there is no such turn.

    Raises:
        LabelTaken: Another session has its label.
    """
    # By the turn, not by its place: the session it is of may be on another branch by now, with another turn there.
    row = conn.execute("SELECT branch_id, depth FROM turns WHERE id = ?", (last,)).fetchone()
    if row is None:
        return None
    branch, depth = row
    put_session(conn, replace(session, turns=depth + 1))
    conn.execute(
        "UPDATE branches SET parent_id = ?, base = ? WHERE id = (SELECT branch_id FROM sessions WHERE id = ?)",
        (branch, depth + 1, session.id),
    )
    return get_session(conn, session.id)


def update_session(conn: Connection, session_id: str, changes: Fields[str, Any], touch: bool = False) -> Session | None:
    """Change fields of a session; `touch` makes it the one used last. Gives it as it is now, or None if it is gone.

    Raises:
        LabelTaken: Another session has the new label.
    """
    unknown = set(changes) - _EDITABLE
    if unknown:
        raise ValueError(f"not fields of a session: {sorted(unknown)}")
    now = next_revision(conn)
    values = {name: _value(name, value) for name, value in changes.items()} | {"revision": now}
    if touch:
        values["touched"] = now
    assignments = ", ".join(f"{name} = ?" for name in values)
    try:
        conn.execute(f"UPDATE sessions SET {assignments} WHERE id = ?", (*values.values(), session_id))  # noqa: S608
    except IntegrityError:
        raise LabelTaken(str(changes.get("label", ""))) from None
    return get_session(conn, session_id)


def restore_session(conn: Connection, session_id: str, from_archive: bool = False) -> Session | None:
    """Take a session out of the trash, under a similar label where another one has its own by now; `from_archive`, out of
    the archive as well. Gives it as it is then, or None if it is gone. One that is in neither stays as it is.
    """
    session = get_session(conn, session_id)
    changes = changes_back(session, from_archive) if session else {}
    if session is None or not changes:
        return session
    if "deleted_at" in changes:
        changes["label"] = free_label(conn, session.label)
    return update_session(conn, session_id, changes)


def changes_back(session: Session, from_archive: bool) -> dict[str, Any]:
    """What is to change for a session to be out of the trash and, `from_archive`, out of the archive."""
    names = ("deleted_at", "archived_at") if from_archive else ("deleted_at",)
    return {name: None for name in names if getattr(session, name) is not None}


def free_label(conn: Connection, label: str) -> str:
    """`label`, or one like it with a number, if another session has it.

    Ten thousand threads may all be called the same, so the number is not looked for one by one.
    """

    def is_taken(number: int) -> bool:
        name = label if number == 1 else numbered_label(label, number)
        query = "SELECT 1 FROM sessions WHERE label = ? AND deleted_at IS NULL"
        return conn.execute(query, (name,)).fetchone() is not None

    if not is_taken(1):
        return label
    taken, free = 1, 2
    while is_taken(free):
        taken, free = free, free * 2
    while free - taken > 1:
        between = (taken + free) // 2
        taken, free = (between, free) if is_taken(between) else (taken, between)
    return numbered_label(label, free)


def name_session(conn: Connection, session_id: str, title: str) -> Session | None:
    """Give a session a title that was made for it, unless the user has given one. Gives it as it is then."""
    conn.execute(
        "UPDATE sessions SET title = ?, title_source = 'generated', revision = ? WHERE id = ? AND title_source != 'user'",
        (storable(title), next_revision(conn), session_id),
    )
    return get_session(conn, session_id)


def offer_draft(conn: Connection, session_id: str, draft: str) -> Session | None:
    """Keep something as the draft of a session that has none. Gives it as it is now, or None if it is gone."""
    session = get_session(conn, session_id)
    return update_session(conn, session_id, {"draft": draft}) if session is not None and not session.draft else session


def drop_draft(conn: Connection, session_id: str, prompt: str) -> None:
    """Forget what is being sent, if it is in a session's draft."""
    for (draft,) in conn.execute("SELECT draft FROM sessions WHERE id = ? AND draft != ''", (session_id,)).fetchall():
        left = unsent(draft, storable(prompt))
        if left != draft:
            conn.execute("UPDATE sessions SET draft = ? WHERE id = ?", (left, session_id))


def tell_of(conn: Connection, session_id: str) -> None:
    """Let other windows see that something is different."""
    conn.execute("UPDATE sessions SET revision = ? WHERE id = ?", (next_revision(conn), session_id))


def tell_status(conn: Connection, turn_id: str) -> None:
    """Let the session's row say how its last turn is, if this is that turn: it may be one on another branch by now."""
    conn.execute(
        """
        UPDATE sessions SET turns = t.depth + 1, last_status = t.status FROM turns t
        WHERE t.id = ? AND sessions.id = t.session_id AND sessions.branch_id = t.branch_id AND t.depth + 1 >= sessions.turns
        """,
        (turn_id,),
    )


def lineage(conn: Connection, session_id: str) -> list[tuple[str, int, int]]:
    """The branches a session's turns lie on, newest first: id, first depth, and the depth it stops before."""
    rows = conn.execute(
        """
        WITH RECURSIVE line (id, parent_id, low, high) AS (
            SELECT b.id, b.parent_id, b.base, 9223372036854775807
            FROM sessions s JOIN branches b ON b.id = s.branch_id WHERE s.id = ?
            UNION
            SELECT p.id, p.parent_id, p.base, min(line.low, line.high) FROM line JOIN branches p ON p.id = line.parent_id
        )
        SELECT id, low, high FROM line
        """,
        (session_id,),
    )
    return [(str(branch), int(low), int(high)) for branch, low, high in rows]


def _session(row: Iterable[Any]) -> Session:
    (
        session_id, label, title, title_source, profile, model, created_at, last_turn_at, turns, last_status, pinned,
        archived_at, deleted_at, unread, draft, scroll, notice, provenance, shared, branch,
    ) = row  # fmt: skip
    return Session(
        id=session_id,
        label=label,
        title=title,
        title_source=TitleSource(title_source) if title_source in set(TitleSource) else TitleSource.NONE,
        profile=profile,
        model=model,
        created_at=created_at,
        last_turn_at=last_turn_at,
        turns=turns,
        last_status=TurnStatus(last_status) if last_status in set(TurnStatus) else None,
        pinned=bool(pinned),
        archived_at=archived_at,
        deleted_at=deleted_at,
        unread=bool(unread),
        draft=draft,
        scroll=_scroll(scroll),
        notice=notice,
        provenance=Provenance(provenance) if provenance in set(Provenance) else Provenance.OWN,
        shared=shared,
        branch=branch,
    )


def _values(session: Session) -> dict[str, Any]:
    names = [name.strip() for name in _COLUMNS.removesuffix(", branch_id").split(",")]
    return {name: _value(name, getattr(session, name)) for name in names}


def _value(name: str, value: Any) -> Any:
    if name == "scroll":
        return json.dumps([value.depth, value.unit, value.line, value.at_end])
    if isinstance(value, bool):
        return int(value)
    return storable(value) if isinstance(value, str) else value


def _scroll(text: str) -> Scroll:
    try:
        depth, unit, line, at_end = json.loads(text)
        return Scroll(int(depth), int(unit), int(line), bool(at_end))
    except (ValueError, TypeError, OverflowError):
        return Scroll()
