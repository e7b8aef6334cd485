"""The disk under a test's history, to be filled, locked against writing, and watched."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tui.store import Store


class _Connection(sqlite3.Connection):
    disk: Disk

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        done = super().execute(statement, *values)
        if statement == self.disk.lied_about:
            self.disk.lied_about = ""
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return done


class Disk:
    """Stands between every connection of this process and its file. `on_statement` is called before each statement. The next
    statement that is `lied_about` is carried out, and reported as failed."""

    def __init__(self) -> None:
        self.lied_about = ""
        self.on_statement: Callable[[str], object] = lambda _statement: None
        self._state: tuple[str, ...] = ()

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        conn = _Connection(*args, **options)
        conn.disk = self
        self._apply(conn)
        conn.set_trace_callback(lambda statement: self.on_statement(statement))
        return conn

    async def fill(self, store: Store) -> None:
        """From now on no file grows."""
        await self._become(store, "PRAGMA max_page_count = 1")

    async def protect(self, store: Store) -> None:
        """From now on nothing is written."""
        await self._become(store, "PRAGMA query_only = ON")

    async def mend(self, store: Store) -> None:
        self._state = ("PRAGMA max_page_count = 1073741823", "PRAGMA query_only = OFF")
        await store.read(self._apply, None)
        self._state = ()

    @asynccontextmanager
    async def broken(self, store: Store) -> AsyncIterator[None]:
        """For a while nothing is written; reading goes on."""
        await self.protect(store)
        yield
        await self.mend(store)

    async def _become(self, store: Store, *state: str) -> None:
        self._state = state
        await store.read(self._apply, None)

    def _apply(self, conn: sqlite3.Connection) -> None:
        for statement in self._state:
            conn.execute(statement).fetchall()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(sqlite3, "connect", disk.connect)
    return disk
