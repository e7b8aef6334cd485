"""One turn through the client: fresh starts, retries, refusals in words, cancelling, and what is forgiven."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.client.turns import Told, new_turn, take
from tests.fake_server import CHAT_PROFILE, PROFILE, Exchange, FakeServer, Waits, client_of, completed, delta
from tui.client import Client, Request, fresh_note
from tui.clock import Clock
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import ConfigError, NotAllowed, Refused
from tui.events import AttemptFailed, Waiting
from tui.model import AttemptKind, Message, TurnStatus

DONE, FAILED, INTERRUPTED, CANCELLED = (
    TurnStatus.DONE,
    TurnStatus.FAILED,
    TurnStatus.INTERRUPTED,
    TurnStatus.CANCELLED,
)
OLD = "resp_0123456789"
SAID = (Message("user", "one"), Message("assistant", "eins"), Message("user", "two"), Message("assistant", "zwei"))
GONE = {
    "message": f"Previous response with id '{OLD}' not found.",
    "type": "invalid_request_error",
    "param": "previous_response_id",
    "code": "previous_response_not_found",
}
LOCKED = {
    "message": "Another process is currently operating on this conversation. Please retry in a few seconds.",
    "type": "invalid_request_error",
    "param": "conversation",
    "code": "conversation_locked",
}
CONVERSATION = replace(PROFILE, continue_by="conversation")


async def recall() -> tuple[Message, ...]:
    return SAID


class Asked:
    """A turn on its way: its server, the pauses it made, and what it came to so far."""

    def __init__(self, profile: Profile, **request: Any) -> None:
        self.server, self.waits = FakeServer(), Waits()
        self.told = Told(new_turn(profile))
        work = take(client_of(self.server, self.waits), profile, told=self.told, **request)
        self.task = asyncio.get_running_loop().create_task(work)

    async def request(self) -> Exchange:
        return await self.server.request()

    async def end(self) -> Told:
        """The turn's end, with nothing left open."""
        async with asyncio.timeout(20):
            await self.task
        for exchange in self.server.seen:
            response = exchange.response
            refused = response.done() and not response.cancelled() and response.exception() is not None
            assert refused or exchange.closed.is_set()
        assert self.told.saved[-1] == self.told.shown[-1] == self.told.turn
        assert sum(turn.status.is_final for turn in self.told.shown) == 1
        return self.told


@asynccontextmanager
async def asked(profile: Profile = PROFILE, **request: Any) -> AsyncIterator[Asked]:
    one = Asked(profile, **request)
    yield one
    assert one.task.done(), "the test left the turn running"


def well(exchange: Exchange, text: str = "fine", response_id: str = "resp_new") -> None:
    exchange.respond().event(delta(text)).event(completed(text, response_id)).end()


def kinds(told: Told) -> list[AttemptKind]:
    return [attempt.kind for attempt in told.turn.attempts]


async def answers(
    *steps: Callable[[Exchange], object], profile: Profile = PROFILE, **request: Any
) -> tuple[Told, Asked]:
    """A turn whose requests are answered by `steps`, one each; there are no more requests than that."""
    async with asked(profile, **request) as one:
        for step in steps:
            step(await one.request())
        told = await one.end()
    assert len(one.server.seen) == len(steps)
    return told, one


# A fresh start


def stale_reply(exchange: Exchange) -> object:
    return exchange.answer(400, {"error": GONE})


def stale_event(exchange: Exchange) -> object:
    return exchange.respond().event({**GONE, "type": "error"}).end()


def stale_failed(exchange: Exchange) -> object:
    exchange.respond().event({"type": "response.created", "response": {"id": "resp_x"}})
    return exchange.event({"type": "response.failed", "response": {"status": "failed", "error": GONE}}).end()


def stale_json(exchange: Exchange) -> object:
    return exchange.answer(200, {"error": GONE})


def stale_410(exchange: Exchange) -> object:
    return exchange.answer(410, {"detail": f"Response {OLD} is gone"})


STALE = [stale_reply, stale_event, stale_failed, stale_json, stale_410]


@pytest.mark.parametrize("stale", STALE)
@pytest.mark.fault("S01", "S15", "H04", "H09")
async def test_a_stale_conversation_is_started_afresh_with_what_was_said(stale: Callable[[Exchange], object]) -> None:
    told, one = await answers(stale, well, conversation_id=OLD, recall=recall)
    first, second = (exchange.json for exchange in one.server.seen)
    assert first["previous_response_id"] == OLD
    assert first["input"] == [{"role": "user", "content": "hello"}]
    assert "previous_response_id" not in second
    assert [said["content"] for said in second["input"]] == ["one", "eins", "two", "zwei", "hello"]
    assert (told.turn.status, told.turn.text, told.turn.conversation_id) == (DONE, "fine", "resp_new")
    assert told.turn.notes == (
        "The server no longer knew this conversation; a new one was started, with 2 earlier turns sent along.",
    )
    assert kinds(told) == [AttemptKind.FIRST, AttemptKind.FRESH]
    assert [attempt.sent_id for attempt in told.turn.attempts] == [OLD, ""]
    assert told.turn.attempts[0].outcome.startswith("stale: ")
    assert one.waits.seconds == []
    assert not told.unsupported


async def test_the_stale_answer_is_closed_before_the_fresh_request_is_made() -> None:
    async with asked(conversation_id=OLD) as one:
        first = await one.request()
        first.respond().event({**GONE, "type": "error"})
        second = await one.request()
        assert first.closed.is_set()
        well(second)
        await one.end()


@pytest.mark.fault("S15")
async def test_a_fresh_start_tells_nothing_where_the_profile_says_so() -> None:
    told, one = await answers(
        stale_reply, well, profile=replace(PROFILE, replay=False), conversation_id=OLD, recall=recall
    )
    assert one.server.seen[1].json["input"] == [{"role": "user", "content": "hello"}]
    assert told.turn.notes == ("The server no longer knew this conversation; a new one was started.",)


@pytest.mark.parametrize("stale", STALE)
@pytest.mark.fault("S03")
async def test_stale_twice_is_an_error_after_two_requests(stale: Callable[[Exchange], object]) -> None:
    told, _one = await answers(stale, stale, conversation_id=OLD, recall=recall)
    assert (told.turn.status, told.exit_status, told.turn.conversation_id) == (FAILED, 6, "")
    assert OLD in told.words
    assert kinds(told) == [AttemptKind.FIRST, AttemptKind.FRESH]


