"""One connection to the history, and the only way to write through it: locked, immediate, all or nothing.

A rollback journal (TRUNCATE) with full synchronisation, because two writers in WAL mode can corrupt a database in
SQLite 3.7.0 to 3.51.2; a lock of our own around every write, because SQLite's busy handler lets a writer starve (19 s
measured against 0.6 s). The live file is never opened by anyone but SQLite: closing another descriptor of it would drop
SQLite's locks.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tui.errors import StoreError
from tui.store import schema
from tui.store.files import Damaged, identity, prepare, set_stale_log_aside, stale_log_notice, stamp
from tui.store.lock import Lock, Locked

T = TypeVar("T")

# Two SQLite libraries in one process undo each other's locks; sqlite-utils would use this one where it is installed.
sys.modules.setdefault("pysqlite3", None)  # type: ignore[arg-type]

OLDEST = (3, 35)
"""The oldest SQLite that knows everything that is asked of it."""

BUSY_TIMEOUT = 5.0
"""Seconds a read waits for another program that is writing."""

WRITE_TIMEOUT = 0.25
"""Seconds one attempt waits for another program: before others get their turn in this thread, where it is one to write;
before it is looked whether there is still time to wait, where it is one to read."""

UPGRADE_PATIENCE = 30.0
"""Seconds to wait for another window that is making or upgrading the file."""


class Replaced(StoreError):
    """The file on disk, or its tables, are not those that were opened any more."""


class Database:
    """The history's file, open. Lives in the thread that made it.

    `read_only` says why nothing can be written, or is empty. `notice` tells what had to be done to open it. `identity`
    tells the file from others of its name. Another program is waited for with `patience`, in seconds, until it is open.
    `was_busy` is whether it was in vain to wait for another program.
    """

    def __init__(self, file: Path, lock: Lock, patience: float = BUSY_TIMEOUT) -> None:
        self.file = file
        self.read_only = ""
        self.notice = ""
        self.was_busy = False
        self._lock = lock
        self._waits = 0.0
        if sqlite3.sqlite_version_info[:2] < OLDEST:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: it has to be 3.{OLDEST[1]} or newer.")
        prepare(file)
        try:
            lock.open()
        except OSError as error:
            self.read_only = f"{file.parent} cannot be written to: {error.strerror}"
        self.identity = identity(file)
        aside = set_stale_log_aside(file)
        if aside is not None:
            self.notice = stale_log_notice(aside)
        try:
            self.conn = self._patiently(patience, lambda: self._connect(patience))
        except sqlite3.Error as error:
            raise explain(error, file) from None
        try:
            self._upgrade(patience)
            # Tables another process made just now are looked up here, waiting for it; SQLite says “no such table” instead
            # where it has to look them up while someone is writing.
            self._patiently(patience, lambda: _has_tables(self.conn))
        except sqlite3.Error as error:
            self.close()
            raise explain(error, file) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.conn.close()

    def is_replaced(self) -> bool:
        """Whether there is another file in this one's place."""
        return identity(self.file) not in (None, self.identity)

    @property
    def reading_patience(self) -> float:
        """Seconds the next read waits for another program."""
        return WRITE_TIMEOUT if self.was_busy else BUSY_TIMEOUT

    def read(self, function: Callable[..., T], *args: object) -> T:
        """Call `function` with the connection, for reading: all of it from one moment. Where waiting for another program
        was in vain it is waited for only a moment, until it can be read again.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            self._patiently(self.reading_patience, self._begin_reading)
            try:
                found = function(self.conn, *args)
            finally:
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.was_busy = is_busy(error)
            raise explain(error, self.file) from None
        self.was_busy = False
        return found

    def write(self, function: Callable[..., T], *args: object) -> T:
        """Call `function` with the connection in a transaction of its own.

        Raises:
            Locked: Another process is writing; nothing was done.
            Replaced: The file, or its tables, are not those that were opened any more; nothing was done.
            StoreError: It cannot be written; nothing was changed.
        """
        if self.read_only:
            raise StoreError(f"History is not saved: {self.read_only}.")
        try:
            with self._lock.held():
                if identity(self.file) != self.identity:
                    raise Replaced("The history file was replaced while it was open.", transient=True)
                self._wait_for_others()
                with transaction(self.conn):
                    if schema.version_of(self.conn) != schema.VERSION:
                        # A newer version has upgraded the file in its place, or an older copy was written over it.
                        raise Replaced("The history's tables were changed while it was open.", transient=True)
                    return function(self.conn, *args)
        except sqlite3.Error as error:
            if is_busy(error):
                raise Locked from None
            raise explain(error, self.file) from None

    def _patiently(self, seconds: float, attempt: Callable[[], T]) -> T:
        """What `attempt` gives, which is made again and again while another program is in its way."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return attempt()
            except sqlite3.Error as error:
                if not is_busy(error) or self._lock.is_late(deadline):
                    raise
                time.sleep(0.001)

    def _wait_for_others(self) -> None:
        """Have one attempt wait for another program as long as it may now."""
        waits = self._lock.patience(WRITE_TIMEOUT)
        if waits != self._waits:
            self._waits = waits
            self.conn.execute(f"PRAGMA busy_timeout = {int(waits * 1000)}")

    def _begin_reading(self) -> None:
        """Begin a transaction in which no other program is in the way any more."""
        self._wait_for_others()
        self.conn.execute("BEGIN")
        try:
            self.conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.Error:
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
            raise

    def _connect(self, patience: float) -> sqlite3.Connection:
        self._waits = self._lock.patience(min(WRITE_TIMEOUT, patience))
        conn = sqlite3.connect(self.file, timeout=self._waits, isolation_level=None)
        conn.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
        try:
            if _has_tables(conn) and not _is_ours(conn):
                raise StoreError(f"{self.file} is another program's database.", hint="move it away")
            if schema.version_of(conn) > schema.VERSION:
                self.read_only = "it was made by a newer version of Palaver"
                conn.execute("PRAGMA query_only = ON")
                return conn
            conn.execute("PRAGMA journal_mode = TRUNCATE")
            conn.execute("PRAGMA synchronous = FULL")
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA secure_delete = ON")
            if not os.access(self.file, os.W_OK):
                # SQLite opens it for reading then, without a word.
                self.read_only = f"{self.file} is read-only"
        except sqlite3.OperationalError as error:
            conn.close()
            if not error.sqlite_errorname.startswith("SQLITE_READONLY"):
                raise
            self.read_only = f"{self.file} is read-only"
            return self._connect_immutable()
        except BaseException:
            conn.close()
            raise
        return conn

    def _connect_immutable(self) -> sqlite3.Connection:
        """A connection that needs no lock and no journal, for a file in a folder nothing can be written to."""
        conn = sqlite3.connect(f"{self.file.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
        conn.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
        return conn

    def _upgrade(self, patience: float) -> None:
        try:
            if self._patiently(patience, lambda: schema.version_of(self.conn)) >= schema.VERSION:
                return
            if self.read_only:
                raise StoreError(f"{self.file} is read-only and has to be upgraded first.")
            with self._lock.held(UPGRADE_PATIENCE):
                version = self._patiently(patience, lambda: schema.version_of(self.conn))
                if version >= schema.VERSION:
                    return
                if version:
                    self._patiently(patience, lambda: self._back_up(version))
                self._patiently(patience, self._migrate)
        except Locked:
            raise StoreError(f"{self.file} is locked by another process.", transient=True) from None
        except sqlite3.Error as error:
            raise explain(error, self.file) from None

    def _migrate(self) -> None:
        with transaction(self.conn):
            schema.migrate(self.conn)

    def _back_up(self, version: int) -> None:
        """A copy of the file as it was, made by SQLite, before its tables change. It has its name once it is whole."""
        copy = self.file.with_name(f"{self.file.name}.backup-v{version}-{stamp()}")
        part = copy.with_name(f"{copy.name}.part")
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self.conn.execute("VACUUM INTO ?", (str(part),))
            part.rename(copy)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise StoreError(f"{copy} cannot be made: {error.strerror}.", transient=True) from None
            raise


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[None]:
    """A transaction that has the write lock from its first moment (a deferred one can fail halfway)."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def explain(error: sqlite3.Error, file: Path) -> StoreError:
    """What went wrong with the history, in words."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Damaged(f"{file} is damaged.")
    if name.startswith("SQLITE_FULL"):
        return StoreError("The disk is full.", hint="what is not saved is kept in memory", transient=True)
    if name.startswith("SQLITE_READONLY"):
        return StoreError(f"{file} is read-only.", transient=True)
    if is_busy(error):
        return StoreError("The history is locked by another program.", transient=True)
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreError(f"{file} cannot be opened.", transient=True)
    if name.startswith("SQLITE_IOERR"):
        return StoreError(f"{file} could not be read or written ({name}).", transient=True)
    return StoreError(f"{file}: {error}.")


def is_busy(error: sqlite3.Error) -> bool:
    """Whether it is only that another program is writing."""
    return (getattr(error, "sqlite_errorname", "") or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _has_tables(conn: sqlite3.Connection) -> bool:
    return bool(conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())


def _is_ours(conn: sqlite3.Connection) -> bool:
    if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone():
        return False
    return bool(conn.execute("SELECT 1 FROM _sqlite_migrations WHERE migration_set = 'palaver'").fetchone())
