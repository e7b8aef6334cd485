"""Two chats on one history: one sends in a session at a time, the other sees it live, is told of it, and takes over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import PROFILE, Exchange, completed, delta
from tests.store.histories import change, rows
from tests.store.other import Other
from tui import leases
from tui.chat import LeaseChanged, SessionChanged, TurnChanged
from tui.errors import SessionBusy, StoreError, UsageError
from tui.model import HolderKind, Session, SessionLease, Turn, TurnStatus
from tui.store import Store, schema


@asynccontextmanager
async def two(history: Path) -> AsyncIterator[tuple[Talk, Talk]]:
    """Two windows that follow one another."""
    async with talk(history) as here, talk(history) as there:
        await here.follow()
        await there.follow()
        yield here, there


async def answering(t: Talk, session: Session, prompt: str = "first", text: str = "Once") -> Exchange:
    """A prompt whose answer has begun."""
    t.chat.send(session, prompt)
    exchange = (await t.server.request()).respond().event(delta(text))
    await t.until(lambda: t.turns[-1].text == text)
    return exchange


async def seen_by(t: Talk, session: Session) -> SessionLease:
    """Who sends in a session elsewhere, once that is known."""
    await t.until(lambda: t.chat.lease(session.id))
    lease = t.chat.lease(session.id)
    assert lease is not None
    return lease


def told(t: Talk) -> list[SessionLease | None]:
    """Everything that was told of leases."""
    return [change.lease for change in t.changes if isinstance(change, LeaseChanged)]


# What is seen


async def test_who_sends_elsewhere_is_told_until_it_has_ended(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        exchange = await answering(here, session)
        lease = await seen_by(there, session)
        assert (lease.holder, lease.kind, lease.process) == (here.store.holder, HolderKind.WINDOW, os.getpid())
        await there.until(lambda: there.turns and there.turns[-1].text == "Once")
        exchange.event(delta(" upon"))
        await there.until(lambda: there.turns[-1].text == "Once upon")
        exchange.event(completed("Once upon", "resp_1")).end()
        await there.until(lambda: there.chat.lease(session.id) is None)
        assert [lease is not None for lease in told(there)] == [True, False], "heartbeats are not told"
        assert there.turns[-1].status is TurnStatus.DONE
        assert told(here) == [], "one's own is no news"


@dataclass(frozen=True)
class Deed:
    """Something done in one window, and what the other is to be told of it."""

    do: Callable[[Talk, Session], Awaitable[object]]
    shows: Callable[[list[object]], bool]


def session_like(test: Callable[[Session], bool]) -> Callable[[list[object]], bool]:
    return lambda changes: any(isinstance(one, SessionChanged) and test(one.session) for one in changes)


def turn_like(test: Callable[[Turn], bool]) -> Callable[[list[object]], bool]:
    return lambda changes: any(isinstance(one, TurnChanged) and test(one.turn) for one in changes)


DEEDS = {
    "rename": Deed(lambda t, s: t.chat.rename(s.id, "other"), session_like(lambda s: s.label == "other")),
    "title": Deed(lambda t, s: t.chat.set_title(s.id, "A title"), session_like(lambda s: s.title == "A title")),
    "pin": Deed(lambda t, s: t.chat.pin(s.id), session_like(lambda s: s.pinned)),
    "archive": Deed(lambda t, s: t.chat.archive(s.id), session_like(lambda s: s.archived_at is not None)),
    "delete": Deed(lambda t, s: t.chat.delete(s.id), session_like(lambda s: s.deleted_at is not None)),
    "new": Deed(lambda t, s: t.chat.open("new one"), session_like(lambda s: s.label == "new one")),
    "turn": Deed(
        lambda t, s: t.answered(s, "again", "gladly", "resp_2"),
        turn_like(lambda turn: (turn.prompt, turn.text, turn.status) == ("again", "gladly", TurnStatus.DONE)),
    ),
    "queue": Deed(lambda t, s: t.answered(s, "again", "gladly", "resp_2"), session_like(lambda s: s.turns == 2)),
}


@pytest.mark.parametrize("name", DEEDS)
async def test_what_is_done_in_one_window_is_told_in_the_other_at_its_next_look(history: Path, name: str) -> None:
    async with talk(history) as here, talk(history) as there:
        session = await here.chat.open("work")
        await here.answered(session, "hello", "hi", "resp_1")
        there.chat.follow()
        await there.until(lambda: there.chat._following is not None and there.store.watch._seen is not None)
        await DEEDS[name].do(here, session)
        looks: list[int] = []
        poll = there.store.watch.poll

        async def counted(since: int | None) -> object:
            looks.append(len(there.changes))
            return await poll(since)

        there.store.watch.poll = counted  # type: ignore[method-assign]
        await there.until(lambda: DEEDS[name].shows(list(there.changes)))
        assert len(looks) <= 1, "one look is enough"
    assert leases.FOLLOW_EVERY <= 0.1


async def test_a_turn_taken_up_elsewhere_is_seen_where_it_was_begun(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        await here.answered(session, "hello", "hi", "resp_1")
        (turn,) = await here.chat.turns(session.id)
        await here.until(lambda: here.chat._is_news(turn, set()) is False)
        conn = await there.store.reopen(turn.id)
        assert conn is None, "it has ended"
        seen = len(here.turns)
        await there.store.write(
            lambda conn: conn.execute("UPDATE turns SET status = 'interrupted' WHERE id = ?", (turn.id,))
        )
        reopened = await there.store.reopen(turn.id)
        assert reopened is not None
        await here.until(lambda: here.turns[seen:] and here.turns[-1].status is TurnStatus.STREAMING)


async def test_what_happened_while_the_window_was_opening_is_told(history: Path) -> None:
    async with talk(history) as here, talk(history) as there:
        session = await here.chat.open("work")
        since = await there.chat.revision()
        await here.chat.rename(session.id, "other")
        there.chat.follow(since)
        await there.until(lambda: any(one.label == "other" for one in there.sessions))


# What is guarded


async def test_a_session_that_is_only_shown_keeps_no_one_out(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        here.chat.attend(session.id)
        await here.answered(session, "one", "well", "resp_1")
        same = await there.chat.find("work")
        assert same is not None
        turn = await there.answered(same, "two", "well", "resp_2")
        assert (turn.depth, turn.status) == (1, TurnStatus.DONE)


async def test_a_session_that_others_have_just_let_go_of_is_free_at_once(history: Path) -> None:
    """Whatever this window knows: the history decides."""
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        exchange = await answering(here, session)
        await seen_by(there, session)
        with pytest.raises(SessionBusy):
            await there.chat.choose(session.id, here.turns[-1].id)
        exchange.event(completed("Once", "resp_1")).end()
        await here.chat.settled(session.id)
        assert (await there.answered(session, "mine", "well", "resp_2")).depth == 1
        assert len(rows(history, "SELECT 1 FROM turns")) == 2


async def test_between_two_turns_of_a_queue_no_one_comes_in(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        first = await answering(here, session)
        await here.chat.enqueue(session, "second")
        seen: list[str] = []

        def held_meanwhile(change: object) -> None:
            if isinstance(change, TurnChanged) and change.turn.status is TurnStatus.DONE:
                seen.extend(holder for (holder,) in rows(history, "SELECT holder FROM leases"))

        here.chat.subscribe(held_meanwhile)
        first.event(completed("Once", "resp_1")).end()
        second = await here.server.request()
        assert second.json["input"][-1]["content"] == "second"
        assert [lease.holder for lease in await there.store.leases.all()] == [here.store.holder]
        # From there it waits behind what is coming.
        await seen_by(there, session)
        assert await there.chat.enqueue(session, "third") is not None
        answer_well(second, "well", "resp_2")
        answer_well(await here.server.request(), "well", "resp_3")
        await there.until(lambda: there.chat.lease(session.id) is None)
        assert [turn.prompt for turn in await there.chat.turns(session.id)] == ["first", "second", "third"]
        assert seen[:1] == [here.store.holder]


async def test_a_queue_that_ends_between_two_turns_lets_go(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        first = await answering(here, session)
        waiting = await here.chat.enqueue(session, "second")
        assert waiting is not None

        def stop_between(change: object) -> None:
            if isinstance(change, TurnChanged) and change.turn.status is TurnStatus.DONE:
                here.chat.cancel(session.id)

        here.chat.subscribe(stop_between)
        first.event(completed("Once", "resp_1")).end()
        await here.until(lambda: not here.chat.is_running(session.id))
        await there.until(lambda: not rows(history, "SELECT 1 FROM leases"))
        assert [one.prompt for one in await there.chat.queue(session.id)] == ["second"]


async def test_what_is_in_the_trash_is_not_gone_on_with(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        exchange = await answering(here, session)
        await seen_by(there, session)
        deleted = await there.chat.delete(session.id)
        await exchange.closed.wait()
        turn = await here.chat.settled(session.id) or here.turns[-1]
        assert (turn.status, turn.text, turn.notes) == (TurnStatus.CANCELLED, "Once", (leases.DELETED,))
        with pytest.raises(UsageError, match="in the trash"):
            here.chat.send(deleted, "again")


@pytest.mark.fault("C24")
async def test_a_process_that_follows_no_one_stops_too_what_is_in_the_trash(history: Path) -> None:
    """As `ask` does, and only there."""
    async with talk(history) as here, talk(history) as there:
        session, other = await here.chat.open("work"), await here.chat.open("other")
        exchange, kept = await answering(here, session), await answering(here, other)
        await there.chat.delete(session.id)
        await asyncio.wait_for(exchange.closed.wait(), 20)
        await here.until(lambda: not here.chat.is_running(session.id))
        turn = await here.chat.settled(session.id) or (await here.chat.turns(session.id))[-1]
        assert (turn.status, turn.text, turn.notes) == (TurnStatus.CANCELLED, "Once", (leases.DELETED,))
        kept.event(completed("Once", "resp_2")).end()
        assert (await here.chat.settled(other.id) or here.turns[-1]).status is TurnStatus.DONE
        session = await there.chat.restore(session.id)
        assert [one.text for one in await there.chat.turns(session.id)] == ["Once"]


# Taking over


async def test_taking_over_stops_the_other_keeps_what_came_and_lets_one_send(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        exchange = await answering(here, session)
        await here.chat.enqueue(session, "second")
        lease = await seen_by(there, session)
        taken = await there.chat.take_over(session.id)
        assert taken is not None
        assert (taken.holder, taken.turn_id) == (lease.holder, lease.turn_id)
        await asyncio.wait_for(exchange.closed.wait(), 20)
        (turn,) = await there.chat.turns(session.id)
        assert (turn.text, turn.status, turn.notes) == ("Once", TurnStatus.CANCELLED, (leases.YIELDED,))
        assert there.chat.lease(session.id) is None
        # What waited is no go: the user says when.
        assert [one.prompt for one in await there.chat.queue(session.id)] == ["second"]
        await there.answered(session, "mine", "well", "resp_2")
        await here.until(lambda: here.turns[-1].prompt == "mine" and here.turns[-1].status is TurnStatus.DONE)
        assert [one.status for one in await here.chat.turns(session.id)] == [TurnStatus.CANCELLED, TurnStatus.DONE]
        assert len(here.server.seen) == 1


@pytest.mark.fault("D17", "D43")
@pytest.mark.parametrize("is_answering", [False, True])
async def test_where_nothing_can_be_written_a_session_is_taken_over_only_from_no_one(
    history: Path, is_answering: bool
) -> None:
    async with talk(history) as here:
        session = await here.chat.open("work")
        exchange = await answering(here, session)
        if not is_answering:
            exchange.event(completed("Once", "resp_1")).end()
            await here.chat.settled(session.id)
        change(history, "PRAGMA user_version = 99")
        async with talk(history) as there:
            if is_answering:
                with pytest.raises(StoreError, match="newer version"):
                    await there.chat.take_over(session.id)
            else:
                assert await there.chat.take_over(session.id) is None
        change(history, f"PRAGMA user_version = {schema.VERSION}")


async def test_a_process_that_follows_no_one_gives_way_too_before_anything_came(history: Path) -> None:
    """As `ask` does, which waits for its server and shows nothing else."""
    async with talk(history) as here, talk(history) as there:
        session = await here.chat.open("work")
        here.chat.send(session, "slow")
        exchange = await here.server.request()
        assert await there.chat.take_over(session.id) is not None
        turn = await here.chat.settled(session.id) or here.turns[-1]
        assert (turn.status, turn.text, turn.notes) == (TurnStatus.CANCELLED, "", (leases.YIELDED,))
        await asyncio.wait_for(exchange.closed.wait(), 20)
        await here.until(lambda: here.chat._watching is not None and here.chat._watching.done())


async def test_where_no_one_sends_there_is_nothing_to_take_over(history: Path) -> None:
    async with two(history) as (here, there):
        session = await here.chat.open("work")
        assert await there.chat.take_over(session.id) is None
        exchange = await answering(here, session)
        assert await here.chat.take_over(session.id) is None
        assert not exchange.closed.is_set()


async def test_one_that_does_not_answer_is_not_waited_for_longer(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "PATIENCE", 0.0)
    async with talk(history) as there:
        with Other(history) as other:
            other.do("open")
            other.do("begin", "work", "first")
            other.do("say", "work", "half")
            os.kill(other.pid, signal.SIGSTOP)
            session = await there.chat.find("work")
            assert session is not None
            assert await there.chat.take_over(session.id) is not None
            turn = await there.answered(session, "mine", "well", "resp_2")
            assert turn.depth == 1
            os.kill(other.pid, signal.SIGCONT)
            assert other.do("say", "work", "half and more") is True
        first, second = await there.chat.turns(session.id)
        assert (first.status, first.text) == (TurnStatus.INTERRUPTED, "half and more")
        assert first.error is not None
        assert first.error.kind == "taken"
        assert second.status is TurnStatus.DONE


async def test_a_process_that_was_killed_is_freed_while_one_looks_on(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LOOK_EVERY", 0.0)
    async with talk(history) as there:
        with Other(history) as other:
            other.do("open")
            other.do("begin", "work", "first")
            other.do("say", "work", "half an ans")
            await there.follow()
            session = await there.chat.find("work")
            assert session is not None
            await seen_by(there, session)
        await there.until(lambda: there.chat.lease(session.id) is None)
        turn = there.turns[-1]
        assert (turn.text, turn.status) == ("half an ans", TurnStatus.INTERRUPTED)
        assert turn.error is not None
        assert turn.error.kind == "crash"
        assert there.sessions[-1].last_status is TurnStatus.INTERRUPTED


async def test_a_turn_that_is_silent_says_that_it_goes_on(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_EVERY", 0.0)
    async with talk(history) as here:
        session = await here.chat.open("work")
        here.chat.send(session, "slow")
        exchange = await here.server.request()
        (lease,) = await here.store.leases.all()

        async def beaten() -> None:
            while (await here.store.leases.all())[0].heartbeat == lease.heartbeat:
                await asyncio.sleep(0.001)

        await asyncio.wait_for(beaten(), 20)
        answer_well(exchange, "well", "resp_1")
        await here.chat.settled(session.id)
        assert await here.store.leases.all() == ()


async def test_two_that_are_told_to_take_over_at_once_leave_the_session_free(history: Path) -> None:
    async with two(history) as (here, there), talk(history) as third:
        session = await here.chat.open("work")
        await answering(here, session)
        taken = await asyncio.gather(there.chat.take_over(session.id), third.chat.take_over(session.id))
        assert any(taken)
        (turn,) = await there.chat.turns(session.id)
        assert turn.status is TurnStatus.CANCELLED
        assert await there.store.leases.all() == ()


async def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "history.db")
    await store.open()
    try:
        assert await store.leases.all() == ()
        assert await store.watch.poll_leases() == ()
        await store.leases.free_dead()
        await store.leases.beat("session", "turn")
        await store.leases.release("session")
    finally:
        await store.close()


async def test_a_turn_begun_in_memory_lets_go_of_what_the_one_before_held(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server is told to stop the one before, the session is still held for that."""
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    in_background = replace(PROFILE, options={"background": True})
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "background": True, "output": []}
    async with talk(history, in_background) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        exchange = (await t.server.request()).respond()
        exchange.event({"type": "response.created", "sequence_number": 0, "response": response}).event(delta("hi"))
        await t.until(lambda: t.turns[-1].text == "hi")
        t.chat.cancel(session.id)
        stop = await t.server.request()
        await t.chat.settled(session.id)
        assert [lease.session_id for lease in await t.store.leases.all()] == [session.id]
        with Other(history) as other:
            other.do("take_lock")
            turn = t.chat.send(session, "two")
            await t.until(lambda: turn.id in t.store.overlay.turns)
            other.do("free_lock")
        stop.answer(200, {"id": "resp_1", "status": "cancelled"})
        answer_well(await t.server.request(), "well", "resp_2")
        await t.chat.settled(session.id)
        await t.store._heal()
        assert await t.store.leases.all() == ()


