"""The history: sessions, turns and conversations on disk, behind an asynchronous face.

One thread owns the connection. Trouble with the disk never stops an answer: what cannot be written is kept in memory,
`health` says so, and it is written when that becomes possible.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

from tui.account import Event
from tui.clock import SYSTEM, Clock
from tui.drafts import sent
from tui.errors import LabelTaken, PalaverError, StoreError
from tui.found import Found, Places
from tui.matching import literal
from tui.model import (
    Branch,
    HolderKind,
    ItemState,
    Mapping,
    Queued,
    Session,
    SessionLease,
    TitleSource,
    Turn,
    Variants,
)
from tui.query import Query
from tui.resending import Said, said_in
from tui.store import agent_items as agent_sql
from tui.store import branches as branch_sql
from tui.store import leases as lease_sql
from tui.store import queues as queue_sql
from tui.store import sessions as session_sql
from tui.store import turns as turn_sql
from tui.store.accounts import get_account
from tui.store.imports import find_source, put_thread
from tui.store.keeper import Keeper, NotOpen
from tui.store.lock import Locked
from tui.store.overlay import Overlay
from tui.store.said import get_said
from tui.store.search import Find, Names, Search

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

HEAL_EVERY = 10.0
"""Seconds between two attempts to write what is only in memory."""

SETTLED = 50_000_000
"""Nanoseconds after which a file's time of change tells the next change from the last: file systems' clocks tick slowly."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the history fares: `message` is empty while all is well, `unsaved` is whether anything is only in memory.

    `notice` says what has happened to the file since it was opened, if anything did; `is_unreadable`, that what was read
    last could not be.
    """

    message: str = ""
    unsaved: bool = False
    notice: str = ""
    is_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since a revision, by anyone; with the queues of the sessions among that, and all leases there are."""

    revision: int
    sessions: tuple[Session, ...] = ()
    turns: tuple[Turn, ...] = ()
    queues: tuple[tuple[str, tuple[Queued, ...]], ...] = ()
    leases: tuple[SessionLease, ...] = ()


