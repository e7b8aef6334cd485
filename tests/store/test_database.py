"""One connection to a file: its trouble in words, transactions that are whole or nothing, other programs' files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tui.errors import FileRefused, StoreError
from tui.store import schema
from tui.store.database import Database, explain, is_busy, transaction
from tui.store.files import Damaged
from tui.store.foreign import ForeignDatabase
from tui.store.lock import Lock, Locked

FILE = Path("/h/history.db")


def trouble(name: str) -> sqlite3.Error:
    """An error as SQLite raises it."""
    error = sqlite3.OperationalError("its words")
    if name:
        error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("name", "kind", "message", "hint", "transient"),
    [
        ("SQLITE_CORRUPT", Damaged, f"{FILE} is damaged.", "", False),
        ("SQLITE_CORRUPT_INDEX", Damaged, f"{FILE} is damaged.", "", False),
        ("SQLITE_NOTADB", Damaged, f"{FILE} is damaged.", "", False),
        ("SQLITE_FULL", StoreError, "The disk is full.", "what is not saved is kept in memory", True),
        ("SQLITE_READONLY_DBMOVED", StoreError, f"{FILE} is read-only.", "", True),
        ("SQLITE_BUSY", StoreError, "The history is locked by another program.", "", True),
        ("SQLITE_BUSY_SNAPSHOT", StoreError, "The history is locked by another program.", "", True),
        ("SQLITE_LOCKED", StoreError, "The history is locked by another program.", "", True),
        ("SQLITE_CANTOPEN", StoreError, f"{FILE} cannot be opened.", "", True),
        ("SQLITE_IOERR_WRITE", StoreError, f"{FILE} could not be read or written (SQLITE_IOERR_WRITE).", "", True),
        ("SQLITE_ERROR", StoreError, f"{FILE}: its words.", "", False),
        ("", StoreError, f"{FILE}: its words.", "", False),
    ],
)
def test_trouble_is_told_in_words(name: str, kind: type[StoreError], message: str, hint: str, transient: bool) -> None:
    error = explain(trouble(name), FILE)
    assert (type(error), error.message, error.hint, error.transient) == (kind, message, hint, transient)
    assert is_busy(trouble(name)) is ("BUSY" in name or "LOCKED" in name)


# Transactions


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "file.db", isolation_level=None)) as made:
        made.execute("CREATE TABLE t (a)")
        yield made


def values(conn: sqlite3.Connection) -> list[int]:
    return [row[0] for row in conn.execute("SELECT a FROM t ORDER BY a")]


def _interrupted(conn: sqlite3.Connection, statement: str) -> None:
    conn.execute(statement)
    raise KeyboardInterrupt


def test_a_transaction_is_whole_or_nothing(conn: sqlite3.Connection) -> None:
    with transaction(conn):
        conn.execute("INSERT INTO t VALUES (1)")
        conn.execute("INSERT INTO t VALUES (2)")
    for statement in ("INSERT INTO t VALUES (3)", "ROLLBACK"):
        with pytest.raises(KeyboardInterrupt), transaction(conn):
            _interrupted(conn, statement)
        assert (values(conn), conn.in_transaction) == ([1, 2], False)


def test_a_transaction_has_the_write_lock_from_its_first_moment(conn: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "file.db", isolation_level=None, timeout=0)) as other:
        with transaction(conn), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")


# The history's own


@pytest.fixture
def db(history: Path) -> Iterator[Database]:
    lock = Lock(history)
    made = Database(history, lock)
    yield made
    made.close()
    lock.close()


def revision(conn: sqlite3.Connection, *, to: int | None = None) -> int:
    if to is not None:
        conn.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (to,))
    return int(conn.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()[0])


def test_what_is_done_while_reading_is_not_kept(db: Database) -> None:
    assert db.write(lambda conn: revision(conn, to=7)) == 7
    assert db.read(lambda conn: revision(conn, to=8)) == 8
    assert db.read(revision) == 7
    assert not db.conn.in_transaction


def test_what_fails_is_told_of_the_file_and_changes_nothing(db: Database, history: Path) -> None:
    def wrong(conn: sqlite3.Connection, table: str) -> None:
        revision(conn, to=9)
        conn.execute(f"SELECT * FROM {table}")

    before = db.read(revision)
    for call in (db.read, db.write):
        with pytest.raises(StoreError) as caught:
            call(wrong, "nowhere")
        assert caught.value.message == f"{history}: no such table: nowhere."
        assert (db.read(revision), db.conn.in_transaction) == (before, False)


def test_one_that_may_not_be_written_says_why(db: Database) -> None:
    db.read_only = "it is a museum"
    with pytest.raises(StoreError) as caught:
        db.write(revision)
    assert caught.value.message == "History is not saved: it is a museum."


def test_while_another_program_writes_nothing_is_done(db: Database, history: Path) -> None:
    with closing(sqlite3.connect(history, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked):
            db.write(lambda conn: revision(conn, to=9))
        other.execute("ROLLBACK")
    assert db.write(revision) != 9


def test_reading_waits_for_another_program_once_and_then_only_a_moment(
    db: Database, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 0.02)
    monkeypatch.setattr("tui.store.database.WRITE_TIMEOUT", 0.01)
    db.conn.execute("PRAGMA busy_timeout = 1")
    patience = [db.reading_patience]
    with closing(sqlite3.connect(history, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            with pytest.raises(StoreError, match="locked by another program"):
                db.read(revision)
            patience.append(db.reading_patience)
        other.execute("ROLLBACK")
    db.read(revision)
    assert [*patience, db.reading_patience] == [0.02, 0.01, 0.01, 0.02]


def test_it_is_set_up_to_lose_nothing_and_to_leave_no_trace(db: Database) -> None:
    found = {
        name: db.conn.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
    }
    assert found == {
        "journal_mode": "truncate",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 250,
    }
    assert db.conn.execute("SELECT CAST(x'ff41' AS TEXT)").fetchone() == ("\ufffdA",)
    assert (db.read_only, db.notice) == ("", "")


def test_a_newer_one_cannot_be_written_even_by_mistake(history: Path) -> None:
    lock = Lock(history)
    with closing(Database(history, lock)) as made:
        made.write(lambda conn: conn.execute(f"PRAGMA user_version = {schema.VERSION + 1}"))
    with closing(Database(history, lock)) as newer:
        assert newer.read_only == "it was made by a newer version of Palaver"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            revision(newer.conn, to=9)
    lock.close()


def test_one_that_is_up_to_date_is_opened_while_another_has_the_lock(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.database.UPGRADE_PATIENCE", 0.0)
    lock, other = Lock(db.file), Lock(db.file)
    with other.held():
        Database(db.file, lock).close()
    lock.close()
    other.close()


def test_an_upgrade_that_has_to_wait_too_long_says_for_whom(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.store.database.UPGRADE_PATIENCE", 0.0)
    db.write(lambda conn: conn.execute(f"PRAGMA user_version = {schema.VERSION - 1}"))
    lock, other = Lock(db.file), Lock(db.file)
    with other.held(), pytest.raises(StoreError) as caught:
        Database(db.file, lock)
    assert (caught.value.message, caught.value.transient) == (f"{db.file} is locked by another process.", True)
    lock.close()
    other.close()


def test_one_in_a_folder_nothing_can_be_written_to_is_read_without_a_lock(db: Database) -> None:
    with closing(db._connect_immutable()) as conn, closing(sqlite3.connect(db.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert revision(conn) == revision(other)
        assert conn.execute("SELECT CAST(x'ff41' AS TEXT)").fetchone() == ("\ufffdA",)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            conn.execute("UPDATE meta SET value = 9")
        assert not conn.in_transaction


# Other programs' files


def their(path: Path, *, journal: str = "DELETE") -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute(f"PRAGMA journal_mode = {journal}")
        conn.execute("CREATE TABLE notes (id, words)")
        conn.execute("CREATE VIEW shown AS SELECT words FROM notes")
        conn.executemany("INSERT INTO notes VALUES (?, ?)", [(1, "one"), (2, b"\xffA".decode("latin-1"))])
        conn.execute("UPDATE notes SET words = CAST(x'ff41' AS TEXT) WHERE id = 2")
    return path


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_their_file_is_read_and_nothing_is_left_beside_it(tmp_path: Path, journal: str) -> None:
    file = their(tmp_path / "their notes?.db", journal=journal)
    before = file.read_bytes()
    with closing(ForeignDatabase(file, "Their file")) as db:
        assert db.columns("notes") == {"id", "words"}
        assert db.columns("shown") == db.columns("nowhere") == set()
        assert list(db.rows("SELECT words FROM notes WHERE id >= ? ORDER BY id", 1)) == [("one",), ("\ufffdA",)]
        with pytest.raises(FileRefused) as caught:
            list(db.rows("DELETE FROM notes"))
        assert caught.value.message.startswith("Their file cannot be read: attempt to write a readonly database")
        assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == before


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_file_that_is_not_in_one_place_is_refused(tmp_path: Path, suffix: str) -> None:
    file = their(tmp_path / "notes.db")
    beside = file.with_name(file.name + suffix)
    beside.touch()
    ForeignDatabase(file, "Their file").close()
    beside.write_bytes(b"x")
    with pytest.raises(FileRefused) as caught:
        ForeignDatabase(file, "Their file")
    assert caught.value.message == f"Their file has a {suffix} file beside it: not all of it is in one place."
    assert caught.value.hint == "close the program it belongs to, or open and leave it once"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FROM nowhere", "Their file cannot be read: no such table: nowhere."),
        ("SELECT zeroblob(64 * 1024 * 1024 + 1)", "Their file has a value longer than 64 MiB."),
    ],
)
def test_what_cannot_be_read_of_it_is_told(tmp_path: Path, query: str, words: str) -> None:
    with closing(ForeignDatabase(their(tmp_path / "notes.db"), "Their file")) as db:
        with pytest.raises(FileRefused) as caught:
            list(db.rows(query))
        assert caught.value.message == words
        assert next(db.rows("SELECT length(zeroblob(64 * 1024 * 1024))")) == (64 * 1024 * 1024,)


def test_a_damaged_one_and_one_in_use_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_bytes(b"no database at all " * 100)
    with closing(ForeignDatabase(file, "Their file")) as db, pytest.raises(FileRefused) as caught:
        list(db.rows("SELECT 1 FROM sqlite_master"))
    assert (caught.value.message, caught.value.hint) == ("Their file is damaged.", "")
    held = their(tmp_path / "held.db")
    with (
        closing(sqlite3.connect(held, isolation_level=None)) as conn,
        closing(ForeignDatabase(held, "Their file")) as db,
    ):
        conn.execute("BEGIN EXCLUSIVE")
        db._conn.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(FileRefused) as caught:
            list(db.rows("SELECT 1 FROM notes"))
    assert caught.value.message == "Their file is being written to by another program."
    assert caught.value.hint == "try again in a moment"
