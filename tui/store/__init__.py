"""The history: sessions, turns and conversations on disk, behind an asynchronous face.

One thread owns the connection. Trouble with the disk never stops an answer: what cannot be written is kept in memory,
`health` says so, and it is written when that becomes possible.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

from tui.clock import SYSTEM, Clock
from tui.errors import LabelTaken, StoreError
from tui.model import Mapping, Session, Turn
from tui.store import sessions as session_sql
from tui.store import turns as turn_sql
from tui.store.database import Damaged, Database, Locked, set_aside
from tui.store.lease import Lease
from tui.store.overlay import Overlay

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds a write waits for another process before it is kept in memory instead."""

BEGIN_PATIENCE = 2.0
"""The same for a turn's beginning, which an answer is waiting for."""

HEAL_EVERY = 10.0
"""Seconds between two attempts to write what is only in memory."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the history fares: `message` is empty while all is well, `unsaved` is what is only in memory."""

    message: str = ""
    unsaved: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since a revision, by anyone."""

    revision: int
    sessions: tuple[Session, ...] = ()
    turns: tuple[Turn, ...] = ()


class Store:
    """The history in `file`. Nothing is touched before `open`; `on_health` is told whenever its health changes."""

    def __init__(self, file: Path, *, clock: Clock = SYSTEM, on_health: Callable[[Health], None] | None = None) -> None:
        self.file = file
        self.recovered = 0
        self.notices: list[str] = []
        self._clock = clock
        self.on_health = on_health
        self._thread: ThreadPoolExecutor | None = None
        self._db: Database | None = None
        self._lease: Lease | None = None
        self._message = ""
        self._overlay = Overlay()
        self._writing = asyncio.Lock()
        self._healing: asyncio.Task[None] | None = None
        self._seen: tuple[int, int, int] | None = None

    # Life

    async def open(self) -> None:
        """Open the file, or begin without one. `recovered` then tells how many answers a crash cut short."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="palaver-store")
        try:
            await self._call(self._open)
        except StoreError as error:
            self._say(f"History is off: {error}")

    async def close(self) -> None:
        """Write what is only in memory, if that is possible now, and close the file."""
        if self._thread is None:
            return
        if self._healing is not None:
            self._healing.cancel()
        if self._overlay:
            await self._heal()
        await self._call(self._close)
        self._thread.shutdown(wait=True)
        self._thread = None

    @property
    def health(self) -> Health:
        """How the history fares at this moment."""
        return Health(self._message, bool(self._overlay))

    @property
    def holder(self) -> str:
        """This process, as turns it runs are marked."""
        return self._lease.holder if self._lease else ""

    # Sessions

    async def sessions(self, *, deleted: bool = False) -> list[Session]:
        """All sessions, the one used last first."""
        saved: list[Session] = await self._read(session_sql.list_sessions, [], deleted)
        merged = saved if deleted else self._overlay.merged_sessions(saved)
        return [session for session in merged if (session.deleted_at is not None) is deleted]

    async def session(self, session_id: str) -> Session | None:
        saved = await self._read(session_sql.get_session, None, session_id)
        return self._overlay.merged_session(session_id, saved)

    async def find(self, label: str, *, deleted: bool = False) -> Session | None:
        """The session of that label."""
        for session in self._overlay.merged_sessions([]):
            if session.label == label and (session.deleted_at is not None) is deleted:
                return session
        saved = await self._read(session_sql.find_session, None, label, deleted)
        return self._overlay.merged_session(saved.id, saved) if saved else None

    async def remember(self, session_id: str) -> None:
        """Note that this session is the one before the user's eyes."""
        try:
            await self._write(session_sql.remember, session_id)
        except StoreError as error:
            log.debug("the session shown is not noted: %s", error)

    async def last(self) -> Session | None:
        """The session looked at last."""
        for session in self._overlay.merged_sessions([]):
            return session
        saved = await self._read(session_sql.last_session, None)
        return self._overlay.merged_session(saved.id, saved) if saved else None

    async def create(self, session: Session) -> Session:
        """Keep a new session.

        Raises:
            LabelTaken: Another session has its label.
        """
        if self._overlay and await self.find(session.label):
            raise LabelTaken(session.label)
        try:
            return await self._write(session_sql.put_session, session)
        except LabelTaken:
            raise
        except StoreError as error:
            self._overlay.add_session(session)
            self._not_saved(error)
            return session

    async def update(self, session_id: str, *, touch: bool = False, **changes: Any) -> Session | None:
        """Change fields of a session. Gives it as it is now, or None if there is no such session.

        Raises:
            LabelTaken: Another session has the new label.
        """
        if session_id not in self._overlay.sessions:
            try:
                saved = await self._write(session_sql.update_session, session_id, changes, touch)
            except LabelTaken:
                raise
            except StoreError as error:
                self._not_saved(error)
            else:
                return self._overlay.merged_session(session_id, saved)
        if "label" in changes and (other := await self.find(changes["label"])) and other.id != session_id:
            raise LabelTaken(changes["label"])
        self._overlay.add_changes(session_id, changes)
        return await self.session(session_id)

    # Turns

    async def begin(self, turn: Turn, session: Session, title: str = "") -> Turn:
        """Make a turn durable before anything is sent. Gives it with its place in the session.

        A session that is not there is made; one without a title gets `title`.

        Raises:
            SessionBusy: Another window is answering in this session.
        """
        session = replace(session, turns=0)
        try:
            return await self._write(
                turn_sql.begin_turn, turn, session, title, self.holder, self._is_alive, patience=BEGIN_PATIENCE
            )
        except StoreError as error:
            trouble = error
        turn = replace(turn, depth=await self.count(session.id))
        self._overlay.add_turn(turn)
        if await self.session(session.id) is None:
            self._overlay.add_session(session)
        self._not_saved(trouble)
        return turn

    async def save(self, turn: Turn, since: Turn | None, session: Session, mapping: Mapping | None = None) -> bool:
        """Bring a turn, last saved as `since`, to disk; with the conversation it moved, in one go. False if it cannot be.

        Never raises: what cannot be written is kept.
        """
        if turn.id in self._overlay.turns:
            since = None
        try:
            await self._write(_save, turn, since, replace(session, turns=0), mapping, self.holder)
        except StoreError as error:
            self._overlay.add_turn(turn)
            if mapping is not None:
                self._overlay.add_mapping(mapping)
            self._not_saved(error)
            return False
        if self._overlay.turns.pop(turn.id, None) and not self._overlay:
            self._say("")
        return True

    async def count(self, session_id: str) -> int:
        """How many turns a session has."""
        return max(await self._read(turn_sql.count_turns, 0, session_id), self._overlay.turns_in(session_id))

    async def turns(self, session_id: str, start: int = 0, stop: int | None = None) -> list[Turn]:
        """A session's turns from depth `start` up to, not including, `stop`."""
        saved: list[Turn] = await self._read(turn_sql.get_turns, [], session_id, start, stop)
        return self._overlay.merged_turns(session_id, start, stop, saved)

    async def turn(self, turn_id: str) -> Turn | None:
        """One turn, with its attempts."""
        return self._overlay.turns.get(turn_id) or await self._read(turn_sql.get_turn, None, turn_id)

    async def prompts(self, session_id: str) -> list[str]:
        """What the user said in a session, oldest first."""
        return await self._read(turn_sql.get_prompts, [], session_id)

    # Conversations

    async def mapping(self, session_id: str, origin: str, protocol: str, principal: str) -> Mapping | None:
        """The conversation a server keeps for a session."""
        kept = self._overlay.mappings.get((session_id, origin, protocol, principal))
        return kept or await self._read(session_sql.get_mapping, None, session_id, origin, protocol, principal)

    async def mappings(self) -> list[tuple[str, Mapping]]:
        """All conversations, with the label of their session."""
        return await self._read(session_sql.list_mappings, [])

    # Other windows

    async def poll(self, since: int | None) -> Changes | None:
        """What changed after revision `since`; None where nothing did. Costs one `stat` while nothing happens."""
        try:
            info = self.file.stat()
        except OSError:
            return None
        seen = (info.st_ino, info.st_size, info.st_mtime_ns)
        if seen == self._seen and since is not None:
            return None
        changes = await self._read(_changes, None, since)
        if changes is not None:
            self._seen = seen
        return changes if changes is None or since is None or changes.revision > since else None

    async def require(self) -> None:
        """For commands about the history itself.

        Raises:
            StoreError: There is none to be had.
        """
        if self._db is None:
            raise StoreError(self.health.message or "History is off.")

    # Within

    def _open(self) -> None:
        try:
            self._db = Database(self.file)
        except Damaged:
            self._db = self._start_over()
        if self._lease is None:
            self._lease = Lease(self.file.with_name(f"{self.file.name}.live"))
        db = self._db
        if db.read_only:
            self._message = f"History is not saved: {db.read_only}."
        elif db.read(turn_sql.has_running):
            try:
                self.recovered += db.write(turn_sql.recover, self._is_alive)
            except (Locked, StoreError):
                log.debug("turns cut short are marked later", exc_info=True)

    def _start_over(self) -> Database:
        """A new file in place of a damaged one, with everything in it that could still be read."""
        from tui.store.salvage import salvage

        aside = set_aside(self.file)
        db = Database(self.file)
        try:
            count = db.write(lambda conn: salvage(aside, conn))
        except (Locked, StoreError):
            count = 0
        self.notices.append(f"The history was damaged. It is kept as {aside}; {count:,} turns could be read from it.")
        return db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lease is not None:
            self._lease.release()

    def _is_alive(self, holder: str) -> bool:
        return self._lease is not None and self._lease.is_alive(holder)

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        """Run in the store's thread, to its end even if the caller is cancelled."""
        assert self._thread is not None, "the store is not open"
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, function, *args))

    async def _read(self, function: Callable[..., T], default: T, *args: object) -> T:
        if self._db is None:
            return default
        try:
            return await self._call(self._read_now, function, *args)
        except StoreError as error:
            if not self._message:
                self._say(f"History cannot be read: {error}")
            return default

    def _read_now(self, function: Callable[..., T], *args: object) -> T:
        if self._db is None:
            raise StoreError("it is not open")
        return self._db.read(function, *args)

    async def _write(self, function: Callable[..., T], *args: object, patience: float = PATIENCE) -> T:
        """Write in the order of the calls, waiting for other processes in a way that lets reads go on."""
        deadline = asyncio.get_running_loop().time() + patience
        try:
            async with asyncio.timeout_at(deadline) as waiting, self._writing:
                while True:
                    waiting.reschedule(None)
                    try:
                        return await self._call(self._write_now, function, *args)
                    except Locked:
                        waiting.reschedule(deadline)
                        await asyncio.sleep(0.01)
        except TimeoutError:
            raise StoreError("The history is locked by another process.", transient=True) from None

    def _write_now(self, function: Callable[..., T], *args: object) -> T:
        if self._db is None:
            self._open()
        assert self._db is not None
        try:
            return self._db.write(function, *args)
        except Damaged:
            self._db.close()
            self._db = self._start_over()
            raise StoreError("The history was damaged and has been replaced.", transient=True) from None
        except StoreError as error:
            if error.transient:
                # After a failed write or sync, what the connection believes may not be what is on disk.
                self._db.close()
                self._db = None
            raise

    def _not_saved(self, error: StoreError) -> None:
        log.warning("not saved: %s", error)
        known = error.message.startswith("History is not saved")
        self._say(error.message if known else f"History is not saved: {error}")

    def _say(self, message: str) -> None:
        self._message = message
        if self.on_health is not None:
            self.on_health(self.health)
        if message and (self._healing is None or self._healing.done()):
            self._healing = asyncio.get_running_loop().create_task(self._heal_in_time())

    async def _heal_in_time(self) -> None:
        while self._message:
            await asyncio.sleep(HEAL_EVERY)
            await self._heal()

    async def _heal(self) -> None:
        """Try to write everything that is only in memory, oldest first."""
        overlay = self._overlay
        try:
            for session in list(overlay.sessions.values()):
                await self._write(session_sql.ensure_session, session)
                overlay.sessions.pop(session.id, None)
            for turn in list(overlay.turns.values()):
                session_or_none = await self.session(turn.session_id)
                if session_or_none is not None:
                    await self._write(turn_sql.put_turn, turn, None, replace(session_or_none, turns=0), self.holder)
                if overlay.turns.get(turn.id) is turn:
                    del overlay.turns[turn.id]
            for key, mapping in list(overlay.mappings.items()):
                await self._write(session_sql.put_mapping, mapping)
                overlay.mappings.pop(key, None)
            for session_id, changes in list(overlay.changes.items()):
                await self._write(session_sql.update_session, session_id, changes)
                overlay.changes.pop(session_id, None)
            if self._db is None:
                await self._call(self._open)
        except StoreError as error:
            log.debug("still not saved: %s", error)
            return
        if not overlay and self._db is not None and not self._db.read_only:
            self._say("")


def _save(
    conn: Connection, turn: Turn, since: Turn | None, session: Session, mapping: Mapping | None, holder: str
) -> None:
    turn_sql.put_turn(conn, turn, since, session, holder)
    if mapping is not None:
        session_sql.put_mapping(conn, mapping)


def _changes(conn: Connection, since: int | None) -> Changes:
    now = session_sql.revision(conn)
    if since is None or now <= since:
        return Changes(now)
    return Changes(now, tuple(session_sql.changed_sessions(conn, since)), tuple(turn_sql.changed_turns(conn, since)))
