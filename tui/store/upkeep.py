"""Care of the history's file as a whole: looked over, copied, repaired."""

from __future__ import annotations

import functools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tui.errors import StoreError
from tui.store import place, schema
from tui.store.check import Findings, examine
from tui.store.database import BUSY_TIMEOUT, Database, explain
from tui.store.files import Damaged, refuse_others, set_aside, set_stale_log_aside, stale_log_notice, stamp
from tui.store.lock import Lock, Locked
from tui.store.salvage import salvage
from tui.unfinished import unfinished
from tui.values import dataclass

PATIENCE = 30.0
"""Seconds to wait for windows that are writing."""

_SIDECARS = ("-journal", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the history: where it is, its size in bytes, and how much is in it."""

    file: Path
    size: int
    sessions: int
    turns: int


@dataclass(frozen=True, slots=True)
class Repaired:
    """A history begun again: what was `wrong` with it, where the damaged file is kept, and how much came over."""

    wrong: tuple[str, ...]
    kept_as: Path
    sessions: int
    turns: int


def check(file: Path) -> Findings:
    """Look at all of the history, while windows wait with what they have to write.

    Raises:
        StoreError: There is none, or it cannot be had.
    """
    with _locked(file):
        findings = _examined(file)
    return replace(findings, remarks=(*findings.remarks, *place.remarks(file)))


def back_up(file: Path, to: Path | None = None) -> Copy:
    """Have SQLite copy the history to a new file only its owner can read, which has its name once it is known to be whole.

    Without `to` it lies beside the history; where `to` is a folder, in that.

    Raises:
        StoreError: There is no history, or a file of that name, or it cannot be copied.
    """
    name = f"{file.name}.backup-{stamp()}"
    to = file.with_name(name) if to is None else to / name if to.is_dir() else to
    for beside in _files_of(to):
        if os.path.lexists(beside):
            # A journal or a log that lies beside a copy would be read with it.
            raise StoreError(f"{beside} is there already.", hint="it was left as it is; use another name")
    part = to.with_name(f"{to.name}.part-{stamp()}")
    with _locked(file), unfinished(*_files_of(part)):
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreError(f"{to} cannot be made: {error.strerror}.") from None
        try:
            made = _copied(file, part, to)
        finally:
            _remove(part)
    return replace(made, file=to)


def repair(file: Path) -> Repaired | None:
    """Bring everything that can be read of a damaged history into a new one, and keep the old one under another name.

    Nothing is changed unless the new file is in order; None where nothing is wrong.

    Raises:
        StoreError: There is no history, or it cannot be repaired.
    """
    with _locked(file) as lock:
        findings = _examined(file)
        if not findings.wrong:
            return None
        if findings.version > schema.VERSION:
            raise StoreError(f"{file} was made by a newer version of Palaver.", hint="repair it with that one")
        at = file.resolve()
        new = at.with_name(f"{at.name}.repaired-{stamp()}")
        try:
            with unfinished(*_files_of(new)):
                made = _salvaged(at, new, lock)
            aside = _change_places(at, new)
        finally:
            _remove(new)
    return Repaired(findings.wrong, aside, made.sessions, made.turns)


@contextmanager
def _locked(file: Path) -> Iterator[Lock]:
    """With Palaver's lock on the history, which is there."""
    refuse_others(file)
    try:
        if not file.is_file():
            raise StoreError(f"There is no history at {file}.")
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}.") from None
    lock = Lock(file)
    try:
        with lock.held(PATIENCE):
            yield lock
    except Locked:
        raise StoreError(f"{file} is locked by another process.", transient=True) from None
    finally:
        lock.close()


def _examined(file: Path) -> Findings:
    aside = set_stale_log_aside(file)
    try:
        with _reading(file, may_write=True) as (conn, can_write):
            findings = examine(conn, can_write=can_write)
    except Damaged as error:
        findings = Findings(wrong=(error.message,))
    if aside is not None:
        findings = replace(findings, remarks=(*findings.remarks, stale_log_notice(aside)))
    return findings


@contextmanager
def _reading(file: Path, *, may_write: bool = False) -> Iterator[tuple[sqlite3.Connection, bool]]:
    """The file as it is at one moment, neither made nor upgraded, and whether the transaction is one that can write.

    Nothing of it is kept.
    """
    try:
        with closing(_connect(file)) as conn:
            # A file it may not write SQLite opens for reading, without a word, and does not begin to write in it either.
            can_write = may_write and os.access(file, os.W_OK) and not _is_read_only(conn)
            conn.execute("BEGIN IMMEDIATE" if can_write else "BEGIN")
            if _tables(conn) and "_sqlite_migrations" not in _tables(conn):
                raise StoreError(f"{file} is another program's database.", hint="move it away")
            yield conn, can_write
            conn.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise explain(error, file) from None


