"""Calls without an answer: none is ever sent, and one that a server still waits for is closed, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from tests.client.turns import Told, over, take
from tests.fake_server import PROFILE, Exchange, FakeServer, Waits, completed
from tui.client import Request
from tui.client.protocols.open_calls import CLOSED, MOST
from tui.config import Profile
from tui.continuity import take_up
from tui.model import Item, ItemKind, Turn, TurnStatus
from tui.pictures import Picture

CONVERSATION = replace(PROFILE, continue_by="conversation")
OLD = "resp_0123456789"

Answer = Callable[[Exchange], object]


def well(exchange: Exchange) -> object:
    return exchange.respond().event(completed("fine", "resp_new")).end()


def reply(status: int, value: Any) -> Answer:
    return lambda exchange: exchange.answer(status, value)


async def answers(*steps: Answer, profile: Profile = PROFILE, **request: Any) -> tuple[Told, FakeServer]:
    """A turn whose requests are answered by `steps`, one each; there are no more requests than that, and no waits."""
    server, waits = FakeServer(), Waits()
    turn = asyncio.create_task(take(over(server, waits), profile, **request))
    for step in steps:
        step(await server.request())
    told = await turn
    assert (len(server.seen), waits.seconds) == (len(steps), [])
    return told, server


def open_call(kind: str = "function", call_id: str = "call_1") -> dict[str, Any]:
    """What a server says of a conversation with an open call."""
    words = f"No tool output found for {kind} call {call_id}."
    return {"error": {"message": words, "type": "invalid_request_error", "param": "input", "code": None}}


def closed(call_id: str = "call_1", kind: str = "function_call_output") -> dict[str, str]:
    return {"type": kind, "call_id": call_id, "output": "There is no answer to this call: it was not carried out."}


SAID = {"role": "user", "content": "hello"}


@pytest.mark.parametrize("profile", [PROFILE, CONVERSATION])
@pytest.mark.parametrize(
    ("kind", "item"), [("function", "function_call_output"), ("custom tool", "custom_tool_call_output")]
)
@pytest.mark.fault("H05")
async def test_a_call_that_the_server_waits_for_is_closed(profile: Profile, kind: str, item: str) -> None:
    told, server = await answers(reply(400, open_call(kind)), well, profile=profile, conversation_id=OLD)
    first, second = (exchange.json for exchange in server.seen)
    assert first["input"] == [SAID]
    assert second == first | {"input": [closed(kind=item), SAID]}
    assert (told.turn.status, told.turn.text, told.turn.notes) == (TurnStatus.DONE, "fine", (CLOSED,))


@pytest.mark.fault("H05")
async def test_calls_that_are_named_one_at_a_time_are_all_closed() -> None:
    names = ["call_1", "call_2", "call_3"]
    told, server = await answers(*[reply(400, open_call(call_id=name)) for name in names], well, conversation_id=OLD)
    assert server.seen[-1].json["input"] == [*map(closed, names), SAID]
    assert told.turn.notes == (CLOSED,)


@pytest.mark.fault("H05")
async def test_a_call_that_stays_open_is_told_of_in_the_servers_words() -> None:
    told, _ = await answers(*[reply(400, open_call())] * 2, conversation_id=OLD)
    assert (told.turn.status, told.exit_status, told.turn.notes) == (TurnStatus.FAILED, 6, ())
    assert "No tool output found for function call call_1." in told.words
    assert told.turn.conversation_id == ""


@pytest.mark.fault("H05")
async def test_a_server_that_names_new_calls_for_ever_is_not_asked_for_ever() -> None:
    more = [reply(400, open_call(call_id=f"call_{number}")) for number in range(MOST + 1)]
    told, server = await answers(*more, conversation_id=OLD)
    assert (told.turn.status, len(server.seen)) == (TurnStatus.FAILED, MOST + 1)


def in_stream(exchange: Exchange) -> object:
    return exchange.respond().event(open_call()["error"] | {"type": "error"}).end()


@pytest.mark.parametrize(
    ("answer", "conversation_id"),
    [
        pytest.param(in_stream, OLD, id="an answer had begun"),
        pytest.param(reply(400, open_call()), "", id="there is no conversation"),
        pytest.param(reply(400, open_call("computer")), OLD, id="a call we have no answer for"),
        pytest.param(reply(500, open_call()), OLD, id="the server failed"),
        pytest.param(
            reply(400, {"error": {"message": "No tool call found for function call output with call_id call_1."}}),
            OLD,
            id="an answer without a call",
        ),
    ],
)
@pytest.mark.fault("H05")
async def test_nothing_else_is_sent_again(answer: Any, conversation_id: str) -> None:
    told, server = await answers(answer, conversation_id=conversation_id)
    assert (told.turn.status, told.exit_status, len(server.seen)) == (TurnStatus.FAILED, 6, 1)
    assert "call_1" in told.words


async def pictures(keys: Collection[str]) -> dict[str, Picture]:
    return {}


@pytest.mark.parametrize("protocol", ["responses", "chat", "anthropic", "ollama", "agent-server"])
@pytest.mark.parametrize("status", [TurnStatus.DONE, TurnStatus.CANCELLED])
@pytest.mark.fault("H05")
async def test_no_call_is_sent_that_could_be_without_its_answer(protocol: str, status: TurnStatus) -> None:
    items = (
        Item("c", ItemKind.TOOL_CALL, "{}", "weather", "call_1"),
        Item("r", ItemKind.TOOL_RESULT, "17", "", "call_2"),
        Item("m", ItemKind.MESSAGE, "Warm."),
    )
    before = Turn("t0", "s", 0, "How is it?", status, items)

    async def earlier(after: int) -> list[Turn]:
        return [before]

    profile = replace(PROFILE, protocol=protocol)
    start = await take_up(Request(profile, "hello"), None, earlier, pictures, now=0, lifetime=1)
    _, server = await answers(reply(400, {}), profile=profile, history=start.request.history)
    body = server.seen[0].json
    said = [(one["role"], one["content"]) for one in body.get("input") or body["messages"]]
    assert said == [("user", "How is it?"), ("assistant", "Warm."), ("user", "hello")]
    assert "call_" not in str(body)
