"""Prompts that wait, on disk: their order, their becoming turns, and what a killed process leaves of both."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.conftest import Disk
from tests.store.histories import NOW, a_session, a_turn, opened, said, set_back, told
from tests.store.other import Other
from tui.drafts import Change
from tui.errors import SessionBusy, StoreError
from tui.model import Queued, Session, Turn, TurnStatus, new_id
from tui.store import Store, schema
from tui.store.salvage import salvage
from tui.store.sql.queues import get_queue


def a_prompt(session: Session, prompt: str, after: Turn | None = None) -> Queued:
    return Queued(new_id(), session.id, prompt, NOW, after.id if after else "")


async def queued(store: Store, session: Session, *prompts: str, after: Turn) -> tuple[Queued, ...]:
    for prompt in prompts:
        assert await store.queues.add(a_prompt(session, prompt, after), session)
    return await store.queues.get(session.id) or ()


async def test_prompts_wait_in_order_and_outlive_the_process(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await store.begin(a_turn(session), session)
        waiting = await queued(store, session, "one", "two\nlines", "three", after=turn)
        assert [(one.prompt, one.follows, one.is_held) for one in waiting] == [
            ("one", turn.id, False),
            ("two\nlines", turn.id, False),
            ("three", turn.id, False),
        ]
    async with opened(history) as store:
        assert await store.queues.get(session.id) == waiting
        assert await store.queues.get("another") == ()


async def test_a_prompt_changed_keeps_its_place_and_one_taken_out_leaves_the_others(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await store.begin(a_turn(session), session)
        one, two, three = await queued(store, session, "one", "two", "three", after=turn)
        assert await store.queues.change(two, "two", is_held=True)
        assert [one.is_held for one in await store.queues.get(session.id) or ()] == [False, True, False]
        assert await store.queues.change(two, "second")
        assert await store.queues.remove(one)
        assert await store.queues.get(session.id) == (replace(two, prompt="second"), three)
        assert not await store.queues.remove(one)
        assert not await store.queues.change(one, "again")
        four = await store.queues.add(a_prompt(session, "four", turn), session)
        assert [one.prompt for one in await store.queues.get(session.id) or ()] == ["second", "three", "four"]
        assert four is not None


async def test_what_was_made_of_a_prompt_is_no_longer_in_the_draft_once_it_is_put_back(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await store.begin(a_turn(session), session)
        (one,) = await queued(store, session, "one", after=turn)
        change = Change(one.id, None, "one, changed").kept
        await store.update(session.id, draft=change)
        for prompt, is_held, draft in (
            ("one, changed", True, change),
            ("one", False, change),
            ("one, changed", False, ""),
        ):
            assert await store.queues.change(one, prompt, is_held=is_held)
            kept = await store.session(session.id)
            assert kept is not None
            assert kept.draft == draft


async def test_the_first_becomes_a_turn_and_the_others_follow_it(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        first = await told(store, session)
        one, two = await queued(store, session, "one", "two", after=first)
        assert await store.queues.begin(two, a_turn(session, "two"), session, "") is None
        assert await store.queues.begin(replace(one, prompt="as it was"), a_turn(session), session, "") is None
        assert await store.count(session.id) == 1
        begun = await store.queues.begin(one, a_turn(session, "one"), session, "")
        assert begun is not None
        assert (begun.prompt, begun.depth) == ("one", 1)
        assert await store.queues.get(session.id) == (replace(two, follows=begun.id),)
        assert await store.queues.begin(one, a_turn(session, "one"), session, "") is None
        assert await store.prompts(session.id) == ["hello", "one"]


async def test_what_cannot_be_written_waits_on(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        first = await told(store, session)
        (one,) = await queued(store, session, "one", after=first)
        async with disk.broken(store):
            with pytest.raises(StoreError):
                await store.queues.begin(one, a_turn(session, "one"), session, "")
            with pytest.raises(StoreError):
                await store.queues.add(a_prompt(session, "two", first), session)
        assert await store.queues.get(session.id) == (one,)
        assert await store.prompts(session.id) == ["hello"]
        assert not store.health.unsaved


async def test_what_was_written_though_that_was_reported_to_have_failed_is_gone_on_with(
    history: Path, disk: Disk
) -> None:
    session = a_session()
    async with opened(history) as store:
        first = await told(store, session)
        (one,) = await queued(store, session, "one", after=first)
        disk.lied_about = "COMMIT"
        two = await store.queues.add(a_prompt(session, "two", first), session)
        assert two is not None
        assert await store.queues.get(session.id) == (one, two)
        turn = a_turn(session, "one")
        disk.lied_about = "COMMIT"
        begun = await store.queues.begin(one, turn, session, "")
        assert begun == replace(turn, depth=1)
        assert disk.lied_about == ""
        assert await store.queues.get(session.id) == (replace(two, follows=turn.id),)
        assert await store.save(said(begun, "yes", status=TurnStatus.DONE), begun, session)
        assert [turn.text for turn in await store.turns(session.id)] == [first.text, "yes"]


@pytest.mark.parametrize("statement", ["INSERT INTO turns", "DELETE FROM queue", "COMMIT", ""])
async def test_a_process_killed_on_the_way_neither_loses_a_prompt_nor_doubles_it(history: Path, statement: str) -> None:
    session = a_session()
    async with opened(history) as store:
        first = await told(store, session)
        one, two = await queued(store, session, "one", "two", after=first)
    with Other(history) as other:
        other.do("open")
        other.tell("take", session.label, statement)
        assert other.process.wait(20) == 9
    async with opened(history) as store:
        if not statement:
            assert store.recovered == 1
            assert [turn.status for turn in await store.turns(session.id)] == [TurnStatus.DONE, TurnStatus.INTERRUPTED]
        else:
            assert await store.prompts(session.id) == ["hello"]
            assert await store.queues.get(session.id) == (one, two)
            assert await store.queues.begin(one, a_turn(session, "one"), session, "")
        assert await store.prompts(session.id) == ["hello", "one"]
        (waiting,) = await store.queues.get(session.id) or ()
        assert waiting == replace(two, follows=(await store.turns(session.id))[1].id)


async def test_while_another_window_answers_prompts_wait_behind_its_turn(history: Path) -> None:
    with Other(history) as other:
        other.do("open")
        other.do("begin", "work", "theirs")
        async with opened(history) as store:
            session = await store.find("work")
            assert session is not None
            kept = await store.queues.add(a_prompt(session, "mine"), session)
            assert kept is not None
            (theirs,) = await store.turns(session.id)
            assert kept.follows == theirs.id
            with pytest.raises(SessionBusy):
                await store.queues.begin(kept, a_turn(session, "mine"), session, "")
            assert await store.queues.get(session.id) == (kept,)
            other.kill()
            # No one answers any more: what is said then need not wait.
            assert await store.queues.add(a_prompt(session, "at once"), session) is None
            assert await store.queues.begin(kept, a_turn(session, "mine"), session, "")
            assert await store.prompts(session.id) == ["theirs", "mine"]


async def test_other_windows_are_told_of_each_change(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        turn = await store.begin(a_turn(session), session)
        changes = await other.watch.poll(None)
        assert changes is not None
        (one,) = await queued(store, session, "one", after=turn)
        changes = await other.watch.poll(changes.revision)
        assert changes is not None
        assert dict(changes.queues) == {session.id: (one,)}
        await store.queues.remove(one)
        changes = await other.watch.poll(changes.revision)
        assert changes is not None
        assert dict(changes.queues) == {session.id: ()}


async def test_what_waits_behind_a_run_that_is_taken_up_again_waits_for_the_user(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await store.begin(a_turn(session), session)
        await store.save(replace(turn, status=TurnStatus.INTERRUPTED, run="run_1"), turn, session)
        await queued(store, session, "one", after=turn)
        assert await store.reopen(turn.id)
        assert [one.follows for one in await store.queues.get(session.id) or ()] == [""]


async def test_what_waited_is_saved_from_a_damaged_history(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await told(store, session)
        waiting = await queued(store, session, "one", "two", after=turn)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        schema.migrate(conn)
        conn.execute("BEGIN")
        assert salvage(history, conn) == 1
        assert get_queue(conn, session.id) == waiting


async def test_a_history_from_before_gets_its_queue(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await told(store, session)
    set_back(history, 4)
    async with opened(history) as store:
        assert await store.queues.get(session.id) == ()
        assert [one.prompt for one in await queued(store, session, "one", after=turn)] == ["one"]
