"""Palaver and aimock, a server of four protocols that keeps nothing: what is said, stopped, refused and cut."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers_real import aimock
from tests.servers_real.conftest import need
from tests.servers_real.processes import Process, free_port
from tests.servers_real.talking import ask, interrupt, leave, models, say, trial, turns
from tests.terminal import terminal

Write = Callable[[str], Path]

FIRST = "First answer: nothing was said before."
SECOND = "Second answer: one was given before."
THIRD = "Third answer: two were given before."
CUT = "This answer begins well, as most of them do, and then its connection is gone"
SLOW = "Slowly, very slowly,"
MODELS = ["gpt-4", "gpt-4o", "claude-3-5-sonnet-20241022", "gemini-2.0-flash", "text-embedding-3-small"]
SIZE = (120, 36)
KEY = "sk-the-right-one"


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    need("aimock")
    with aimock.serving(tmp_path_factory.mktemp("aimock")) as process:
        yield process


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One that wants a key."""
    need("aimock")
    with aimock.serving(tmp_path_factory.mktemp("aimock"), key=KEY) as process:
        yield process


@pytest.fixture(params=aimock.PATHS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass(frozen=True)
class Here:
    """The profile of one test. The server tells this test's requests from the others' by a name in their headers."""

    url: str
    test: str

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def _call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"x-test-id": self.test, "content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", data, headers), timeout=10) as answer:
            return json.load(answer)

    def journal(self) -> list[dict[str, Any]]:
        """The prompts that came, as the server noted them."""
        noted = self._call(f"/__aimock/journal?testId={self.test}")
        return [one for one in noted if one["method"] == "POST"]

    def told(self) -> list[list[tuple[str, str]]]:
        """What each request said, message by message."""
        return [[(said["role"], said["content"]) for said in one["body"]["messages"]] for one in self.journal()]

    def statuses(self) -> list[int]:
        return [one["response"]["status"] for one in self.journal()]

    def misbehave(self, **rates: float) -> None:
        """Have this test's requests go wrong."""
        self._call("/__aimock/chaos", rates)


@pytest.fixture
def here(mock: Process, protocol: str, write_config: Write, request: pytest.FixtureRequest) -> Here:
    test = "".join(char if char.isalnum() else "-" for char in request.node.name)
    write_config('profile = "here"\n' + _profile(mock.url, protocol, f'headers = {{ "x-test-id" = "{test}" }}'))
    return Here(mock.url, test)


def _profile(url: str, protocol: str, more: str = "") -> str:
    return aimock.profile_text(url, protocol, more=more)


# What is said


def test_the_second_turn_is_told_the_first(here: Here) -> None:
    first, second = ask("hello"), ask("and again")
    assert (first.exit_status, first.text, first.said) == (0, FIRST, [])
    assert (second.exit_status, second.text, second.said) == (0, SECOND, [])
    assert here.told() == [
        [("user", "hello")],
        [("user", "hello"), ("assistant", FIRST), ("user", "and again")],
    ]


