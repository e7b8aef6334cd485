"""Runs that outlive their connection, approvals, forks and the rest of what a chat does with a server's conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chatting import Chatting, chatting
from tests.fake_server import PROFILE
from tests.servers import agent_server, responses
from tests.servers.base import Running, serving
from tests.store.other import Other
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import LabelTaken, UsageError
from tui.model import ItemState, MappingState, Session, TurnStatus, Verdict

DONE, CANCELLED, INTERRUPTED = TurnStatus.DONE, TurnStatus.CANCELLED, TurnStatus.INTERRUPTED


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(responses.make()) as running:
        yield running


def profile_of(server: Running, *, background: bool = True) -> Profile:
    return replace(PROFILE, base_url=f"{server.url}/v1", options={"background": True} if background else {})


@pytest.fixture
async def t(server: Running, history: Path) -> AsyncIterator[Chatting]:
    async with chatting(history, profile_of(server)) as made:
        yield made


async def hanging(t: Chatting, session: Session) -> None:
    """Ask for an answer that hangs, until some of it is there."""
    t.chat.send(session, "hang on")
    await t.until(lambda: t.newest().text)


# Runs that go on without us


async def test_quitting_lets_a_run_go_on_and_the_next_start_takes_it_up(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        shown = t.newest().text
        await t.chat.aclose(CANCELLED)
        (turn,) = await t.chat.turns(session.id)
        assert (turn.status, turn.run != "") == (INTERRUPTED, True)
        assert turn.text.startswith(shown)
    server.service.go_on.set()
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        assert await t.chat.resume(session)
        assert t.newest().text.startswith(shown)
        turn = await t.ended(session)
        assert (turn.status, turn.text, turn.run) == (DONE, "1 prompt so far. You said: hang on", "")
        assert turn.error is None
        (kept,) = await t.chat.turns(session.id)
        assert (kept.text, kept.status) == (turn.text, DONE)
        assert not await t.chat.resume(session)
        assert (await t.say(session, "and then")).text.startswith("2 prompts so far")
    assert [asked.method for asked in server.service.asked] == ["POST", "GET", "POST"]


async def test_a_crash_leaves_a_run_that_can_be_taken_up(server: Running, history: Path) -> None:
    """What the crash leaves is what was saved last; the rest comes from the server, and nothing comes twice."""
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        await t.until(lambda: t.newest().run)
        run_, turn = t.newest().run, t.newest()
        await t.store.save(replace(turn, status=INTERRUPTED, items=turn.items[:0]), None, session)
        await t.chat.aclose(INTERRUPTED)
    server.service.go_on.set()
    async with chatting(history, profile_of(server)) as t:
        (before,) = await t.chat.turns(session.id)
        assert before.run == run_
        assert await t.chat.resume(session)
        assert (await t.ended(session)).text == "1 prompt so far. You said: hang on"


async def test_a_run_the_server_has_forgotten_is_not_taken_up_twice(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        await t.chat.aclose(INTERRUPTED)
    server.call(server.service.forget)
    async with chatting(history, profile_of(server)) as t:
        assert await t.chat.resume(session)
        turn = await t.ended(session)
        assert (turn.status, turn.run) == (INTERRUPTED, "")
        assert turn.error is not None
        assert turn.error.message == "The server does not know this run any more."
        assert turn.text.startswith("1 prompt")
        assert not await t.chat.resume(session)


async def test_a_run_is_not_taken_up_with_another_key(
    server: Running, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "another")
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        await t.until(lambda: t.newest().run)
        await t.chat.aclose(INTERRUPTED)
    asked = len(server.service.asked)
    async with chatting(history, replace(profile_of(server), key=KeySource("env", ("OTHER_KEY",)))) as t:
        assert not await t.chat.resume(session)
    assert len(server.service.asked) == asked


@pytest.mark.fault("N02", "N14")
async def test_taking_up_a_run_while_its_server_is_away_takes_nothing_away(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        await t.until(lambda: t.newest().run)
        await t.chat.aclose(INTERRUPTED)
    server.stop()
    async with chatting(history, profile_of(server)) as t:
        (before,) = await t.chat.turns(session.id)
        assert await t.chat.resume(session)
        turn = await t.ended(session)
        assert (turn.status, turn.text, turn.run) == (INTERRUPTED, before.text, before.run)
        assert turn.text.startswith("1 prompt")
        (kept,) = await t.chat.turns(session.id)
        assert (kept.text, kept.run) == (before.text, before.run)


async def test_stopping_stops_the_server_too(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    await hanging(t, session)
    await t.until(lambda: t.newest().run)
    run = t.newest().run
    t.chat.cancel(session.id)
    turn = await t.ended(session)
    assert (turn.status, turn.run) == (CANCELLED, "")
    await t.until(lambda: len(server.service.asked) == 2)
    assert server.service.asked[1].path == f"/v1/responses/{run}/cancel"
    assert not await t.chat.resume(session)


async def test_an_answer_in_the_foreground_is_stopped_by_closing_it(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server, background=False)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        t.chat.cancel(session.id)
        assert (await t.ended(session)).status is CANCELLED
        await t.until(lambda: server.service.let_go == 1)
        assert len(server.service.asked) == 1


# Approvals


async def test_an_approval_is_answered_once_and_stays_answered(t: Chatting, server: Running, history: Path) -> None:
    session = await t.chat.open("work")
    turn = await t.say(session, "approve it")
    (item,) = turn.open_approvals
    await t.chat.answer(session, turn, item, Verdict(True))
    with pytest.raises(UsageError, match="answered already"):
        await t.chat.answer(session, turn, item, Verdict(False))
    after = await t.ended(session)
    assert (after.prompt, after.text) == ("Approved: ops.deploy", "1 prompt so far. You said: yes")
    before, _ = await t.chat.turns(session.id)
    assert [item.state for item in before.items] == [ItemState.APPROVED]
    assert len(server.service.asked) == 2
    async with chatting(history, t.profile) as other:
        before, _ = await other.chat.turns(session.id)
        assert before.open_approvals == ()


async def test_an_answer_that_could_not_be_told_can_be_given_again(server: Running, history: Path) -> None:
    profile = profile_of(server, background=False)
    async with chatting(history, profile) as t:
        session = await t.chat.open("work")
        turn = await t.say(session, "approve it")
    server.stop()
    async with chatting(history, profile) as t:
        await t.chat.answer(session, turn, turn.items[0], Verdict(True))
        assert (await t.ended(session)).status is TurnStatus.FAILED

        async def is_open() -> bool:
            before, _ = await t.chat.turns(session.id)
            return bool(before.open_approvals)

        async with asyncio.timeout(20):
            while not await is_open():
                await asyncio.sleep(0.005)
        await t.chat.answer(session, turn, turn.items[0], Verdict(True))
        await t.ended(session)


async def test_denying_says_why(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn = await t.say(session, "approve it")
    await t.chat.answer(session, turn, turn.items[0], Verdict(False, reason="not today"))
    assert (await t.ended(session)).prompt == "Denied: ops.deploy (not today)"
    assert server.service.asked[-1].json["input"][0]["reason"] == "not today"


async def test_nothing_is_answered_for_a_server_that_does_not_ask(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server), replace(profile_of(server), name="chat", protocol="chat")) as t:
        session = await t.chat.open("work")
        turn = await t.say(session, "approve it")
        elsewhere = replace(turn, protocol="chat", profile="chat")
        with pytest.raises(UsageError, match="does not wait"):
            await t.chat.answer(session, elsewhere, turn.items[0], Verdict(True))


# Forks


@pytest.mark.fault("L14", "L15")
async def test_a_fork_goes_on_from_its_point_by_the_servers_id(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    for prompt in ("one", "two", "three"):
        await t.say(session, prompt)
    forked = await t.chat.conversations.fork(session, "other", 2)
    assert (forked.session.label, forked.session.turns, forked.note) == ("other", 2, "")
    assert [turn.prompt for turn in await t.chat.turns(forked.session.id)] == ["one", "two"]
    assert (await t.say(forked.session, "four")).text == "3 prompts so far. You said: four"
    assert server.service.asked[-1].json["previous_response_id"].endswith("2")
    assert [turn.prompt for turn in await t.chat.turns(session.id)] == ["one", "two", "three"]
    assert (await t.say(session, "five")).text.startswith("4 prompts so far")
    again = await t.chat.conversations.fork(forked.session, "third")
    assert [turn.prompt for turn in await t.chat.turns(again.session.id)] == ["one", "two", "four"]
    with pytest.raises(LabelTaken):
        await t.chat.conversations.fork(session, "third")


@pytest.mark.fault("L14")
async def test_a_fork_takes_finished_answers_only(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    with pytest.raises(UsageError, match="Nothing was said"):
        await t.chat.conversations.fork(session, "other")
    await hanging(t, session)
    with pytest.raises(UsageError, match="is finished yet") as caught:
        await t.chat.conversations.fork(session, "other")
    assert caught.value.hint == "wait for one"
    t.chat.cancel(session.id)
    await t.ended(session)
    with pytest.raises(UsageError, match="came to its end") as caught:
        await t.chat.conversations.fork(session, "other")
    assert caught.value.hint == "send the prompt again, or begin a new session"
    session = await t.chat.open("second")
    await t.say(session, "one")
    await t.say(session, "fail later")
    await hanging(t, session)
    forked = await t.chat.conversations.fork(session, "other")
    assert [turn.prompt for turn in await t.chat.turns(forked.session.id)] == ["one"]
    t.chat.cancel(session.id)
    await t.ended(session)


async def test_a_fork_tells_everything_where_the_id_of_its_point_is_not_known(server: Running, history: Path) -> None:
    one = profile_of(server, background=False)
    async with chatting(history, one, replace(one, name="chat", protocol="chat")) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        await t.say(session, "two")
        stray = replace((await t.chat.turns(session.id))[0], conversation_id="")
        await t.store.save(stray, None, session)
        forked = await t.chat.conversations.fork(session, "other", 1)
        turn = await t.say(forked.session, "three")
        assert turn.text == "2 prompts so far. You said: three"
        assert "previous_response_id" not in server.service.asked[-1].json


# Adopting and forgetting


async def test_a_conversation_is_adopted_and_forgotten(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn = await t.say(session, "one")
    adopted = await t.chat.conversations.adopt("found", turn.conversation_id, t.profile)
    assert turn.conversation_id in adopted.notice
    assert (await t.say(adopted, "two")).text.startswith("2 prompts so far")
    assert await t.chat.conversations.forget(adopted)
    assert not await t.chat.conversations.forget(adopted)
    mapping = await t.chat.conversations.mapping(adopted)
    assert mapping is not None
    assert mapping.state is MappingState.DETACHED
    after = await t.say(adopted, "three")
    assert "previous_response_id" not in server.service.asked[-1].json
    assert after.notes
    with pytest.raises(LabelTaken):
        await t.chat.conversations.adopt("found", "resp_x", t.profile)


async def test_what_a_server_cannot_do_is_refused_in_words(t: Chatting) -> None:
    session = await t.chat.open("work")
    with pytest.raises(UsageError, match="does not share conversations"):
        await t.chat.conversations.share(session)
    with pytest.raises(UsageError, match="does not list conversations"):
        await t.chat.conversations.listed(t.profile)
    with pytest.raises(UsageError, match="knows no conversations"):
        await t.chat.conversations.adopt("found", "x", replace(t.profile, protocol="chat"))
    assert await t.chat.conversations.models(t.profile) == ["fake", "other"]


async def test_agent_server_15_sending_after_a_turn_that_was_stopped_says_what_the_server_holds(
    history: Path,
) -> None:
    with serving(agent_server.make()) as running:
        async with chatting(history, Profile("here", "agent-server", running.url)) as t:
            session = await t.chat.open("work")
            await t.say(session, "one")
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().text)
            t.chat.cancel(session.id)
            await t.ended(session)
            turn = await t.say(session, "two")
            assert turn.notes == ("The server still holds what was said last without an answer.",)
            assert (await t.say(session, "three")).notes == ()


async def test_what_is_said_while_a_run_is_just_taken_up_waits_behind_it(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        await t.chat.aclose(INTERRUPTED)
    async with chatting(history, profile_of(server)) as t:
        t.chat.stays = True
        with Other(history) as other:
            other.do("take_lock")
            resuming = asyncio.create_task(t.chat.resume(session))
            await t.until(lambda: t.chat.is_running(session.id))
            with pytest.raises(UsageError, match="still answering"):
                t.chat.send(session, "next")
            waiting = asyncio.create_task(t.chat.enqueue(session, "next"))
            other.do("free_lock")
        assert await waiting
        assert await resuming
        server.service.go_on.set()
        await t.until(lambda: t.newest().prompt == "next" and t.newest().status.is_final)
        assert [(one.prompt, one.status) for one in await t.chat.turns(session.id)] == [
            ("hang on", DONE),
            ("next", DONE),
        ]


async def test_a_run_stopped_while_it_is_just_taken_up_is_stopped(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await hanging(t, session)
        await t.chat.aclose(INTERRUPTED)
    async with chatting(history, profile_of(server)) as t:
        with Other(history) as other:
            other.do("take_lock")
            resuming = asyncio.create_task(t.chat.resume(session))
            await t.until(lambda: t.chat.is_running(session.id))
            assert t.chat.cancel(session.id)
            other.do("free_lock")
        assert await resuming
        turn = await t.ended(session)
        assert turn.status is CANCELLED
        assert not t.chat.is_running(session.id)
        async with asyncio.timeout(20):
            while await t.store.leases.all():  # it is held until the server has stopped, too
                await asyncio.sleep(0.005)
