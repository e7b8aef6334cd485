"""The history: sessions, turns and conversations on disk, behind an asynchronous face."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.clock import SYSTEM, Clock
from tui.drafts import unsent
from tui.errors import LabelTaken, StoreError
from tui.model import HolderKind, ItemState, Mapping, Session, Settled, TitleSource, Turn, numbered_label
from tui.resending import Said, said_in
from tui.store import sql
from tui.store.access import Access, Health
from tui.store.branches import Branches
from tui.store.conversations import Conversations
from tui.store.leases import Leases
from tui.store.overlay import address_of
from tui.store.pictures import Pictures
from tui.store.queues import Queues
from tui.store.watch import Watch

if TYPE_CHECKING:
    from sqlite3 import Connection

    from tui.store.agent_items import AgentItems
    from tui.store.finds import Finds

log = logging.getLogger(__name__)


class Store(Access):
    """Sessions and their turns, and the other subjects of a history, each by its name.

    What cannot be written of sessions and turns is kept in the overlay, and read from there.
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
        super().__init__(file, kind=kind, clock=clock, on_health=on_health, must_read=must_read)
        # What is the user's own in sessions and just being written, in the order of the calls.
        self._coming: list[tuple[str, dict[str, Any]]] = []
        self.branches = Branches(self)
        self.leases = Leases(self)
        self.queues = Queues(self)
        self.conversations = Conversations(self)
        self.pictures = Pictures(self)
        self.watch = Watch(self)

    # What few starts need is loaded with its first use.

    @cached_property
    def agent_items(self) -> AgentItems:
        """Items of scripts."""
        from tui.store.agent_items import AgentItems

        return AgentItems(self)

    @cached_property
    def finds(self) -> Finds:
        """What was said, found by words."""
        from tui.store.finds import Finds

        return Finds(self)

    # Sessions

    async def sessions(self, *, deleted: bool = False) -> list[Session]:
        """All sessions, the one used last first."""
        saved: list[Session] = await self.read(sql.sessions.list_sessions, [], deleted)
        if self.overlay:
            others: list[Session] = await self.read(sql.sessions.list_sessions, [], not deleted)
            merged = self.overlay.merged_sessions([*saved, *others])
            saved = [session for session in merged if (session.deleted_at is not None) is deleted]
        return [self._as_it_becomes(session) for session in saved] if self._coming else saved

    async def session(self, session_id: str, *, must_read: bool = False) -> Session | None:
        """One session.

        Raises:
            StoreError: It cannot be read, and it `must`.
        """
        saved = await self.read(sql.sessions.get_session, None, session_id, must_read=must_read)
        session = self.overlay.merged_session(session_id, saved)
        return self._as_it_becomes(session) if session is not None else None

    def _as_it_becomes(self, session: Session) -> Session:
        for session_id, changes in self._coming:
            if session_id == session.id:
                session = replace(session, **changes)
        return session

    def is_only_here(self, session_id: str) -> bool:
        """Whether a session is only in memory, so that there is nothing of it to be read."""
        return session_id in self.overlay.sessions

    async def find(self, label: str, *, deleted: bool = False) -> Session | None:
        """The session of that label."""
        if not self.overlay:
            found = await self.read(sql.sessions.find_session, None, label, deleted)
            return self._as_it_becomes(found) if found is not None else None
        return next((one for one in await self.sessions(deleted=deleted) if one.label == label), None)

    async def remember(self, session_id: str) -> None:
        """Note that this session is the one before the user's eyes."""
        try:
            await self.write(sql.sessions.remember, session_id)
        except StoreError as error:
            log.debug("the session shown is not noted: %s", error)

    async def last(self) -> Session | None:
        """The session looked at last."""
        if not self.overlay:
            return await self.read(sql.sessions.last_session, None)
        return next((one for one in await self.sessions() if one.archived_at is None), None)

    async def create(self, session: Session) -> Session:
        """Keep a new session.

        Raises:
            LabelTaken: Another session has its label.
        """
        try:
            return await self.write(sql.sessions.put_session, session, is_awaited=True)
        except LabelTaken:
            raise
        except StoreError as error:
            trouble = error
        # It may be on disk all the same: a commit can fail after it was made.
        other = await self.find(session.label)
        if other is not None and other.id != session.id:
            raise LabelTaken(session.label)
        # A window shows what it has made, and keeps it apart; a command has named what it goes on with.
        is_blind = self.kind is HolderKind.ASK and not self.is_readable
        self.overlay.add_session(session, is_blind=is_blind)
        self.not_saved(trouble)
        return session

    async def make(self, session: Session, changes: dict[str, Any]) -> Session:
        """Keep a new session whose label is made up, with these changes; under another one like it, where that is taken.
        One that is there already is changed. Gives it as it is now.

        Raises:
            LabelTaken: Another session has the label that it is to have by `changes`.
        """
        try:
            return await self.write(sql.sessions.make_session, session, changes, is_awaited=True)
        except LabelTaken:
            raise
        except StoreError as error:
            trouble = error
        if "label" in changes:
            other = await self.find(changes["label"])
            if other is not None and other.id != session.id:
                raise LabelTaken(changes["label"])
        if await self.session(session.id) is None:
            self.overlay.add_session(session)
        self.overlay.add_changes(session.id, changes)
        self.not_saved(trouble)
        return await self.session(session.id) or replace(session, **changes)

    async def update(self, session_id: str, *, touch: bool = False, **changes: Any) -> Session | None:
        """Change fields of a session. Gives it as it is now, or None if there is no such session.

        Raises:
            LabelTaken: Another session has the new label.
        """
        coming = session_id, {name: value for name, value in changes.items() if name in ("draft", "scroll")}
        self._coming.append(coming)
        try:
            return await self.write(sql.sessions.update_session, session_id, changes, touch)
        except LabelTaken:
            raise
        except StoreError as error:
            trouble = error
        finally:
            self._coming = [one for one in self._coming if one is not coming]
        if not changes.keys().isdisjoint(("label", "deleted_at")) and (known := await self.session(session_id)):
            becomes = replace(known, **changes)
            other = await self.find(becomes.label) if becomes.deleted_at is None else None
            if other is not None and other.id != session_id:
                raise LabelTaken(becomes.label)
        self.overlay.add_changes(session_id, changes)
        self.not_saved(trouble)
        return await self.session(session_id)

    async def offer_draft(self, session_id: str, draft: str) -> Session | None:
        """Keep something as the draft of a session that has none once all before it is written. Gives the session as it is
        then, or None if there is no such session."""
        try:
            return await self.write(sql.sessions.offer_draft, session_id, draft)
        except StoreError as error:
            trouble = error
        known = await self.session(session_id)
        unsaved = self.overlay.changes.get(session_id, {}).get("draft", known.draft if known else None)
        # Where neither tells that there is none, there may be one.
        if unsaved != "":
            return known
        self.overlay.add_changes(session_id, {"draft": draft})
        self.not_saved(trouble)
        return await self.session(session_id)

    async def restore(self, session_id: str, *, from_archive: bool = False) -> Session | None:
        """Take a session out of the trash, under a similar label where its own was given away meanwhile; `from_archive`, out
        of the archive as well. Gives it as it is now, or None if there is no such session."""
        try:
            return await self.write(sql.sessions.restore_session, session_id, from_archive)
        except StoreError as error:
            trouble = error
        known = await self.session(session_id)
        changes = sql.sessions.changes_back(known, from_archive) if known else {}
        if known is None or not changes:
            return known
        if "deleted_at" in changes:
            taken = {one.label for one in await self.sessions()}
            similar = chain([known.label], (numbered_label(known.label, number) for number in count(2)))
            changes["label"] = next(label for label in similar if label not in taken)
        self.overlay.add_changes(session_id, changes)
        self.not_saved(trouble)
        return await self.session(session_id)

    async def name(self, session_id: str, title: str) -> Session | None:
        """Give a session a title that was made for it, unless the user has given one. Gives it as it is then.

        Raises:
            StoreError: It cannot be kept.
        """
        return await self.write(sql.sessions.name_session, session_id, title)

    async def fork(self, session: Session, last: str) -> Session:
        """Keep a new session that goes on from the turn `last`, with all that leads to it.

        Raises:
            LabelTaken: Another session has its label.
            StoreError: It cannot be kept, or there is no such turn.
        """
        made = await self.write(sql.sessions.fork_session, session, last)
        if made is None:
            raise StoreError("The turn to go on from is not in the history any more.")
        return made

    async def take_in(
        self,
        session: Session,
        turns: Sequence[Turn],
        source: str,
        *,
        on_top: bool,
        on_saved: Callable[[int], object] = lambda _: None,
    ) -> tuple[Session, bool]:
        """Keep a session that was held elsewhere, with all of its turns or not at all. Where its label is taken, it gets
        one like it. Gives it, or the one that came from that `source` before, and whether it is new. `on_saved` is
        told now and then, from the history's own thread, how many turns are saved.

        Raises:
            StoreError: It cannot be kept.
        """
        known = await self.read(sql.imports.find_source, None, source)
        if known is not None:
            return known, False
        return await self.write(sql.imports.put_thread, session, turns, source, on_top, on_saved)

    # Turns

    async def reopen(self, turn_id: str) -> Turn | None:
        """Let a turn that was interrupted run on. Gives it as it was, or None where it cannot.

        Raises:
            SessionBusy: Another window is answering in its session.
            StoreError: It cannot be noted.
        """
        turn = await self.write(sql.saving.reopen_turn, turn_id, self.writer(), is_awaited=True)
        if turn is not None:
            self.written.pop(turn_id, None)
        return turn

    async def set_item_state(self, turn_id: str, key: str, state: ItemState) -> Turn | None:
        """Note how it went with an item of a turn that has ended. Gives the turn as it is now, where it is there.

        Raises:
            StoreError: It cannot be noted, not even in memory, as the turn cannot be read.
        """
        try:
            return await self.write(sql.saving.set_item_state, turn_id, key, state, is_awaited=True)
        except StoreError as error:
            trouble = error
        turn = await self._settle_in_memory(turn_id, key, state)
        if turn is None:
            raise trouble
        self.not_saved(trouble)
        return turn

    async def _settle_in_memory(self, turn_id: str, key: str, state: ItemState) -> Turn | None:
        turn = await self.turn(turn_id)
        session = await self.session(turn.session_id) if turn is not None else None
        if turn is None or session is None:
            return None
        items = tuple(replace(item, state=state) if item.key == key else item for item in turn.items)
        turn = replace(turn, items=items)
        self.overlay.add_turn(turn, session)
        return turn

    async def begin(
        self,
        turn: Turn,
        session: Session,
        title: str = "",
        at: int | None = None,
        *,
        ground: Callable[[Turn], Awaitable[object]] | None = None,
        settles: Settled | None = None,
    ) -> Turn:
        """Make a turn durable before anything is sent. Gives it with its place in the session.

        A session that is not there is made; one without a title gets `title`. With `at` the session goes on from its
        first `at` turns, and what came after them is kept on a branch of its own. Where the turn can only be kept in memory,
        and its session is on disk, `ground` is asked before: what it raises is raised, and nothing is kept. What the turn
        `settles` is settled with it, once.

        Raises:
            SessionBusy: Another window is answering in this session.
            UsageError: What it settles was settled before.
            StoreError: With `at`: it cannot be kept.
        """
        session = replace(session, turns=0)
        try:
            turn = await self.write(self._begin_now, turn, session, title, at, settles, is_awaited=True)
        except StoreError as error:
            trouble = error
        else:
            self.written[turn.id] = turn
            if at is not None:
                # They were another branch's.
                self.known.clear()
            return turn
        self.hurry()
        # It may be on disk all the same: a commit can fail after it was made.
        begun: Turn | None = await self.read(sql.turns.get_turn, None, turn.id)
        if at is not None:
            if begun is None:
                raise trouble
            self.known.clear()
            return replace(begun, session_id=turn.session_id)
        known_depths = (one.depth for one in self.known.values() if one is not None and one.session_id == session.id)
        unread = max([turn.depth, *(depth + 1 for depth in known_depths)])
        turn = replace(turn, depth=begun.depth if begun else await self.count(session.id, unread=unread))
        if ground is not None:
            await ground(turn)
        try:
            known = await self.session(session.id, must_read=ground is not None)
        except StoreError:
            known = session
        if known is None:
            self.overlay.add_session(session)
            known = session
        changes: dict[str, Any] = {"profile": turn.profile}
        left = unsent(known.draft, turn.prompt)
        if left != known.draft:
            changes["draft"] = left
        if known.title_source is TitleSource.NONE and title:
            changes |= {"title": title, "title_source": TitleSource.GENERATED}
        self.overlay.add_changes(session.id, changes)
        self.overlay.add_turn(turn, session)
        if settles is not None:
            # That it is told is what counts.
            await self._settle_in_memory(settles.turn_id, settles.key, settles.state)
        self.not_saved(trouble)
        return turn

    async def save(
        self, turn: Turn, since: Turn | None, session: Session, mapping: Mapping | None = None, *, keeps: bool = False
    ) -> Turn | None:
        """Bring a turn, last saved as `since`, to disk; with the conversation it moved, in one go. Gives it with its place in
        the session, in which someone else may have said something meanwhile; None if it cannot be.

        Its session is let go of with the end of the turn, unless this `keeps` it. Never raises: what cannot be written is
        kept.
        """
        session = replace(session, turns=0)
        try:
            depth, known = await self.write(self._save_now, turn, since, session, mapping, keeps)
        except StoreError as error:
            self.written.pop(turn.id, None)
            self.overlay.add_turn(turn, session)
            if mapping is not None:
                self.overlay.add_mapping(mapping, turn.id)
            self.not_saved(error)
            if await self.read(sql.turns.is_elsewhere, False, turn.id):
                self.overlay.elsewhere.add(turn.id)
            return None
        if not turn.status.is_final:
            self.written[turn.id] = turn
        if mapping is not None:
            self.known[address_of(mapping)] = known
        return turn if depth == turn.depth else replace(turn, depth=depth)

    async def count(self, session_id: str, unread: int = 0) -> int:
        """How many turns a session has; `unread`, where that cannot be read."""
        return max(await self.read(sql.turns.count_turns, unread, session_id), self.overlay.turns_in(session_id))

    async def turns(
        self, session_id: str, start: int = 0, stop: int | None = None, *, must_read: bool = False
    ) -> list[Turn]:
        """A session's turns from depth `start` up to, not including, `stop`.

        Raises:
            StoreError: They cannot be read, and they `must`.
        """
        saved: list[Turn] = await self.read(sql.turns.get_turns, [], session_id, start, stop, must_read=must_read)
        return self.overlay.merged_turns(session_id, start, stop, saved)

    async def said(self, session_id: str, start: int, stop: int) -> Said:
        """How much a server may be told of a session's turns from depth `start` up to, not including, `stop`."""
        if self.overlay.turns_in(session_id):
            return said_in(await self.turns(session_id, start, stop))
        return await self.read(sql.said.get_said, Said(), session_id, start, stop)

    async def turn(self, turn_id: str) -> Turn | None:
        """One turn, with its attempts."""
        return self.overlay.turns.get(turn_id) or await self.read(sql.turns.get_turn, None, turn_id)

    async def prompts(self, session_id: str) -> list[str]:
        """What the user said in a session, oldest first."""
        if self.overlay.turns_in(session_id):
            return [turn.prompt for turn in await self.turns(session_id)]
        return await self.read(sql.turns.get_prompts, [], session_id)

    async def prompts_elsewhere(self, session_id: str) -> list[str]:
        """What the user said last in other sessions than this one, oldest first. What is only in memory is not among it."""
        return await self.read(sql.turns.get_prompts_elsewhere, [], session_id)

    # Within

    def _begin_now(
        self, conn: Connection, turn: Turn, session: Session, title: str, at: int | None, settles: Settled | None
    ) -> Turn:
        home = self.kept_in.get(session.id, session)
        begun = sql.saving.begin_turn(conn, replace(turn, session_id=home.id), home, title, at, self.writer(), settles)
        return replace(begun, session_id=turn.session_id)

    def _save_now(
        self,
        conn: Connection,
        turn: Turn,
        since: Turn | None,
        session: Session,
        mapping: Mapping | None,
        keeps: bool,
    ) -> tuple[int, Mapping | None]:
        # What is on disk is `since` only if that was the last thing written of this turn, and to this file.
        written = self.written.pop(turn.id, None)
        since = since if written is since else None
        home = self.kept_in.get(session.id, session)
        stored = replace(turn, session_id=home.id)
        depth, is_wanted = sql.saving.put_turn(conn, stored, since, home, self.writer(), keeps)
        if is_wanted:
            self._wanted.append(turn)
        if mapping is None:
            return depth, None
        # What someone else has said in the turn's place, its conversation was not told.
        if depth == turn.depth:
            sql.conversations.put_mapping(conn, mapping, turn.id)
        # The session may be on another branch than the turn by now.
        return depth, sql.conversations.get_mapping(conn, *address_of(mapping))
