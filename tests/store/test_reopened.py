"""Turns that go on after their end: taken up again, or told how it went with what they asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.conftest import Disk
from tests.store.histories import NOW, a_session, a_turn, found, is_whole, opened, rows, said, told
from tui.errors import SessionBusy, StoreError, UsageError
from tui.model import Attempt, AttemptKind, Failure, Item, ItemKind, ItemState, Session, Settled, Turn, TurnStatus
from tui.store import Store

FAILURE = Failure("incomplete", "It broke off.", "try again", 500, 4)
ATTEMPTS = (Attempt(1, AttemptKind.FIRST, NOW, NOW + 1, "", "conv", "broke off"),)


async def broken_off(store: Store, session: Session, status: TurnStatus = TurnStatus.INTERRUPTED) -> Turn:
    """A turn that ended with half an answer."""
    begun = await store.begin(a_turn(session, "apples?"), session)
    half = replace(said(begun, "pears", status=status), error=FAILURE, ended_at=NOW + 2, attempts=ATTEMPTS)
    assert await store.save(half, begun, session)
    return half


async def test_a_turn_that_was_interrupted_runs_on_and_ends_once(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        half = await broken_off(store, session)
        before = await other.watch.poll(None)
        assert before is not None
        assert await other.reopen(half.id) == half
        running = replace(half, status=TurnStatus.STREAMING, error=None, ended_at=None)
        assert await store.turn(half.id) == running
        assert found(history, "apples pears") == found(history, "pears") == [], "what runs is not in the index"
        assert rows(history, "SELECT holder FROM turns") == [(other.holder,)]
        changes = await store.watch.poll(before.revision)
        assert changes is not None
        assert [turn.id for turn in changes.turns] == [half.id], "other windows look at it again"
        with pytest.raises(SessionBusy):
            await store.begin(a_turn(session, "meanwhile"), session)
        whole = replace(said(running, "pears and plums", status=TurnStatus.DONE), ended_at=NOW + 3)
        assert await other.save(whole, half, session)
        assert await store.turn(half.id) == whole
        assert found(history, "pears") == ["pears and plums"]
    assert is_whole(history)


@pytest.mark.parametrize("status", [one for one in TurnStatus if one is not TurnStatus.INTERRUPTED])
async def test_any_other_turn_is_left_as_it_is(history: Path, status: TurnStatus) -> None:
    session = a_session()
    async with opened(history) as store:
        one = await broken_off(store, session, status)
        assert await store.reopen(one.id) is None
        assert await store.turn(one.id) == one
        assert await store.reopen("no such turn") is None


async def test_it_does_not_run_on_beside_another_windows_answer(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        half = await broken_off(store, session)
        await other.begin(a_turn(session, "meanwhile"), session)
        with pytest.raises(SessionBusy, match=r"answering in another window \(process \d+\)"):
            await store.reopen(half.id)
        assert await store.turn(half.id) == half
        assert found(history, "pears") == ["pears"]


async def test_where_it_cannot_be_noted_it_is_left_as_it_is(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        half = await broken_off(store, session)
        async with disk.broken(store):
            with pytest.raises(StoreError):
                await store.reopen(half.id)
        assert await store.turn(half.id) == half


async def test_what_a_turn_asked_for_is_told_how_it_went(history: Path) -> None:
    session = a_session()
    asked = (
        Item("a", ItemKind.APPROVAL, "{}", "rm", "call_1", ItemState.OPEN),
        Item("b", ItemKind.APPROVAL, "{}", "cp", "call_2", ItemState.OPEN),
    )
    async with opened(history) as store:
        begun = await store.begin(a_turn(session, "clean up"), session)
        ended = replace(begun, status=TurnStatus.DONE, items=asked)
        await store.save(ended, begun, session)
        other = await told(store, session, "thanks")
        before = await store.watch.poll(None)
        assert before is not None
        expected = replace(ended, items=(replace(asked[0], state=ItemState.APPROVED), asked[1]))
        assert await store.set_item_state(begun.id, "a", ItemState.APPROVED) == expected
        assert await store.turn(begun.id) == expected
        assert await store.turn(other.id) == other
        changes = await store.watch.poll(before.revision)
        assert changes is not None
        assert [turn.id for turn in changes.turns] == [begun.id]
        assert await store.set_item_state(begun.id, "no such item", ItemState.DENIED) == expected
        assert await store.set_item_state("no such turn", "a", ItemState.DENIED) is None


async def test_how_it_went_is_kept_in_memory_while_it_cannot_be_written(history: Path, disk: Disk) -> None:
    session = a_session()
    asked = Item("a", ItemKind.APPROVAL, "{}", "rm", "call_1", ItemState.OPEN)
    async with opened(history) as store:
        begun = await store.begin(a_turn(session, "clean up"), session)
        ended = replace(begun, status=TurnStatus.DONE, items=(asked,))
        await store.save(ended, begun, session)
        other = await told(store, session, "thanks")
        expected = replace(ended, items=(replace(asked, state=ItemState.DENIED),))
        async with disk.broken(store):
            assert await store.set_item_state(begun.id, "a", ItemState.DENIED) == expected
            assert store.health.unsaved
            assert await store.turns(session.id) == [expected, other]
            with pytest.raises(StoreError):
                await store.set_item_state("no such turn", "a", ItemState.DENIED)
        await store._heal()
        assert not store.health.message
        assert await store.turns(session.id) == [expected, other]
    assert is_whole(history)


async def test_what_a_turn_settles_is_settled_with_its_beginning_and_once(history: Path, disk: Disk) -> None:
    """Whatever ends the process in between leaves neither an answer no one is told of, nor one that can be given twice."""
    session = a_session()
    asked = Item("a", ItemKind.APPROVAL, "{}", "rm", "call_1", ItemState.OPEN)
    seen: list[tuple[int, str]] = []

    def look(statement: str) -> None:
        if statement == "COMMIT":
            ((turns, state),) = rows(history, "SELECT (SELECT count(*) FROM turns), state FROM items WHERE key = 'a'")
            seen.append((turns, state))

    async with opened(history) as store:
        begun = await store.begin(a_turn(session, "clean up"), session)
        await store.save(replace(begun, status=TurnStatus.DONE, items=(asked,)), begun, session)
        settles = Settled(begun.id, "a", ItemState.APPROVED)
        disk.on_statement = look
        second = await store.begin(a_turn(session, "Approved: rm"), session, settles=settles)
        await store.save(said(second, "done", status=TurnStatus.DONE), second, session)
        disk.on_statement = lambda _statement: None
        assert seen == [(1, "open"), (2, "approved")]
        with pytest.raises(UsageError, match="answered already"):
            await store.begin(a_turn(session, "Denied: rm"), session, settles=replace(settles, state=ItemState.DENIED))
        assert [turn.prompt for turn in await store.turns(session.id)] == ["clean up", "Approved: rm"]


async def test_what_a_turn_settles_that_is_only_in_memory_is_settled_there(history: Path, disk: Disk) -> None:
    session = a_session()
    asked = Item("a", ItemKind.APPROVAL, "{}", "rm", "call_1", ItemState.OPEN)
    async with opened(history) as store:
        begun = await store.begin(a_turn(session, "clean up"), session)
        await store.save(replace(begun, status=TurnStatus.DONE, items=(asked,)), begun, session)
        async with disk.broken(store):
            settles = Settled(begun.id, "a", ItemState.DENIED)
            await store.begin(a_turn(session, "Denied: rm"), session, settles=settles)
            (first, second) = await store.turns(session.id)
            assert (first.items[0].state, second.prompt) == (ItemState.DENIED, "Denied: rm")
        await store._heal()
        assert rows(history, "SELECT state FROM items WHERE key = 'a'") == [("denied",)]
