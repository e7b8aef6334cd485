"""The history: sessions, turns and conversations on disk, behind an asynchronous face."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from tui.account import Event
from tui.clock import SYSTEM, Clock
from tui.drafts import sent
from tui.errors import LabelTaken, StoreError
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
from tui.store.access import Access, Health
from tui.store.search import Find, Names, Search
from tui.store.sql import agent_items as agent_sql
from tui.store.sql import branches as branch_sql
from tui.store.sql import leases as lease_sql
from tui.store.sql import queues as queue_sql
from tui.store.sql import sessions as session_sql
from tui.store.sql import turns as turn_sql
from tui.store.sql.accounts import get_account
from tui.store.sql.imports import find_source, put_thread
from tui.store.sql.said import get_said

log = logging.getLogger(__name__)

SETTLED = 50_000_000
"""Nanoseconds after which a file's time of change tells the next change from the last: file systems' clocks tick slowly."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since a revision, by anyone; with the queues of the sessions among that, and all leases there are."""

    revision: int
    sessions: tuple[Session, ...] = ()
    turns: tuple[Turn, ...] = ()
    queues: tuple[tuple[str, tuple[Queued, ...]], ...] = ()
    leases: tuple[SessionLease, ...] = ()


class Store(Access):
    """What can be asked of the history, and said to it."""

    def __init__(
        self,
        file: Path,
        *,
        kind: HolderKind = HolderKind.WINDOW,
        clock: Clock = SYSTEM,
        on_health: Callable[[Health], None] | None = None,
    ) -> None:
        super().__init__(file, kind=kind, clock=clock, on_health=on_health)
        self._seen: tuple[int, int, int] | None = None
        self._names = Names()

    # Sessions

    async def sessions(self, *, deleted: bool = False) -> list[Session]:
        """All sessions, the one used last first."""
        saved: list[Session] = await self.read(session_sql.list_sessions, [], deleted)
        if not self.overlay:
            return saved
        others: list[Session] = await self.read(session_sql.list_sessions, [], not deleted)
        merged = self.overlay.merged_sessions([*saved, *others])
        return [session for session in merged if (session.deleted_at is not None) is deleted]

    async def session(self, session_id: str) -> Session | None:
        saved = await self.read(session_sql.get_session, None, session_id)
        return self.overlay.merged_session(session_id, saved)

    async def find(self, label: str, *, deleted: bool = False) -> Session | None:
        """The session of that label."""
        if not self.overlay:
            return await self.read(session_sql.find_session, None, label, deleted)
        return next((one for one in await self.sessions(deleted=deleted) if one.label == label), None)

    async def remember(self, session_id: str) -> None:
        """Note that this session is the one before the user's eyes."""
        try:
            await self.write(session_sql.remember, session_id)
        except StoreError as error:
            log.debug("the session shown is not noted: %s", error)

    async def last(self) -> Session | None:
        """The session looked at last."""
        if not self.overlay:
            return await self.read(session_sql.last_session, None)
        return next((one for one in await self.sessions() if one.archived_at is None), None)

    async def create(self, session: Session) -> Session:
        """Keep a new session.

        Raises:
            LabelTaken: Another session has its label.
        """
        if self.overlay and await self.find(session.label):
            raise LabelTaken(session.label)
        try:
            return await self.write(session_sql.put_session, session, is_awaited=True)
        except LabelTaken:
            raise
        except StoreError as error:
            self.overlay.add_session(session)
            self.not_saved(error)
            return session

    async def update(self, session_id: str, *, touch: bool = False, **changes: Any) -> Session | None:
        """Change fields of a session. Gives it as it is now, or None if there is no such session.

        Raises:
            LabelTaken: Another session has the new label.
        """
        try:
            return await self.write(session_sql.update_session, session_id, changes, touch)
        except LabelTaken:
            raise
        except StoreError as error:
            trouble = error
        if "label" in changes and (other := await self.find(changes["label"])) and other.id != session_id:
            raise LabelTaken(changes["label"])
        self.overlay.add_changes(session_id, changes)
        self.not_saved(trouble)
        return await self.session(session_id)

    async def name(self, session_id: str, title: str) -> Session | None:
        """Give a session a title that was made for it, unless the user has given one. Gives it as it is then.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self.write(session_sql.name_session, session_id, title)

    async def fork(self, session: Session, of: str, turns: int) -> Session:
        """Keep a new session that goes on from the first `turns` turns of the session `of`.

        Raises:
            LabelTaken: Another session has its label.
            StoreError: It cannot be kept.
        """
        made = await self.write(session_sql.fork_session, session, of, turns)
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
        known = await self.read(find_source, None, source)
        if known is not None:
            return known, False
        return await self.write(put_thread, session, turns, source, on_top)

    # Turns

    async def reopen(self, turn_id: str) -> Turn | None:
        """Let a turn that was interrupted run on. Gives it as it was, or None where it cannot.

        Raises:
            SessionBusy: Another window is answering in its session.
            StoreError: It cannot be noted.
        """
        turn = await self.write(turn_sql.reopen_turn, turn_id, self.writer(), is_awaited=True)
        if turn is not None:
            self.written.pop(turn_id, None)
        return turn

    async def set_item_state(self, turn_id: str, key: str, state: ItemState) -> Turn | None:
        """Note how it went with an item of a turn that has ended. Gives the turn as it is now, where it is there.

        Raises:
            StoreError: It cannot be noted.
        """
        return await self.write(turn_sql.set_item_state, turn_id, key, state)

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
            turn = await self.write(
                turn_sql.begin_turn,
                turn,
                session,
                title,
                at,
                self.writer(),
                is_awaited=True,
            )
        except StoreError as error:
            if at is not None:
                raise
            trouble = error
        else:
            self.written[turn.id] = turn
            return turn
        turn = replace(turn, depth=await self.count(session.id))
        known = await self.session(session.id)
        if known is None:
            self.overlay.add_session(session)
            known = session
        changes: dict[str, Any] = {"draft": ""} if sent(known.draft) == turn.prompt else {}
        if known.title_source is TitleSource.NONE and title:
            changes |= {"title": title, "title_source": TitleSource.GENERATED}
        if changes:
            self.overlay.add_changes(session.id, changes)
        self.overlay.add_turn(turn, session)
        self.not_saved(trouble)
        return turn

    async def variants(self, session_id: str) -> dict[int, Variants]:
        """Where a session was gone on with in several ways: by the depths at which those on its present branch part."""
        return await self.read(branch_sql.get_variants, {}, session_id)

    async def branches(self, session_id: str) -> list[Branch]:
        """The ways a session was gone on, the one begun first first."""
        return await self.read(branch_sql.list_branches, [], session_id)

    async def choose(self, session_id: str, turn_id: str) -> Session:
        """Let a session go on with the branch that a turn lies on. Gives it as it is then.

        Raises:
            SessionBusy: Another window is answering in it.
            StoreError: It has no such turn, or that cannot be kept.
        """
        chosen = await self.write(turn_sql.choose_branch, session_id, turn_id, self.writer(), is_awaited=True)
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
            await self.write(self._save_now, turn, since, session, mapping, keeps)
        except StoreError as error:
            self.written.pop(turn.id, None)
            self.overlay.add_turn(turn, session)
            if mapping is not None:
                self.overlay.add_mapping(mapping)
            self.not_saved(error)
            return False
        if not turn.status.is_final:
            self.written[turn.id] = turn
        return True

    async def count(self, session_id: str) -> int:
        """How many turns a session has."""
        return max(await self.read(turn_sql.count_turns, 0, session_id), self.overlay.turns_in(session_id))

    async def turns(self, session_id: str, start: int = 0, stop: int | None = None) -> list[Turn]:
        """A session's turns from depth `start` up to, not including, `stop`."""
        saved: list[Turn] = await self.read(turn_sql.get_turns, [], session_id, start, stop)
        return self.overlay.merged_turns(session_id, start, stop, saved)

    async def said(self, session_id: str, start: int, stop: int) -> Said:
        """How much a server may be told of a session's turns from depth `start` up to, not including, `stop`."""
        if self.overlay.turns_in(session_id):
            return said_in(await self.turns(session_id, start, stop))
        return await self.read(get_said, Said(), session_id, start, stop)

    async def turn(self, turn_id: str) -> Turn | None:
        """One turn, with its attempts."""
        return self.overlay.turns.get(turn_id) or await self.read(turn_sql.get_turn, None, turn_id)

    async def prompts(self, session_id: str) -> list[str]:
        """What the user said in a session, oldest first."""
        if self.overlay.turns_in(session_id):
            return [turn.prompt for turn in await self.turns(session_id)]
        return await self.read(turn_sql.get_prompts, [], session_id)

    async def prompts_elsewhere(self, session_id: str) -> list[str]:
        """What the user said last in other sessions than this one, oldest first. What is only in memory is not among it."""
        return await self.read(turn_sql.get_prompts_elsewhere, [], session_id)

    # Who is sending

    async def revision(self) -> int:
        """The number of the newest change."""
        return await self.read(session_sql.revision, 0)

    async def leases(self) -> tuple[SessionLease, ...]:
        """Who is sending, in all sessions."""
        return await self.read(lease_sql.get_leases, ())

    async def lease(self, session_id: str) -> SessionLease | None:
        """Who is sending in a session, if that is known."""
        return await self.read(lease_sql.get_lease, None, session_id)

    async def beat(self, session_id: str, turn_id: str) -> None:
        """Say that a turn goes on, where nothing of it is being saved. Never raises."""
        try:
            wants = await self.write(turn_sql.beat, session_id, turn_id, self.writer())
        except StoreError as error:
            log.debug("no heartbeat: %s", error)
            return
        if wants and self.on_wanted is not None:
            self.on_wanted(session_id, turn_id)

    async def release(self, session_id: str) -> None:
        """Let go of a session in which nothing more is sent. Never raises."""
        try:
            await self.write(turn_sql.release, session_id, self.writer())
        except StoreError as error:
            log.debug("not let go of: %s", error)

    async def ask_for(self, session_id: str, *, seizes: bool = False) -> SessionLease | None:
        """Have whoever is sending in a session let go of it. Gives who that is; None where it is free, or is now.

        With `seizes` it is not asked: what it was answering is marked as taken over.

        Raises:
            SessionBusy: It is answering in a window that cannot be asked.
            StoreError: That cannot be written.
        """
        return await self.write(turn_sql.ask_for, session_id, self.writer(), seizes, is_awaited=True)

    async def free_dead(self) -> None:
        """Free the sessions of processes that are gone. Never raises."""
        if await self.read(turn_sql.has_dead, False, self.writer()):
            try:
                await self.write(turn_sql.recover, self.writer())
            except StoreError as error:
                log.debug("not freed: %s", error)

    # Prompts that wait

    async def queue(self, session_id: str) -> tuple[Queued, ...] | None:
        """What waits in a session, in the order in which it is to be sent; None where that cannot be read."""
        return await self.read(queue_sql.get_queue, None, session_id)

    async def enqueue(self, queued: Queued, session: Session) -> Queued | None:
        """Put a prompt at the end of its session's queue. Gives it with the turn it follows; None, and it is left out,
        where it follows none and no other window is answering.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self.write(queue_sql.put_queued, queued, session, self.writer(), is_awaited=True)

    async def change_queued(self, queued: Queued, prompt: str, *, is_held: bool = False) -> bool:
        """Let a prompt that waits be another one in the same place, or be held there. False where it waits no more.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self.write(queue_sql.change_queued, queued, prompt, is_held, is_awaited=True)

    async def remove_queued(self, queued: Queued) -> bool:
        """Take a prompt out of its queue. False where it waits no more.

        Raises:
            StoreError: That cannot be kept.
        """
        return await self.write(queue_sql.remove_queued, queued, is_awaited=True)

    async def follow_on(self, session_id: str, old: str, new: str) -> None:
        """Let what waits behind one turn wait behind another one.

        Raises:
            StoreError: That cannot be kept.
        """
        await self.write(queue_sql.follow_on, session_id, old, new, is_awaited=True)

    async def begin_queued(self, queued: Queued, turn: Turn, session: Session, title: str) -> Turn | None:
        """Make the first prompt of a queue a turn, in one go, before anything is sent. Gives it with its place; None where
        that prompt is not the first any more, or another one now.

        Raises:
            SessionBusy: Another window is answering in this session.
            StoreError: It cannot be kept: then it waits on.
        """
        begun = await self.write(
            queue_sql.begin_queued,
            queued,
            turn,
            replace(session, turns=0),
            title,
            self.writer(),
            is_awaited=True,
        )
        if begun is not None:
            self.written[turn.id] = begun
        return begun

    # What scripts say

    async def agent_items(self, session_id: str, limit: int | None) -> list[Any]:
        """A session's newest `limit` items (None, or less than 0: all), as a script is told them, in their order."""
        return await self.read(agent_sql.get_items, [], session_id, limit)

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
        return await self.write(agent_sql.add_items, session, items, turn_id, self.writer())

    async def pop_agent_item(self, session_id: str) -> Any:
        """Take a session's newest item away, and give it; None where there is none.

        Raises:
            SessionBusy, StoreError: As for `add_agent_items`.
        """
        return await self.write(agent_sql.pop_item, session_id, self.writer())

    async def clear_agent_items(self, session_id: str) -> None:
        """Let a session begin again; what was said in it stays, on a branch of its own.

        Raises:
            SessionBusy, StoreError: As for `add_agent_items`.
        """
        await self.write(agent_sql.clear, session_id, self.writer())

    # Searching

    async def search(
        self, query: Query, *, limit: int, live: Sequence[tuple[Turn, Session]] = ()
    ) -> AsyncGenerator[Found, None]:
        """What fits a query: each time all that is found so far, until that is all. Closing it ends the search at once.

        `live` are turns as they stand now, with their sessions, that may not be on disk yet.
        """
        unsaved = [(turn, self.overlay.homes[turn.session_id]) for turn in self.overlay.turns.values()]
        search = Search(query, limit, self._names, [*unsaved, *live])
        try:
            while not search.is_done:
                found = await self.read(search.step, Found(is_done=True))
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
                places = await self.read(find.step, Places(is_done=True))
                yield places
                if places.is_done:
                    return
        finally:
            find.stop()

    # Conversations

    async def mapping(self, session_id: str, origin: str, protocol: str, principal: str) -> Mapping | None:
        """The conversation a server keeps for a session."""
        kept = self.overlay.mappings.get((session_id, origin, protocol, principal))
        return kept or await self.read(session_sql.get_mapping, None, session_id, origin, protocol, principal)

    async def account(self, session_id: str) -> tuple[tuple[Mapping, ...], tuple[Event, ...]]:
        """The conversations of a session, the one used last first, and what was remarkable about its requests."""
        return await self.read(get_account, ((), ()), session_id)

    async def keep_mapping(self, mapping: Mapping) -> None:
        """Keep a conversation's id, in place of the one known before.

        Raises:
            StoreError: It cannot be kept.
        """
        await self.write(session_sql.put_mapping, mapping)

    async def mappings(self) -> list[tuple[str, Mapping]]:
        """All conversations, with the label of their session."""
        return await self.read(session_sql.list_mappings, [])

    # Other windows

    async def poll(self, since: int | None) -> Changes | None:
        """What changed after revision `since`; None where nothing did. Costs one `stat` while nothing happens."""
        seen = self._look()
        if seen is None or (seen == self._seen and since is not None):
            return None
        changes = await self.read(_changes, None, since)
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

    # Within

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
        written = self.written.pop(turn.id, None)
        since = since if written is since else None
        if turn_sql.put_turn(conn, turn, since, session, self.writer(), keeps):
            self._wanted.append(turn)
        if mapping is not None:
            session_sql.put_mapping(conn, mapping, turn.id)


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
