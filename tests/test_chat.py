"""What Chat promises: turns from their first byte to their last, and the sessions they belong to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import CHAT_PROFILE, PROFILE, Exchange, completed, delta
from tests.store.other import Other
from tests.virtual_time import skip
from tui.chat import SessionChanged, TurnChanged
from tui.clock import Clock
from tui.errors import LabelTaken, StoreError, UsageError
from tui.model import MappingState, Scroll, Session, TitleSource, TurnStatus

STALE = {
    "error": {
        "message": "Previous response with id 'resp_1' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }
}
DAY = 86400.0


class Hands:
    """A clock whose hands the test moves."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    @property
    def clock(self) -> Clock:
        import time

        return Clock(lambda: self.now, time.monotonic)


# The first promise: durable before the first byte


async def test_a_prompt_is_on_disk_before_the_request_leaves(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        exchange = await t.server.request()
        async with talk(history) as other:
            found = await other.chat.find("work")
            assert found is not None
            (turn,) = await other.chat.turns(found.id)
            assert (turn.prompt, turn.status) == ("hello", TurnStatus.PENDING)
        answer_well(exchange, "hi", "resp_1")
        await t.chat.settled(session.id)


async def test_a_turn_is_done_only_on_the_terminal_event(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        (await t.server.request()).respond().event(delta("half an ans")).end()
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert (turn.status, turn.text) == (TurnStatus.INTERRUPTED, "half an ans")
        assert turn.error is not None
        assert turn.error.exit_status == 7
        assert await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal) is None
        (kept,) = await t.chat.turns(session.id)
        assert (kept.status, kept.text) == (TurnStatus.INTERRUPTED, "half an ans")


async def test_what_is_published_grows_and_ends_once(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        exchange = (await t.server.request()).respond()
        for word in ("one ", "two ", "three"):
            exchange.event(delta(word))
            await t.until(lambda word=word: t.turns[-1].text.endswith(word))
        exchange.event(completed("one two three")).end()
        await t.chat.settled(session.id)
        texts = [turn.text for turn in t.turns]
        assert texts == sorted(texts, key=len)
        assert [turn.status.is_final for turn in t.turns].count(True) == 1


# Conversations


async def test_a_second_turn_continues_the_first(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        turn = await t.answered(session, "again", "yes", "resp_2")
        first, second = t.server.seen
        assert "previous_response_id" not in first.json
        assert second.json["previous_response_id"] == "resp_1"
        assert second.json["input"] == [{"role": "user", "content": "again"}]
        assert turn.depth == 1
        assert turn.notes == ()
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert (mapping.conversation_id, mapping.depth) == ("resp_2", 1)


@pytest.mark.fault("S01", "H04")
async def test_a_forgotten_conversation_goes_on_in_a_new_one(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "again")
        (await t.server.request()).answer(400, STALE)
        fresh = await t.server.request()
        assert "previous_response_id" not in fresh.json
        assert [said["content"] for said in fresh.json["input"]] == ["hello", "hi", "again"]
        answer_well(fresh, "new", "resp_9")
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.status is TurnStatus.DONE
        assert turn.notes == (
            "The server no longer knew this conversation; a new one was started, with 1 earlier turn sent along.",
        )
        assert len(t.server.seen) == 3
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.conversation_id == "resp_9"
        kept = await t.chat.turn(turn.id)
        assert kept is not None
        assert [attempt.kind for attempt in kept.attempts] == ["first", "fresh"]
        assert [attempt.sent_id for attempt in kept.attempts] == ["resp_1", ""]


@pytest.mark.fault("S03")
async def test_a_fresh_retry_that_is_refused_too_leaves_the_mapping(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "again")
        (await t.server.request()).answer(400, STALE)
        (await t.server.request()).answer(400, STALE)
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.status is TurnStatus.FAILED
        assert len(t.server.seen) == 3
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.conversation_id == "resp_1"


@pytest.mark.fault("S04", "H06")
@pytest.mark.parametrize(("status", "exit_status"), [(401, 4), (403, 4), (400, 6), (404, 6)])
async def test_other_refusals_leave_the_mapping_and_are_not_retried(
    history: Path, status: int, exit_status: int
) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "again")
        (await t.server.request()).answer(status, {"error": {"message": "The model `m` does not exist"}})
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.error is not None
        assert (turn.status, turn.error.exit_status) == (TurnStatus.FAILED, exit_status)
        assert len(t.server.seen) == 2
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.conversation_id == "resp_1"


async def test_a_failed_turn_never_becomes_context(history: Path) -> None:
    async with talk(history, CHAT_PROFILE) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "this fails")
        (await t.server.request()).answer(400, {"error": {"message": "no"}})
        await t.chat.settled(session.id)
        t.chat.send(session, "this goes on")
        exchange = await t.server.request()
        assert exchange.json["messages"] == [{"role": "user", "content": "this goes on"}]
        exchange.answer(400, {"error": "no"})
        await t.chat.settled(session.id)


async def test_what_was_said_of_a_stopped_answer_is_told_to_the_server(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "tell me more")
        exchange = (await t.server.request()).respond().event(delta("Once upon"))
        await t.until(lambda: t.turns[-1].text)
        t.chat.cancel(session.id)
        await t.chat.settled(session.id)
        assert exchange.closed.is_set()
        t.chat.send(session, "go on")
        third = await t.server.request()
        assert third.json["previous_response_id"] == "resp_1"
        assert [said["content"] for said in third.json["input"]] == ["tell me more", "Once upon", "go on"]
        answer_well(third, "a time", "resp_3")
        await t.chat.settled(session.id)


@pytest.mark.fault("S07", "L12")
async def test_an_id_never_travels_to_another_host(history: Path) -> None:
    elsewhere = replace(PROFILE, name="else", base_url="http://other.localhost:1/v1")
    async with talk(history, PROFILE, elsewhere) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        turn = await t.answered(session, "again", "yes", "resp_x", profile=elsewhere)
        assert "previous_response_id" not in t.server.seen[1].json
        assert len(t.server.seen[1].json["input"]) == 3
        assert "1 earlier turn" in turn.notes[0]
        back = await t.answered(session, "and here", "yes", "resp_2")
        assert t.server.seen[2].json["previous_response_id"] == "resp_1"
        assert [said["content"] for said in t.server.seen[2].json["input"]] == ["again", "yes", "and here"]
        assert back.notes == ()
        assert len(await t.chat.mappings()) == 2


@pytest.mark.fault("S08")
async def test_an_id_not_used_for_two_weeks_is_not_sent(history: Path) -> None:
    hands = Hands()
    async with talk(history, clock=hands.clock) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        hands.now += 15 * DAY
        turn = await t.answered(session, "again", "yes", "resp_2")
        assert "previous_response_id" not in t.server.seen[1].json
        assert "15 days ago" in turn.notes[0]
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.conversation_id == "resp_2"


@pytest.mark.fault("S09")
async def test_a_clock_that_went_backwards_expires_nothing(history: Path) -> None:
    hands = Hands()
    async with talk(history, clock=hands.clock) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        hands.now -= 400 * DAY
        turn = await t.answered(session, "again", "yes", "resp_2")
        assert t.server.seen[1].json["previous_response_id"] == "resp_1"
        assert turn.notes == ()
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.used_at == hands.now


async def test_replay_off_starts_afresh_with_nothing(history: Path) -> None:
    async with talk(history, replace(PROFILE, replay=False)) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "again")
        (await t.server.request()).answer(400, STALE)
        fresh = await t.server.request()
        assert [said["content"] for said in fresh.json["input"]] == ["again"]
        answer_well(fresh, "new", "resp_2")
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.notes == ("The server no longer knew this conversation; a new one was started.",)