def _connect(file: Path) -> sqlite3.Connection:
    """A connection that makes no file; without a lock where nothing may be written."""
    uri = file.absolute().as_uri()
    conn = sqlite3.connect(f"{uri}?mode=rw", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        conn.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError as error:
        conn.close()
        if not error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            raise
        conn = sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    except BaseException:
        conn.close()
        raise
    conn.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
    return conn


def _is_read_only(conn: sqlite3.Connection) -> bool:
    try:
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_READONLY"):
            return True
        raise
    conn.execute("ROLLBACK")
    return False


def _tables(conn: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in conn.execute("SELECT name FROM sqlite_master")}


def _contents(conn: sqlite3.Connection) -> tuple[int, ...]:
    """Numbers that a copy has to have as well: its schema's, its newest change's, those of its sessions and turns."""
    version = schema.version_of(conn)
    if not version:
        return 0, 0, 0, 0
    query = (
        "SELECT value, (SELECT count(*) FROM sessions), (SELECT count(*) FROM turns) FROM meta WHERE key = 'revision'"
    )
    return version, *map(int, conn.execute(query).fetchone() or (0, 0, 0))


def _copied(file: Path, part: Path, to: Path) -> Copy:
    """A copy that is made as `part` and gets its name when it is known to be whole."""
    with _reading(file) as (conn, _):
        wanted = _contents(conn)
        try:
            _copy(conn, part)
        except sqlite3.Error as error:
            raise explain(error, to) from None
    made = _verified(part, wanted)
    _name(part, to)
    return made


def _remove(made: Path) -> None:
    """Take away a file of ours that is of no use, or has another name now."""
    for one in _files_of(made):
        one.unlink(missing_ok=True)


def _files_of(database: Path) -> list[Path]:
    """A database's file, and what SQLite may make beside it."""
    return [database.with_name(database.name + suffix) for suffix in ("", *_SIDECARS)]


def _copy(conn: sqlite3.Connection, to: Path) -> None:
    with closing(sqlite3.connect(to, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = FULL")
        conn.backup(copy)
        # In one file, whatever the original was written with.
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()


def _verified(copy: Path, wanted: tuple[int, ...]) -> Copy:
    """The copy, once it is known to be whole."""
    with _reading(copy) as (conn, _):
        said = [row[0] for row in conn.execute("PRAGMA integrity_check(1)")]
        found = _contents(conn)
    if said != ["ok"]:
        raise StoreError("The history is damaged, and so is a copy of it.", hint="see `palaver history repair`")
    if found != wanted:
        raise StoreError("The copy does not hold what the history holds; it was not kept.")
    return Copy(copy, copy.stat().st_size, *found[2:])


def _name(part: Path, to: Path) -> None:
    """Give a finished file its name, which no other file may have."""
    try:
        _sync(part)
        try:
            os.link(part, to)
        except FileExistsError:
            raise
        except OSError:
            # A file system without links: what is there is looked for at the last moment.
            if os.path.lexists(to):
                raise FileExistsError from None
            part.rename(to)
        _sync(to.parent)
    except FileExistsError:
        raise StoreError(f"{to} is there already.", hint="it was left as it is; use another name") from None
    except OSError as error:
        raise StoreError(f"{to} cannot be made: {error.strerror}.") from None


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _salvaged(damaged: Path, new: Path, lock: Lock) -> Findings:
    """A new history with everything that can be read of the damaged one."""
    db = Database(new, lock)
    try:
        db.write(lambda conn: salvage(damaged, conn))
    except Locked:
        raise StoreError(f"{new} is locked by another process.", transient=True) from None
    finally:
        db.close()
    made = _examined(new)
    if made.wrong:
        raise StoreError(f"What could be read is not in order ({made.wrong[0]}).", hint="nothing was changed")
    return made


def _change_places(file: Path, new: Path) -> Path:
    """Put `new` in the place of `file`, which is there under one name or the other at every moment. Gives its new name."""
    aside = file.with_name(f"{file.name}.damaged-{stamp()}")
    try:
        try:
            os.link(file, aside)
        except OSError:
            aside = set_aside(file)
        else:
            for suffix in _SIDECARS:
                with suppress(FileNotFoundError):
                    file.with_name(file.name + suffix).rename(aside.with_name(aside.name + suffix))
        new.rename(file)
        _sync(file.parent)
    except OSError as error:
        raise StoreError(f"{file} cannot be replaced: {error.strerror}.") from None
    return aside
