"""Whatever is done to a history, in whatever order, by two windows: what is read of it is what the model says."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.conftest import Disk
from tests.store.histories import NOW, a_mapping, rows
from tests.store.model import CRASHED, Model
from tui.clock import Clock
from tui.config import Config
from tui.errors import LabelTaken, SessionBusy, StoreError
from tui.exchange import Exchange, Form, Result
from tui.model import Failure, Item, ItemKind, Scroll, Session, TitleSource, Turn, TurnStatus
from tui.query import parse_query
from tui.store import Store
from tui.store.upkeep import check

T = TypeVar("T")

WORDS = ("alpha", "beta", "gamma", "delta")
LABELS = ("one", "two", "three")
ANY = st.integers(0, 7)
WINDOW = st.sampled_from((0, 0, 0, 1))
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
WRITTEN = (TurnStatus.DONE, TurnStatus.CANCELLED, TurnStatus.INTERRUPTED)

DAY = 86400.0
JUMPS = (1.0, 60.0, 3600.0, DAY, 15 * DAY, 3653 * DAY)
"""Seconds by which a clock is set forward or back."""


def both_work() -> Any:
    """A rule for when the disk can be written."""
    return precondition(lambda self: self.ailing is None)


class StoreMachine(RuleBasedStateMachine):
    """Two windows on one history."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="palaver-machine-"))
        self.file = self.folder / "history.db"
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.windows: list[Store] = []
        self.saved: dict[str, Turn] = {}
        self.owner: dict[str, int] = {}
        self.imported: dict[bytes, str] = {}
        self.polled: dict[str, Any] = {}
        self.revision = 0
        self.number = 0
        self.steps = 0
        self.now = NOW
        self.clock = Clock(lambda: self.now, time.monotonic)
        self.disk = Disk()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(sqlite3, "connect", self.disk.connect)
        self.ailing: int | None = None
        """The window that goes on while nothing can be written; the other one only looks on meanwhile."""
        self.used_ailing: set[str] = set()
        self.seen_before: Any = None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def name(self, kind: str) -> str:
        """An identifier: like those the program makes, it begins with the time, whatever the clock says that is."""
        self.number += 1
        return f"{kind}{self.now:012.0f}-{self.number:05}"

    def acting(self, window: int) -> int:
        return window if self.ailing is None else self.ailing

    def pick(self, number: int) -> str:
        """One of the sessions there are."""
        return list(self.model.threads)[number % len(self.model.threads)]

    @initialize()
    def begin_both(self) -> None:
        for _ in range(2):
            self.windows.append(Store(self.file, clock=self.clock))
            self.do(self.windows[-1].open())
        changes = self.do(self.windows[1].watch.poll(None))
        assert changes is not None
        self.revision = changes.revision

    # Sessions

    @rule(window=WINDOW, label=st.sampled_from(LABELS))
    def create(self, window: int, label: str) -> None:
        window = self.acting(window)
        session = Session(self.name("s"), label, created_at=self.now)
        try:
            self.do(self.windows[window].create(session))
        except LabelTaken:
            assert self.model.taken(label)
        else:
            assert not self.model.taken(label)
            self.model.add(session)
            self.used_ailing.add(session.id)

    @precondition(lambda self: self.model.threads)
    @rule(window=WINDOW, which=ANY, label=st.sampled_from(LABELS), deletes=st.sampled_from((None, True, False)))
    def rename_delete_or_restore(self, window: int, which: int, label: str, deletes: bool | None) -> None:
        window, session_id = self.acting(window), self.pick(which)
        session = self.model.session(session_id)
        changes: dict[str, Any] = {"label": label}
        if deletes is not None:
            changes = {"deleted_at": self.now if deletes else None}
        becomes = replace(session, **changes)
        try:
            self.do(self.windows[window].update(session_id, **changes))
        except LabelTaken:
            assert becomes.deleted_at is None
            assert self.model.taken(becomes.label, but=session_id)
        else:
            assert becomes.deleted_at is not None or not self.model.taken(becomes.label, but=session_id)
            self.model.change(session_id, **changes)

    @precondition(lambda self: self.model.threads)
    @rule(window=WINDOW, which=ANY, from_archive=st.booleans())
    def restore(self, window: int, which: int, from_archive: bool) -> None:
        window, session_id = self.acting(window), self.pick(which)
        session = self.model.session(session_id)
        told = self.do(self.windows[window].restore(session_id, from_archive=from_archive))
        assert told is not None
        changes: dict[str, Any] = {}
        if session.deleted_at is not None:
            changes = {"deleted_at": None, "label": told.label}
            is_taken = self.model.taken(session.label)
            assert is_taken == (told.label != session.label)
            assert not self.model.taken(told.label)
        if from_archive and session.archived_at is not None:
            changes["archived_at"] = None
        if changes:
            self.model.change(session_id, **changes)
        assert told == self.model.session(session_id)

    @precondition(lambda self: self.model.threads)
    @rule(
        window=WINDOW,
        which=ANY,
        changes=st.fixed_dictionaries(
            {},
            optional={
                "pinned": st.booleans(),
                "archived_at": st.sampled_from((None, NOW)),
                "unread": st.booleans(),
                "draft": TEXT | st.just(""),
                "scroll": st.builds(Scroll, ANY, ANY, ANY, st.booleans()),
                "title": TEXT.map(str.upper),
                "profile": st.sampled_from(("p0", "p1", "p2")),
            },
        ),
    )
    def change(self, window: int, which: int, changes: dict[str, Any]) -> None:
        window, session_id = self.acting(window), self.pick(which)
        if "title" in changes:
            changes = changes | {"title_source": TitleSource.USER}
        told = self.do(self.windows[window].update(session_id, **changes))
        self.model.change(session_id, **changes)
        assert told == self.model.session(session_id)

    @both_work()
    @precondition(lambda self: self.model.threads)
    @rule(window=WINDOW, which=ANY, label=st.sampled_from(LABELS), turns=ANY)
    def fork(self, window: int, which: int, label: str, turns: int) -> None:
        of = self.pick(which)
        said = self.model.said(of)
        turns = min(turns, next((turn.depth for turn in said if not turn.status.is_final), len(said)))
        if not turns:
            return
        last = said[turns - 1]
        session = Session(self.name("s"), label, created_at=self.now, last_status=last.status)
        try:
            self.do(self.windows[window].fork(session, last.id))
        except LabelTaken:
            assert self.model.taken(label)
        else:
            self.model.fork(session, of, turns)

    # Turns

    @precondition(lambda self: self.model.threads)
    @rule(window=WINDOW, which=ANY, prompt=TEXT, at=st.none() | ANY)
    def send(self, window: int, which: int, prompt: str, at: int | None) -> None:
        window, session = self.acting(window), self.model.session(self.pick(which))
        if at is not None:
            at = at % (session.turns + 1) if self.ailing is None else None
        answering = [turn for turn in self.model.running() if turn.session_id == session.id]
        turn = Turn(self.name("t"), session.id, 0, prompt, created_at=self.now, profile=f"p{window}")
        if self.ailing is not None and any(self.owner[one.id] != window for one in answering):
            # A chat looks whether anyone else is answering, before a turn is kept in memory only.
            return
        try:
            begun = self.do(self.windows[window].begin(turn, session, prompt.title(), at))
        except SessionBusy:
            assert any(self.owner[one.id] != window for one in answering)
            return
        assert all(self.owner[one.id] == window for one in answering)
        self.used_ailing.add(session.id)
        assert begun == self.model.begin(turn, prompt.title(), at)
        self.saved[turn.id], self.owner[turn.id] = begun, window

    @precondition(lambda self: self.model.running())
    @rule(which=ANY, text=TEXT, kind=st.sampled_from((ItemKind.MESSAGE, ItemKind.MESSAGE, ItemKind.REASONING)),
          is_new=st.booleans())  # fmt: skip
    def grow(self, which: int, text: str, kind: ItemKind, is_new: bool) -> None:
        turn = self.answering(which)
        if turn is None:
            return
        items = list(turn.items)
        if is_new or not items or items[-1].kind is not kind:
            items.append(Item(f"i{len(items)}", kind, text))
        else:
            items[-1] = replace(items[-1], text=f"{items[-1].text} {text}")
        self.save(replace(turn, items=tuple(items), status=TurnStatus.STREAMING))

    @precondition(lambda self: self.model.running())
    @rule(which=ANY, status=st.sampled_from([*TurnStatus][2:]), fresh=st.booleans())
    def end(self, which: int, status: TurnStatus, fresh: bool) -> None:
        turn = self.answering(which)
        if turn is None:
            return
        failure = Failure("unreachable", "Nothing there.", exit_status=5) if status is TurnStatus.FAILED else None
        line = self.model.lines[turn.id]
        known = line.conversation
        conversation = "" if status is not TurnStatus.DONE else self.name("c") if fresh or not known else known
        if self.ailing is not None and self.model.threads[turn.session_id].line is not line:
            # A chat stops what it answers before it goes to another branch.
            conversation = ""
        ended = replace(
            turn, status=status, error=failure, ended_at=self.now, conversation_id=conversation, notes=("n",)
        )
        self.save(ended, conversation)

    def answering(self, which: int) -> Turn | None:
        running = [turn for turn in self.model.running() if self.acting(self.owner[turn.id]) == self.owner[turn.id]]
        return running[which % len(running)] if running else None

    def save(self, turn: Turn, conversation: str = "") -> None:
        store, session = self.windows[self.owner[turn.id]], self.model.session(turn.session_id)
        mapping = a_mapping(session, conversation, depth=turn.depth) if conversation else None
        assert self.do(store.save(turn, self.saved[turn.id], session, mapping)) or self.ailing is not None
        self.saved[turn.id] = turn
        self.model.save(turn, conversation)

    @both_work()
    @precondition(lambda self: any(len(one.lines) > 1 for one in self.model.threads.values()))
    @rule(window=WINDOW, which=ANY, turn=ANY)
    def choose(self, window: int, which: int, turn: int) -> None:
        several = [one for one in self.model.threads.values() if len(one.lines) > 1]
        thread = several[which % len(several)]
        ids = sorted({one for line in thread.lines for one in line.ids})
        turn_id, session_id = ids[turn % len(ids)], thread.session.id
        others = [one for one in self.model.running() if one.session_id == session_id and self.owner[one.id] != window]
        try:
            self.do(self.windows[window].branches.choose(session_id, turn_id))
        except SessionBusy:
            assert others
        else:
            assert not others
            self.model.choose(session_id, turn_id)

    @both_work()
    @rule(which=ANY, turn=ANY)
    def choose_what_is_not_there(self, which: int, turn: int) -> None:
        alone = [one for one in self.model.turns if not self.model.running()]
        if alone and self.model.threads:
            thread = self.model.threads[self.pick(which)]
            turn_id = alone[turn % len(alone)]
            if not any(turn_id in line.ids for line in thread.lines):
                with pytest.raises(StoreError, match="There is no such message any more"):
                    self.do(self.windows[0].branches.choose(thread.session.id, turn_id))

    @both_work()
    @precondition(lambda self: not self.model.running())
    @rule(window=WINDOW, which=ANY)
    def take_up_again(self, window: int, which: int) -> None:
        last = [
            one.line.ids[-1]
            for one in self.model.threads.values()
            if one.line.ids and len(one.line.ids) > one.line.begun
        ]
        found = [self.model.turns[one] for one in last if self.model.turns[one].status is TurnStatus.INTERRUPTED]
        shared = [one for thread in self.model.threads.values() for line in thread.lines for one in line.ids]
        found = [turn for turn in found if shared.count(turn.id) == 1]
        if found:
            turn = found[which % len(found)]
            assert self.do(self.windows[window].reopen(turn.id)) == replace(turn, attempts=())
            again = replace(turn, status=TurnStatus.STREAMING, error=None, ended_at=None)
            self.model.save(again)
            self.saved[turn.id], self.owner[turn.id] = again, window
            self.save(again)

    # Files, windows, crashes

    @both_work()
    @precondition(lambda self: self.model.turns)
    @rule(window=WINDOW, which=ANY)
    def hand_on(self, window: int, which: int) -> None:
        session = self.model.session(self.pick(which))
        said = [turn for turn in self.model.said(session.id) if turn.status in WRITTEN]
        if not said:
            return
        file = self.folder / f"{self.name('e')}.palaver.jsonl"
        exchange = Exchange(self.windows[window], Config({}, ""), self.clock, changed=lambda _: None)
        self.do(exchange.export(session, Form.BUNDLE, file))
        source = b"".join(file.read_bytes().splitlines(keepends=True)[1:-1])
        (outcome,) = self.do(_all(exchange, file))
        assert outcome.session is not None
        if source in self.imported:
            assert (outcome.result, outcome.session.id) == (Result.KNOWN, self.imported[source])
            return
        assert outcome.result is Result.IMPORTED
        taken = self.do(self.windows[window].turns(outcome.session.id))
        assert [(one.prompt, one.text, one.status) for one in taken] == [
            (one.prompt, one.text, one.status) for one in said
        ]
        assert not self.model.taken(outcome.session.label)
        for turn in taken:
            self.model.turns[turn.id] = turn
            self.model.touched.add(turn.id)
        self.model.add(outcome.session, [turn.id for turn in taken])
        line = self.model.threads[outcome.session.id].line
        line.begun = 0
        self.model.lines |= {turn.id: line for turn in taken}
        self.imported[source] = outcome.session.id

    @both_work()
    @rule(window=WINDOW)
    def close_and_open(self, window: int) -> None:
        if not self.answered_by(window):
            self.do(self.windows[window].close())
            self.reopen(window)

    @both_work()
    @rule(window=WINDOW)
    def crash(self, window: int) -> None:
        """A window is gone, in the middle of writing: what it had begun to write is not there."""
        store = self.windows[window]

        def fall() -> None:
            keeper: Any = store._keeper
            conn = keeper._db.conn
            conn.execute("BEGIN IMMEDIATE")
            conn.execute("UPDATE sessions SET title = 'torn', revision = revision + 1000")
            conn.execute("DELETE FROM items")
            keeper.close()

        self.do(store._call(fall))
        assert store._thread is not None
        store._thread.shutdown()
        if store._healing is not None:
            store._healing.cancel()
        left = self.answered_by(window)
        self.reopen(window)
        failure = Failure("crash", CRASHED, "press r to send it again", None, 7)
        for turn in left:
            self.model.cut_short(turn, failure)

    def answered_by(self, window: int) -> list[Turn]:
        return [turn for turn in self.model.running() if self.owner[turn.id] == window]

    def reopen(self, window: int) -> None:
        self.windows[window] = Store(self.file, clock=self.clock)
        self.do(self.windows[window].open())

    # The clock, the disk

    @rule(seconds=st.sampled_from(JUMPS), is_back=st.booleans())
    def set_the_clock(self, seconds: float, is_back: bool) -> None:
        self.now = max(DAY, self.now - seconds if is_back else self.now + seconds)

    @both_work()
    @rule(window=WINDOW, is_full=st.booleans())
    def break_the_disk(self, window: int, is_full: bool) -> None:
        """From now on the disk is full, so that only what needs no more room is written, or nothing can be written."""
        for store in self.windows:
            self.do(self.disk.fill(store) if is_full else self.disk.protect(store))
        self.ailing, self.used_ailing = window, set()
        self.seen_before = None if is_full else self.do(self.all_of(self.windows[1 - window]))

    @precondition(lambda self: self.ailing is not None and self.seen_before is not None and self.model.threads)
    @rule(which=ANY, label=st.sampled_from(LABELS))
    def want_what_needs_the_disk(self, which: int, label: str) -> None:
        store, of = self.windows[self.acting(0)], self.pick(which)
        with pytest.raises(StoreError):
            self.do(store.fork(Session(self.name("s"), label, created_at=self.now), "t"))
        turn = Turn(self.name("t"), of, 0, "again", created_at=self.now)
        with pytest.raises(StoreError):
            self.do(store.begin(turn, self.model.session(of), "", 0))
        for turn_id in self.model.threads[of].line.ids[:1]:
            with pytest.raises(StoreError):
                self.do(store.branches.choose(of, turn_id))
            with pytest.raises(StoreError):
                self.do(store.reopen(turn_id))

    @precondition(lambda self: self.ailing is not None)
    @rule(closes=st.booleans())
    def mend_the_disk(self, closes: bool) -> None:
        """What was only in memory is written in its order, by itself or when the window closes."""
        window = self.acting(0)
        for store in self.windows:
            self.do(self.disk.mend(store))
        if closes and not self.answered_by(window):
            self.do(self.windows[window].close())
            self.reopen(window)
        else:
            self.do(self.windows[window]._heal())
        self.do(self.windows[1 - window]._heal())
        self.ailing = self.seen_before = None
        order = [str(one) for (one,) in rows(self.file, "SELECT id FROM sessions ORDER BY touched DESC, id DESC")]
        for deleted in (False, True):
            ids = [one.id for one in self.do(self.windows[window].sessions(deleted=deleted))]
            used = [one in self.used_ailing for one in ids]
            assert used == sorted(used, reverse=True), "a session that was used last is not above the others"
            assert ids == [one for one in order if one in ids]
        self.model.order(order)

    async def all_of(self, store: Store) -> list[Any]:
        sessions = [*await store.sessions(), *await store.sessions(deleted=True)]
        return [sessions, *[await store.turns(one.id) for one in sessions]]

    # What is asked

    @both_work()
    @precondition(lambda self: self.model.threads)
    @rule(window=WINDOW, word=st.sampled_from(WORDS), which=ANY)
    def search(self, window: int, word: str, which: int) -> None:
        store = self.windows[window]
        assert len(self.do(_found(store, word))[1]) == len(self.model.holding(word))
        session = self.model.session(self.pick(which))
        if session.deleted_at is None:
            hits, _ = self.do(_found(store, f'label:"{session.label}" {word}'))
            assert sorted(hits) == self.model.holding(word, session.id)
        places = self.do(_places(store, session.id, word))
        assert places == {
            turn.depth: count
            for turn in self.model.said(session.id)
            if turn.status.is_final
            if (count := f"{turn.prompt} {turn.text}".split().count(word))
        } | {depth: count for depth, count in places.items() if not self.model.said(session.id)[depth].status.is_final}

    @both_work()
    @rule()
    def look_what_is_new(self) -> None:
        changes = self.do(self.windows[1].watch.poll(self.revision))
        now: dict[str, Any] = {one: self.model.session(one) for one in self.model.threads} | self.model.turns
        told: dict[str, Any] = {}
        if changes is not None:
            self.revision = changes.revision
            told = {one.id: one for one in (*changes.sessions, *changes.turns)}
        new = {one for one, value in now.items() if self.polled.get(one) != value}
        assert new <= set(told) <= self.model.touched, (new, set(told), self.model.touched)
        assert told == {one: now[one] for one in told}
        self.polled, self.model.touched = now, set()

    @invariant()
    def what_is_read_is_what_was_written(self) -> None:
        if not self.windows:
            return
        self.steps += 1
        if self.ailing is not None:
            self.what_cannot_be_written_is_seen()
            return
        for store in self.windows:
            assert store.health.message == ""
            for deleted in (False, True):
                assert self.do(store.sessions(deleted=deleted)) == self.model.sessions(deleted=deleted)
        self.turns_are_read(self.windows[self.steps % 2])
        if self.steps % 5 == 0:
            self.is_in_order()

    def what_cannot_be_written_is_seen(self) -> None:
        store, other = self.windows[self.acting(0)], self.windows[1 - self.acting(0)]
        assert store.health.message or not store.overlay
        for deleted in (False, True):
            seen = self.do(store.sessions(deleted=deleted))
            wanted = self.model.sessions(deleted=deleted)
            assert sorted(seen, key=lambda one: one.id) == sorted(wanted, key=lambda one: one.id)
        self.turns_are_read(store)
        if self.seen_before is not None:
            assert self.do(self.all_of(other)) == self.seen_before

    def turns_are_read(self, store: Store) -> None:
        for session_id in self.model.threads:
            said = self.model.said(session_id)
            assert self.do(store.turns(session_id)) == said
            assert self.do(store.count(session_id)) == len(said)
            assert self.do(store.prompts(session_id)) == [turn.prompt for turn in said]
            assert self.do(store.branches.variants(session_id)) == self.model.variants(session_id)
            mapping = self.do(store.conversations.get(session_id, "https://host:443", "responses", ""))
            assert (mapping.conversation_id if mapping else "") == self.model.conversation(session_id)

    def is_in_order(self) -> None:
        findings = check(self.file)
        assert findings.wrong == (), findings
        assert findings.turns == len(self.model.turns)

    def teardown(self) -> None:
        try:
            if self.ailing is not None:
                self.mend_the_disk(closes=False)
            if self.file.exists():
                self.is_in_order()
        finally:
            for store in self.windows:
                self.do(store.close())
            assert asyncio.all_tasks(self.loop) == set()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            shutil.rmtree(self.folder)


async def _all(exchange: Exchange, file: Path) -> list[Any]:
    return [outcome async for outcome in exchange.take_in([file])]


async def _found(store: Store, text: str) -> tuple[list[tuple[str, str]], list[None]]:
    """The messages shown of what fits, and as many times nothing as messages are known to."""
    last = None
    async for found in store.finds.search(parse_query(f"{text} ", NOW), limit=10_000):
        last = found
    assert last is not None
    hits = [(hit.turn_id, hit.role) for one in last.sessions for hit in one.hits]
    return hits, [None] * last.count


async def _places(store: Store, session_id: str, text: str) -> dict[int, int]:
    found: dict[int, int] = {}
    async for places in store.finds.places(session_id, text):
        found |= dict(places.counts)
    return found