class Store:
    """The history in `file`. Nothing is touched before `open`; `on_health` is told whenever its health changes.

    `kind` is what this process is. `on_wanted` is told of a session and its running turn, where another process wants that
    session, or has taken it.
    """

    def __init__(
        self,
        file: Path,
        *,
        kind: HolderKind = HolderKind.WINDOW,
        clock: Clock = SYSTEM,
        on_health: Callable[[Health], None] | None = None,
    ) -> None:
        self.file = file
        self._clock = clock
        self.on_health = on_health
        self.on_wanted: Callable[[str, str], object] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._written: dict[str, Turn] = {}
        self._keeper = Keeper(file, self._written.clear, kind, clock)
        self._wanted: list[Turn] = []
        self._first_notices = 0
        self._is_closing = False
        self._last_moment = math.inf
        self._cannot_write = ""
        self._cannot_read = ""
        self._is_waiting = False
        self._told = Health()
        self._overlay = Overlay()
        self._writing = asyncio.Lock()
        self._healing: asyncio.Task[None] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._names = Names()

    # Life

    async def open(self) -> None:
        """Open the file, or begin without one. `recovered` then tells how many answers a crash cut short."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="palaver-store")
        try:
            await self._call(self._keeper.open)
        except StoreError as error:
            self._cannot_write = f"History is off: {error}"
        else:
            if self._keeper.read_only:
                self._cannot_write = f"History is not saved: {self._keeper.read_only}."
        self._first_notices = len(self.notices)
        self._tell()

    def hasten(self) -> None:
        """From now on wait for other processes only for a moment more in all: Palaver is about to end."""
        self._last_moment = min(self._last_moment, asyncio.get_running_loop().time() + CLOSE_PATIENCE)

    async def close(self) -> None:
        """Write what is only in memory, if that is possible now, and close the file."""
        if self._thread is None:
            return
        self._is_closing = True
        self.hasten()
        if self._healing is not None:
            self._healing.cancel()
        if self._overlay:
            with suppress(StoreError):
                await self._write(_nothing)
        await self._call(self._keeper.close)
        self._thread.shutdown(wait=True)
        self._thread = None

    @property
    def health(self) -> Health:
        """How the history fares at this moment."""
        new = self.notices[self._first_notices :]
        waiting = "History is not saved yet: another process is using it." if self._is_waiting else ""
        message = self._cannot_write or waiting or self._cannot_read
        return Health(message, bool(self._overlay), new[-1] if new else "", bool(self._cannot_read))

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

    # Sessions

    async def sessions(self, *, deleted: bool = False) -> list[Session]:
        """All sessions, the one used last first."""
        saved: list[Session] = await self._read(session_sql.list_sessions, [], deleted)
        if not self._overlay:
            return saved
        others: list[Session] = await self._read(session_sql.list_sessions, [], not deleted)
        merged = self._overlay.merged_sessions([*saved, *others])
        return [session for session in merged if (session.deleted_at is not None) is deleted]

    async def session(self, session_id: str) -> Session | None:
        saved = await self._read(session_sql.get_session, None, session_id)
        return self._overlay.merged_session(session_id, saved)

    async def find(self, label: str, *, deleted: bool = False) -> Session | None:
        """The session of that label."""
        if not self._overlay:
            return await self._read(session_sql.find_session, None, label, deleted)
        return next((one for one in await self.sessions(deleted=deleted) if one.label == label), None)

    async def remember(self, session_id: str) -> None:
        """Note that this session is the one before the user's eyes."""
        try:
            await self._write(session_sql.remember, session_id)
        except StoreError as error:
            log.debug("the session shown is not noted: %s", error)

    async def last(self) -> Session | None:
        """The session looked at last."""
        if not self._overlay:
            return await self._read(session_sql.last_session, None)
        return next((one for one in await self.sessions() if one.archived_at is None), None)

    async def create(self, session: Session) -> Session:
        """Keep a new session.

        Raises:
            LabelTaken: Another session has its label.
        """
        if self._overlay and await self.find(session.label):
            raise LabelTaken(session.label)
        try:
            return await self._write(session_sql.put_session, session, patience=BEGIN_PATIENCE)
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
        try:
            return await self._write(session_sql.update_session, session_id, changes, touch)
        except LabelTaken:
            raise
        except StoreError as error:
            trouble = error
        if "label" in changes and (other := await self.find(changes["label"])) and other.id != session_id:
            raise LabelTaken(changes["label"])
        self._overlay.add_changes(session_id, changes)
        self._not_saved(trouble)
        return await self.session(session_id)

    async def name(self, session_id: str, title: str) -> Session | None:
        """Give a session a title that was made for it, unless the user has given one. Gives it as it is then.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self._write(session_sql.name_session, session_id, title)

    async def fork(self, session: Session, of: str, turns: int) -> Session:
        """Keep a new session that goes on from the first `turns` turns of the session `of`.

        Raises:
            LabelTaken: Another session has its label.
            StoreError: It cannot be kept.
        """
        made = await self._write(session_sql.fork_session, session, of, turns)
        if made is None:
            raise StoreError("There is no such session any more.")
        return made

    async def take_in(
        self, session: Session, turns: Sequence[Turn], source: str, *, on_top: bool
    ) -> tuple[Session, bool]:
        """Keep a session that was held elsewhere, with all of its turns or not at all. Where its label is taken, it gets
        one like it. Gives it, or the one that came from that `source` before, and whether it is new.

        Raises:
            StoreError: It cannot be kept.
        """
        known = await self._read(find_source, None, source)
        if known is not None:
            return known, False
        return await self._write(put_thread, session, turns, source, on_top)

    # Turns

    async def reopen(self, turn_id: str) -> Turn | None:
        """Let a turn that was interrupted run on. Gives it as it was, or None where it cannot.

        Raises:
            SessionBusy: Another window is answering in its session.
            StoreError: It cannot be noted.
        """
        turn = await self._write(turn_sql.reopen_turn, turn_id, self._keeper.writer(), patience=BEGIN_PATIENCE)
        if turn is not None:
            self._written.pop(turn_id, None)
        return turn

    async def set_item_state(self, turn_id: str, key: str, state: ItemState) -> Turn | None:
        """Note how it went with an item of a turn that has ended. Gives the turn as it is now, where it is there.

        Raises:
            StoreError: It cannot be noted.
        """
        return await self._write(turn_sql.set_item_state, turn_id, key, state)

    async def begin(self, turn: Turn, session: Session, title: str = "", at: int | None = None) -> Turn:
        """Make a turn durable before anything is sent. Gives it with its place in the session.

        A session that is not there is made; one without a title gets `title`. With `at` the session goes on from its
        first `at` turns, and what came after them is kept on a branch of its own.

        Raises:
            SessionBusy: Another window is answering in this session.
            StoreError: With `at`: it cannot be kept.
        """
        session = replace(session, turns=0)
        try:
            turn = await self._write(
                turn_sql.begin_turn,
                turn,
                session,
                title,
                at,
                self._keeper.writer(),
                patience=BEGIN_PATIENCE,
            )
        except StoreError as error:
            if at is not None:
                raise
            trouble = error
        else:
            self._written[turn.id] = turn
            return turn
        turn = replace(turn, depth=await self.count(session.id))
        known = await self.session(session.id)
        if known is None:
            self._overlay.add_session(session)
            known = session
        changes: dict[str, Any] = {"draft": ""} if sent(known.draft) == turn.prompt else {}
        if known.title_source is TitleSource.NONE and title:
            changes |= {"title": title, "title_source": TitleSource.GENERATED}
        if changes:
            self._overlay.add_changes(session.id, changes)
        self._overlay.add_turn(turn, session)
        self._not_saved(trouble)
        return turn

    async def variants(self, session_id: str) -> dict[int, Variants]:
        """Where a session was gone on with in several ways: by the depths at which those on its present branch part."""
        return await self._read(branch_sql.get_variants, {}, session_id)

    async def branches(self, session_id: str) -> list[Branch]:
        """The ways a session was gone on, the one begun first first."""
        return await self._read(branch_sql.list_branches, [], session_id)

    async def choose(self, session_id: str, turn_id: str) -> Session:
        """Let a session go on with the branch that a turn lies on. Gives it as it is then.

        Raises:
            SessionBusy: Another window is answering in it.
            StoreError: It has no such turn, or that cannot be kept.
        """
        chosen = await self._write(
            turn_sql.choose_branch, session_id, turn_id, self._keeper.writer(), patience=BEGIN_PATIENCE
        )
        if chosen is None:
            raise StoreError("There is no such message any more.")
        return chosen

    async def save(
        self, turn: Turn, since: Turn | None, session: Session, mapping: Mapping | None = None, *, keeps: bool = False
    ) -> bool:
        """Bring a turn, last saved as `since`, to disk; with the conversation it moved, in one go. False if it cannot be.

        Its session is let go of with the end of the turn, unless this `keeps` it. Never raises: what cannot be written is
        kept.
        """
        session = replace(session, turns=0)
        try:
            await self._write(self._save_now, turn, since, session, mapping, keeps)
        except StoreError as error:
            self._written.pop(turn.id, None)
            self._overlay.add_turn(turn, session)
            if mapping is not None:
                self._overlay.add_mapping(mapping)
            self._not_saved(error)
            return False
        if not turn.status.is_final:
            self._written[turn.id] = turn
        return True

    async def count(self, session_id: str) -> int:
        """How many turns a session has."""
        return max(await self._read(turn_sql.count_turns, 0, session_id), self._overlay.turns_in(session_id))

    async def turns(self, session_id: str, start: int = 0, stop: int | None = None) -> list[Turn]:
        """A session's turns from depth `start` up to, not including, `stop`."""
        saved: list[Turn] = await self._read(turn_sql.get_turns, [], session_id, start, stop)
        return self._overlay.merged_turns(session_id, start, stop, saved)

    async def said(self, session_id: str, start: int, stop: int) -> Said:
        """How much a server may be told of a session's turns from depth `start` up to, not including, `stop`."""
        if self._overlay.turns_in(session_id):
            return said_in(await self.turns(session_id, start, stop))
        return await self._read(get_said, Said(), session_id, start, stop)

    async def turn(self, turn_id: str) -> Turn | None:
        """One turn, with its attempts."""
        return self._overlay.turns.get(turn_id) or await self._read(turn_sql.get_turn, None, turn_id)

    async def prompts(self, session_id: str) -> list[str]:
        """What the user said in a session, oldest first."""
        if self._overlay.turns_in(session_id):
            return [turn.prompt for turn in await self.turns(session_id)]
        return await self._read(turn_sql.get_prompts, [], session_id)

    async def prompts_elsewhere(self, session_id: str) -> list[str]:
        """What the user said last in other sessions than this one, oldest first. What is only in memory is not among it."""
        return await self._read(turn_sql.get_prompts_elsewhere, [], session_id)

    # Who is sending

    async def revision(self) -> int:
        """The number of the newest change."""
        return await self._read(session_sql.revision, 0)

    async def leases(self) -> tuple[SessionLease, ...]:
        """Who is sending, in all sessions."""
        return await self._read(lease_sql.get_leases, ())

    async def lease(self, session_id: str) -> SessionLease | None:
        """Who is sending in a session, if that is known."""
        return await self._read(lease_sql.get_lease, None, session_id)

    async def beat(self, session_id: str, turn_id: str) -> None:
        """Say that a turn goes on, where nothing of it is being saved. Never raises."""
        try:
            wants = await self._write(turn_sql.beat, session_id, turn_id, self._keeper.writer())
        except StoreError as error:
            log.debug("no heartbeat: %s", error)
            return
        if wants and self.on_wanted is not None:
            self.on_wanted(session_id, turn_id)

    async def release(self, session_id: str) -> None:
        """Let go of a session in which nothing more is sent. Never raises."""
        try:
            await self._write(turn_sql.release, session_id, self._keeper.writer())
        except StoreError as error:
            log.debug("not let go of: %s", error)

    async def ask_for(self, session_id: str, *, seizes: bool = False) -> SessionLease | None:
        """Have whoever is sending in a session let go of it. Gives who that is; None where it is free, or is now.

        With `seizes` it is not asked: what it was answering is marked as taken over.

        Raises:
            SessionBusy: It is answering in a window that cannot be asked.
            StoreError: That cannot be written.
        """
        return await self._write(turn_sql.ask_for, session_id, self._keeper.writer(), seizes, patience=BEGIN_PATIENCE)

    async def free_dead(self) -> None:
        """Free the sessions of processes that are gone. Never raises."""
        if await self._read(turn_sql.has_dead, False, self._keeper.writer()):
            try:
                await self._write(turn_sql.recover, self._keeper.writer())
            except StoreError as error:
                log.debug("not freed: %s", error)

    # Prompts that wait

    async def queue(self, session_id: str) -> tuple[Queued, ...] | None:
        """What waits in a session, in the order in which it is to be sent; None where that cannot be read."""
        return await self._read(queue_sql.get_queue, None, session_id)

    async def enqueue(self, queued: Queued, session: Session) -> Queued | None:
        """Put a prompt at the end of its session's queue. Gives it with the turn it follows; None, and it is left out,
        where it follows none and no other window is answering.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self._write(queue_sql.put_queued, queued, session, self._keeper.writer(), patience=BEGIN_PATIENCE)

    async def change_queued(self, queued: Queued, prompt: str, *, is_held: bool = False) -> bool:
        """Let a prompt that waits be another one in the same place, or be held there. False where it waits no more.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self._write(queue_sql.change_queued, queued, prompt, is_held, patience=BEGIN_PATIENCE)

    async def remove_queued(self, queued: Queued) -> bool:
        """Take a prompt out of its queue. False where it waits no more.

        Raises:
            StoreError: That cannot be kept.
        """
        return await self._write(queue_sql.remove_queued, queued, patience=BEGIN_PATIENCE)

    async def follow_on(self, session_id: str, old: str, new: str) -> None:
        """Let what waits behind one turn wait behind another one.

        Raises:
            StoreError: That cannot be kept.
        """
        await self._write(queue_sql.follow_on, session_id, old, new, patience=BEGIN_PATIENCE)

    async def begin_queued(self, queued: Queued, turn: Turn, session: Session, title: str) -> Turn | None:
        """Make the first prompt of a queue a turn, in one go, before anything is sent. Gives it with its place; None where
        that prompt is not the first any more, or another one now.

        Raises:
            SessionBusy: Another window is answering in this session.
            StoreError: It cannot be kept: then it waits on.
        """
        begun = await self._write(
            queue_sql.begin_queued,
            queued,
            turn,
            replace(session, turns=0),
            title,
            self._keeper.writer(),
            patience=BEGIN_PATIENCE,
        )
        if begun is not None:
            self._written[turn.id] = begun
        return begun

    # What scripts say

    async def agent_items(self, session_id: str, limit: int | None) -> list[Any]:
        """A session's newest `limit` items (None, or less than 0: all), as a script is told them, in their order."""
        return await self._read(agent_sql.get_items, [], session_id, limit)

    async def add_agent_items(
        self, session: Session, items: Sequence[agent_sql.AgentItem], turn_id: str
    ) -> tuple[Session, str]:
        """Keep what a script said in a session, which is made if it is not there. What answers goes on with turn
        `turn_id`, if that can be. Gives the session as it is then, and the turn its last item is in.

        Raises:
            LabelTaken: The session is new, and another one has its label.
            SessionBusy: A window is answering in it, and this would begin another turn.
            StoreError: It cannot be kept.
        """
        return await self._write(agent_sql.add_items, session, items, turn_id, self._keeper.writer())

    async def pop_agent_item(self, session_id: str) -> Any:
        """Take a session's newest item away, and give it; None where there is none.

        Raises:
            SessionBusy, StoreError: As for `add_agent_items`.
        """
        return await self._write(agent_sql.pop_item, session_id, self._keeper.writer())

    async def clear_agent_items(self, session_id: str) -> None:
        """Let a session begin again; what was said in it stays, on a branch of its own.

        Raises:
            SessionBusy, StoreError: As for `add_agent_items`.
        """
        await self._write(agent_sql.clear, session_id, self._keeper.writer())

    # Searching

    async def search(
        self, query: Query, *, limit: int, live: Sequence[tuple[Turn, Session]] = ()
    ) -> AsyncGenerator[Found, None]:
        """What fits a query: each time all that is found so far, until that is all. Closing it ends the search at once.

        `live` are turns as they stand now, with their sessions, that may not be on disk yet.
        """
        unsaved = [(turn, self._overlay.homes[turn.session_id]) for turn in self._overlay.turns.values()]
        search = Search(query, limit, self._names, [*unsaved, *live])
        try:
            while not search.is_done:
                found = await self._read(search.step, Found(is_done=True))
                yield found
                if found.is_done:
                    return
        finally:
            search.stop()

    async def places(self, session_id: str, text: str) -> AsyncGenerator[Places, None]:
        """Where in a session a text is, whatever its capitals: each time some more of its turns, the newest ones first."""
        find = Find(session_id, literal(text))
        try:
            while not find.is_done:
                places = await self._read(find.step, Places(is_done=True))
                yield places
                if places.is_done:
                    return
        finally:
            find.stop()

    # Conversations

    async def mapping(self, session_id: str, origin: str, protocol: str, principal: str) -> Mapping | None:
        """The conversation a server keeps for a session."""
        kept = self._overlay.mappings.get((session_id, origin, protocol, principal))
        return kept or await self._read(session_sql.get_mapping, None, session_id, origin, protocol, principal)

    async def account(self, session_id: str) -> tuple[tuple[Mapping, ...], tuple[Event, ...]]:
        """The conversations of a session, the one used last first, and what was remarkable about its requests."""
        return await self._read(get_account, ((), ()), session_id)

    async def keep_mapping(self, mapping: Mapping) -> None:
        """Keep a conversation's id, in place of the one known before.

        Raises:
            StoreError: It cannot be kept.
        """
        await self._write(session_sql.put_mapping, mapping)

    async def mappings(self) -> list[tuple[str, Mapping]]:
        """All conversations, with the label of their session."""
        return await self._read(session_sql.list_mappings, [])

    # Other windows

    async def poll(self, since: int | None) -> Changes | None:
        """What changed after revision `since`; None where nothing did. Costs one `stat` while nothing happens."""
        seen = self._look()
        if seen is None or (seen == self._seen and since is not None):
            return None
        changes = await self._read(_changes, None, since)
        if changes is None:
            return None
        self._note_seen(seen)
        return changes if changes.revision != since else None

    async def poll_leases(self) -> tuple[SessionLease, ...]:
        """Who is sending, in all sessions, if anything at all has changed since it was last asked; else nothing."""
        seen = self._look()
        if seen is None or seen == self._seen:
            return ()
        found = await self.leases()
        self._note_seen(seen)
        return found

    def _look(self) -> tuple[int, int, int] | None:
        """What tells the file as it is from the file as it was; None where it cannot be seen."""
        try:
            info = self.file.stat()
        except OSError:
            return None
        return info.st_ino, info.st_size, info.st_mtime_ns

    def _note_seen(self, seen: tuple[int, int, int]) -> None:
        """What has been read is the file as it was seen before, if that was not changed just then."""
        if abs(time.time_ns() - seen[2]) > SETTLED:
            self._seen = seen

    async def require(self) -> None:
        """For commands about the history itself.

        Raises:
            StoreError: There is none to be had.
        """
        if not self._keeper.is_open:
            raise StoreError(self.health.message or "History is off.")

    # Within

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        """Run in the store's thread, to its end even if the caller is cancelled."""
        assert self._thread is not None, "the store is not open"
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, function, *args))

    async def _read(self, function: Callable[..., T], default: T, *args: object) -> T:
        if self._thread is None:
            return default
        try:
            found: T = await self._call(self._keeper.read, function, *args)
        except NotOpen:
            return default
        except StoreError as error:
            self._cannot_read = f"History cannot be read: {error}"
            found = default
        else:
            self._cannot_read = ""
        self._tell()
        return found

    async def _write(self, function: Callable[..., T], *args: object, patience: float | None = None) -> T:
        """Write, in the order of the calls and after what is still unsaved, in one go with it.

        While another process writes this waits in a way that lets reads go on; not so long again once that was in vain.
        """
        loop = asyncio.get_running_loop()
        if patience is None:
            patience = BEGIN_PATIENCE if self._overlay else PATIENCE
        begun, deadline = loop.time(), loop.time() + patience
        try:
            async with asyncio.timeout_at(deadline) as waiting, self._writing:
                while True:
                    waiting.reschedule(None)
                    unsaved = self._overlay.copy()
                    try:
                        done: T = await self._call(self._keeper.write, self._write_now, unsaved, function, args)
                        break
                    except Locked:
                        waiting.reschedule(min(deadline, self._last_moment))
                        self._is_waiting = loop.time() - begun > SAID_AFTER
                        self._tell()
                        await asyncio.sleep(0.01)
        except TimeoutError:
            raise StoreError("The history is locked by another process.", transient=True) from None
        except PalaverError:
            self._is_waiting = False
            self._tell()
            raise
        finally:
            self._is_waiting = False
        self._overlay.forget(unsaved)
        self._tell_wanted()
        if not self._overlay:
            self._cannot_write = ""
        self._tell()
        return done

    def _write_now(self, conn: Connection, unsaved: Overlay, function: Callable[..., T], args: tuple[object, ...]) -> T:
        # Begun anew where the file was replaced meanwhile.
        self._wanted = unsaved.write(conn, self._keeper.writer())
        return function(conn, *args)

    def _save_now(
        self,
        conn: Connection,
        turn: Turn,
        since: Turn | None,
        session: Session,
        mapping: Mapping | None,
        keeps: bool,
    ) -> None:
        # What is on disk is `since` only if that was the last thing written of this turn, and to this file.
        written = self._written.pop(turn.id, None)
        since = since if written is since else None
        if turn_sql.put_turn(conn, turn, since, session, self._keeper.writer(), keeps):
            self._wanted.append(turn)
        if mapping is not None:
            session_sql.put_mapping(conn, mapping, turn.id)

    def _tell_wanted(self) -> None:
        """Tell of the running turns that were written just now, and whose session another process wants or has."""
        wanted, self._wanted = self._wanted, []
        for turn in wanted:
            if self.on_wanted is not None:
                self.on_wanted(turn.session_id, turn.id)

    def _not_saved(self, error: StoreError) -> None:
        log.warning("not saved: %s", error)
        known = error.message.startswith("History is not saved")
        self._cannot_write = error.message if known else f"History is not saved: {error}"
        self._tell()

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
            await self._write(_nothing)
        except StoreError as error:
            log.debug("still not saved: %s", error)
        await self._read(session_sql.revision, 0)


def _nothing(_conn: Connection) -> None:
    """A transaction of its own for what is unsaved."""


def _changes(conn: Connection, since: int | None) -> Changes:
    now = session_sql.revision(conn)
    if since is None or now == since:
        return Changes(now, leases=lease_sql.get_leases(conn))
    if now < since:
        # Another file is in the place of the one known so far: all of it is new.
        since = 0
    sessions = tuple(session_sql.changed_sessions(conn, since))
    queues = queue_sql.get_queues(conn, (session.id for session in sessions))
    turns = tuple(turn_sql.changed_turns(conn, since))
    return Changes(now, sessions, turns, tuple(queues.items()), lease_sql.get_leases(conn))