# One place, two turns


async def test_a_turn_whose_place_was_taken_comes_after_the_other_one(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one server was not told is not taken for told."""
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    async with two(history) as (here, there):
        session = await here.chat.open("one")
        await here.answered(session, "zero", "nought", "resp_0")
        session = await here.chat.open("one")
        with Other(history) as other:
            other.do("take_lock")
            here.chat.send(session, "mine here")
            answer_well(await here.server.request(), "answer of here", "resp_h")
            await here.until(lambda: not here.chat.running())
            await here.until(lambda: not here.chat._ending and not here.chat._chores)
            other.do("free_lock")
        await there.answered(session, "mine there", "answer of there", "resp_t")
        await here.store._heal()
        prompts = ["zero", "mine there", "mine here"]
        for t in (here, there):
            await t.until(lambda t=t: [one.depth for one in t.turns if one.prompt == "mine here"][-1:] == [2])
            assert [one.prompt for one in await t.chat.turns(session.id)] == prompts
        here.chat.send(await here.chat.open("one"), "next")
        asked = (await here.server.request()).json
        assert asked["previous_response_id"] == "resp_t"
        assert [one["content"] for one in asked["input"]] == ["mine here", "answer of here", "next"]


async def test_a_turn_that_others_change_and_that_is_changed_back_is_shown_as_it_is(history: Path) -> None:
    """What was only in memory here comes to disk after another window has marked the turn as taken over."""
    async with two(history) as (here, there):
        session = await here.chat.open("one")
        await here.answered(session, "first", "Once", "resp_1")
        for status in ("interrupted", "done"):
            change(
                history,
                "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
                f"UPDATE turns SET status = '{status}', revision = (SELECT value FROM meta WHERE key = 'revision')",
            )
            for t in (here, there):
                await t.until(lambda t=t, status=status: [one.status.value for one in t.turns][-1:] == [status])