@pytest.mark.parametrize(
    ("second", "exit_status"),
    [
        (lambda exchange: exchange.answer(401, {"error": {"message": "bad key"}}), 4),
        (lambda exchange: exchange.break_off(httpx.RemoteProtocolError("Server disconnected without sending")), 5),
        (lambda exchange: exchange.answer(404, {"detail": "Not Found"}), 6),
        (lambda exchange: exchange.respond().event(delta("half")).end(), 7),
        (lambda exchange: exchange.respond().end(), 6),
        (lambda exchange: exchange.answer(302, {}, {"location": "http://elsewhere.localhost"}), 6),
        (lambda exchange: exchange.answer(429, {}, {"retry-after": "500"}), 8),
    ],
)
@pytest.mark.fault("S04")
async def test_a_fresh_start_that_fails_otherwise_fails_with_that(
    second: Callable[[Exchange], object], exit_status: int
) -> None:
    told, _one = await answers(stale_reply, second, conversation_id=OLD, recall=recall)
    assert told.exit_status == exit_status
    assert told.turn.conversation_id == ""
    begun = "; a new one was started, with 2 earlier turns sent along" if told.turn.has_output else ""
    assert told.turn.notes == (f"The server no longer knew this conversation{begun}.",)


@pytest.mark.fault("S01")
async def test_a_fresh_start_that_has_to_wait_is_noted_once() -> None:
    told, one = await answers(stale_reply, busy, well, conversation_id=OLD)
    assert (told.turn.status, len(one.server.seen)) == (DONE, 3)
    assert told.turn.notes == ("The server no longer knew this conversation; a new one was started.",)


@pytest.mark.fault("S02")
async def test_stale_after_output_is_the_end() -> None:
    told, _one = await answers(
        lambda exchange: exchange.respond().event(delta("so far")).event({**GONE, "type": "error"}).end(),
        conversation_id=OLD,
    )
    assert (told.turn.status, told.turn.text, told.exit_status) == (INTERRUPTED, "so far", 7)
    assert told.turn.notes == ()


@pytest.mark.fault("S14")
async def test_stale_is_an_error_where_a_fresh_start_is_not_wanted() -> None:
    told, _one = await answers(stale_reply, conversation_id=OLD, recall=recall, allow_fresh=False)
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert told.turn.error is not None
    assert told.turn.error.kind == "stale"
    assert "does not know this conversation any more" in told.words
    assert "--no-fresh" in told.turn.error.hint


async def test_nothing_is_stale_without_an_id() -> None:
    told, _one = await answers(stale_reply)
    assert (told.turn.status, told.exit_status) == (FAILED, 6)


@pytest.mark.parametrize(
    "answer",
    [
        {"detail": "Unsupported parameter: previous_response_id"},
        {"error": {"code": 400, "message": "llama.cpp does not support 'previous_response_id'.", "type": "x"}},
    ],
)
async def test_a_server_that_keeps_nothing_is_told_everything(answer: dict[str, Any]) -> None:
    told, one = await answers(lambda exchange: exchange.answer(400, answer), well, conversation_id=OLD, recall=recall)
    assert told.unsupported
    assert told.turn.notes == ("The server keeps no conversations, with 2 earlier turns sent along.",)
    assert len(one.server.seen[1].json["input"]) == 5


@pytest.mark.parametrize(
    ("told", "more", "words"),
    [
        (0, {}, "The server no longer knew this conversation; a new one was started."),
        (
            1,
            {},
            "The server no longer knew this conversation; a new one was started, with 1 earlier turn sent along.",
        ),
        (3, {"unsupported": True}, "The server keeps no conversations, with 3 earlier turns sent along."),
        (2, {"why": "It was too old"}, "It was too old, with 2 earlier turns sent along."),
    ],
)
def test_the_note_of_a_fresh_start(told: int, more: dict[str, Any], words: str) -> None:
    assert fresh_note(told, **more) == words


@pytest.mark.fault("S05")
async def test_cancelled_during_a_fresh_start() -> None:
    async with asked(conversation_id=OLD, recall=recall) as one:
        stale_reply(await one.request())
        second = await one.request()
        one.task.cancel()
        told = await one.end()
        assert second.closed.is_set()
    assert (told.turn.status, told.turn.conversation_id) == (CANCELLED, "")


@pytest.mark.fault("S11")
async def test_a_server_that_moves_on_to_another_id_is_followed() -> None:
    told, _one = await answers(lambda exchange: well(exchange, response_id="resp_other"), conversation_id=OLD)
    assert told.turn.conversation_id == "resp_other"


@pytest.mark.fault("S12")
@pytest.mark.parametrize("issued", ["", "x" * 10_240, "a\r\nx-evil: 1", "\x1b]0;owned\x07", "\ud800 x", "\ud800", ".."])
async def test_an_id_that_cannot_be_sent_again_is_not_kept(issued: str) -> None:
    told, _one = await answers(lambda exchange: well(exchange, response_id=issued), conversation_id=OLD)
    assert told.exit_status == 6
    assert told.turn.conversation_id == ""
    assert "\x1b" not in told.words
    assert told.turn.text == "fine", "what was said is kept"


@pytest.mark.fault("S13")
async def test_a_protocol_without_ids_has_no_fresh_start() -> None:
    told, one = await answers(stale_reply, profile=CHAT_PROFILE, conversation_id=OLD, recall=recall)
    assert told.exit_status == 6
    assert OLD not in one.server.seen[0].body.decode()


# Conversations with an id of their own


def made(conversation_id: Any) -> Callable[[Exchange], object]:
    return lambda exchange: exchange.answer(200, {"id": conversation_id, "object": "conversation"})


async def test_a_conversation_is_made_before_the_first_turn_speaks_in_it() -> None:
    told, one = await answers(made("conv_1"), well, profile=CONVERSATION)
    first, second = one.server.seen
    assert (first.path, first.json) == ("/v1/conversations", {})
    assert (second.path, second.json["conversation"]) == ("/v1/responses", "conv_1")
    assert "previous_response_id" not in second.json
    assert told.turn.conversation_id == "conv_1"


def busy(exchange: Exchange) -> object:
    return exchange.answer(503, {"error": {"message": "overloaded"}})


async def test_a_conversation_is_made_once_however_often_its_prompt_is_tried() -> None:
    told, one = await answers(made("conv_1"), busy, busy, well, profile=CONVERSATION)
    assert [exchange.path for exchange in one.server.seen] == ["/v1/conversations", *["/v1/responses"] * 3]
    assert {exchange.json["conversation"] for exchange in one.server.seen[1:]} == {"conv_1"}
    assert (told.turn.status, told.turn.conversation_id) == (DONE, "conv_1")


