"""Getting out of a damaged history what can still be read, row by row, into a new one."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui.model import Session
from tui.store.sql import items, sessions

_TABLES = ("sessions", "branches", "turns", "items", "chunks", "attempts", "conversations", "queue", "pictures")

_AMENDS = (
    # Branches: each session's own is there, each has its session, and none is its own ancestor.
    "INSERT INTO branches (id, session_id) SELECT branch_id, id FROM sessions WHERE branch_id NOT IN (SELECT id FROM branches)",
    "INSERT OR IGNORE INTO branches (id, session_id) SELECT branch_id, session_id FROM turns",
    "UPDATE branches SET session_id = (SELECT session_id FROM turns WHERE branch_id = branches.id) "
    "WHERE session_id NOT IN (SELECT id FROM sessions) AND id IN (SELECT branch_id FROM turns)",
    "DELETE FROM branches WHERE session_id NOT IN (SELECT id FROM sessions)",
    "UPDATE branches SET parent_id = NULL WHERE parent_id NOT IN (SELECT id FROM branches) OR id IN "
    "(WITH RECURSIVE up (start, id) AS (SELECT id, parent_id FROM branches WHERE parent_id IS NOT NULL "
    "UNION SELECT up.start, b.parent_id FROM up JOIN branches b ON b.id = up.id WHERE b.parent_id IS NOT NULL) "
    "SELECT start FROM up WHERE start = id)",
    "UPDATE branches SET base = min(base, (SELECT min(depth) FROM turns WHERE branch_id = branches.id)) "
    "WHERE id IN (SELECT branch_id FROM turns)",
    # Each turn begins with a prompt, though it may be lost.
    "UPDATE items SET kind = 'prompt' WHERE position = 0",
    "INSERT INTO items (turn_id, position, kind) SELECT id, 0, 'prompt' FROM turns "
    "WHERE id NOT IN (SELECT turn_id FROM items WHERE position = 0)",
    "UPDATE conversations SET session_id = coalesce((SELECT id FROM sessions WHERE branch_id = conversations.branch_id), '')",
    "DELETE FROM conversations WHERE session_id = ''",
    "UPDATE meta SET value = (SELECT max(revision) FROM (SELECT revision FROM sessions UNION SELECT revision FROM turns "
    "UNION SELECT value FROM meta WHERE key = 'revision')) WHERE key = 'revision'",
)
"""What makes rows fit together again that came without others."""


def salvage(damaged: Path, conn: sqlite3.Connection) -> int:
    """Copy every readable row of `damaged` to the new history on `conn`, inside its transaction.

    Gives the number of turns saved. Rows that cannot be read, or that make no sense without others, are left out.
    """
    # Immutable: no one writes to it any more, and a journal beside it may be the very thing that is wrong.
    old = sqlite3.connect(f"{damaged.absolute().as_uri()}?immutable=1", uri=True)
    old.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
    conn.execute("PRAGMA defer_foreign_keys = ON")
    try:
        for table in _TABLES:
            _copy(old, conn, table)
    finally:
        old.close()
    for table in ("items", "chunks", "attempts"):
        conn.execute(f"DELETE FROM {table} WHERE turn_id NOT IN (SELECT id FROM turns)")  # noqa: S608 - our own names
    for (turn_id,) in conn.execute("SELECT DISTINCT turn_id FROM chunks").fetchall():
        items.fold_chunks(conn, turn_id)
    conn.execute("UPDATE turns SET status = 'interrupted' WHERE status IN ('pending', 'streaming')")
    _house_strays(conn)
    for statement in _AMENDS:
        conn.execute(statement)
    conn.execute("INSERT INTO items_fts (rowid, text) SELECT id, text FROM items WHERE kind IN ('prompt', 'message')")
    return int(conn.execute("SELECT count(*) FROM turns").fetchone()[0])


def _house_strays(conn: sqlite3.Connection) -> None:
    """Give turns, and prompts that wait, whose session could not be read a new one, so that they can be found."""
    strays = conn.execute(
        "SELECT session_id, branch_id, max(depth) + 1, min(created_at) FROM turns "
        "WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id ORDER BY min(created_at)"
    ).fetchall()
    for session_id, branch_id, count, created_at in strays:
        sessions.ensure_session(conn, Session(session_id, "recovered-1", created_at=created_at, turns=count))
        conn.execute("UPDATE sessions SET branch_id = ? WHERE id = ?", (branch_id, session_id))
    waiting = conn.execute(
        "SELECT session_id, min(created_at) FROM queue WHERE session_id NOT IN (SELECT id FROM sessions) "
        "GROUP BY session_id ORDER BY min(created_at)"
    ).fetchall()
    for session_id, created_at in waiting:
        sessions.ensure_session(conn, Session(session_id, "recovered-1", created_at=created_at))


def _copy(old: sqlite3.Connection, conn: sqlite3.Connection, table: str) -> None:
    """Copy a table's rows, from both ends, as far as each end can be read."""
    known = {row[1] for row in conn.execute(f"PRAGMA table_info({table})")}
    try:
        names = [row[1] for row in old.execute(f"PRAGMA table_info({table})") if row[1] in known]
    except sqlite3.Error:
        return
    if not names:
        return
    columns = ", ".join(names)
    marks = ", ".join("?" * len(names))
    key = "id" if "id" in names else names[0]
    for direction in ("ASC", "DESC"):
        try:
            for row in _rows(old, f"SELECT {columns} FROM {table} ORDER BY {key} {direction}"):  # noqa: S608 - our own names
                added = conn.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)  # noqa: S608
                if table == "turns" and not added.rowcount:
                    _put_last(conn, dict(zip(names, row, strict=True)))
            return
        except _Unreadable:
            continue


def _put_last(conn: sqlite3.Connection, turn: dict[str, Any]) -> None:
    """Keep a turn whose place another one has, at the end of its branch."""
    if conn.execute("SELECT 1 FROM turns WHERE id = ?", (turn["id"],)).fetchone():
        return
    newest = conn.execute("SELECT max(depth) FROM turns WHERE branch_id = ?", (turn["branch_id"],)).fetchone()[0]
    turn["depth"] = (-1 if newest is None else newest) + 1
    names, marks = ", ".join(turn), ", ".join("?" * len(turn))
    conn.execute(f"INSERT OR IGNORE INTO turns ({names}) VALUES ({marks})", tuple(turn.values()))  # noqa: S608 - our own names


class _Unreadable(Exception):
    """A row cannot be read: trouble with the old file, not with the new one."""


def _rows(old: sqlite3.Connection, query: str) -> Iterator[Any]:
    try:
        yield from old.execute(query)
    except sqlite3.Error:
        raise _Unreadable from None
