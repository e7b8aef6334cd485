"""The Anthropic Messages API on its stand-in: everything said goes along each time, and is taken as the server wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chatting import chatting
from tests.client.turns import Told, new_turn, take
from tests.fake_server import CHAT_PROFILE, PROFILE
from tests.loopback import palaver
from tests.servers import anthropic, chat
from tests.servers.asking import asks, said
from tests.servers.base import MANNERS, Running, serving
from tui.client import Client
from tui.config import Profile
from tui.credentials import KeySource
from tui.model import ItemKind, TurnStatus, Usage

DONE, FAILED = TurnStatus.DONE, TurnStatus.FAILED
CANCELLED, INTERRUPTED = TurnStatus.CANCELLED, TurnStatus.INTERRUPTED


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(anthropic.make()) as running:
        yield running


def profile_of(server: Running, **more: Any) -> Profile:
    made = replace(PROFILE, name="here", protocol="anthropic", base_url=f"{server.url}/v1", model="fake")
    return replace(made, **more)


ask = asks(profile_of)


async def test_an_answer(server: Running) -> None:
    told = await ask(server, "hello")
    assert (told.turn.status, told.turn.text) == (DONE, "1 prompt so far. You said: hello")
    assert (told.turn.model, told.turn.finish, told.turn.usage) == ("fake", "", Usage(1, 7, None, 0))
    (asked,) = server.service.asked
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in asked.headers


@pytest.mark.parametrize("what", MANNERS)
async def test_however_it_behaves_a_turn_comes_to_its_end(server: Running, what: str) -> None:
    server.service.go_on.set()
    told = await ask(server, f"{what} please")
    wanted = {"fail first": FAILED, "fail later": INTERRUPTED, "cut": INTERRUPTED}.get(what, DONE)
    assert told.turn.status is wanted
    assert bool(told.turn.text) is (what not in ("fail first", "empty"))
    assert len(server.service.asked) == (2 if what == "fail first" else 1)


async def test_it_reasons(server: Running) -> None:
    told = await ask(server, "think")
    assert told.of(ItemKind.REASONING) == [("", "It is a simple question.")]
    assert told.turn.text == "1 prompt so far. You said: think"


@pytest.mark.parametrize(
    ("what", "name", "arguments", "result"),
    [
        ("tool", "town.weather", {"city": "Hamburg"}, "17 degrees"),
        (
            "table",
            "town.query",
            {"sql": "SELECT city, n FROM bridges"},
            '{"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}',
        ),
    ],
)
async def test_it_calls_a_tool_that_answers(
    server: Running, what: str, name: str, arguments: dict[str, str], result: str
) -> None:
    call, answer, message = (await ask(server, what)).turn.items
    assert (call.name, json.loads(call.text)) == (name, arguments)
    assert (answer.kind, answer.text, answer.call_id) == (ItemKind.TOOL_RESULT, result, call.call_id)
    assert message.kind is ItemKind.MESSAGE


async def test_an_answer_that_breaks_off_with_an_error_keeps_what_was_said(server: Running) -> None:
    told = await ask(server, "fail later")
    assert (told.turn.status, told.turn.text, told.exit_status) == (INTERRUPTED, "1 prompt so ", 7)
    assert "Overloaded" in told.words


async def test_an_answer_that_is_let_go_of_ends_at_the_server(server: Running) -> None:
    told = Told(new_turn(PROFILE, "hang"))
    running = asyncio.create_task(take(Client(), profile_of(server), "hang", told=told))
    async with asyncio.timeout(20):
        while not (told.shown and told.shown[-1].text == "1 prompt so "):
            await asyncio.sleep(0.005)
        running.cancel()
        assert (await running).turn.status is CANCELLED
        while server.service.let_go != 1:
            await asyncio.sleep(0.005)


async def test_models(server: Running) -> None:
    models = await Client().ask(profile_of(server), lambda wire, http: wire.models(http))
    assert models == ["fake", "other"]
    assert server.service.asked[0].query == {"limit": "1000"}


async def test_the_key_has_a_header_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-good")
    with serving(anthropic.make(key="sk-good")) as server:
        profile = profile_of(server, key=KeySource("env", ("KEY",)))
        assert (await ask(server, "hello", profile=profile)).turn.status is DONE
        missing = await ask(server, "hello", profile=profile_of(server, key=KeySource()))
        monkeypatch.setenv("KEY", "sk-bad")
        wrong = await ask(server, "hello", profile=profile)
    assert (missing.exit_status, wrong.exit_status) == (4, 4)
    assert "x-api-key header is required" in missing.words
    assert "refused the key from environment variable KEY: invalid x-api-key" in wrong.words
    assert [asked.headers.get("x-api-key") for asked in server.service.asked] == ["sk-good", None, "sk-bad"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "none"}, "model: none"),
        ({"params": {"max_tokens": 0}}, "max_tokens: Input should be greater than or equal to 1"),
        ({"params": {"max_token": 5}}, "max_token: Extra inputs are not permitted"),
        ({"headers": (("anthropic-version", "2020-01-01"),)}, 'anthropic-version: "2020-01-01" is not a valid version'),
        (
            {"headers": (("anthropic-version", "2026-10-21"),), "params": {"temperature": 1}},
            "temperature: Extra inputs are not permitted",
        ),
    ],
)
async def test_what_it_does_not_take_is_a_refusal_in_its_words(
    server: Running, changes: dict[str, Any], words: str
) -> None:
    told = await ask(server, "hello", profile=profile_of(server, **changes))
    assert (told.exit_status, len(server.service.asked)) == (6, 1)
    assert words in told.words


async def test_a_profile_may_ask_for_another_version(server: Running) -> None:
    told = await ask(server, "hello", profile=profile_of(server, headers=(("anthropic-version", "2026-10-21"),)))
    assert told.turn.status is DONE
    assert server.service.asked[0].headers["anthropic-version"] == "2026-10-21"


async def test_an_answer_that_is_not_streamed(server: Running) -> None:
    told = await ask(server, "hello", profile=profile_of(server, params={"stream": False}))
    assert (told.turn.status, told.turn.text) == (DONE, "1 prompt so far. You said: hello")
    assert told.turn.usage == Usage(1, 7, None, 0)


# What it is told


async def test_everything_said_goes_along_each_time(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server, system="Be brief.")) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        turn = await t.say(session, "two")
        assert turn.text == "2 prompts so far. You said: two"
        assert (turn.notes, turn.conversation_id) == ((), "")
        assert turn.usage == Usage(12, 7, None, 10)
        first, second = server.service.asked
        assert said(first) == [("user", "one")]
        assert said(second) == [
            ("user", "one"),
            ("assistant", "1 prompt so far. You said: one"),
            ("user", "two"),
        ]
        assert first.json["system"] == second.json["system"] == "Be brief."
        assert await t.chat.mappings() == []


async def test_what_failed_is_not_told_and_what_was_cut_short_is(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        assert (await t.say(session, "fail first")).status is FAILED
        assert (await t.say(session, "cut")).status is INTERRUPTED
        turn = await t.say(session, "and now")
        assert turn.text == "2 prompts so far. You said: and now"
        assert said(server.service.asked[-1]) == [
            ("user", "cut"),
            ("assistant", "1 prompt so "),
            ("user", "and now"),
        ]


async def test_a_turn_without_an_answer_leaves_two_prompts_in_one_message(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        assert (await t.say(session, "empty")).status is DONE
        turn = await t.say(session, "and now")
        assert turn.status is DONE
        assert said(server.service.asked[-1]) == [("user", "empty\n\nand now")]


async def test_a_session_can_go_on_with_another_protocol(server: Running, history: Path) -> None:
    with serving(chat.make()) as other:
        elsewhere = replace(CHAT_PROFILE, name="there", base_url=f"{other.url}/v1", model="fake")
        async with chatting(history, profile_of(server), elsewhere) as t:
            session = await t.chat.open("work")
            await t.say(session, "one")
            turn = await t.say(session, "two", profile=elsewhere)
            assert turn.text == "2 prompts so far. You said: two"
            turn = await t.say(session, "three")
            assert turn.text == "3 prompts so far. You said: three"
    assert [role for role, _ in said(server.service.asked[-1])] == ["user", "assistant"] * 2 + ["user"]


def test_it_can_be_asked_from_the_command_line(server: Running, write_config: Callable[[str], Path]) -> None:
    write_config(anthropic.profile_text(server.url))
    for number, prompt in enumerate(("hello", "again"), 1):
        done = palaver("ask", "-s", "work", prompt)
        words = f"{number} prompt{'s' if number > 1 else ''} so far. You said: {prompt}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, words, "")


# The stand-in itself is as strict as the real one


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "The request body is not valid JSON"),
        ({}, "model: Field required"),
        ({"model": "fake"}, "max_tokens: Field required"),
        ({"model": "fake", "max_tokens": 5}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, 'messages: first message must use the "user" role'),
        (
            {"messages": [{"role": "user", "content": " "}]},
            "messages: text content blocks must contain non-whitespace text",
        ),
        (
            {"messages": [{"role": "user", "content": "a"}] * 2},
            'messages: roles must alternate between "user" and "assistant", but found multiple "user" roles in a row',
        ),
    ],
)
def test_the_stand_in_refuses_what_the_server_refuses(server: Running, body: Any, words: str) -> None:
    if isinstance(body, dict) and "messages" in body:
        body = {"model": "fake", "max_tokens": 5} | body
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"anthropic-version": "2023-06-01"}
    reply = httpx.post(f"{server.url}/v1/messages", content=content, headers=headers, trust_env=False)
    assert reply.status_code == 400
    assert reply.json()["error"] == {"type": "invalid_request_error", "message": words}
    assert reply.json()["request_id"] == reply.headers["request-id"]


def test_the_stand_in_wants_to_be_told_a_version(server: Running) -> None:
    reply = httpx.post(f"{server.url}/v1/messages", json={}, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "anthropic-version: header is required")
