"""Prompts that wait for the answer before them: sent in order and once, stopped by what goes wrong, until the user says go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import PROFILE, Exchange, completed, delta
from tests.store.other import Other
from tui.chat import QueueChanged
from tui.errors import SessionBusy, UsageError
from tui.model import ItemState, Queued, Session, TurnStatus, Verdict


async def asked(t: Talk, session: Session, *prompts: str) -> list[Queued]:
    """These prompts, said while an answer is coming."""
    return [queued for prompt in prompts if (queued := await t.chat.enqueue(session, prompt)) is not None]


async def waiting(t: Talk, session: Session) -> list[str]:
    return [queued.prompt for queued in await t.chat.queue(session.id)]


async def heard(t: Talk) -> str:
    """The newest thing the next request says, answered well."""
    exchange = await t.server.request()
    prompt = str(exchange.json["input"][-1]["content"])
    answer_well(exchange, f"to {prompt}", f"resp_{prompt}")
    return prompt


def sent(t: Talk) -> list[str]:
    """Everything the server was ever asked."""
    return [str(exchange.json["input"][-1]["content"]) for exchange in t.server.seen]


async def idle(t: Talk, session: Session) -> None:
    await t.until(lambda: not t.chat.is_running(session.id))


async def test_each_is_sent_once_the_answer_before_it_is_done(history: Path) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        first = await t.server.request()
        await asked(t, session, "two", "three")
        assert await waiting(t, session) == ["two", "three"]
        first.respond().event(delta("to one"))
        await t.until(lambda: t.turns[-1].text)
        assert sent(t) == ["one"]
        first.event(completed("to one", "resp_1")).end()
        second = await t.server.request()
        assert (second.json["input"][-1]["content"], second.json["previous_response_id"]) == ("two", "resp_1")
        assert await waiting(t, session) == ["three"]
        answer_well(second, "to two", "resp_2")
        assert await heard(t) == "three"
        await idle(t, session)
        assert [(turn.prompt, turn.text, turn.status) for turn in await t.chat.turns(session.id)] == [
            ("one", "to one", TurnStatus.DONE),
            ("two", "to two", TurnStatus.DONE),
            ("three", "to three", TurnStatus.DONE),
        ]
        told = [[queued.prompt for queued in one.queue] for one in t.changes if isinstance(one, QueueChanged)]
        assert [queue for place, queue in enumerate(told) if told[place - 1 : place] != [queue]] == [
            ["two"],
            ["two", "three"],
            ["three"],
            [],
        ]


async def test_what_is_said_between_two_answers_comes_after_what_waits(history: Path) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        first = await t.server.request()
        await asked(t, session, "two")
        said: list[asyncio.Task[Queued | None]] = []

        def at_once(change: object) -> None:
            if t.turns and t.turns[-1].status is TurnStatus.DONE and not said:
                with pytest.raises(UsageError, match="still answering"):
                    t.chat.send(session, "three")
                said.append(asyncio.get_running_loop().create_task(t.chat.enqueue(session, "three")))

        t.chat.subscribe(at_once)
        answer_well(first, "to one", "resp_1")
        assert [await heard(t), await heard(t)] == ["two", "three"]
        await idle(t, session)
        assert await waiting(t, session) == []


@pytest.mark.parametrize("end", ["cancel", "error", "lost"])
async def test_a_stop_or_an_error_stops_the_queue_until_the_user_says_go(history: Path, end: str) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        first = await t.server.request()
        await asked(t, session, "two", "three")
        if end == "cancel":
            first.respond().event(delta("to"))
            await t.until(lambda: t.turns[-1].text)
            t.chat.cancel(session.id)
        elif end == "error":
            first.answer(400, {"error": {"message": "no"}})
        else:
            first.respond().event(delta("to")).end()
        await t.chat.settled(session.id)
        await idle(t, session)
        assert await waiting(t, session) == ["two", "three"]
        # What the user says now goes first, and is no go for the others.
        await t.answered(session, "instead", "well", "resp_2")
        await idle(t, session)
        assert await waiting(t, session) == ["two", "three"]
        assert sent(t) == ["one", "instead"]
        assert await t.chat.send_next(session.id)
        assert [await heard(t), await heard(t)] == ["two", "three"]
        await idle(t, session)
        assert [turn.prompt for turn in await t.chat.turns(session.id)] == ["one", "instead", "two", "three"]
        assert await t.chat.send_next(session.id) is None


async def test_a_new_start_waits_for_the_user(history: Path) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        await t.server.request()
        await asked(t, session, "two", "three")
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        assert await waiting(t, session) == ["two", "three"]
        await t.answered(session, "new", "well", "resp_2")
        await idle(t, session)
        assert await waiting(t, session) == ["two", "three"]
        assert await t.chat.send_next(session.id)
        assert [await heard(t), await heard(t)] == ["two", "three"]


async def test_a_prompt_being_changed_is_not_sent_and_keeps_its_place(history: Path) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        first = await t.server.request()
        two, three = await asked(t, session, "two", "three")
        assert await t.chat.hold(two)
        answer_well(first, "to one", "resp_1")
        await t.chat.settled(session.id)
        await idle(t, session)
        assert await waiting(t, session) == ["two", "three"]
        assert await t.chat.put_back(two, "second")
        assert [await heard(t), await heard(t)] == ["second", "three"]
        assert not await t.chat.put_back(three, "too late")
        await idle(t, session)
        assert [turn.prompt for turn in await t.chat.turns(session.id)] == ["one", "second", "three"]


async def test_taking_out_the_prompt_that_was_held_lets_the_next_one_go(history: Path) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        first = await t.server.request()
        two, _ = await asked(t, session, "two", "three")
        await t.chat.hold(two)
        answer_well(first, "to one", "resp_1")
        await t.chat.settled(session.id)
        await idle(t, session)
        assert await t.chat.unqueue(two)
        assert await heard(t) == "three"


async def test_where_no_answer_is_coming_nothing_waits(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        assert await t.chat.enqueue(session, "one") is None
        assert await waiting(t, session) == []
        await t.answered(session, "one", "well", "resp_1")
        assert await t.chat.enqueue(session, "two") is None
        with pytest.raises(UsageError, match="empty"):
            await t.chat.enqueue(session, " \n")


async def test_a_script_sends_its_own_prompt_and_nothing_that_waits(history: Path) -> None:
    async with talk(history) as window, talk(history) as script:
        window.chat.follow()
        session = await window.chat.open("work")
        window.chat.send(session, "one")
        first = await window.server.request()
        await asked(window, session, "two")
        window.chat.cancel(session.id)
        await window.chat.settled(session.id)
        assert first.closed.is_set()
        theirs = await script.chat.open("work")
        await script.answered(theirs, "from a script", "well", "resp_9")
        assert sent(script) == ["from a script"]
        assert await waiting(window, session) == ["two"]


async def test_another_window_adds_to_the_queue_and_cannot_say_go_meanwhile(history: Path) -> None:
    async with talk(history) as here, talk(history) as there:
        await here.follow()
        await there.follow()
        session = await here.chat.open("work")
        here.chat.send(session, "one")
        first = await here.server.request()
        theirs = await there.chat.open("work")
        assert await there.chat.enqueue(theirs, "two")
        with pytest.raises(SessionBusy):
            await there.chat.send_next(theirs.id)
        await here.until(lambda: any(isinstance(one, QueueChanged) and one.queue for one in here.changes))
        answer_well(first, "to one", "resp_1")
        assert await heard(here) == "two"
        await idle(here, session)
        await there.until(lambda: [one.queue for one in there.changes if isinstance(one, QueueChanged)][-1] == ())
        assert sent(there) == []


async def test_a_stop_between_two_answers_stops_the_queue(history: Path) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        first = await t.server.request()
        await asked(t, session, "two")
        stopped: list[bool] = []

        def at_once(change: object) -> None:
            if t.turns and t.turns[-1].status is TurnStatus.DONE and not stopped:
                stopped.append(t.chat.cancel(session.id))

        t.chat.subscribe(at_once)
        answer_well(first, "to one", "resp_1")
        await t.until(lambda: stopped)
        await idle(t, session)
        assert stopped == [True]
        assert await waiting(t, session) == ["two"]
        assert sent(t) == ["one"]


def answer_with_a_question(exchange: Exchange, name: str, response_id: str) -> None:
    """An answer that is done but for something the user is to say yes or no to."""
    asked = {"type": "mcp_approval_request", "id": f"q_{name}", "server_label": "ops", "name": name, "arguments": "{}"}
    exchange.respond().event(completed(response_id=response_id, output=[asked])).end()


async def agree(t: Talk, session: Session, name: str, *, approved: bool = True) -> Exchange:
    """Answer the only question of the newest turn; gives what the server is told."""
    (*_, turn) = await t.chat.turns(session.id)
    (item,) = turn.open_approvals
    assert item.name == f"ops.{name}"
    await t.chat.answer(session, turn, item, Verdict(approved))
    exchange = await t.server.request()
    (said,) = exchange.json["input"]
    assert (said["type"], said["approval_request_id"], said["approve"]) == (
        "mcp_approval_response",
        f"q_{name}",
        approved,
    )
    return exchange


async def a_question(t: Talk) -> Session:
    """An answer that ends in a question, with two prompts that wait behind it."""
    t.chat.follow()
    session = await t.chat.open("work")
    t.chat.send(session, "one")
    first = await t.server.request()
    await asked(t, session, "two", "three")
    answer_with_a_question(first, "drop", "resp_1")
    await t.chat.settled(session.id)
    await idle(t, session)
    assert await waiting(t, session) == ["two", "three"]
    assert len(t.server.seen) == 1
    return session


@pytest.mark.parametrize("approved", [True, False])
async def test_a_question_stops_the_queue_until_what_it_leads_to_is_done(history: Path, approved: bool) -> None:
    async with talk(history) as t:
        session = await a_question(t)
        told = await agree(t, session, "drop", approved=approved)
        assert await waiting(t, session) == ["two", "three"]
        answer_with_a_question(told, "create", "resp_2")
        await t.chat.settled(session.id)
        await idle(t, session)
        assert await waiting(t, session) == ["two", "three"]
        answer_well(await agree(t, session, "create"), "to all that", "resp_3")
        assert [await heard(t), await heard(t)] == ["two", "three"]
        await idle(t, session)
        assert [turn.status for turn in await t.chat.turns(session.id)] == [TurnStatus.DONE] * 5


async def test_where_what_a_question_leads_to_is_over_before_the_queue_is_moved_it_goes_on(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talk(history) as t:
        session = await a_question(t)
        follow_on = t.store.queues.follow_on

        async def late(*args: str) -> None:
            """The history is busy meanwhile."""
            answer_well(await t.server.request(), "to that", "resp_2")
            await t.chat.settled(session.id)
            await idle(t, session)
            await follow_on(*args)

        monkeypatch.setattr(t.store.queues, "follow_on", late)
        (turn,) = await t.chat.turns(session.id)
        await t.chat.answer(session, turn, turn.open_approvals[0], Verdict(True))
        assert [await heard(t), await heard(t)] == ["two", "three"]
        await idle(t, session)


@pytest.mark.parametrize("end", ["cancel", "error"])
async def test_where_what_a_question_leads_to_goes_wrong_the_queue_waits_for_the_user(history: Path, end: str) -> None:
    async with talk(history) as t:
        session = await a_question(t)
        told = await agree(t, session, "drop")
        if end == "cancel":
            t.chat.cancel(session.id)
        else:
            told.answer(400, {"error": {"message": "no"}})
        await t.chat.settled(session.id)
        await idle(t, session)
        assert await waiting(t, session) == ["two", "three"]
        assert len(t.server.seen) == 2
        assert await t.chat.send_next(session.id)
        assert [await heard(t), await heard(t)] == ["two", "three"]
        await idle(t, session)


async def test_where_the_next_one_cannot_be_sent_it_waits_on(history: Path) -> None:
    async with talk(history) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        first = await t.server.request()
        await asked(t, session, "two")
        del t.chat.config.profiles[PROFILE.name]
        answer_well(first, "to one", "resp_1")
        await t.chat.settled(session.id)
        await idle(t, session)
        assert await waiting(t, session) == ["two"]


async def test_a_question_can_be_answered_again_where_the_answer_was_not_sent(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 0.1)
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "deploy it")
        answer_with_a_question(await t.server.request(), "deploy", "resp_1")
        await t.chat.settled(session.id)
    async with talk(history) as t:
        (session,) = await t.chat.sessions()
        (turn,) = await t.chat.turns(session.id)
        with Other(history) as other:
            other.do("hold")
            await t.chat.answer(session, turn, turn.open_approvals[0], Verdict(True))
            await t.until(lambda: not t.chat.is_running(session.id))
            assert t.turns[-1].error is not None
            assert t.turns[-1].error.hint == "nothing was sent"
            await t.until(lambda: not t.chat._answered)
            other.do("let_go")
        assert t.server.seen == []
        await agree(t, session, "deploy")


async def test_a_question_is_answered_once_whoever_has_it_before_them(history: Path) -> None:
    async with talk(history) as here, talk(history) as there:
        session = await here.chat.open("work")
        here.chat.send(session, "one")
        answer_with_a_question(await here.server.request(), "drop", "resp_1")
        await here.chat.settled(session.id)
        (asks,) = await there.chat.turns(session.id)
        answer_well(await agree(here, await here.chat.open("work"), "drop"), "dropped", "resp_2")
        await here.chat.settled(session.id)
        await there.chat.answer(await there.chat.open("work"), asks, asks.open_approvals[0], Verdict(True))
        told = await there.chat.settled(session.id)
        assert told is not None
        assert told.error is not None
        assert told.error.message == "That has been answered already."
        assert not there.chat.is_typed_here(told.id)
        await there.until(lambda: not there.chat._chores)
        assert there.server.seen == []
        for t in (here, there):
            (question, _) = await t.chat.turns(session.id)
            assert [item.state for item in question.items if item.name == "ops.drop"] == [ItemState.APPROVED]
