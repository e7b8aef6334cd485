"""Getting out of a damaged history what can still be read, row by row, into a new one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_TABLES = ("sessions", "branches", "turns", "items", "attempts", "conversations")


def salvage(damaged: Path, conn: sqlite3.Connection) -> int:
    """Copy every readable row of `damaged` to the new history on `conn`, inside its transaction.

    Gives the number of turns saved. Rows that cannot be read, or that make no sense without others, are left out.
    """
    try:
        old = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    old.text_factory = lambda raw: raw.decode("utf-8", "replace")
    conn.execute("PRAGMA defer_foreign_keys = ON")
    try:
        for table in _TABLES:
            _copy(old, conn, table)
    finally:
        old.close()
    conn.execute("UPDATE turns SET status = 'interrupted' WHERE status IN ('pending', 'streaming')")
    conn.execute("DELETE FROM items WHERE turn_id NOT IN (SELECT id FROM turns)")
    conn.execute("DELETE FROM attempts WHERE turn_id NOT IN (SELECT id FROM turns)")
    conn.execute(
        "INSERT INTO branches (id, session_id) SELECT branch_id, id FROM sessions "
        "WHERE branch_id NOT IN (SELECT id FROM branches)"
    )
    conn.execute("UPDATE meta SET value = (SELECT max(revision) FROM sessions) WHERE key = 'revision' "
                 "AND EXISTS (SELECT 1 FROM sessions)")  # fmt: skip
    conn.execute("UPDATE branches SET parent_id = NULL WHERE parent_id NOT IN (SELECT id FROM branches)")
    conn.execute("INSERT INTO items_fts (rowid, text) SELECT id, text FROM items WHERE kind IN ('prompt', 'message')")
    return int(conn.execute("SELECT count(*) FROM turns").fetchone()[0])


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
            for row in old.execute(f"SELECT {columns} FROM {table} ORDER BY {key} {direction}"):  # noqa: S608 - our own names
                conn.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)  # noqa: S608
            return
        except sqlite3.Error:
            continue
