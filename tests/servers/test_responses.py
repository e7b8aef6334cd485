"""The Responses API on its stand-in: runs in the background, stopping them, approvals, models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from tests.client.turns import Told, new_turn, take
from tests.fake_server import PROFILE, FakeServer, Waits, client_of, completed
from tests.servers import responses
from tests.servers.asking import text_of
from tests.servers.base import Running, serving
from tui.client import Client, Request
from tui.config import Profile
from tui.events import Finished, RunNamed, Waiting
from tui.model import AttemptKind, ItemKind, ItemState, TurnStatus, Verdict

DONE = TurnStatus.DONE


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(responses.make()) as running:
        yield running


def profile(server: Running, *, background: bool = False) -> Profile:
    return replace(PROFILE, base_url=f"{server.url}/v1", options={"background": True} if background else {})


def client() -> Client:
    return Client(sleep=Waits())


async def ask(server: Running, prompt: str, *, background: bool = False, **request: object) -> Told:
    return await take(client(), profile(server, background=background), prompt, **request)


async def test_a_background_run_is_followed_through_a_connection_that_breaks(server: Running) -> None:
    told = await ask(server, "cut me off", background=True)
    assert (told.turn.status, told.turn.text) == (DONE, text_of("cut me off"))
    posted, taken_up = server.service.asked
    assert (posted.json["background"], posted.json["store"], posted.json["stream"]) == (True, True, True)
    assert (taken_up.method, taken_up.query) == ("GET", {"stream": "true", "starting_after": "3"})
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST]
    waits = [event.seconds for event in told.events if isinstance(event, Waiting)]
    assert waits == [0.5, 0.0]
    assert not told.turn.waiting_for
    assert told.turn.run == ""
    assert told.turn.conversation_id


async def test_without_it_the_same_answer_is_incomplete(server: Running) -> None:
    told = await ask(server, "cut me off")
    assert (told.turn.status, told.turn.text, told.exit_status) == (TurnStatus.INTERRUPTED, "1 prompt so ", 7)
    assert len(server.service.asked) == 1


async def test_the_name_of_a_run_is_known_while_it_runs(server: Running) -> None:
    told = Told(new_turn(PROFILE, "hang on"))
    running = asyncio.create_task(take(client(), profile(server, background=True), "hang on", told=told))
    async with asyncio.timeout(20):
        while not any(isinstance(event, RunNamed) for event in told.events):
            await asyncio.sleep(0.005)
    server.service.go_on.set()
    await running
    named = [event.run for event in told.events if isinstance(event, RunNamed)]
    assert named[0].startswith("resp_")
    assert named[1:] == [""]


async def test_a_run_that_was_left_is_taken_up_again_from_its_beginning(server: Running) -> None:
    run = ""
    async with aclosing(client().stream(Request(profile(server, background=True), "hang on"))) as events:
        async for event in events:
            if isinstance(event, RunNamed):
                run = event.run
                break
    server.service.go_on.set()
    told = await ask(server, "hang on", background=True, run=run)
    assert (told.turn.status, told.turn.text) == (DONE, text_of("hang on"))
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.RESUMED]
    assert server.service.asked[-1].query == {"stream": "true"}


async def test_a_run_that_is_gone_is_an_error_and_no_reason_to_ask_again(server: Running) -> None:
    told = await ask(server, "hello", background=True, run="resp_gone")
    assert (told.turn.status, told.exit_status) == (TurnStatus.FAILED, 6)
    assert len(server.service.asked) == 1


async def test_a_run_is_stopped_by_its_name(server: Running) -> None:
    run = ""
    async with aclosing(client().stream(Request(profile(server, background=True), "hang on"))) as events:
        async for event in events:
            if isinstance(event, RunNamed):
                run = event.run
                break
    await client().ask(profile(server), lambda wire, http: wire.stop(http, run))
    assert (server.service.asked[-1].method, server.service.asked[-1].path) == ("POST", f"/v1/responses/{run}/cancel")
    told = await ask(server, "hang on", background=True, run=run)
    assert told.turn.status is not DONE


async def test_a_question_for_approval_ends_the_turn_and_is_answered_in_the_next(server: Running) -> None:
    told = await ask(server, "approve it")
    (item,) = told.turn.items
    assert (item.kind, item.name, item.text, item.call_id) == (
        ItemKind.APPROVAL,
        "ops.deploy",
        '{"to": "production"}',
        "mcpr_1",
    )
    assert item.state is ItemState.OPEN
    assert told.turn.open_approvals == (item,)
    assert told.events[-1] == Finished("approval")
    for verdict, says in ((Verdict(True), "yes"), (Verdict(False, reason="not today"), "no")):
        after = await ask(server, "", conversation_id=told.turn.conversation_id, answers=((item, verdict),))
        assert after.turn.text.endswith(f"You said: {says}")
        (said,) = server.service.asked[-1].json["input"]
        assert said == {
            "type": "mcp_approval_response",
            "approval_request_id": "mcpr_1",
            "approve": verdict.approved,
        } | ({"reason": "not today"} if verdict.reason else {})


async def test_an_answer_to_a_question_the_server_does_not_keep_tells_the_question(server: Running) -> None:
    told = await ask(server, "approve it")
    await ask(server, "", answers=((told.turn.items[0], Verdict(True)),))
    asked, said = server.service.asked[-1].json["input"]
    assert asked == {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "name": "deploy",
        "server_label": "ops",
        "arguments": '{"to": "production"}',
    }
    assert said["approval_request_id"] == "mcpr_1"


async def test_a_run_that_is_told_whole_is_asked_for_until_it_is_done() -> None:
    """Some servers run in the background but do not stream it."""
    fake = FakeServer()
    background = replace(PROFILE, options={"background": True})
    running = asyncio.create_task(take(client_of(fake), background, "hello"))
    (await fake.request()).answer(200, {"id": "resp_1", "status": "queued", "output": []})
    for status in ("in_progress", "completed"):
        exchange = await fake.request()
        assert (exchange.request.method, exchange.path) == ("GET", "/v1/responses/resp_1")
        exchange.answer(200, completed("Fine.")["response"] | {"status": status})
    told = await running
    assert (told.turn.status, told.turn.text, told.turn.run) == (DONE, "Fine.", "")


async def test_models(server: Running) -> None:
    assert await client().ask(profile(server), lambda wire, http: wire.models(http)) == ["fake", "other"]