@pytest.mark.fault("S14")
async def test_a_stale_conversation_is_an_error_where_that_is_wanted(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "again", allow_fresh=False)
        (await t.server.request()).answer(400, STALE)
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.error is not None
        assert (turn.status, turn.error.exit_status, len(t.server.seen)) == (TurnStatus.FAILED, 6, 2)


async def test_a_server_that_keeps_nothing_is_told_everything_from_then_on(history: Path) -> None:
    refusal = {"detail": "Unsupported parameter: previous_response_id"}
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "again")
        (await t.server.request()).answer(400, refusal)
        answer_well(await t.server.request(), "yes", "resp_2")
        await t.chat.settled(session.id)
        turn = await t.answered(session, "third", "yes", "resp_3")
        assert len(t.server.seen) == 4
        assert "previous_response_id" not in t.server.seen[3].json
        assert len(t.server.seen[3].json["input"]) == 5
        assert turn.notes == ()
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.state is MappingState.UNSUPPORTED


# Cancelling


@pytest.mark.fault("C01")
async def test_cancelled_in_the_tick_it_was_sent_in(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "never mind")
        assert t.chat.cancel(session.id)
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.status is TurnStatus.CANCELLED
        assert t.server.seen == []
        (kept,) = await t.chat.turns(session.id)
        assert (kept.prompt, kept.status) == ("never mind", TurnStatus.CANCELLED)


