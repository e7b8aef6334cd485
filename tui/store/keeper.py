"""The history's file, kept open whatever happens to it: opened again after trouble, begun again where it is damaged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tui.clock import SYSTEM, Clock
from tui.errors import StoreError
from tui.model import HolderKind
from tui.store import sql
from tui.store.files import Damaged, identity, set_aside
from tui.store.lease import Lease
from tui.store.lock import Lock, Locked
from tui.store.place import is_on_network, remarks
from tui.text import counted, one_line

if TYPE_CHECKING:
    from sqlite3 import Connection

    from tui.store.database import Database
    from tui.store.sql.leases import Writer

T = TypeVar("T")

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often one write is begun again because the file under it was replaced, by us or by others."""


class NotOpen(StoreError):
    """There is no file to read."""


class Keeper:
    """Holds the connection, in the store's thread.

    `recovered` counts the answers a crash cut short, `notices` say in words what has happened to the file. `on_renewed`
    is called when another file takes the place of the one known so far.
    """

    def __init__(
        self, file: Path, on_renewed: Callable[[], object], kind: HolderKind = HolderKind.WINDOW, clock: Clock = SYSTEM
    ) -> None:
        self.file = file
        self.recovered = 0
        self.notices: list[str] = []
        self._on_renewed = on_renewed
        self._kind = kind
        self._clock = clock
        self._began_at = clock.now()
        self._lock = Lock(file)
        self._lease: Lease | None = None
        self._db: Database | None = None
        self._to_recover = False
        self._is_second = False
        self._was_busy = False

    @property
    def holder(self) -> str:
        """This process, as turns it runs are marked."""
        return self._lease.holder if self._lease else ""

    @property
    def is_open(self) -> bool:
        return self._db is not None

    @property
    def was_open(self) -> bool:
        """Whether it has been open at any time."""
        return self._lease is not None

    @property
    def read_only(self) -> str:
        """Why nothing can be written, or nothing."""
        return self._db.read_only if self._db else ""

    def hurry(self) -> None:
        """Wait for another program only for a moment with the next read."""
        if self._db is not None:
            self._db.was_busy = True

    def hasten(self, seconds: float) -> None:
        """From now on wait for others for so long at most, all in all; also where they are waited for already. May be called
        from any thread."""
        self._lock.last_moment = min(self._lock.last_moment, time.monotonic() + seconds)

    def writer(self) -> Writer:
        """This process at this moment, as those who write have to know it."""
        now, uptime = self._clock.now(), self._clock.monotonic()
        return sql.leases.Writer(self.holder, self._kind, self.is_alive, self._began_at, now, uptime)

    def is_alive(self, holder: str) -> bool:
        return self._lease is not None and self._lease.is_alive(holder)

    def open(self) -> None:
        """Open the file, and mark the answers that a crash cut short (if others write just now: with the next write).

        Raises:
            StoreError: It cannot be had.
        """
        db = self._reopen()
        if db.read_only:
            return
        try:
            self._to_recover = db.read(sql.recovery.has_running)
        except Damaged:
            self._start_over(db.identity)
        place = "\n".join(remarks(self.file))
        is_new_place = False
        if place:
            with suppress(StoreError):
                is_new_place = self.read(_known_place) != place
        if is_new_place:
            self.notices += [f"Of the history: {line}." for line in place.split("\n")]
        if self._to_recover or is_new_place:
            with suppress(Locked, StoreError):
                self.write(_note_place, place)

    def close(self) -> None:
        self._drop()
        self._lock.close()
        if self._lease is not None:
            self._lease.release()

    def read(self, function: Callable[..., T], *args: object) -> T:
        """Call `function` with the connection, for reading.

        Raises:
            StoreError: It cannot be read.
        """
        db = self._db
        if db is None:
            raise NotOpen("The history is not open.")
        if db.is_replaced():
            db = self._reopen()
        try:
            return db.read(function, *args)
        except Damaged:
            if db.read_only:
                raise
            return self._start_over(db.identity).read(function, *args)

    def write(self, function: Callable[..., T], *args: object) -> T:
        """Call `function` with the connection in a transaction of its own.

        Raises:
            Locked: Another process is writing; nothing was done.
            StoreError: It cannot be written; nothing was changed.
        """
        from tui.store.database import Replaced

        for _ in range(ATTEMPTS):
            db = self._db if self._db is not None and not self._db.read_only else self._reopen()
            try:
                result: T
                result, found = db.write(self._with_recovery, function, args)
            except Replaced:
                self._reopen()
            except Damaged:
                self._start_over(db.identity)
            except StoreError as error:
                if error.transient:
                    # After a failed write or sync, what the connection believes may not be what is on disk.
                    with suppress(StoreError):
                        self._reopen()
                raise
            else:
                self._to_recover = False
                self.recovered += found
                return result
        raise StoreError(f"{self.file} is replaced or damaged again and again.", transient=True)

    def _with_recovery(self, conn: Connection, function: Callable[..., T], args: tuple[object, ...]) -> tuple[T, int]:
        found = sql.recovery.recover(conn, self.writer()) if self._to_recover else 0
        return function(conn, *args), found

    def _reopen(self) -> Database:
        """The file as it is now.

        Raises:
            StoreError: It cannot be opened.
        """
        from tui.store.database import BUSY_TIMEOUT, WRITE_TIMEOUT, Database

        before = identity(self.file)
        # Compared while the file known so far is still open: a new one may get the number of one that is gone.
        is_new = self._db is not None and self._db.identity != before
        self._drop()
        try:
            # Once is long enough to wait for another program: an answer may be waiting too.
            db = Database(self.file, self._lock, patience=WRITE_TIMEOUT if self._was_busy else BUSY_TIMEOUT)
        except Damaged:
            return self._start_over(before)
        except StoreError as error:
            self._was_busy = error.transient
            raise
        self._was_busy = False
        if is_new:
            self._on_renewed()
            self.notices.append(
                f"The history was moved or replaced while it was open; from now on the new one is used: {self.file}."
            )
        return self._keep(db)

    def _start_over(self, damaged: tuple[int, int] | None) -> Database:
        """A new file in place of the damaged one, with everything in that which can still be read."""
        from tui.store.database import Database
        from tui.store.salvage import salvage

        self._drop()
        try:
            with self._lock.held(patience=5.0):
                self._on_renewed()
                if identity(self.file) != damaged:
                    # Another window was quicker.
                    return self._keep(Database(self.file, self._lock))
                aside = set_aside(self.file)
                notice = f"The history was damaged. It is kept as {aside}."
                try:
                    db = self._keep(Database(self.file, self._lock))
                    count = db.write(lambda conn: salvage(aside, conn))
                    notice += f" {counted(count, 'turn')} could be read from it into {self.file}."
                finally:
                    # Whole at once: the loop looks at them meanwhile.
                    self.notices.append(notice)
                return db
        except Locked:
            raise StoreError("The history is damaged, and locked by another process.", transient=True) from None

    def _keep(self, db: Database) -> Database:
        self._db = db
        if db.notice:
            self.notices.append(db.notice)
        if self._lease is None or (self._is_second and not self._lease.is_held):
            self._lease = Lease(self.file.with_name(f"{self.file.name}.live"))
        self._yield_to_others(db, self._lease)
        return db

    def _yield_to_others(self, db: Database, lease: Lease) -> None:
        """Write nothing while another computer has the file open: SQLite is not safe on two, whatever the network's locks."""
        computer = lease.elder() if not db.read_only and is_on_network(self.file) else ""
        self._is_second = bool(computer)
        if computer:
            lease.release()
            db.read_only = f"it is open on {one_line(computer, 60)}"

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _known_place(conn: Connection) -> str:
    """What was said of the history's place before."""
    row = conn.execute("SELECT value FROM meta WHERE key = 'place'").fetchone()
    return str(row[0]) if row else ""


def _note_place(conn: Connection, place: str) -> None:
    if place:
        conn.execute("INSERT OR REPLACE INTO meta VALUES ('place', ?)", (place,))