async def test_making_a_conversation_is_tried_again_where_it_was_refused() -> None:
    told, one = await answers(busy, made("conv_1"), well, profile=CONVERSATION)
    assert [exchange.path for exchange in one.server.seen] == ["/v1/conversations"] * 2 + ["/v1/responses"]
    assert told.turn.status is DONE


async def test_another_turn_makes_a_conversation_of_its_own() -> None:
    for name in ("conv_1", "conv_2"):
        told, _one = await answers(made(name), well, profile=CONVERSATION)
        assert told.turn.conversation_id == name


async def test_a_prompt_whose_conversation_could_not_be_made_was_not_sent() -> None:
    told, one = await answers(lambda exchange: exchange.break_off(NO_ANSWER), profile=CONVERSATION)
    assert [exchange.path for exchange in one.server.seen] == ["/v1/conversations"]
    assert (told.turn.status, told.exit_status) == (FAILED, 5)
    assert told.words.endswith("— the prompt was not sent yet; press r to send it")


async def test_a_conversation_goes_on_by_its_own_id() -> None:
    told, one = await answers(well, profile=CONVERSATION, conversation_id="conv_1")
    assert one.server.seen[0].json["conversation"] == "conv_1"
    assert told.turn.conversation_id == "conv_1"


@pytest.mark.fault("S01")
async def test_a_stale_conversation_is_replaced_by_a_new_one() -> None:
    def stale(exchange: Exchange) -> object:
        return exchange.answer(
            404, {"error": {"message": "No conversation found with id 'conv_1'", "code": "not_found"}}
        )

    told, one = await answers(
        stale, made("conv_2"), well, profile=CONVERSATION, conversation_id="conv_1", recall=recall
    )
    assert [exchange.path for exchange in one.server.seen] == ["/v1/responses", "/v1/conversations", "/v1/responses"]
    assert one.server.seen[2].json["conversation"] == "conv_2"
    assert len(one.server.seen[2].json["input"]) == 5
    assert told.turn.conversation_id == "conv_2"


@pytest.mark.parametrize("value", [{"id": ""}, {"id": "a\nb"}, {"id": 5}, {}, [], None, "conv_1"])
async def test_a_conversation_without_a_usable_id_is_refused(value: Any) -> None:
    told, _one = await answers(lambda exchange: exchange.answer(200, value), profile=CONVERSATION)
    assert (told.turn.status, told.exit_status) == (FAILED, 6)


async def test_a_server_without_conversations_says_so() -> None:
    told, _one = await answers(lambda exchange: exchange.answer(404, {"detail": "Not Found"}), profile=CONVERSATION)
    assert "no such endpoint" in told.words


async def test_a_profile_that_continues_by_nothing_asks_that_nothing_be_stored() -> None:
    profile = replace(PROFILE, continue_by="nothing")
    told, one = await answers(well, profile=profile)
    assert one.server.seen[0].json["store"] is False
    assert told.turn.conversation_id == ""
    assert not profile.traits.keeps
    assert PROFILE.traits.keeps


# Retries


def reply(status: int, body: Any = None, **headers: str) -> Callable[[Exchange], object]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(status, body if body is not None else {}, named)


def lost(error: Exception) -> Callable[[Exchange], object]:
    return lambda exchange: exchange.break_off(error)


def chatted(exchange: Exchange) -> None:
    exchange.respond().event({"choices": [{"delta": {"content": "fine"}, "finish_reason": "stop"}]}).event("[DONE]")


NO_ANSWER = httpx.RemoteProtocolError("Server disconnected without sending a response.")


@pytest.mark.fault("H16", "H22")
async def test_a_server_that_asks_for_patience_is_waited_for() -> None:
    told, one = await answers(reply(429, retry_after="20"), reply(503, retry_after="3"), well)
    assert one.waits.seconds == [20.0, 3.0]
    assert told.turn.status is DONE
    assert kinds(told) == [AttemptKind.FIRST, AttemptKind.RETRY, AttemptKind.RETRY]
    assert [event.seconds for event in told.events if isinstance(event, Waiting)] == [20.0, 3.0]
    assert sum(isinstance(event, AttemptFailed) for event in told.events) == 2
    waiting = [turn for turn in told.shown if turn.waiting_for]
    assert told.turn.waiting_until is None
    assert all(turn.waiting_until for turn in waiting)


@pytest.mark.fault("N55", "H17")
async def test_a_date_to_come_back_at_is_counted_from_our_own_clock() -> None:
    server, waits = FakeServer(), Waits()
    client = Client(transport_of=lambda _: server, sleep=waits, clock=Clock(lambda: 1696004797.0))
    task = asyncio.create_task(take(client))
    headers = {"retry-after": "Fri, 29 Sep 2023 16:26:57 GMT", "date": "Thu, 01 Jan 1970 00:00:00 GMT"}
    (await server.request()).answer(429, {}, headers)
    well(await server.request())
    assert (await task).turn.status is DONE
    assert waits.seconds == [20.0]


@pytest.mark.parametrize("profile", [PROFILE, CHAT_PROFILE], ids=["stateful", "stateless"])
async def test_a_connection_that_was_never_made_is_tried_three_times(profile: Profile) -> None:
    refused = lost(httpx.ConnectError("refused"))
    told, one = await answers(refused, refused, refused, profile=profile)
    assert (told.turn.status, told.exit_status) == (FAILED, 5)
    assert len(one.waits.seconds) == 2


@pytest.mark.parametrize(
    "error",
    [NO_ANSWER, httpx.ReadError("reset"), httpx.ReadTimeout("slow"), httpx.WriteError("x"), httpx.WriteTimeout("y")],
)
@pytest.mark.fault("N10")
async def test_a_request_that_may_have_arrived_is_not_made_again_where_the_server_keeps_things(
    error: Exception,
) -> None:
    told, _one = await answers(lost(error))
    assert (told.turn.status, told.exit_status) == (FAILED, 5)
    assert "it may have been received; press r to send it again" in told.words


@pytest.mark.fault("N10")
async def test_a_request_that_may_have_arrived_is_made_once_more_where_the_server_keeps_nothing() -> None:
    told, one = await answers(lost(NO_ANSWER), chatted, profile=CHAT_PROFILE)
    assert told.turn.text == "fine"
    assert len(one.waits.seconds) == 1
    told, _one = await answers(lost(NO_ANSWER), lost(NO_ANSWER), profile=CHAT_PROFILE)
    assert told.exit_status == 5
    assert "may have been received" not in told.words


