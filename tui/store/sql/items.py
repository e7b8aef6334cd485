"""The SQL that writes the items of turns."""

from __future__ import annotations

from dataclasses import replace
from sqlite3 import Connection

from tui.model import Item, Turn
from tui.text import storable

_INDEXED = "('prompt', 'message')"


def put_items(conn: Connection, turn: Turn, since: Turn | None) -> None:
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


def finish(conn: Connection, turn_id: str) -> None:
    """What an ended turn's text needs: to be in one piece, and in the index."""
    fold_chunks(conn, turn_id)
    conn.execute(
        f"INSERT INTO items_fts (rowid, text) SELECT id, text FROM items WHERE turn_id = ? AND kind IN {_INDEXED}",  # noqa: S608
        (turn_id,),
    )


def unindex(conn: Connection, turn_id: str) -> None:
    """Take a finished turn out of the index, because it is going to be written again."""
    conn.execute(
        "INSERT INTO items_fts (items_fts, rowid, text) "  # noqa: S608
        f"SELECT 'delete', id, text FROM items WHERE turn_id = ? AND kind IN {_INDEXED}",
        (turn_id,),
    )
