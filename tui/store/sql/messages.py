"""The SQL of messages that are searched, the newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from tui.query import Term

END = 1 << 62
"""A place after all messages."""

_PLACE = "i.id, i.kind, t.id, t.branch_id, t.depth, t.session_id, t.created_at"

Ranges = dict[str, list[tuple[int, int, str]]]
"""What is seen of branches: by each its first depth, the depth it stops before, and the session it is seen in."""


def look_up(conn: Connection, words: str, terms: Sequence[Term], least: int, stop: int, most: int) -> list[Any]:
    """The newest `most` messages, from `least` up to, not including, `stop`, that the index has for the words. With each
    goes whether the terms are in it as well, as they stand."""
    likes, values = _likes(terms)
    return conn.execute(
        f"""
        SELECT {_PLACE}, {likes}
        FROM (SELECT rowid AS id FROM items_fts WHERE items_fts MATCH ? AND rowid >= ? AND rowid < ?
              ORDER BY rowid DESC LIMIT ?) h
        CROSS JOIN items i ON i.id = h.id CROSS JOIN turns t ON t.id = i.turn_id
        """,  # noqa: S608 - constants only
        (*values, words, least, stop, most),
    ).fetchall()


def heads_of(conn: Connection, item_ids: Sequence[int], size: int) -> list[tuple[int, str, int]]:
    """The first `size` characters of messages, and how many they have."""
    return conn.execute(
        "SELECT id, substr(text, 1, ?), length(text) FROM items WHERE id IN (SELECT value FROM json_each(?))",
        (size, json.dumps(list(item_ids))),
    ).fetchall()


def look_through(conn: Connection, terms: Sequence[Term], least: int, stop: int) -> list[Any]:
    """The messages from `least` up to, not including, `stop` that the terms are in as they stand."""
    likes, values = _likes(terms)
    return conn.execute(
        f"""
        SELECT {_PLACE} FROM items i CROSS JOIN turns t ON t.id = i.turn_id
        WHERE i.id >= ? AND i.id < ? AND i.kind IN ('prompt', 'message') AND i.text != '' AND {likes}
        ORDER BY i.id DESC
        """,  # noqa: S608 - constants only
        (least, stop, *values),
    ).fetchall()


def texts_of(conn: Connection, item_ids: Sequence[int]) -> dict[int, str]:
    """The whole texts of messages."""
    ids = json.dumps(list(item_ids))
    return dict(conn.execute("SELECT id, text FROM items WHERE id IN (SELECT value FROM json_each(?))", (ids,)))


def after_last(conn: Connection) -> int:
    """The place after the newest message."""
    return 1 + int(conn.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()[0])


def bounds(conn: Connection, ranges: Ranges) -> tuple[int, int]:
    """The first item of the turns on these branches, and the one after the last."""
    least, most = END, 0
    for branch in ranges:
        low, high = conn.execute(
            "SELECT min(i.id), max(i.id) FROM turns t CROSS JOIN items i ON i.turn_id = t.id WHERE t.branch_id = ?",
            (branch,),
        ).fetchone()
        if low is not None:
            least, most = min(least, low), max(most, high)
    return least, most + 1


def first_after(conn: Connection, moment: float) -> int:
    """The first item of a turn that began at a time or later, if all items lie in the order of their times."""
    low, high = 0, after_last(conn)
    while low < high:
        middle = (low + high) // 2
        row = conn.execute(
            "SELECT t.created_at FROM items i CROSS JOIN turns t ON t.id = i.turn_id WHERE i.id >= ? ORDER BY i.id LIMIT 1",
            (middle,),
        ).fetchone()
        if row is None or row[0] >= moment:
            high = middle
        else:
            low = middle + 1
    return low


def derived(conn: Connection) -> Ranges:
    """The branches that sessions lie on which go on from others'."""
    rows = conn.execute(
        """
        WITH RECURSIVE line (session_id, id, parent_id, low, high) AS (
            SELECT s.id, b.id, b.parent_id, b.base, 9223372036854775807
            FROM sessions s JOIN branches b ON b.id = s.branch_id WHERE s.deleted_at IS NULL AND b.parent_id IS NOT NULL
            UNION
            SELECT line.session_id, p.id, p.parent_id, p.base, min(line.low, line.high)
            FROM line JOIN branches p ON p.id = line.parent_id
        )
        SELECT id, low, high, session_id FROM line
        """
    )
    found: Ranges = {}
    for branch, low, high, session_id in rows:
        found.setdefault(branch, []).append((low, high, session_id))
    return found


def _likes(terms: Sequence[Term]) -> tuple[str, list[str]]:
    """The condition that texts are in a message as they stand, with its values."""
    escaped = [term.text.replace("!", "!!").replace("%", "!%").replace("_", "!_") for term in terms]
    return " AND ".join(["i.text LIKE ? ESCAPE '!'"] * len(terms)) or "1", [f"%{text}%" for text in escaped]
