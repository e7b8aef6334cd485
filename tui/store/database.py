"""One connection to the history, and the only way to write through it: locked, immediate, all or nothing.

A rollback journal (TRUNCATE) with full synchronisation, because two writers in WAL mode can corrupt a database in
SQLite 3.7.0 to 3.51.2; a lock of our own around every write, because SQLite's busy handler lets a writer starve (19 s
measured against 0.6 s). The live file is never opened by anyone but SQLite: closing another descriptor of it would drop
SQLite's locks.
"""

from __future__ import annotations

import fcntl
import functools
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from tui.errors import StoreError
from tui.paths import make_private_dir
from tui.store import schema

T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds a read waits for another program that is writing."""

WRITE_TIMEOUT = 0.25
"""Seconds one attempt to write waits for another program, before others get their turn in this thread."""

UPGRADE_PATIENCE = 30.0
"""Seconds to wait for another window that is making or upgrading the file."""

SMALLEST = 512
"""The smallest database, in bytes: one page."""

SPIN = 0.03
"""Seconds one attempt to get our own lock may take before others get their turn in this thread."""


class Locked(Exception):
    """Another process is writing at this moment."""


class Damaged(StoreError):
    """The file is not a database, or a broken one."""


class Replaced(StoreError):
    """The file on disk is not the one that was opened any more."""


class Lock:
    """Palaver's own lock on a history, which all its windows share. The thread that holds it may take it again."""

    def __init__(self, file: Path) -> None:
        self._file = file.with_name(f"{file.name}.lock")
        self._fd = -1
        self._depth = 0

    def open(self) -> None:
        """Make the lock's file, if it is not there.

        Raises:
            OSError: It cannot be made.
        """
        if self._fd < 0 or not self._is_current():
            self.close()
            self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @contextmanager
    def held(self, patience: float = SPIN) -> Iterator[None]:
        """With the lock.

        Raises:
            Locked: Another process kept it for longer than `patience`.
        """
        if not self._depth:
            self._take(time.monotonic() + patience)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth and self._fd >= 0:
                with suppress(OSError):
                    fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _take(self, deadline: float) -> None:
        while True:
            try:
                self.open()
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Locked from None
                time.sleep(0.001)
            except OSError:
                # No such file can be had, or no such lock on it: SQLite's own, which every write takes as well, has to do.
                return
            else:
                if self._is_current():
                    return

    def _is_current(self) -> bool:
        """Whether others would find the same file: one that was deleted locks no one out."""
        return identity(self._file) in (None, identity(self._fd))


class Database:
    """The history's file, open. Lives in the thread that made it.

    `read_only` says why nothing can be written, or is empty. `identity` tells the file from others of its name.
    """

    def __init__(self, file: Path, lock: Lock) -> None:
        self.file = file
        self.read_only = ""
        self._lock = lock
        _prepare(file)
        try:
            lock.open()
        except OSError as error:
            self.read_only = f"{file.parent} cannot be written to: {error.strerror}"
        self.identity = identity(file)
        try:
            self.conn = self._connect()
        except sqlite3.Error as error:
            raise explain(error, file) from None
        try:
            self._upgrade()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.conn.close()

    def is_replaced(self) -> bool:
        """Whether there is another file in this one's place."""
        return identity(self.file) not in (None, self.identity)

    def read(self, function: Callable[..., T], *args: object) -> T:
        """Call `function` with the connection, for reading: all of it from one moment.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            self.conn.execute("BEGIN")
            try:
                return function(self.conn, *args)
            finally:
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise explain(error, self.file) from None

    def write(self, function: Callable[..., T], *args: object) -> T:
        """Call `function` with the connection in a transaction of its own.

        Raises:
            Locked: Another process is writing; nothing was done.
            Replaced: The file is not the one that was opened any more; nothing was done.
            StoreError: It cannot be written; nothing was changed.
        """
        if self.read_only:
            raise StoreError(f"History is not saved: {self.read_only}.")
        try:
            with self._lock.held():
                if identity(self.file) != self.identity:
                    raise Replaced("The history file was replaced while it was open.", transient=True)
                with waiting(self.conn, WRITE_TIMEOUT), transaction(self.conn):
                    return function(self.conn, *args)
        except sqlite3.Error as error:
            if _is_busy(error):
                raise Locked from None
            raise explain(error, self.file) from None

    def _connect(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self.file, timeout=BUSY_TIMEOUT, isolation_level=None)
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

    def _upgrade(self) -> None:
        try:
            if schema.version_of(self.conn) >= schema.VERSION:
                return
            if self.read_only:
                raise StoreError(f"{self.file} is read-only and has to be upgraded first.")
            with self._lock.held(UPGRADE_PATIENCE):
                version = schema.version_of(self.conn)
                if version >= schema.VERSION:
                    return
                if version:
                    self._back_up(version)
                with transaction(self.conn):
                    schema.migrate(self.conn)
        except Locked:
            raise StoreError(f"{self.file} is locked by another process.", transient=True) from None
        except sqlite3.Error as error:
            raise explain(error, self.file) from None

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
def waiting(conn: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Wait no longer than this for other programs."""
    conn.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    try:
        yield
    finally:
        conn.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")


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


