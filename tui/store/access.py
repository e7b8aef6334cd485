"""The way to the history's file, which never stops an answer.

One thread owns the connection. Trouble with the disk never stops an answer: what cannot be written is kept in memory,
`health` says so, and it is written when that becomes possible.
"""

from __future__ import annotations

import asyncio
import logging
import math
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tui.clock import SYSTEM, Clock
from tui.errors import PalaverError, StoreError
from tui.model import HolderKind, Mapping, Session, Turn
from tui.store import sql
from tui.store.keeper import Keeper, NotOpen
from tui.store.lock import Locked
from tui.store.overlay import Address, Overlay
from tui.text import counted
from tui.values import dataclass

if TYPE_CHECKING:
    from sqlite3 import Connection

    from tui.store.sql.leases import Writer

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds a write waits for another process before it is kept in memory instead."""

BEGIN_PATIENCE = 2.0
"""The same for the beginning of a turn or a session, which an answer is waiting for."""

CLOSE_PATIENCE = 1.0
"""The same for all that is left to write once Palaver is about to end."""

SAID_AFTER = 1.0
"""Seconds of waiting for another process after which the user is told."""

WAITING = "History is not saved yet: another process is using it."
"""What the user is told then."""

LOCKED = "The history is locked by another process."
"""What is wrong where that was in vain."""

HEAL_EVERY = 10.0
"""Seconds between two attempts to write what is only in memory."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the history fares: `message` is empty while all is well, `unsaved` is whether anything is only in memory.

    `notices` say in words what has happened to the file since it was opened, in that order; `is_unreadable`, that what was
    read last could not be.
    """

    message: str = ""
    unsaved: bool = False
    notices: tuple[str, ...] = ()
    is_unreadable: bool = False


class Access:
    """Reads and writes of the history in `file`. Nothing is touched before `open`; `on_health` is told whenever its health
    changes.

    `kind` is what this process is. With `must_read` what cannot be read is an error, not as if there were none.
    `on_wanted` is told of a session and its running turn, where another process wants that session, or has taken it.
    `overlay` is what is only in memory; `written` are the running turns as they were written last, to the file that is there
    now; `known` are the conversations of it as they were read or written last. `kept_in` are the sessions of the file, by
    the ids of those that were made while it could not be read, and became them.
    """

    def __init__(
        self,
        file: Path,
        *,
        kind: HolderKind = HolderKind.WINDOW,
        clock: Clock = SYSTEM,
        on_health: Callable[[Health], None] | None = None,
        must_read: bool = False,
    ) -> None:
        self.file = file
        self.on_health = on_health
        self.on_wanted: Callable[[str, str], object] | None = None
        self.overlay = Overlay()
        self.written: dict[str, Turn] = {}
        self.known: dict[Address, Mapping | None] = {}
        self.kept_in: dict[str, Session] = {}
        self.kind = kind
        self._thread: ThreadPoolExecutor | None = None
        self._keeper = Keeper(file, self._forget_file, kind, clock)
        self._wanted: list[Turn] = []
        self._first_notices = 0
        self._is_closing = False
        self._last_moment = math.inf
        self._cannot_write = ""
        self._cannot_read = ""
        self.must_read = must_read
        self._is_waiting = False
        self._told = Health()
        self._writing = asyncio.Lock()
        # When each of the writes that are under way is to give up; and whether the last attempt found the file locked.
        self._deadlines: list[float] = []
        self._was_locked = False
        self._healing: asyncio.Task[None] | None = None

    # Life

    async def open(self) -> None:
        """Open the file, or begin without one. `recovered` then tells how many answers a crash cut short."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="palaver-store")
        try:
            await self._call(self._keeper.open)
        except StoreError as error:
            self._cannot_write = _sentence(f"History is off: {error}")
        else:
            if self._keeper.read_only:
                self._cannot_write = f"History is not saved: {self._keeper.read_only}."
        self._first_notices = len(self.notices)
        self._tell()

    def hasten(self) -> None:
        """From now on wait for other processes only for a moment more in all: Palaver is about to end."""
        self._last_moment = min(self._last_moment, asyncio.get_running_loop().time() + CLOSE_PATIENCE)
        self._keeper.hasten(CLOSE_PATIENCE)

    async def close(self) -> None:
        """Write what is only in memory, if that is possible now, and close the file."""
        if self._thread is None:
            return
        self._is_closing = True
        self.hasten()
        if self._healing is not None:
            self._healing.cancel()
        if self.overlay:
            with suppress(StoreError):
                await self.write(_nothing)
        await self._call(self._keeper.close)
        self._thread.shutdown(wait=True)
        self._thread = None

    @property
    def is_begun(self) -> bool:
        """Whether it was opened, with or without success, and not closed since."""
        return self._thread is not None

    @property
    def health(self) -> Health:
        """How the history fares at this moment."""
        new = tuple(self.notices[self._first_notices :])
        waiting = WAITING if self._is_waiting else ""
        message = self._cannot_write or waiting or self._cannot_read
        if lost := self.overlay.given_up:
            message += (
                f" Memory has no room for all of it: {counted(lost, 'turn')} {'is' if lost == 1 else 'are'} given up."
            )
        return Health(message, bool(self.overlay), new, bool(self._cannot_read))

    @property
    def is_readable(self) -> bool:
        """Whether there is a file, and what was read last could be."""
        return self._keeper.is_open and not self._cannot_read

    @property
    def holder(self) -> str:
        """This process, as turns it runs are marked."""
        return self._keeper.holder

    @property
    def recovered(self) -> int:
        """How many answers were found that a crash had cut short."""
        return self._keeper.recovered

    @property
    def notices(self) -> list[str]:
        """What has happened to the file, in words."""
        return self._keeper.notices

    async def require(self) -> None:
        """For commands about the history itself.

        Raises:
            StoreError: There is none to be had.
        """
        if not self._keeper.is_open:
            raise StoreError(self.health.message or "History is off.")

    # Reads, writes

    async def read(self, function: Callable[..., T], default: T, *args: object, must_read: bool = False) -> T:
        """Call `function` with the connection. Gives what it gives; `default` where there is no history, or where it cannot
        be read.

        Raises:
            StoreError: It cannot be read, and it `must`.
        """
        must_read = must_read or self.must_read
        if self._thread is None:
            return default
        try:
            found: T = await self._call(self._keeper.read, function, *args)
        except NotOpen:
            if must_read and self._keeper.was_open:
                raise
            return default
        except StoreError as error:
            self._cannot_read = f"History cannot be read: {error}"
            self._tell()
            if must_read:
                raise StoreError(self._cannot_read, transient=error.transient) from None
            return default
        self._cannot_read = ""
        self._tell()
        return found

    async def write(self, function: Callable[..., T], *args: object, is_awaited: bool = False) -> T:
        """Write, in the order of the calls and after what is still unsaved, in one go with it.

        While another process writes this waits in a way that lets reads go on; not so long again once that was in vain, and
        not so long where an answer `is_awaited`.

        Raises:
            StoreError: It cannot be written.
            PalaverError: What `function` raises.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        deadline = begun + (BEGIN_PATIENCE if is_awaited or self.overlay else PATIENCE)
        self._deadlines.append(deadline)
        try:
            async with self._writing:
                while True:
                    if self._was_locked and loop.time() >= deadline:
                        raise StoreError(LOCKED, transient=True)
                    unsaved, self._was_locked = self.overlay.copy(), False
                    try:
                        done: T = await self._call(
                            self._keeper.write, self._write_now, unsaved, function, args, then=self._forget(unsaved)
                        )
                        break
                    except Locked:
                        self._was_locked = True
                        self._is_waiting = loop.time() - begun > SAID_AFTER
                        self._tell()
                        # One that gave up later than those behind it would write its older value over their newer ones.
                        if loop.time() >= min(*self._deadlines, self._last_moment):
                            raise StoreError(LOCKED, transient=True) from None
                        await asyncio.sleep(0.01)
        except PalaverError:
            self._is_waiting = False
            self._tell()
            raise
        finally:
            self._deadlines.remove(deadline)
            self._is_waiting = False
        self._tell_wanted()
        if not self.overlay:
            self._cannot_write = ""
            self._tell_given_up()
        self._tell()
        return done

    def hurry(self) -> None:
        """Wait for another program only for a moment with the next read: to wait for it was in vain just now."""
        self._keeper.hurry()

    def writer(self) -> Writer:
        """This process at this moment, as those who write have to know it."""
        return self._keeper.writer()

    def not_saved(self, error: StoreError) -> None:
        """Note that something is only in the overlay now, and why."""
        log.warning("not saved: %s", error)
        known = error.message.startswith("History is not saved")
        self._cannot_write = error.message if known else _sentence(f"History is not saved: {error}")
        self._tell()

    # Within

    def _tell_given_up(self) -> None:
        if lost := self.overlay.given_up:
            self.overlay.given_up = 0
            are, them = ("is", "it") if lost == 1 else ("are", "them")
            room = f"memory had no room for {them} while it could not be written"
            self.notices.append(f"{counted(lost, 'turn')} {are} not in the history: {room}.")

    def _forget_file(self) -> None:
        """Another file is in the place of the one known so far."""
        self.written.clear()
        self.known.clear()

    async def _call(
        self, function: Callable[..., T], *args: object, then: Callable[[Future[Any]], object] | None = None
    ) -> T:
        """Run in the store's thread, to its end even if the caller is cancelled. What it refuses then is no one's concern;
        `then` is called in any case."""
        assert self._thread is not None, "the store is not open"
        running = asyncio.get_running_loop().run_in_executor(self._thread, _attempt, function, args)
        if then is not None:
            running.add_done_callback(then)
        done = await asyncio.shield(running)
        if isinstance(done, PalaverError | Locked):
            raise done
        return done

    def _forget(self, unsaved: Overlay) -> Callable[[Future[Any]], object]:
        """What takes in that `unsaved` is on disk, once it is, whether or not anyone waits for that."""

        def forget(running: Future[Any]) -> None:
            is_done = not running.cancelled() and running.exception() is None
            if is_done and not isinstance(running.result(), PalaverError | Locked):
                self.overlay.forget(unsaved)

        return forget

    def _write_now(self, conn: Connection, unsaved: Overlay, function: Callable[..., T], args: tuple[object, ...]) -> T:
        # Begun anew where the file was replaced meanwhile.
        self._wanted = unsaved.write(conn, self.writer(), self.kept_in)
        return function(conn, *args)

    def _tell_wanted(self) -> None:
        """Tell of the running turns that were written just now, and whose session another process wants or has."""
        wanted, self._wanted = self._wanted, []
        for turn in wanted:
            if self.on_wanted is not None:
                self.on_wanted(turn.session_id, turn.id)

    def _tell(self) -> None:
        """Say how the history fares, if that is new, and see to it that it gets better."""
        health = self.health
        if health != self._told:
            self._told = health
            if self.on_health is not None:
                self.on_health(health)
        if health.message and not self._is_closing and (self._healing is None or self._healing.done()):
            self._healing = asyncio.get_running_loop().create_task(self._heal_in_time())

    async def _heal_in_time(self) -> None:
        while self.health.message:
            await asyncio.sleep(HEAL_EVERY)
            await self._heal()

    async def _heal(self) -> None:
        """Try to write everything that is only in memory."""
        try:
            await self.write(_nothing)
        except StoreError as error:
            log.debug("still not saved: %s", error)
        await self.read(sql.sessions.revision, 0)


def _attempt(function: Callable[..., T], args: tuple[object, ...]) -> T | PalaverError | Locked:
    """What a function gives, or refuses. A future that fails with no one left to ask it counts as a mistake of ours."""
    try:
        return function(*args)
    except (PalaverError, Locked) as error:
        return error


def _nothing(_conn: Connection) -> None:
    """A transaction of its own for what is unsaved."""


def _sentence(text: str) -> str:
    """A text that more may be said after. Hints end without a full stop."""
    return text if text.endswith(".") else f"{text}."
