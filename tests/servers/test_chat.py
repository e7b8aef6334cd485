"""Chat Completions on its stand-in: everything said goes along each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chatting import chatting
from tests.client.turns import Told, new_turn, take
from tests.fake_server import CHAT_PROFILE
from tests.loopback import palaver
from tests.servers import chat
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
    with serving(chat.make()) as running:
        yield running


def profile_of(server: Running, **more: Any) -> Profile:
    return replace(replace(CHAT_PROFILE, base_url=f"{server.url}/v1", model="fake"), **more)


ask = asks(profile_of)


async def test_an_answer(server: Running) -> None:
    told = await ask(server, "hello")
    assert (told.turn.status, told.turn.text) == (DONE, "1 prompt so far. You said: hello")
    assert (told.turn.model, told.turn.finish, told.turn.usage) == ("fake", "", Usage(1, 7))


@pytest.mark.parametrize("what", MANNERS)
async def test_however_it_behaves_a_turn_comes_to_its_end(server: Running, what: str) -> None:
    server.service.go_on.set()
    told = await ask(server, f"{what} please")
    wanted = {"fail first": FAILED, "fail later": INTERRUPTED, "cut": INTERRUPTED}.get(what, DONE)
    assert told.turn.status is wanted
    assert bool(told.turn.text) is (what not in ("fail first", "empty", "tool"))
    assert len(server.service.asked) == (2 if what == "fail first" else 1)


async def test_it_reasons_and_calls_tools(server: Running) -> None:
    told = await ask(server, "think")
    assert told.of(ItemKind.REASONING) == [("", "It is a simple question.")]
    told = await ask(server, "tool")
    (call,) = told.turn.items
    assert (call.name, call.text, call.call_id) == ("weather", '{"city":"Hamburg"}', "call_1")
    assert told.turn.finish == "tool_calls"


async def test_an_answer_that_is_let_go_of_ends_at_the_server(server: Running) -> None:
    told = Told(new_turn(CHAT_PROFILE, "hang"))
    running = asyncio.create_task(take(Client(), profile_of(server), "hang", told=told))
    async with asyncio.timeout(20):
        while not (told.shown and told.shown[-1].text == "1 prompt so "):
            await asyncio.sleep(0.005)
        running.cancel()
        assert (await running).turn.status is CANCELLED
        while server.service.let_go != 1:
            await asyncio.sleep(0.005)


async def test_models(server: Running) -> None:
    assert await Client().ask(profile_of(server), lambda wire, http: wire.models(http)) == ["fake", "other"]


async def test_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-good")
    with serving(chat.make(key="sk-good")) as server:
        profile = profile_of(server, key=KeySource("env", ("KEY",)))
        assert (await ask(server, "hello", profile=profile)).turn.status is DONE
        missing = await ask(server, "hello")
    assert (missing.exit_status, missing.turn.status) == (4, FAILED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "none"}, "The model `none` does not exist or you do not have access to it."),
        ({"params": {"temprature": 0}}, "Unrecognized request argument supplied: temprature"),
    ],
)
async def test_what_it_does_not_take_is_a_refusal_in_its_words(
    server: Running, changes: dict[str, Any], words: str
) -> None:
    told = await ask(server, "hello", profile=profile_of(server, **changes))
    assert (told.exit_status, len(server.service.asked)) == (6, 1)
    assert words in told.words


async def test_an_answer_that_is_not_streamed(server: Running) -> None:
    params = {"stream": False, "stream_options": None}
    told = await ask(server, "hello", profile=profile_of(server, params=params))
    assert (told.turn.text, told.turn.usage) == ("1 prompt so far. You said: hello", Usage(1, 7))


async def test_everything_said_goes_along_each_time(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server, system="Be brief.")) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        assert (await t.say(session, "fail first")).status is FAILED
        assert (await t.say(session, "cut")).status is INTERRUPTED
        turn = await t.say(session, "two")
        assert (turn.text, turn.notes, turn.conversation_id) == ("3 prompts so far. You said: two", (), "")
        assert said(server.service.asked[-1]) == [
            ("system", "Be brief."),
            ("user", "one"),
            ("assistant", "1 prompt so far. You said: one"),
            ("user", "cut"),
            ("assistant", "2 prompts so "),
            ("user", "two"),
        ]


def test_it_can_be_asked_from_the_command_line(server: Running, write_config: Callable[[str], Path]) -> None:
    write_config(chat.profile_text(server.url))
    for number, prompt in enumerate(("hello", "again"), 1):
        done = palaver("ask", "-s", "work", prompt)
        words = f"{number} prompt{'s' if number > 1 else ''} so far. You said: {prompt}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, words, "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "We could not parse the JSON body of your request."),
        ('{"model": "fake"}', "Missing required parameter: 'messages'."),
    ],
)
def test_the_stand_in_refuses_what_the_server_refuses(server: Running, content: str, words: str) -> None:
    reply = httpx.post(f"{server.url}/v1/chat/completions", content=content, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, words)