async def test_no_pause_is_made_that_the_budget_does_not_allow() -> None:
    told, one = await answers(reply(429, retry_after="20"), budget=19.0)
    assert (told.exit_status, one.waits.seconds) == (8, [])


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}"}
CALL_ADDED = {"type": "response.output_item.added", "item": {**CALL, "arguments": ""}}
TRANSIENT_ERRORS = [
    {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"},
    {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
    {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}},
    {**LOCKED, "type": "error"},
]


def begun_and(event: dict[str, Any]) -> Callable[[Exchange], object]:
    """An answer that begins, shows nothing, and ends so."""

    def answer(exchange: Exchange) -> object:
        exchange.respond().event({"type": "response.created", "response": {"id": "resp_x"}})
        item = {"type": "reasoning", "id": "rs_1", "summary": []}
        exchange.event({"type": "response.output_item.added", "item": item, "output_index": 0})
        return exchange.event(event).end()

    return answer


@pytest.mark.parametrize("event", TRANSIENT_ERRORS)
async def test_trouble_that_passes_is_waited_out_before_an_answer_begins(event: dict[str, Any]) -> None:
    told, one = await answers(lambda exchange: exchange.respond().event(event).end(), well)
    assert (told.turn.status, told.turn.text) == (DONE, "fine")
    assert len(one.waits.seconds) == 1


@pytest.mark.parametrize("event", TRANSIENT_ERRORS)
async def test_once_an_answer_has_begun_a_server_that_keeps_things_is_asked_nothing_again(
    event: dict[str, Any],
) -> None:
    """It has the prompt in the conversation by then."""
    told, one = await answers(begun_and(event))
    assert (told.turn.status, told.exit_status, one.waits.seconds) == (FAILED, 8, [])


async def test_an_attempt_counts_only_the_events_of_its_own_answer() -> None:
    def limited(exchange: Exchange) -> object:
        return exchange.respond().event(TRANSIENT_ERRORS[0]).end()

    told, one = await answers(limited, limited, well)
    assert (told.turn.status, len(one.waits.seconds)) == (DONE, 2)


@pytest.mark.parametrize("status", [502, 504, 520, 524, 527])
@pytest.mark.fault("N10")
async def test_what_a_gateway_has_handed_on_is_not_sent_again_where_the_server_keeps_things(status: int) -> None:
    told, one = await answers(page(status, ""))
    assert (told.turn.status, told.exit_status, one.waits.seconds) == (FAILED, 8, [])
    assert told.words.endswith(f"(status {status}) — it may have been received; press r to send it again")
    told, one = await answers(reply(status), chatted, profile=CHAT_PROFILE)
    assert (told.turn.status, len(one.waits.seconds)) == (DONE, 1)


@pytest.mark.parametrize("event", TRANSIENT_ERRORS)
async def test_trouble_that_passes_is_waited_out_where_the_server_keeps_nothing(event: dict[str, Any]) -> None:
    """An item that was opened and says nothing yet has not been shown."""
    told, one = await answers(begun_and(event), well, profile=replace(PROFILE, continue_by="nothing"))
    assert (told.turn.status, told.turn.text) == (DONE, "fine")
    assert [item.text for item in told.turn.items if item.text or item.name] == ["fine"]
    assert len(one.waits.seconds) == 1


@pytest.mark.parametrize("event", [*TRANSIENT_ERRORS, {"type": "error", "code": "server_error", "message": "sorry"}])
@pytest.mark.parametrize("shown", [delta("so far"), CALL_ADDED], ids=["text", "a name"])
@pytest.mark.fault("N47")
async def test_nothing_is_tried_again_once_anything_was_shown(shown: dict[str, Any], event: dict[str, Any]) -> None:
    told, one = await answers(lambda exchange: exchange.respond().event(shown).event(event).end())
    assert (told.turn.status, told.exit_status) == (INTERRUPTED, 7)
    assert told.words.startswith("The server broke off: ")
    assert one.waits.seconds == []
    assert told.turn.conversation_id == ""


@pytest.mark.fault("N48")
async def test_an_error_before_any_text_is_a_refusal_in_the_servers_words() -> None:
    event = {"type": "error", "code": "invalid_prompt", "message": "We cannot answer that."}
    told, _one = await answers(lambda exchange: exchange.respond().event(event).end())
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert "We cannot answer that." in told.words


async def test_an_event_called_error_is_one_though_it_does_not_say_so_itself() -> None:
    told, _one = await answers(
        lambda exchange: exchange.respond().send(b'event: error\ndata: {"message": "boom", "code": 7}\n\n').end()
    )
    assert (told.exit_status, "boom" in told.words) == (6, True)


# Statuses, in words


CONTEXT = {
    "error": {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}
}
FASTAPI = {"detail": [{"loc": ["body", "input", 0, "content"], "msg": "Field required"}]}
QUOTA = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}
HOST = "server.localhost:1"


def page(status: int, title: str) -> Callable[[Exchange], object]:
    html = f"<html><head><title>{title}</title></head><body><script>alert(1)</script></body></html>".encode()
    return lambda exchange: exchange.respond(status, "text/html").send(html).end()