@pytest.mark.fault("C02")
async def test_cancelled_before_the_headers(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "never mind")
        exchange = await t.server.request()
        t.chat.cancel(session.id)
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.status is TurnStatus.CANCELLED
        assert exchange.closed.is_set()


@pytest.mark.fault("C03", "C05")
async def test_cancelled_mid_stream_twice(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "tell me")
        exchange = (await t.server.request()).respond().event(delta("Once"))
        await t.until(lambda: t.turns[-1].text == "Once")
        assert t.chat.cancel(session.id)
        assert not t.chat.cancel(session.id)
        await asyncio.sleep(0)
        assert not t.chat.cancel(session.id)
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert (turn.status, turn.text) == (TurnStatus.CANCELLED, "Once")
        assert exchange.closed.is_set()
        assert [one.status for one in t.turns].count(TurnStatus.CANCELLED) == 1
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.conversation_id == "resp_1"


@pytest.mark.fault("C04")
@pytest.mark.parametrize("yields", range(12))
async def test_cancelled_around_the_terminal_event(history: Path, yields: int) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "tell me")
        exchange = (await t.server.request()).respond().event(delta("Once"))
        await t.until(lambda: t.turns[-1].text)
        exchange.event(completed("Once")).end()
        for _ in range(yields):
            await asyncio.sleep(0)
        t.chat.cancel(session.id)
        turn = await t.chat.settled(session.id) or t.turns[-1]
        assert turn.status in (TurnStatus.DONE, TurnStatus.CANCELLED)
        finals = [one.status for one in t.turns if one.status.is_final]
        assert finals == [turn.status]
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert (mapping is not None) is (turn.status is TurnStatus.DONE)
        (kept,) = await t.chat.turns(session.id)
        assert kept.status is turn.status


@pytest.mark.fault("C06", "H16")
async def test_cancelled_while_waiting_to_try_again(history: Path) -> None:
    async with talk(history) as t:
        waiting = asyncio.Event()

        async def wait_for_ever(seconds: float) -> None:
            assert seconds == 7
            waiting.set()
            await asyncio.Event().wait()

        t.chat._client._sleep = wait_for_ever
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        (await t.server.request()).answer(429, {"error": {"message": "slow down"}}, {"retry-after": "7"})
        await asyncio.wait_for(waiting.wait(), 20)
        await t.until(lambda: t.turns[-1].waiting_for)
        assert "too many requests" in t.turns[-1].waiting_for
        t.chat.cancel(session.id)
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert (turn.status, turn.waiting_until) == (TurnStatus.CANCELLED, None)
        assert len(t.server.seen) == 1