def test_two_turns_in_the_window(here: Here) -> None:
    with terminal(size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", FIRST)
        say(t, "and again", SECOND)
        leave(t)
    assert here.told()[1] == [("user", "hello"), ("assistant", FIRST), ("user", "and again")]
    assert [(turn["status"], turn["text"]) for turn in turns("chat-1")] == [("done", FIRST), ("done", SECOND)]


def test_reasoning_is_told_from_the_answer(here: Here) -> None:
    asked = ask("think about it")
    assert (asked.exit_status, asked.text) == (0, "The answer is four.")
    assert [(item["kind"], item["text"]) for item in asked.turn["items"]] == [
        ("reasoning", "It is a simple question."),
        ("message", "The answer is four."),
    ]


def test_a_tools_call_is_shown(here: Here) -> None:
    (item,) = ask("tool please").turn["items"]
    assert (item["kind"], item["name"], json.loads(item["text"])) == ("tool_call", "weather", {"city": "Hamburg"})


def test_ollama_without_a_model(mock: Process, write_config: Write) -> None:
    write_config('profile = "here"\n' + _profile(mock.url, "ollama").replace('model = "mock-1"\n', ""))
    asked = ask("hello")
    assert (asked.exit_status, asked.text, asked.turn["model"]) == (0, FIRST, MODELS[0])


# Stopping


def test_ctrl_c_stops_an_answer_and_the_next_turn_works(here: Here) -> None:
    ask("hello")
    status, shown, said, took = interrupt("hang on", SLOW)
    assert (status, said) == (130, "Cancelled.\n")
    assert took < 5
    (_, stopped) = turns()
    assert (stopped["status"], stopped["text"]) == ("cancelled", shown.removesuffix("\n"))
    asked = ask("go on")
    assert (asked.exit_status, asked.text) == (0, THIRD)
    assert here.told()[-1][2:] == [("user", "hang on"), ("assistant", stopped["text"]), ("user", "go on")]


def test_escape_stops_an_answer_and_the_next_turn_works(here: Here) -> None:
    with terminal(size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", FIRST)
        say(t, "hang on", SLOW, "answering")
        t.type("\x1b")
        t.shows("Cancelled; what came is kept.", 5)
        say(t, "go on", THIRD)
        leave(t)
    assert [turn["status"] for turn in turns("chat-1")] == ["done", "cancelled", "done"]


# Errors


def test_a_wrong_key(guarded: Process, protocol: str, write_config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config('profile = "here"\n' + _profile(guarded.url, protocol, 'api_key_env = "MOCK_KEY"'))
    host = guarded.url.removeprefix("http://")
    monkeypatch.setenv("MOCK_KEY", "sk-the-wrong-one")
    asked = ask("hello")
    assert (asked.exit_status, asked.turn["status"]) == (4, "failed")
    assert asked.error == f"{host} refused the key from environment variable MOCK_KEY: Invalid API key."
    with terminal("window", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", "refused the key from environment variable MOCK_KEY", "failed after")
        leave(t)
    monkeypatch.setenv("MOCK_KEY", KEY)
    asked = ask("hello")
    assert (asked.exit_status, asked.text) == (0, FIRST)


def test_too_many_requests(here: Here) -> None:
    asked = ask("limit it")
    assert (asked.exit_status, asked.turn["error"]["status"]) == (8, 429)
    assert asked.error == f"{here.host} says: too many requests: You are asking too often."
    assert here.statuses() == [429, 429, 429]


def test_a_server_that_fails(here: Here) -> None:
    asked = ask("fail first")
    assert (asked.exit_status, asked.error) == (6, f"{here.host} failed: The mock has failed.")
    assert here.statuses() == [500, 500]
    assert ask("hello").text == FIRST
    assert here.told()[-1] == [("user", "hello")]


def test_a_stream_that_is_cut(here: Here) -> None:
    asked = ask("cut it")
    assert (asked.exit_status, asked.turn["status"]) == (7, "interrupted")
    assert asked.text
    assert CUT.startswith(asked.text[: len(CUT)])
    assert len(here.journal()) == 1


def test_a_connection_that_breaks_at_once(here: Here) -> None:
    here.misbehave(disconnectRate=1)
    asked = ask("hello")
    assert (asked.exit_status, asked.error) == (5, f"{here.host} closed the connection without an answer.")
    assert len(here.journal()) == 2
    here.misbehave(disconnectRate=0)
    assert ask("hello").text == FIRST


def test_an_answer_that_is_no_json(here: Here) -> None:
    here.misbehave(malformedRate=1)
    asked = ask("hello")
    assert (asked.exit_status, asked.turn["status"], asked.text) == (6, "failed", "")


def test_a_server_that_is_not_there(protocol: str, write_config: Write) -> None:
    port = free_port()
    write_config('profile = "here"\n' + _profile(f"http://127.0.0.1:{port}", protocol))
    asked = ask("hello")
    assert (asked.exit_status, asked.error) == (5, f"Nothing answers at 127.0.0.1:{port}.")
    with terminal("window", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", f"Nothing answers at 127.0.0.1:{port}.", "failed after")
        leave(t)


def test_errors_in_the_window(here: Here, protocol: str) -> None:
    with terminal(size=SIZE) as t:
        t.shows("Type a message")
        say(t, "fail first", f"{here.host} failed: The mock has failed.", "failed after")
        say(t, "limit it", "too many requests: You are asking too often.", "failed after")
        say(t, "cut it", "The connection was lost", "interrupted after")
        say(t, "hello", SECOND)
        leave(t)
    assert [turn["status"] for turn in turns("chat-1")] == ["failed", "failed", "interrupted", "done"]
    assert [said[1] for said in here.told()[-1][::2]] == ["cut it", "hello"]


# What a profile can do


def test_the_trial_of_a_profile(here: Here) -> None:
    status, lines = trial()
    assert status == 0
    assert [(name, ok) for name, ok, _ in lines] == [
        (name, "ok") for name in ("key", "models", "reach", "auth", "answer", "stream", "continue", "cancel")
    ]
    said = {name: text for name, _, text in lines}
    assert said["key"] == said["auth"] == "no key"
    assert said["models"] == ", ".join(MODELS)
    assert said["reach"] == here.url
    assert said["answer"].startswith(f"“{FIRST}” from mock-1 after ")
    assert said["stream"].startswith("it came in ")
    assert said["continue"] == f"it is told everything each time; “{SECOND}”"
    assert said["cancel"].startswith("stopped within ")


def test_its_models(here: Here) -> None:
    assert models() == MODELS