STATUSES = [
    pytest.param(reply(400, {"error": {"message": "Bad input."}}), 1, 6, f"{HOST} refused the request: Bad input.", id="400"),
    pytest.param(reply(400, {"error": LOCKED}), 4, 8, "The conversation is busy: Another process", id="400 locked"),
    pytest.param(reply(400, CONTEXT), 1, 6, "The conversation is too long for the model", id="400 too long"),
    pytest.param(reply(401, {"detail": "No such key"}), 1, 4, f"{HOST} refused the key from {PROFILE.key}: No such", id="401"),
    pytest.param(reply(403, {"error": GONE}), 1, 4, f"{HOST} does not allow this: Previous response", id="403"),
    pytest.param(reply(404, {"detail": "Not Found"}), 1, 6, "There is no such endpoint or model at http", id="404"),
    pytest.param(page(404, "Nope"), 1, 6, "There is no such endpoint or model at", id="404 page"),
    pytest.param(reply(405, {"detail": "Method Not Allowed"}), 1, 6, f"{HOST} does not speak the responses protocol", id="405"),
    pytest.param(reply(415, {"detail": "x"}), 1, 6, f"{HOST} does not speak the responses protocol", id="415"),
    pytest.param(reply(426, {"detail": "x"}), 1, 6, f"{HOST} does not speak the responses protocol", id="426"),
    pytest.param(reply(408, {"detail": "x"}), 3, 8, f"{HOST} did not take the request in time (status 408)", id="408"),
    pytest.param(reply(425, {"detail": "x"}), 3, 8, f"{HOST} did not take the request in time (status 425)", id="425"),
    pytest.param(reply(409, {"detail": "x"}), 4, 8, "The conversation is busy: x", id="409"),
    pytest.param(
        reply(409, {"error": {"message": "Idempotency key was used before."}}), 1, 6,
        f"{HOST} has had this message already: Idempotency key was used before — see whether", id="409 replay",
    ),
    pytest.param(reply(413, {"detail": "x"}), 1, 6, "The message is too large for the server.", id="413"),
    pytest.param(reply(422, FASTAPI), 1, 6, "input.0.content: Field required", id="422"),
    pytest.param(reply(429, {"detail": "x"}, retry_after="5"), 3, 8, "too many requests: x — it asks to wait 5 s", id="429"),
    pytest.param(reply(429, {"detail": "x"}, retry_after="121"), 1, 8, "it asks to wait 121 s", id="429 too long"),
    pytest.param(reply(429, {"detail": "x"}, retry_after="nan"), 3, 8, "try again later", id="429 nonsense"),
    pytest.param(reply(429, QUOTA), 1, 8, "The quota is used up: You exceeded your current quota.", id="429 quota"),
    pytest.param(reply(500, {"error": {"message": ""}}), 1, 6, f"{HOST} failed: status 500.", id="500 without words"),
    pytest.param(reply(500, {"error": {"message": "Oops."}}), 1, 6, f"{HOST} failed: Oops.", id="500"),
    pytest.param(page(502, "502 Bad Gateway"), 1, 8, f"A gateway before {HOST} got no answer (status 502) (“502 Bad", id="502"),
    pytest.param(page(504, "Timeout"), 1, 8, f"A gateway before {HOST} got no answer (status 504)", id="504"),
    pytest.param(reply(503, {"detail": "x"}, retry_after="2"), 3, 8, f"{HOST} is overloaded or down (status 503)", id="503"),
    pytest.param(reply(529, {"detail": "x"}), 3, 8, f"{HOST} is overloaded or down (status 529)", id="529"),
    pytest.param(reply(524, {"detail": "x"}), 1, 8, f"{HOST} is overloaded or down (status 524)", id="524"),
    pytest.param(reply(302), 1, 6, f"{HOST} answered with the unexpected status 302.", id="302 to nowhere"),
    pytest.param(reply(201, {}), 1, 6, f"{HOST} answered with the unexpected status 201.", id="201"),
    pytest.param(reply(600, {}), 1, 6, f"{HOST} answered with the unexpected status 600.", id="600"),
    pytest.param(reply(999, {}), 1, 6, f"{HOST} answered with the unexpected status 999.", id="999"),
    pytest.param(reply(407, {}), 1, 6, f"{HOST} refused the request: ", id="407 of a server"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "requests", "exit_status", "words"), STATUSES)
@pytest.mark.fault(
    "H01", "H02", "H03", "H07", "H08", "H10", "H11", "H12", "H13", "H14", "H15", "H16", "H17", "H18", "H19",
    "H21", "H22", "H23", "H24",
)  # fmt: skip
async def test_a_status(answer: Callable[[Exchange], object], requests: int, exit_status: int, words: str) -> None:
    """With an id sent: none of these is a stale one, and nothing replaces it."""
    told, one = await answers(*[answer] * requests, conversation_id=OLD, recall=recall, budget=1000.0)
    assert words in told.words
    assert (told.turn.status, told.exit_status) == (FAILED, exit_status)
    assert told.turn.conversation_id == ""
    assert told.turn.notes == ()
    assert len(one.waits.seconds) == requests - 1
    assert "script" not in told.words
    assert {exchange.json["previous_response_id"] for exchange in one.server.seen} == {OLD}


async def test_busy_is_retried_after_one_two_and_four_seconds() -> None:
    _told, one = await answers(*[reply(400, {"error": LOCKED})] * 4, conversation_id=OLD)
    assert one.waits.seconds == [1.0, 2.0, 4.0]


@pytest.mark.fault("H19")
async def test_a_failed_server_is_tried_once_more_where_it_keeps_nothing() -> None:
    told, _one = await answers(reply(500, {}), chatted, profile=CHAT_PROFILE)
    assert told.turn.status is DONE


@pytest.mark.fault("H06")
async def test_a_refused_key_is_named_by_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_KEY", "sk-secret-value")
    profile = replace(PROFILE, key=KeySource("env", ("WORK_KEY",)))
    told, one = await answers(reply(401, {"error": {"message": "Incorrect key sk-secret-value"}}), profile=profile)
    assert (told.exit_status, told.words) == (
        4,
        f"{HOST} refused the key from environment variable WORK_KEY: Incorrect key ***.",
    )
    assert one.server.seen[0].request.headers["authorization"] == "Bearer sk-secret-value"


async def test_a_server_that_is_given_no_key_is_said_to_want_one() -> None:
    told, _one = await answers(reply(401, {"detail": "Invalid key"}), profile=replace(PROFILE, key=KeySource()))
    assert (told.exit_status, told.words) == (4, f"{HOST} wants a key: Invalid key — set api_key_env in profile test")


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_a_compressed_refusal_is_a_refusal_all_the_same(status: int) -> None:
    def squeezed(exchange: Exchange) -> object:
        return exchange.respond(status, headers={"content-encoding": "gzip"}).send(b"\x1f\x8b...").end()

    told, _one = await answers(*[squeezed] * (1 if status == 401 else 3))
    assert told.exit_status == (4 if status == 401 else 8)


CANARY = "sk-CANARY-0123456789abcdef"