def set_aside(file: Path) -> Path:
    """Move a damaged file, with everything that belongs to it, out of the way. Gives its new name.

    Raises:
        StoreError: It cannot be moved.
    """
    aside = file.with_name(f"{file.name}.damaged-{stamp()}")
    try:
        for suffix in ("-journal", "-wal", "-shm", ""):
            part = file.with_name(file.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StoreError(f"{file} is damaged and cannot be moved aside: {error.strerror}.") from None
    return aside


def stamp() -> str:
    """The present moment, for a file's name."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")


def explain(error: sqlite3.Error, file: Path) -> StoreError:
    """What went wrong with the history, in words."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Damaged(f"{file} is damaged.")
    if name.startswith("SQLITE_FULL"):
        return StoreError("The disk is full.", hint="what is not saved is kept in memory", transient=True)
    if name.startswith("SQLITE_READONLY"):
        return StoreError(f"{file} is read-only.", transient=True)
    if _is_busy(error):
        return StoreError("The history is locked by another program.", transient=True)
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreError(f"{file} cannot be opened.", transient=True)
    if name.startswith("SQLITE_IOERR"):
        return StoreError(f"{file} could not be read or written ({name}).", transient=True)
    return StoreError(f"{file}: {error}.")


def _prepare(file: Path) -> None:
    """Make the file and its folder, private from the start, or say why they cannot be had."""
    _refuse_others(file)
    try:
        make_private_dir(file.parent)
    except FileExistsError:
        raise StoreError(f"{file.parent} is not a folder.", hint="move it away") from None
    except OSError as error:
        raise StoreError(f"{error.filename or file.parent}: {error.strerror}.") from None
    try:
        info = file.stat()
    except FileNotFoundError:
        if file.is_symlink():
            raise StoreError(f"{file} is a link to a file that does not exist.") from None
        try:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise StoreError(f"{file} cannot be made: {error.strerror}.") from None
        return
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}.") from None
    if stat.S_ISDIR(info.st_mode):
        raise StoreError(f"{file} is a folder.", hint="move it away")
    if not stat.S_ISREG(info.st_mode):
        raise StoreError(f"{file} is not a file.", hint="move it away")
    if 0 < info.st_size < SMALLEST:
        # SQLite would take it for an empty database, and write over it.
        raise Damaged(f"{file} is damaged.")
    if info.st_mode & 0o077 and info.st_uid == os.getuid():
        with suppress(OSError):
            file.chmod(0o600)


def _refuse_others(file: Path) -> None:
    """Leave alone what is another user's: files made as root in someone's home are a nuisance for years."""
    if os.geteuid() == 0:
        nearest = next(folder for folder in file.absolute().parents if folder.exists())
        if nearest.stat().st_uid != 0:
            raise StoreError(f"{nearest} belongs to another user.", hint="run Palaver as that user")
    try:
        is_theirs = file.is_symlink() and {file.lstat().st_uid, file.stat().st_uid} != {os.geteuid()}
    except OSError:
        return
    if is_theirs:
        raise StoreError(f"{file} is a link to another user's file.", hint="move it away")


def _is_busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorname", "") or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def identity(file: Path | int) -> tuple[int, int] | None:
    """What tells a file, given by its path or its descriptor, from others of its name; None where there is none."""
    try:
        info = os.stat(file)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _has_tables(conn: sqlite3.Connection) -> bool:
    return bool(conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())


def _is_ours(conn: sqlite3.Connection) -> bool:
    if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone():
        return False
    return bool(conn.execute("SELECT 1 FROM _sqlite_migrations WHERE migration_set = 'palaver'").fetchone())
