"""Ollama on its stand-in: the first model it has, everything said each time, and errors a command puts right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.chatting import chatting
from tests.client.turns import Told, new_turn, take
from tests.fake_server import PROFILE
from tests.loopback import palaver, plain_environment
from tests.servers import ollama
from tests.servers.asking import asks, said
from tests.servers.base import MANNERS, Running, serving
from tests.servers.ollama import Ollama
from tui.client import Client
from tui.config import Profile
from tui.credentials import KeySource
from tui.model import ItemKind, TurnStatus, Usage

DONE, FAILED = TurnStatus.DONE, TurnStatus.FAILED
CANCELLED, INTERRUPTED = TurnStatus.CANCELLED, TurnStatus.INTERRUPTED


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(ollama.make()) as running:
        yield running


def service(server: Running) -> Ollama:
    return cast(Ollama, server.service)


def profile_of(server: Running, **more: Any) -> Profile:
    return replace(replace(PROFILE, name="here", protocol="ollama", base_url=server.url, model="fake"), **more)


ask = asks(profile_of)


async def test_an_answer(server: Running) -> None:
    told = await ask(server, "is a < b & c?")
    assert (told.turn.status, told.turn.text) == (DONE, "1 prompt so far. You said: is a < b & c?")
    assert (told.turn.model, told.turn.finish, told.turn.usage) == ("fake", "", Usage(10, 7))
    (asked,) = server.service.asked
    assert asked.json == {
        "model": "fake",
        "messages": [{"role": "user", "content": "is a < b & c?"}],
        "stream": True,
    }


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
    assert told.turn.text == "1 prompt so far. You said: think"
    (call,) = (await ask(server, "tool")).turn.items
    assert (call.name, call.text, call.call_id) == ("weather", '{"city": "Hamburg"}', "call_0a1b2c3d")


async def test_an_answer_that_breaks_off_with_an_error_keeps_what_was_said(server: Running) -> None:
    told = await ask(server, "fail later")
    assert (told.turn.status, told.turn.text, told.exit_status) == (INTERRUPTED, "1 prompt so ", 7)
    assert "an error was encountered while running the model" in told.words


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


# Models


async def test_models(server: Running) -> None:
    for base_url in (server.url, f"{server.url}/v1", f"{server.url}/api"):
        profile = profile_of(server, base_url=base_url)
        assert await Client().ask(profile, lambda wire, http: wire.models(http)) == ["fake:latest", "other:7b"]


async def test_without_a_model_the_first_one_is_asked(server: Running) -> None:
    told = await ask(server, "hello", profile=profile_of(server, model=""))
    assert (told.turn.status, told.turn.model) == (DONE, "fake:latest")
    assert [asked.path for asked in server.service.asked] == ["/api/tags", "/api/chat"]


async def test_without_any_model_it_says_how_to_get_one(server: Running) -> None:
    service(server).models.clear()
    told = await ask(server, "hello", profile=profile_of(server, model=""))
    assert told.words == f"127.0.0.1:{server.port} has no models — get one with: ollama pull NAME"
    assert told.exit_status == 6


async def test_a_model_it_has_not_is_to_be_pulled(server: Running) -> None:
    told = await ask(server, "hello", profile=profile_of(server, model="llama3"))
    assert told.words == f"127.0.0.1:{server.port} has no model llama3 — ollama pull llama3"
    assert (told.exit_status, len(server.service.asked)) == (6, 1)


@pytest.mark.parametrize(("said", "kept"), [("10m", "10m"), ("-1", -1), ("30", 30)])
async def test_how_long_a_model_stays_loaded(server: Running, said: str, kept: Any) -> None:
    told = await ask(server, "hello", profile=profile_of(server, options={"keep_alive": said}))
    assert told.turn.status is DONE
    assert service(server).loaded == {"fake": kept}


# Keys


async def test_one_that_is_not_signed_in_says_how_to(server: Running) -> None:
    with serving(ollama.make(key="sk-good")) as guarded:
        told = await ask(guarded, "hello", profile=profile_of(guarded, key=KeySource()))
    assert told.exit_status == 4
    assert told.words.endswith(
        "is not signed in to run fake — run ollama signin there, or set api_key_env in profile here"
    )


async def test_a_key_is_sent_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-good")
    with serving(ollama.make(key="sk-good")) as server:
        profile = profile_of(server, model="", key=KeySource("env", ("KEY",)))
        assert (await ask(server, "hello", profile=profile)).turn.status is DONE
        monkeypatch.setenv("KEY", "sk-bad")
        wrong = await ask(server, "hello", profile=profile)
    assert wrong.exit_status == 4
    assert "refused the key from environment variable KEY: unauthorized" in wrong.words


# What it is told


async def test_everything_said_goes_along_each_time(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server, system="Be brief.")) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        turn = await t.say(session, "two")
        assert (turn.text, turn.usage) == ("2 prompts so far. You said: two", Usage(20, 7))
        turn = await t.say(session, "three")
        assert (turn.text, turn.usage) == ("3 prompts so far. You said: three", Usage(None, 7))
        assert (turn.notes, turn.conversation_id) == ((), "")
        assert said(server.service.asked[1]) == [
            ("system", "Be brief."),
            ("user", "one"),
            ("assistant", "1 prompt so far. You said: one"),
            ("user", "two"),
        ]
        assert await t.chat.mappings() == []


async def test_what_failed_is_not_told_and_what_was_cut_short_is(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        assert (await t.say(session, "fail first")).status is FAILED
        assert (await t.say(session, "cut")).status is INTERRUPTED
        turn = await t.say(session, "and now")
        assert turn.text == "2 prompts so far. You said: and now"
        assert said(server.service.asked[-1]) == [("user", "cut"), ("assistant", "1 prompt so "), ("user", "and now")]


def test_it_is_found_by_its_own_variable_without_any_configuration(server: Running) -> None:
    environment = plain_environment(OLLAMA_HOST=f"127.0.0.1:{server.port}")
    done = palaver("ask", "hello", env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 prompt so far. You said: hello\n", "")


def test_it_can_be_asked_from_the_command_line(server: Running, write_config: Callable[[str], Path]) -> None:
    write_config(ollama.profile_text(server.url))
    for number, prompt in enumerate(("hello", "again"), 1):
        done = palaver("ask", "-s", "work", prompt)
        words = f"{number} prompt{'s' if number > 1 else ''} so far. You said: {prompt}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, words, "")


# The stand-in itself answers as the real one does


@pytest.mark.parametrize(
    ("content", "status", "answer"),
    [
        ("", 400, {"error": "missing request body"}),
        ("{", 400, {"error": "unexpected EOF"}),
        ('{"messages": []}', 400, {"error": "model is required"}),
        ('{"model": "none"}', 404, {"error": "model 'none' not found"}),
        ('{"model": "fake", "keep_alive": "-1"}', 400, {"error": 'time: missing unit in duration "-1"'}),
    ],
)
def test_the_stand_in_refuses_what_the_server_refuses(
    server: Running, content: str, status: int, answer: dict[str, str]
) -> None:
    reply = httpx.post(f"{server.url}/api/chat", content=content, trust_env=False)
    assert (reply.status_code, reply.json()) == (status, answer)


def test_a_request_without_messages_loads_the_model(server: Running) -> None:
    reply = httpx.post(f"{server.url}/api/chat", json={"model": "fake", "unknown": 1}, trust_env=False).json()
    assert (reply["done"], reply["done_reason"], reply["message"]["content"]) == (True, "load", "")
    assert httpx.get(server.url, trust_env=False).text == "Ollama is running"