@pytest.mark.parametrize("pad", [0, 400, 470, 480, 490, 495, 1970, 1990])
@pytest.mark.fault("H27")
async def test_a_key_that_is_echoed_is_masked_wherever_it_stands(pad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the message is cut in the middle of the key."""
    monkeypatch.setenv("WORK_KEY", CANARY)
    profile = replace(PROFILE, key=KeySource("env", ("WORK_KEY",)))
    said = "x" * pad + f" bad key {CANARY}!"
    for answer in (
        reply(400, {"error": {"message": said}}),
        reply(401, {"detail": said}),
        reply(400, {"error": {"message": "m", "code": said}}),
        page(404, said),
        lambda exchange: exchange.respond().event({"type": "error", "message": said}).end(),
        lambda exchange: exchange.respond().event(delta("a")).event({"type": "error", "message": said}).end(),
        lambda exchange: exchange.respond(302, headers={"location": f"https://a.test/{said}"}).end(),
        lambda exchange: exchange.respond(200, f"text/{CANARY}").send(b"plain").end(),
        lambda exchange: exchange.respond(200, "text/html").send(f"<html><title>{said}".encode() + b"</title>").end(),
    ):
        told, _one = await answers(answer, profile=profile, conversation_id=OLD)
        everything = repr((told.turn, told.saved, told.shown, told.events))
        assert CANARY not in everything
        assert CANARY[:12] not in everything, "nor a part of it"


async def test_a_secret_header_that_is_echoed_is_masked() -> None:
    profile = replace(
        PROFILE, headers=(("X-Api-Token", CANARY), ("authorization", "Basic dXNlcjpwdw=="), ("x-team", "infra"))
    )
    said = f"{CANARY} and dXNlcjpwdw== of infra"
    told, _one = await answers(reply(400, {"error": {"message": said}}), profile=profile)
    assert "*** and *** of infra" in told.words


@pytest.mark.fault("H26")
async def test_escapes_in_errors_are_words_and_nothing_else() -> None:
    """They are cleaned at the door to the screen, which is the same for all text."""
    from tui.text import clean

    said = "\x1b]52;c;aGk=\x07 [/] [@click=app.quit]x[/] \u202e"
    told, _one = await answers(reply(400, {"error": {"message": said}}))
    assert "[/] [@click=app.quit]x[/]" in told.words
    assert "\x1b" not in clean(told.words)


# What is forgiven, and what is not


@pytest.mark.fault("N49")
async def test_one_unreadable_event_among_good_ones_is_skipped_and_noted() -> None:
    for junk in ("{not json", "[1, 2]", "null", '"text"', "7", "[" * 100_000, '{"n": ' + "1" * 5000 + "}"):
        told, _one = await answers(
            lambda exchange, junk=junk: exchange.respond().event(delta("fi")).event(junk).event(completed("fine")).end()
        )
        assert (told.turn.status, told.turn.text) == (DONE, "fine")
        assert told.turn.notes == ("1 unreadable event was skipped.",)


@pytest.mark.fault("N49")
async def test_two_unreadable_events_at_the_start_are_another_protocol() -> None:
    told, _one = await answers(lambda exchange: exchange.respond().event("hello").event("there").event(completed("x")))
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert "does not speak this protocol" in told.words


@pytest.mark.parametrize("beat", [b"data:\n\n", b"data: \n\n", b"event: ping\ndata:\n\n", b"data:\ndata: \t\n\n"])
@pytest.mark.parametrize("times", [1, 2, 5])
async def test_events_that_are_blank_are_signs_of_life(beat: bytes, times: int) -> None:
    told, _one = await answers(
        lambda exchange: (
            exchange.respond()
            .send(beat * times)
            .event(delta("fi"))
            .send(beat * times)
            .event(completed("fine"))
            .send(beat)
            .end()
        )
    )
    assert (told.turn.status, told.turn.text, told.turn.notes) == (DONE, "fine", ())


async def test_nothing_but_blank_events_is_no_answer() -> None:
    told, _one = await answers(lambda exchange: exchange.respond().send(b"data:\n\n" * 3).end())
    assert (told.turn.status, told.words) == (
        FAILED,
        "The server stopped before the answer was finished, with no answer.",
    )


async def test_several_unreadable_events_are_counted() -> None:
    told, _one = await answers(
        lambda exchange: exchange.respond().event(delta("a")).event("x").event("y").event(completed("a"))
    )
    assert told.turn.notes == ("2 unreadable events were skipped.",)


@pytest.mark.fault("N50")
async def test_numbers_that_are_none_and_keys_that_come_twice() -> None:
    def odd(exchange: Exchange) -> object:
        exchange.respond().event(
            '{"type": "response.output_text.delta", "delta": "fi", "output_index": NaN, "x": 1e400}'
        )
        exchange.event('{"type": "nonsense", "type": "response.output_text.delta", "delta": "ne", "output_index": NaN}')
        return exchange.event('{"type": "response.output_text.delta", "delta": "\\ud800"}').event(completed()).end()

    told, _one = await answers(odd)
    assert told.turn.status is DONE
    assert told.turn.notes == ()


@pytest.mark.fault("N45")
async def test_a_turn_is_done_at_its_terminal_event_though_the_connection_stays() -> None:
    async with asked() as one:
        exchange = await one.request()
        exchange.respond().event(delta("fine")).event(completed("fine"))
        told = await one.end()
        assert exchange.closed.is_set()
    assert told.turn.status is DONE


@pytest.mark.fault("N46")
async def test_a_second_answer_after_the_first_is_ignored() -> None:
    def twice(exchange: Exchange) -> object:
        exchange.respond().event(delta("fine")).event(completed("fine", "resp_1"))
        return (
            exchange.event(delta("again", "msg_2")).event(completed("again", "resp_2")).send(b"\x00\xff garbage").end()
        )

    told, _one = await answers(twice)
    assert (told.turn.text, told.turn.conversation_id) == ("fine", "resp_1")


CHUNK = {"choices": [{"delta": {"content": "fine"}, "finish_reason": None}]}
STOP = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


async def no_more(exchange: Exchange) -> None:
    """The answer ends properly and nothing follows."""


async def breaks(exchange: Exchange) -> None:
    exchange.break_off()


async def chatters(exchange: Exchange) -> None:
    """Something comes all the time, and never the end."""
    while not exchange.closed.is_set():
        exchange.event({"choices": []}).send(b": ping\n\n")
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("after", [no_more, breaks, chatters])
@pytest.mark.fault("N45", "N46")
async def test_a_chat_answer_is_done_whatever_follows_its_finish_reason(
    after: Callable[[Exchange], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.protocols.TRAILER_WAIT", 0.05)
    async with asked(CHAT_PROFILE) as one:
        exchange = await one.request()
        exchange.respond().event(CHUNK).event(STOP)
        await after(exchange)
        told = await one.end()
        assert exchange.closed.is_set()
    assert (told.turn.status, told.turn.text) == (DONE, "fine")


@pytest.mark.parametrize("profile", [PROFILE, CHAT_PROFILE], ids=lambda profile: profile.protocol)
async def test_the_sentinel_ends_an_answer_that_has_no_end(profile: Profile) -> None:
    """The connection stays open: nothing is waited for."""
    told, _one = await answers(
        lambda exchange: exchange.respond().event(CHUNK if profile is CHAT_PROFILE else delta("fine")).event("[DONE]"),
        profile=profile,
    )
    assert (told.turn.status, told.turn.text, told.exit_status) == (INTERRUPTED, "fine", 7)


async def test_an_agents_loop_is_read_to_its_end() -> None:
    output = {"type": "function_call_output", "call_id": "call_1", "output": "17"}
    first = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [CALL]}}
    async with asked() as one:
        exchange = (await one.request()).respond().event(first)
        exchange.event({"type": "response.output_item.done", "item": output})
        exchange.event({"type": "response.created", "response": {"id": "resp_2"}})
        exchange.event(delta("Warm.")).event(completed("Warm.", "resp_2"))
        told = await one.end()
    assert (told.turn.status, told.turn.text, told.turn.conversation_id) == (DONE, "Warm.", "resp_2")


@pytest.mark.fault("N27")
async def test_an_endless_answer_is_stopped_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.runner.ANSWER_LIMIT", 10_000)
    async with asked() as one:
        exchange = (await one.request()).respond()
        while not exchange.closed.is_set():
            exchange.event(delta("x" * 1000))
            await asyncio.sleep(0)
        told = await one.end()
    assert (told.turn.status, told.exit_status) == (INTERRUPTED, 7)
    assert "was stopped" in told.words
    assert 10_000 <= len(told.turn.text) <= 11_000


@pytest.mark.fault("N33")
async def test_an_error_in_json_with_status_200() -> None:
    for value in ({"error": {"message": "no such luck"}}, {"detail": "no such luck"}, {"error": "no such luck"}):
        told, _one = await answers(reply(200, value))
        assert (told.turn.status, told.exit_status) == (FAILED, 6)
        assert "no such luck" in told.words


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("text/html", b"<!doctype html><title>Sign in</title>", "answered with a web page (“Sign in”)"),
        ("text/event-stream", b"<html><body>no title</body>", "answered with a web page — a login or proxy page?"),
        ("text/plain", b"hello there", "sent an unexpected content type: text/plain"),
        ("text/plain", b'data: {"type": "response.completed"}\n\n', "sent an unexpected content type: text/plain"),
        ("application/x-ndjson", b'{"a": 1}\n{"a": 2}\n', "sent an unexpected content type: application/x-ndjson"),
        ("application/json", b"{malformed", "sent an answer that is not valid JSON."),
        ("application/json", b"[]", "does not speak this protocol here"),
        ("application/json", b"null", "sent an empty answer."),
        ("application/json", b"{}", "does not speak the responses protocol here"),
        ("application/json", b"", "sent an empty answer."),
        ("text/event-stream", b"", "sent an empty answer."),
        ("text/event-stream", b"\r\n\n \t\n", "sent an empty answer."),
        ("", b"x", "sent an unexpected content type"),
    ],
)
@pytest.mark.fault("N32", "N34", "N35")
async def test_the_wrong_kind_of_answer(content_type: str, body: bytes, words: str) -> None:
    told, _one = await answers(lambda exchange: exchange.respond(200, content_type).send(body).end())
    assert words in told.words
    assert (told.turn.status, told.exit_status) == (FAILED, 6)


@pytest.mark.parametrize("status", [204, 205])
@pytest.mark.fault("N35")
async def test_an_answer_without_content(status: int) -> None:
    told, _one = await answers(lambda exchange: exchange.respond(status).end())
    assert (told.exit_status, "sent an empty answer" in told.words) == (6, True)


@pytest.mark.parametrize("coding", ["gzip", "br", "x-unknown"])
@pytest.mark.fault("N29", "N30", "N31")
async def test_a_compressed_answer_is_refused_unread(coding: str) -> None:
    async with asked() as one:
        exchange = await one.request()
        exchange.respond(200, headers={"content-encoding": coding})
        told = await one.end()
    assert exchange.request.headers["accept-encoding"] == "identity"
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert "compressed" in told.words


async def test_blank_lines_before_an_answer_are_nothing() -> None:
    """Some servers send them to keep the connection while they think, also before JSON."""
    for rest in (b'data: {"type": "response.output_text.delta", "delta": "fine"}\n\n', None):
        async with asked() as one:
            exchange = (await one.request()).respond(200, "application/json" if rest is None else "text/event-stream")
            for _ in range(50):
                exchange.send(b"\n\r\n" * 1000)
            exchange.send(rest or json.dumps(completed("fine")["response"]).encode())
            exchange.send(b"" if rest is None else f"data: {json.dumps(completed())}\n\n".encode()).end()
            told = await one.end()
        assert (told.turn.status, told.turn.text) == (DONE, "fine")


@pytest.mark.fault("N26")
async def test_nothing_but_blanks_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.client.body.LIMIT", 10_000)
    told, _one = await answers(lambda exchange: [exchange.respond(), *[exchange.send(b" " * 1000) for _ in range(20)]])
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert "nothing but blanks" in told.words


@pytest.mark.fault("N26")
async def test_json_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.client.body.LIMIT", 10_000)
    told, _one = await answers(
        lambda exchange: [exchange.respond().send(b'{"x": "'), *[exchange.send(b"x" * 1000) for _ in range(20)]]
    )
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert "too large" in told.words


# Cancelling


FULL = [
    {"type": "response.created", "response": {"id": "resp_1", "model": "m"}},
    *[delta(f"{number} ") for number in range(6)],
]


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("events", range(len(FULL) + 1))
@pytest.mark.fault("C03", "C05")
async def test_cancelled_after_any_event(events: int, again: bool) -> None:
    async with asked(conversation_id=OLD) as one:
        exchange = (await one.request()).respond()
        for event in FULL[:events]:
            exchange.event(event)
        shown = max(events - 1, 0)
        async with asyncio.timeout(20):
            while sum("ItemDelta" in type(event).__name__ for event in one.told.events) < shown:
                await asyncio.sleep(0)
        one.task.cancel()
        if again:
            await asyncio.sleep(0)
            one.task.cancel()
        told = await one.end()
        assert exchange.closed.is_set()
    assert told.turn.status is CANCELLED
    assert told.turn.text == "".join(f"{number} " for number in range(shown))
    assert told.turn.conversation_id == ""


@pytest.mark.parametrize("again", [None, 0, 1, 2, 3], ids=["once", "at once", "after 1", "after 2", "after 3"])
@pytest.mark.parametrize("passes", range(16))
@pytest.mark.fault("C04", "C05")
async def test_cancelled_after_any_number_of_passes_of_the_loop(passes: int, again: int | None) -> None:
    """The whole answer is there already: the turn is either done or cancelled, once, and nothing stays open."""
    async with asked() as one:
        exchange = await one.request()
        exchange.respond()
        for event in FULL[:3]:
            exchange.event(event)
        exchange.event(completed("0 1 ")).end()
        for _ in range(passes):
            await asyncio.sleep(0)
        one.task.cancel()
        if again is not None:
            for _ in range(again):
                await asyncio.sleep(0)
            one.task.cancel()
        told = await one.end()
        assert exchange.closed.is_set()
    assert told.turn.status in (DONE, CANCELLED)
    assert "0 1 ".startswith(told.turn.text)


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.fault("C02", "C05")
async def test_cancelled_before_the_headers(again: bool) -> None:
    async with asked() as one:
        exchange = await one.request()
        one.task.cancel()
        if again:
            await asyncio.sleep(0)
            one.task.cancel()
        told = await one.end()
        assert exchange.closed.is_set()
    assert (told.turn.status, told.turn.text) == (CANCELLED, "")


@pytest.mark.fault("C01")
async def test_cancelled_before_the_request_is_made() -> None:
    hanging = KeySource("command", (sys.executable, "-c", "import time; time.sleep(60)"))
    async with asked(replace(PROFILE, key=hanging)) as one:
        await asyncio.sleep(0)
        one.task.cancel()
        told = await one.end()
    assert told.turn.status is CANCELLED
    assert one.server.seen == []


@pytest.mark.fault("C06")
async def test_cancelled_during_a_pause() -> None:
    server = FakeServer()
    told = Told(new_turn())
    task = asyncio.create_task(take(Client(transport_of=lambda _: server), told=told))
    (await server.request()).answer(429, {}, {"retry-after": "50"})
    async with asyncio.timeout(20):
        while not any(isinstance(event, Waiting) for event in told.events):
            await asyncio.sleep(0)
    task.cancel()
    await task
    assert told.turn.status is CANCELLED
    assert len(server.seen) == 1
    assert (told.turn.waiting_until, told.turn.waiting_for) == (None, "")


@pytest.mark.parametrize("status", [400, 500])
async def test_cancelled_while_an_error_is_being_read(status: int) -> None:
    async with asked() as one:
        exchange = (await one.request()).respond(status, "application/json").send(b'{"error": {"mess')
        for _ in range(20):
            await asyncio.sleep(0)
        one.task.cancel()
        told = await one.end()
        assert exchange.closed.is_set()
    assert told.turn.status is CANCELLED


# The rest of the client


async def test_bytes_are_handed_out_as_they_come() -> None:
    server, seen = FakeServer(), list[bytes]()
    task = asyncio.create_task(take(Client(transport_of=lambda _: server, on_bytes=seen.append)))
    exchange = (await server.request()).respond().send(b": hi\n\n").event(delta("fine"))
    exchange.event(completed("fine")).end()
    await task
    wanted = f": hi\n\ndata: {json.dumps(delta('fine'))}\n\ndata: {json.dumps(completed('fine'))}\n\n"
    assert b"".join(seen).decode() == wanted


async def test_what_is_asked_of_the_server() -> None:
    profile = replace(
        PROFILE, base_url="http://server.localhost:1/api/v2?version=3", headers=(("X-Team", "infra"),), key=KeySource()
    )
    _told, one = await answers(well, profile=profile)
    request = one.server.seen[0].request
    assert str(request.url) == "http://server.localhost:1/api/v2/responses?version=3"
    assert request.method == "POST"
    assert request.headers["accept"] == "text/event-stream, application/json"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["connection"] == "close"
    assert request.headers["user-agent"].startswith("palaver/")
    assert request.headers["x-team"] == "infra"
    assert "authorization" not in request.headers


async def test_a_prompt_that_is_not_unicode_is_sent_all_the_same() -> None:
    _told, one = await answers(well, prompt="a\ud800b\x00c")
    assert one.server.seen[0].json["input"][0]["content"] == "a?b\x00c"


async def test_a_key_that_is_missing_is_a_matter_of_configuration() -> None:
    profile = replace(PROFILE, key=KeySource("env", ("NO_SUCH_KEY",)))
    told, one = await answers(profile=profile)
    assert (told.turn.status, told.exit_status) == (FAILED, 3)
    assert "NO_SUCH_KEY is not set" in told.words
    assert one.server.seen == []


async def test_events_end_with_finished_and_nothing_is_left_when_reading_stops_early() -> None:
    server = FakeServer()
    events = client_of(server).stream(Request(PROFILE, "hello"))

    async def first() -> object:
        async for event in events:
            if "ItemDelta" in type(event).__name__:
                return event
        return None

    task = asyncio.create_task(first())
    exchange = (await server.request()).respond().event(delta("a")).event(delta("b"))
    assert await task is not None
    await events.aclose()
    assert exchange.closed.is_set()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(401, {"detail": "no"}), NotAllowed),
        (reply(404, {"detail": "no"}), Refused),
        (lambda exchange: exchange.respond(200, "text/html").send(b"<html><title>Hi</title>").end(), Refused),
    ],
)
async def test_a_probe_fails_in_the_same_words(answer: Callable[[Exchange], object], error: type[Exception]) -> None:
    server = FakeServer()
    task = asyncio.create_task(client_of(server).ask(PROFILE, lambda _wire, http: http.call("GET", "/models")))
    answer(await server.request())
    with pytest.raises(error):
        await task
    assert server.seen[0].closed.is_set()


async def test_a_probe_gives_the_servers_json() -> None:
    server = FakeServer()
    for body, value in ((b'{"data": []}', {"data": []}), (b"", None), (b" \n", None)):
        task = asyncio.create_task(client_of(server).ask(PROFILE, lambda _wire, http: http.call("GET", "/models")))
        exchange = await server.request()
        assert (exchange.request.method, exchange.path, exchange.body) == ("GET", "/v1/models", b"")
        exchange.respond(200, "application/json").send(body).end()
        assert await task == value
    profile = replace(PROFILE, key=KeySource("env", ("NO_SUCH_KEY",)))
    with pytest.raises(ConfigError):
        await client_of(server).ask(profile, lambda wire, http: wire.models(http))


async def test_what_reads_a_body_is_not_left_to_the_collector_where_reading_ends_early() -> None:
    collected: list[str] = []
    hooks = sys.get_asyncgen_hooks()

    def finalize(generator: Any) -> None:
        collected.append(generator.__qualname__)
        assert hooks.finalizer is not None
        hooks.finalizer(generator)

    sys.set_asyncgen_hooks(finalizer=finalize)
    try:
        async with asked() as one:
            # The body goes on after the answer's last event.
            (await one.request()).respond().event(delta("hi")).event(completed("hi"))
            assert (await one.end()).turn.status is DONE
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert "Response.aiter_raw" not in collected
