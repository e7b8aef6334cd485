"""Histories for tests: values to put in, the store around them, and the file as other programs see it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui.model import Item, ItemKind, Mapping, Session, Turn, TurnStatus, new_id
from tui.store import Store, schema
from tui.store.access import Health

NOW = 1_800_000_000.0


def a_session(label: str = "work", **fields: Any) -> Session:
    return Session(new_id(), label, **{"created_at": NOW} | fields)


def a_turn(session: Session, prompt: str = "hello", **fields: Any) -> Turn:
    return Turn(new_id(), session.id, fields.pop("depth", 0), prompt, **{"created_at": NOW} | fields)


def said(turn: Turn, *texts: str, status: TurnStatus = TurnStatus.STREAMING) -> Turn:
    """The turn with these messages as its answer."""
    items = tuple(Item(f"m{number}", ItemKind.MESSAGE, text) for number, text in enumerate(texts))
    return replace(turn, items=items, status=status)


def a_mapping(session: Session, conversation_id: str = "conv", **fields: Any) -> Mapping:
    base = Mapping(session.id, "https://host:443", "responses", "", conversation_id, 0, NOW, NOW)
    return replace(base, **fields)


@asynccontextmanager
async def opened(file: Path, **options: Any) -> AsyncIterator[Store]:
    """A store on `file`, closed at the end."""
    store = Store(file, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def told(store: Store, session: Session, prompt: str = "hello", text: str = "hi", **fields: Any) -> Turn:
    """A turn from its beginning to its end. Gives what was saved last."""
    begun = await store.begin(a_turn(session, prompt, **fields), session)
    done = said(begun, text, status=TurnStatus.DONE)
    await store.save(done, begun, session)
    return done


async def saved(store: Store, turn: Turn) -> Turn:
    """The turn as it is read again, with its attempts."""
    found = await store.turn(turn.id)
    assert found is not None
    return found


def stream(begun: Turn) -> list[Turn]:
    """The states of a turn that streams, the last one final."""
    texts = ("one", "one two", "one two three", "one two three four")
    return [*(said(begun, text) for text in texts), said(begun, texts[-1] + "!", status=TurnStatus.DONE)]


def rows(file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What another program reads."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as conn:
        return conn.execute(query, values).fetchall()


def change(file: Path, *statements: str) -> None:
    """Another program, or a hand, changes the file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


_UNDOING = {
    8: "ALTER TABLE turns DROP COLUMN principal",
    7: "DROP TABLE pictures",
    6: "DROP TABLE leases",
    5: "DROP TABLE queue",
}
"""What takes a migration back, by its number."""


def set_back(file: Path, version: int) -> None:
    """Let a history be as an older Palaver made it: of a version from 4 on."""
    change(
        file,
        *(_UNDOING[number] for number in range(schema.VERSION, version, -1)),
        f"DELETE FROM _sqlite_migrations WHERE name >= 'm{version + 1:03}'",
        f"PRAGMA user_version = {version}",
    )


def content(file: Path) -> bytes:
    """A file's bytes. Not for a history that is open: closing a descriptor of it frees SQLite's locks."""
    return file.read_bytes() if file.is_file() else b""


def is_whole(file: Path) -> bool:
    """Whether SQLite finds the file in order, and the index holds the text of ended turns, once, and nothing else."""
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        conn.execute("INSERT INTO items_fts (items_fts) VALUES ('integrity-check')")
        conn.execute("CREATE VIRTUAL TABLE temp.expected USING fts5(text)")
        conn.execute(
            "INSERT INTO temp.expected (rowid, text) SELECT i.id, i.text FROM items i JOIN turns t ON t.id = i.turn_id "
            "WHERE i.kind IN ('prompt', 'message') AND t.status NOT IN ('pending', 'streaming')"
        )
        conn.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, items_fts, instance)")
        conn.execute("CREATE VIRTUAL TABLE temp.expected_words USING fts5vocab(temp, expected, instance)")
        words, expected = (sorted(conn.execute(f"SELECT * FROM temp.{name}")) for name in ("words", "expected_words"))
        return (
            words == expected
            and conn.execute("PRAGMA main.integrity_check").fetchall() == [("ok",)]
            and not conn.execute("PRAGMA main.foreign_key_check").fetchall()
        )


def found(file: Path, word: str) -> list[str]:
    """The texts the index finds for a word."""
    query = "SELECT i.text FROM items_fts f JOIN items i ON i.id = f.rowid WHERE items_fts MATCH ? ORDER BY i.id"
    return [text for (text,) in rows(file, query, word)]


class Healths:
    """Everything a store said of its health."""

    def __init__(self) -> None:
        self.seen: list[Health] = []

    def __call__(self, health: Health) -> None:
        self.seen.append(health)

    @property
    def messages(self) -> list[str]:
        return [health.message for health in self.seen]