@pytest.mark.fault("S05")
async def test_cancelled_during_the_fresh_retry(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        t.chat.send(session, "again")
        (await t.server.request()).answer(400, STALE)
        await t.server.request()
        t.chat.cancel(session.id)
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.status is TurnStatus.CANCELLED
        mapping = await t.store.conversations.get(session.id, PROFILE.origin, "responses", PROFILE.key.principal)
        assert mapping is not None
        assert mapping.conversation_id == "resp_1"


@pytest.mark.fault("C09", "C23")
async def test_two_sessions_stream_and_one_is_stopped(history: Path) -> None:
    async with talk(history) as t:
        one, two = await t.chat.open("one"), await t.chat.open("two")
        t.chat.send(one, "first")
        first = (await t.server.request()).respond().event(delta("A"))
        t.chat.send(two, "second")
        second = (await t.server.request()).respond().event(delta("B"))
        await t.until(lambda: {turn.text for turn in t.turns} >= {"A", "B"})
        t.chat.cancel(two.id)
        stopped = await t.chat.settled(two.id)
        assert stopped is not None
        assert stopped.status is TurnStatus.CANCELLED
        assert second.closed.is_set()
        assert t.chat.running() == (one.id,)
        first.event(delta("A")).event(completed("AA")).end()
        done = await t.chat.settled(one.id)
        assert done is not None
        assert (done.status, done.text) == (TurnStatus.DONE, "AA")


@pytest.mark.fault("C10", "U05")
async def test_a_new_prompt_right_after_a_stop(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "first")
        old = (await t.server.request()).respond().event(delta("old"))
        await t.until(lambda: t.turns[-1].text)
        with pytest.raises(UsageError, match="still answering"):
            t.chat.send(session, "too early")
        t.chat.cancel(session.id)
        await t.until(lambda: not t.chat.is_running(session.id))
        t.chat.send(session, "second")
        old.event(delta("er text"))
        answer_well(await t.server.request(), "new", "resp_2")
        await t.chat.settled(session.id)
        first, second = await t.chat.turns(session.id)
        assert (first.text, first.depth, second.text, second.depth) == ("old", 0, "new", 1)


async def test_a_session_is_free_while_its_last_words_are_being_saved(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "first")
        exchange = (await t.server.request()).respond().event(delta("text"))
        await t.until(lambda: t.turns[-1].text)
        async with t.store._writing:
            t.chat.cancel(session.id)
            await t.until(lambda: t.turns[-1].status is TurnStatus.CANCELLED)
            assert not t.chat.is_running(session.id)
            assert exchange.closed.is_set()
            (turn,) = await t.chat.turns(session.id)
            assert turn.text == "text"
        await t.chat.settled(session.id)


# Closing


@pytest.mark.fault("C22")
async def test_closing_stops_everything_and_keeps_what_came(history: Path) -> None:
    async with talk(history) as t:
        sessions = [await t.chat.open(name) for name in ("a", "b", "c")]
        for session in sessions:
            t.chat.send(session, "go")
            (await t.server.request()).respond().event(delta(f"text of {session.label}"))
        await t.until(lambda: len({turn.text for turn in t.turns if turn.text}) == 3)
        await t.chat.aclose()
        assert t.chat.running() == ()
        # Nor is anything left to be done once the history is closed.
        assert t.chat._chores == set()
        with pytest.raises(UsageError):
            t.chat.send(sessions[0], "too late")
    async with talk(history) as t:
        for session in await t.chat.sessions():
            (turn,) = await t.chat.turns(session.id)
            assert (turn.status, turn.text) == (TurnStatus.INTERRUPTED, f"text of {session.label}")
            assert session.unread


STARTED = {
    "type": "response.created",
    "response": {"id": "resp_1", "object": "response", "status": "in_progress", "background": True, "output": []},
    "sequence_number": 0,
}


async def stopped(t: Talk, session: Session) -> Exchange:
    """Stop an answer that has begun; gives the request that tells the server, which waits for its answer."""
    (await t.server.request()).respond().event(STARTED).event(delta("half"))
    await t.until(lambda: t.turns[-1].run and t.turns[-1].text)
    t.chat.cancel(session.id)
    stop = await t.server.request()
    assert stop.path.endswith("/resp_1/cancel")
    return stop


@pytest.mark.fault("C22")
async def test_a_server_that_does_not_stop_holds_up_the_next_turn_but_not_closing(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop that came late might end the next turn's work."""
    async with talk(history, replace(PROFILE, options={"background": True})) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "go")
        stop = await stopped(t, session)
        t.chat.send(session, "go on")
        skip(3, monkeypatch)
        # Rounds of the loop, not seconds: whatever is due by now has happened after some, on any machine.
        for _ in range(20):
            await asyncio.sleep(0)
        assert not stop.closed.is_set()
        skip(3, monkeypatch)
        stop = await stopped(t, session)
        closing = asyncio.get_running_loop().create_task(t.chat.aclose())
        await asyncio.sleep(0)
        skip(1.3, monkeypatch)
        async with asyncio.timeout(2):
            await closing
        assert stop.closed.is_set()


@pytest.mark.fault("N10")
async def test_a_request_that_may_have_arrived_is_not_made_twice(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        (await t.server.request()).break_off(
            httpx.RemoteProtocolError("Server disconnected without sending a response.")
        )
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.error is not None
        assert (turn.status, turn.error.exit_status) == (TurnStatus.FAILED, 5)
        assert "may have been received" in turn.error.hint
        assert len(t.server.seen) == 1


# Sessions


@pytest.mark.fault("L19")
@pytest.mark.parametrize("prompt", ["", "  ", "\n\t "])
async def test_nothing_is_not_sent(history: Path, prompt: str) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        with pytest.raises(UsageError):
            t.chat.send(session, prompt)
        assert not t.chat.is_running(session.id)


async def test_a_new_session_is_kept_once_something_is_said_in_it(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.new()
        assert session.label == "chat-1"
        assert await t.chat.sessions() == []
        assert (await t.chat.new()).id == session.id
        await t.answered(session, "How do I   boil an egg?", "So.", "resp_1")
        (kept,) = await t.chat.sessions()
        assert (kept.label, kept.title, kept.title_source) == (
            "chat-1",
            "How do I boil an egg?",
            TitleSource.GENERATED,
        )
        assert (kept.turns, kept.last_status) == (1, TurnStatus.DONE)
        assert (await t.chat.new()).label == "chat-2"


async def test_a_draft_alone_keeps_a_new_session(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.new()
        await t.chat.keep_place(session.id, "half a thou", Scroll())
    async with talk(history) as t:
        (kept,) = await t.chat.sessions()
        assert kept.draft == "half a thou"


async def test_a_title_of_the_users_is_never_overwritten(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.chat.set_title(session.id, "  My   title ")
        await t.answered(session, "hello", "hi", "resp_1")
        kept = await t.chat.session(session.id)
        assert kept is not None
        assert (kept.title, kept.title_source) == ("My title", TitleSource.USER)
        await t.chat.set_title(session.id, " ")
        await t.answered(kept, "Something else", "hi", "resp_2")
        kept = await t.chat.session(session.id)
        assert kept is not None
        assert (kept.title, kept.title_source) == ("Something else", TitleSource.GENERATED)


@pytest.mark.fault("L13")
async def test_renaming(history: Path) -> None:
    async with talk(history) as t:
        one, two = await t.chat.open("one"), await t.chat.open("two")
        for session in (one, two):
            await t.answered(session, "hello", "hi", f"resp_{session.label}")
        assert (await t.chat.rename(one.id, " uno ")).label == "uno"
        with pytest.raises(LabelTaken):
            await t.chat.rename(two.id, "uno")
        with pytest.raises(UsageError):
            await t.chat.rename(two.id, " ")
        assert {session.label for session in await t.chat.sessions()} == {"uno", "two"}
        assert (await t.chat.find("uno")).id == one.id


@pytest.mark.fault("C24")
async def test_deleting_stops_the_answer_first_and_can_be_undone(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        exchange = (await t.server.request()).respond().event(delta("text"))
        await t.until(lambda: t.turns[-1].text)
        await t.chat.delete(session.id)
        assert exchange.closed.is_set()
        assert await t.chat.sessions() == []
        assert await t.chat.find("work") is None
        assert [one.label for one in await t.chat.sessions(deleted=True)] == ["work"]
        again = await t.chat.open("work")
        assert again.id != session.id
        await t.answered(again, "hello", "hi", "resp_1")
        back = await t.chat.restore(session.id)
        assert back.label == "work-2"
        (turn,) = await t.chat.turns(back.id)
        assert turn.text == "text"
        with pytest.raises(StoreError):
            await t.chat.restore("no such id")


async def test_restoring_what_is_already_back_changes_nothing(history: Path) -> None:
    async with talk(history) as here, talk(history) as there:
        session = await here.chat.open("work")
        await here.answered(session, "hello", "hi", "resp_1")
        await here.chat.archive(session.id)
        await here.chat.delete(session.id)
        back = await there.chat.restore(session.id)
        assert (back.label, back.deleted_at, back.archived_at is None) == ("work", None, False)
        assert await here.chat.restore(session.id) == here.sessions[-1] == back
        assert (await here.chat.restore(session.id, from_archive=True)).archived_at is None
        assert [one.label for one in await there.chat.sessions()] == ["work"]
        new = await here.chat.new()
        assert await here.chat.restore(new.id) == new
        assert [one.label for one in await there.chat.sessions()] == ["work"]


async def test_what_another_session_says_is_read_less_often_while_no_one_looks(history: Path) -> None:
    """A command shows what it asks for, whatever it has said of what it looks at."""
    async with talk(history) as t:
        one, two = await t.chat.open("one"), await t.chat.open("two")
        t.chat.attend(one.id)
        assert [t.chat._is_watched(id_) for id_ in (one.id, two.id, "")] == [True, True, True]
        t.chat.follow()
        assert [t.chat._is_watched(id_) for id_ in (one.id, two.id, "")] == [True, False, True]
        t.chat.attend(two.id)
        assert [t.chat._is_watched(id_) for id_ in (one.id, two.id, "")] == [False, True, True]


async def test_pinning_archiving_reading(history: Path) -> None:
    async with talk(history) as t:
        one, two = await t.chat.open("one"), await t.chat.open("two")
        t.chat.attend(one.id)
        await t.answered(one, "hello", "hi", "resp_1")
        await t.answered(two, "hello", "hi", "resp_2")
        await t.until(lambda: any(session.unread for session in t.sessions))
        by_label = {session.label: session for session in await t.chat.sessions()}
        assert (by_label["one"].unread, by_label["two"].unread) == (False, True)
        await t.chat.mark_read(two.id)
        await t.chat.pin(two.id)
        await t.chat.archive(one.id)
        by_label = {session.label: session for session in await t.chat.sessions()}
        assert (by_label["two"].unread, by_label["two"].pinned) == (False, True)
        assert by_label["one"].archived_at is not None


async def test_places_and_drafts_survive(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        await t.chat.keep_place(session.id, "draft", Scroll(3, 2, 1, at_end=False))
        assert await t.chat.remember(session.id)
        assert not await t.chat.remember((await t.chat.new()).id)
    async with talk(history) as t:
        kept = await t.chat.last()
        assert kept is not None
        assert (kept.label, kept.draft, kept.scroll) == ("work", "draft", Scroll(3, 2, 1, at_end=False))
        assert await t.chat.prompts(kept.id) == ["hello"]


async def test_the_session_looked_at_last_is_the_one_come_back_to(history: Path) -> None:
    async with talk(history) as t:
        one, two = await t.chat.open("one"), await t.chat.open("two")
        await t.answered(one, "hello", "hi", "resp_1")
        await t.answered(two, "hello", "hi", "resp_2")
        assert (await t.chat.last()).label == "two"
        await t.chat.remember(one.id)
        assert (await t.chat.last()).label == "one"
        await t.chat.delete(one.id)
        assert (await t.chat.last()).label == "two"


# Other windows


@pytest.mark.fault("C25", "D23")
async def test_a_session_answers_in_one_window_only(history: Path) -> None:
    async with talk(history) as here, talk(history) as there:
        session = await here.chat.open("work")
        here.chat.send(session, "mine")
        exchange = (await here.server.request()).respond().event(delta("text"))
        same = await there.chat.find("work")
        assert same is not None
        there.chat.send(same, "yours")
        refused = await there.chat.settled(same.id)
        assert refused is not None
        assert refused.error is not None
        assert (refused.status, refused.error.exit_status) == (TurnStatus.FAILED, 8)
        assert "another window" in refused.error.message
        assert there.server.seen == []
        exchange.event(completed("text")).end()
        await here.chat.settled(session.id)
        depths = [(turn.depth, turn.prompt) for turn in await here.chat.turns(session.id)]
        assert depths == [(0, "mine"), (1, "yours")]


async def test_what_another_window_does_is_seen(history: Path) -> None:
    async with talk(history) as here, talk(history) as there:
        await here.follow()
        session = await there.chat.open("work")
        there.chat.send(session, "hello")
        exchange = (await there.server.request()).respond().event(delta("live"))
        await here.until(lambda: any(turn.text == "live" for turn in here.turns))
        exchange.event(completed("live text")).end()
        await there.chat.settled(session.id)
        await here.until(lambda: any(turn.status is TurnStatus.DONE for turn in here.turns))
        await there.chat.rename(session.id, "play")
        await here.until(lambda: any(one.label == "play" for one in here.sessions))
        assert here.turns[-1].text == "live text"


async def test_a_subscriber_that_fails_harms_no_one(history: Path) -> None:
    async with talk(history) as t:

        def fail(change: TurnChanged | SessionChanged) -> None:
            raise RuntimeError("a widget's mistake")

        t.chat.subscribe(fail)
        session = await t.chat.open("work")
        turn = await t.answered(session, "hello", "hi", "resp_1")
        assert turn.status is TurnStatus.DONE


async def test_without_a_session_nothing_is_kept(history: Path) -> None:
    async with talk(history) as t:
        t.chat.send(None, "hello")
        answer_well(await t.server.request(), "hi", "resp_1")
        turn = await t.chat.settled("")
        assert turn is not None
        assert turn.status is TurnStatus.DONE
        assert await t.chat.sessions() == []
        assert await t.chat.mappings() == []


# A new session, changed while it is just being made


async def test_a_session_stopped_while_it_was_made_is_a_session_as_any_other(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.new()
        t.chat.send(session, "hello")
        await asyncio.sleep(0)
        t.chat.cancel(session.id)
        await t.chat.settled(session.id)
        assert (await t.chat.rename(session.id, "mine")).label == "mine"
        await t.chat.keep_place(session.id, "hello", Scroll())
        assert (await t.chat.new()).id != session.id
        found = await t.chat.find("mine")
        assert found is not None
        assert (found.id, found.draft) == (session.id, "hello")


async def test_what_is_changed_while_a_session_is_made_stays_changed(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.new()
        t.chat.send(session, "hello")
        await asyncio.sleep(0)
        await asyncio.gather(t.chat.keep_place(session.id, "the next", Scroll()), t.chat.rename(session.id, "mine"))
        answer_well(await t.server.request(), "hi", "resp_1")
        await t.chat.settled(session.id)
        found = await t.chat.find("mine")
        assert found is not None
        assert (found.draft, found.turns) == ("the next", 1)


async def test_a_label_that_was_made_up_is_in_no_ones_way(history: Path) -> None:
    async with talk(history) as here, talk(history) as there:
        mine, yours = await here.chat.new(), await there.chat.new()
        assert mine.label == yours.label
        await here.chat.keep_place(mine.id, "my draft", Scroll())
        await there.chat.keep_place(yours.id, "your draft", Scroll())
        assert {(one.label, one.draft) for one in await here.chat.sessions()} == {
            ("chat-1", "my draft"),
            ("chat-2", "your draft"),
        }
        assert there.sessions[-1].label == "chat-2"
        third = await there.chat.new()
        with pytest.raises(LabelTaken):
            await there.chat.rename(third.id, "chat-1")
        assert (await there.chat.pin(third.id)).label == third.label


async def test_a_prompt_goes_on_from_an_answer_that_is_still_being_saved(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        exchange = (await t.server.request()).respond().event(delta("hi"))
        await t.until(lambda: t.turns[-1].text == "hi")
        with Other(history) as other:
            other.do("take_lock")
            exchange.event(completed("hi", "resp_1")).end()
            await t.until(lambda: not t.chat.running())
            t.chat.send(session, "two")
            second = await t.server.request()
            assert second.json["previous_response_id"] == "resp_1"
            answer_well(second, "well", "resp_2")
            await t.until(lambda: not t.chat.running())
            other.do("free_lock")
        await t.chat.settled(session.id)
        await t.store._heal()
        ((_, mapping),) = await t.chat.mappings()
        assert (mapping.conversation_id, mapping.depth) == ("resp_2", 1)
