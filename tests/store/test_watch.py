"""What other windows did is seen at the next look, and a look costs one `stat` while nothing happens."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.store.histories import a_session, a_turn, change, opened, said, told
from tests.store.other import Other
from tui.model import TurnStatus
from tui.store import Store


def age(file: Path, seconds: float = 10.0) -> None:
    """Let the file's last change lie in the past, as it does when nothing has happened for a while."""
    then = time.time_ns() - int(seconds * 1e9)
    os.utime(file, ns=(then, then))


async def start(store: Store) -> int:
    changes = await store.watch.poll(None)
    assert changes is not None
    assert (changes.sessions, changes.turns) == ((), ())
    return changes.revision


async def test_another_process_is_seen_at_the_next_look(history: Path) -> None:
    async with opened(history) as store:
        revision = await start(store)
        with Other(history) as other:
            other.do("open")
            for name, values, sessions, turns in (
                ("create", ["work"], ["work"], []),
                ("begin", ["work", "hello"], ["work"], [("hello", "", TurnStatus.PENDING)]),
                ("say", ["work", "h"], ["work"], [("hello", "h", TurnStatus.STREAMING)]),
                ("say", ["work", "hi"], ["work"], [("hello", "hi", TurnStatus.STREAMING)]),
                ("say", ["work", "hi.", "done"], ["work"], [("hello", "hi.", TurnStatus.DONE)]),
                ("create", ["more"], ["more"], []),
            ):
                other.do(name, *values)
                changes = await store.watch.poll(revision)
                assert changes is not None
                assert changes.revision > revision
                assert [session.label for session in changes.sessions] == sessions
                assert [(turn.prompt, turn.text, turn.status) for turn in changes.turns] == turns
                revision = changes.revision
                assert await store.watch.poll(revision) is None


async def test_a_look_sees_everything_since(history: Path) -> None:
    first, second = a_session("first"), a_session("second")
    async with opened(history) as store, opened(history) as other:
        revision = await start(store)
        await told(other, first)
        await told(other, second)
        await told(other, first, "again")
        await other.update(second.id, deleted_at=1.0)
        changes = await store.watch.poll(revision)
        assert changes is not None
        assert [session.label for session in changes.sessions] == ["first", "second"]
        assert [session.deleted_at for session in changes.sessions] == [None, 1.0]
        assert [(turn.session_id, turn.prompt) for turn in changes.turns] == [
            (first.id, "hello"),
            (second.id, "hello"),
            (first.id, "again"),
        ]


async def test_the_end_of_an_answer_is_seen_beside_any_number_of_imported_turns(history: Path) -> None:
    shown, imported = a_session("shown"), [a_session(f"imported-{number}") for number in range(3)]
    async with opened(history) as store, opened(history) as other:
        await told(other, shown, "before")
        begun = await other.begin(a_turn(shown), shown)
        revision = await start(store)
        await other.save(said(begun, "hi", status=TurnStatus.DONE), begun, shown)
        for session in imported:
            turns = [said(a_turn(session, f"p{n}"), "x", status=TurnStatus.DONE) for n in range(250)]
            await other.take_in(session, turns, session.id, on_top=True)
        changes = await store.watch.poll(revision)
        assert changes is not None
        first, *others = changes.turns
        assert (first.id, first.text, first.status) == (begun.id, "hi", TurnStatus.DONE)
        assert {turn.session_id for turn in others} == {imported[-1].id}
        assert len(others) == 200


async def test_of_very_many_turns_the_newest_ones_of_each_session_are_seen(history: Path) -> None:
    first, second = a_session("first"), a_session("second")
    async with opened(history) as store, opened(history) as other:
        revision = await start(store)
        for session, count in ((first, 10), (second, 210)):
            for number in range(count):
                await told(other, session, f"{session.label} {number}")
        changes = await store.watch.poll(revision)
        assert changes is not None
        said_last = [f"first {number}" for number in range(2, 10)] + [f"second {number}" for number in range(10, 210)]
        assert [turn.prompt for turn in changes.turns] == said_last


async def test_our_own_changes_are_seen_too(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        revision = await start(store)
        await told(store, session)
        changes = await store.watch.poll(revision)
        assert changes is not None
        assert [one.label for one in changes.sessions] == ["work"]
        assert [turn.text for turn in changes.turns] == ["hi"]


async def test_two_changes_in_one_tick_of_the_file_systems_clock_are_both_seen(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file's time of change stands still for some milliseconds, and its size need not change either."""
    session = a_session()
    tick = 1_800_000_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: tick + 4_000_000)
    async with opened(history) as store, opened(history) as other:
        await other.create(session)
        revision = await start(store)
        seen = []
        for draft in ("aaa", "bbb", "ccc"):
            await other.update(session.id, draft=draft)
            os.utime(history, ns=(tick, tick))
            changes = await store.watch.poll(revision)
            assert changes is not None
            seen += [one.draft for one in changes.sessions]
            revision = changes.revision
        assert seen == ["aaa", "bbb", "ccc"]


async def test_a_look_costs_one_stat_while_nothing_happens(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(history) as store:
        await told(store, a_session())
        age(history)
        revision = await start(store)
        stats: list[Path] = []
        calls: list[object] = []
        stat, call = Path.stat, store._call

        def counted_stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
            stats.append(self)
            return stat(self, follow_symlinks=follow_symlinks)

        def counted_call(*args: Any, **more: Any) -> Any:
            calls.append(args)
            return call(*args, **more)

        monkeypatch.setattr(Path, "stat", counted_stat)
        monkeypatch.setattr(store, "_call", counted_call)
        for _ in range(100):
            assert await store.watch.poll(revision) is None
        assert stats == [history] * 100
        assert calls == []
        await told(store, a_session("more"))
        calls.clear()
        changes = await store.watch.poll(revision)
        assert changes is not None
        assert len(calls) == 1


async def test_a_look_where_there_is_nothing(tmp_path: Path) -> None:
    missing = tmp_path / "file"
    missing.write_text("in the way")
    async with opened(missing / "history.db") as store:
        assert await store.watch.poll(None) is None
        assert await store.watch.poll(3) is None


@pytest.mark.fault("D28")
async def test_another_file_in_its_place_is_looked_at_from_its_beginning(history: Path, tmp_path: Path) -> None:
    async with opened(history) as store:
        for number in range(10):
            await told(store, a_session(f"old-{number}"))
        revision = await start(store)
        elsewhere = tmp_path / "elsewhere.db"
        async with opened(elsewhere) as other:
            await told(other, a_session("new"), "new prompt")
        elsewhere.rename(history)
        changes = await store.watch.poll(revision)
        assert changes is not None
        assert changes.revision < revision
        assert [session.label for session in changes.sessions] == ["new"]
        assert [turn.prompt for turn in changes.turns] == ["new prompt"]
        assert await store.watch.poll(changes.revision) is None


async def test_a_turn_two_windows_see_is_read_whole(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        begun = await store.begin(a_turn(session), session)
        half = said(begun, "half")
        await store.save(half, begun, session)
        await store.save(said(begun, "half and half"), half, session)
        changes = await other.watch.poll(0)
        assert changes is not None
        assert [turn.text for turn in changes.turns] == ["half and half"]


async def test_a_look_at_a_locked_file_waits_for_no_one(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(history) as store:
        revision = await start(store)
        change(history, "UPDATE meta SET value = value + 1 WHERE key = 'revision'")
        conn = sqlite3.connect(history, isolation_level=None)
        try:
            conn.execute("BEGIN IMMEDIATE")
            changes = await store.watch.poll(revision)
            assert changes is not None
        finally:
            conn.close()
