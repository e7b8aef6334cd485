"""Palaver and MLflow's agent server, behind which an agent keeps sessions that are ours to name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback import palaver
from tests.servers.base import Running
from tests.servers_real import agent_server
from tests.servers_real.conftest import need
from tests.servers_real.processes import Process
from tests.servers_real.talking import ask, conversations, interrupt, leave, say, trial, turns
from tests.servers_real.tap import Tap, tapped
from tests.servers_real.upstream import behind_agent, said
from tests.terminal import terminal
from tui.client.protocols.agent_server import TOLD_AS_TEXT

Write = Callable[[str], Path]

TOLD = "A new conversation was started on this server, with 1 earlier turn sent along."
HOLDS = "The server still holds what was said last without an answer."
SIZE = (130, 36)


@dataclass(frozen=True)
class Served:
    """The server with the model behind it, and where its sessions are."""

    model: Running
    process: Process
    folder: Path


@dataclass(frozen=True)
class Here(Served):
    """The same with a tap before it, through which this test's requests come."""

    tap: Tap

    @property
    def host(self) -> str:
        return self.tap.url.removeprefix("http://")

    def inputs(self) -> list[list[str]]:
        """What each request said, message by message."""
        return [[one["content"] for one in exchange.json["input"]] for exchange in self.tap.exchanges]

    def sessions(self) -> list[str]:
        """The sessions the requests named."""
        return [exchange.json["custom_inputs"]["session_id"] for exchange in self.tap.exchanges]

    def kept(self, label: str = "talk") -> list[tuple[str, str]]:
        """What the agent's session of one of ours holds."""
        return agent_server.kept(self.folder)[conversations()[label]]


@contextmanager
def served(folder: Path, *, is_lax: bool = False) -> Iterator[Served]:
    need("agent-server")
    with (
        behind_agent(pace=0.02) as model,
        agent_server.serving(folder, model.url, is_lax=is_lax) as process,
    ):
        yield Served(model, process, folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests, as it takes long to start; each talks in sessions of its own."""
    with served(tmp_path_factory.mktemp("agent")) as made:
        yield made


def profile(url: str, more: str = "") -> str:
    return 'profile = "here"\n' + agent_server.profile_text(url, more=more)


@contextmanager
def at(made: Served, write_config: Write) -> Iterator[Here]:
    with tapped(made.process.port) as tap:
        write_config(profile(tap.url))
        yield Here(made.model, made.process, made.folder, tap)


@pytest.fixture
def here(shared: Served, write_config: Write) -> Iterator[Here]:
    shared.model.service.go_on.clear()
    with at(shared, write_config) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path, write_config: Write) -> Iterator[Here]:
    """One of the test's own, which it may end."""
    with served(tmp_path / "agent") as made, at(made, write_config) as here:
        yield here


# Going on


def test_the_server_remembers_the_first_turn(here: Here) -> None:
    first, second = ask("hello"), ask("and again")
    assert (first.exit_status, first.text, first.said) == (0, said("hello"), [])
    assert (second.exit_status, second.text, second.said) == (0, said("and again", 2), [])
    assert here.inputs() == [["hello"], ["and again"]]
    assert here.sessions() == [first.turn["conversation_id"]] * 2
    assert conversations() == {"talk": first.turn["conversation_id"]}
    assert here.kept() == [
        ("user", "hello"),
        ("assistant", said("hello")),
        ("user", "and again"),
        ("assistant", said("and again", 2)),
    ]


def test_two_turns_in_the_window(here: Here) -> None:
    with terminal("talk", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", said("hello"))
        say(t, "and again", said("and again", 2))
        leave(t)
    assert here.inputs() == [["hello"], ["and again"]]
    assert len(set(here.sessions())) == 1


def test_sessions_do_not_mix(here: Here) -> None:
    ask("hello", label="one")
    assert ask("hello", label="two").text == said("hello")
    assert ask("and again", label="one").text == said("and again", 2)
    one, two, again = here.sessions()
    assert one == again != two


def test_what_a_server_forgot_it_does_not_say(here: Here) -> None:
    ask("hello")
    agent_server.forget(here.folder)
    asked = ask("and again")
    assert (asked.exit_status, asked.text, asked.turn["notes"]) == (0, said("and again"), [])


def test_a_session_begun_elsewhere_is_told_at_first(here: Here) -> None:
    ask("hello")
    assert palaver("sessions", "detach", "talk").returncode == 0
    asked = ask("and again")
    assert (asked.exit_status, asked.text) == (0, said("and again", 2))
    assert asked.turn["notes"] == [TOLD, TOLD_AS_TEXT]
    assert here.inputs()[1:] == [
        ["hello", said("hello"), "and again"],
        [f"What was said before:\n\nUser: hello\n\nAssistant: {said('hello')}", "and again"],
    ]
    assert conversations()["talk"] == here.sessions()[2] != here.sessions()[1]
    assert ask("once more").text == said("once more", 3)


def test_stopping_the_first_answer_and_going_on(here: Here) -> None:
    assert interrupt("hang on", "1 prompt")[0] == 130
    here.model.service.go_on.set()
    asked = ask("go on")
    assert (asked.exit_status, asked.text) == (0, said("go on", 2))
    assert ask("once more").text == said("once more", 3)


def test_a_turn_in_which_a_tool_is_used(here: Here) -> None:
    asked = ask("tool please")
    assert (asked.exit_status, asked.text) == (0, said("17 degrees in Hamburg"))
    called, found, told = asked.turn["items"]
    assert (called["kind"], called["name"], json.loads(called["text"])) == ("tool_call", "weather", {"city": "Hamburg"})
    assert (found["kind"], found["call_id"], found["text"]) == (
        "tool_result",
        called["call_id"],
        "17 degrees in Hamburg",
    )
    assert told["kind"] == "message"
    assert ask("and again").text == said("and again", 2)
    with terminal("window", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "tool please", said("17 degrees in Hamburg"))
        t.shows("weather")
        leave(t)


def test_an_agent_that_names_no_items_and_takes_answers(tmp_path: Path, write_config: Write) -> None:
    with served(tmp_path / "agent", is_lax=True) as made, at(made, write_config) as here:
        asked = ask("tool please")
        assert (asked.exit_status, asked.text) == (0, said("17 degrees in Hamburg"))
        assert [item["kind"] for item in asked.turn["items"]] == ["tool_call", "tool_result", "message"]
        assert ask("and again").text == said("and again", 2)
        assert palaver("sessions", "detach", "talk").returncode == 0
        asked = ask("once more")
        assert (asked.text, asked.turn["notes"]) == (
            said("once more", 3),
            [TOLD.replace("1 earlier turn", "2 earlier turns")],
        )
        assert len(here.inputs()) == 3


def test_a_trace_that_is_told_beside_the_answer(here: Here, write_config: Write) -> None:
    write_config(profile(here.tap.url, 'headers = { "x-mlflow-return-trace-id" = "true" }'))
    assert ask("hello").text == said("hello")
    assert b'"trace_id"' in here.tap.exchanges[0].came


def test_instructions_are_given_once(here: Here, write_config: Write) -> None:
    write_config(profile(here.tap.url, 'system = "Be brief."'))
    assert (ask("hello").text, ask("and again").text) == (said("hello"), said("and again", 2))
    assert here.inputs() == [["Be brief.", "hello"], ["and again"]]
    assert here.kept()[:2] == [("system", "Be brief."), ("user", "hello")]


# Stopping


def test_ctrl_c_stops_an_answer_and_the_next_turn_works(here: Here) -> None:
    ask("hello")
    let_go = here.model.service.let_go
    status, shown, told, took = interrupt("hang on", "2 prompts")
    assert (status, told) == (130, "Cancelled.\n")
    assert took < 5
    here.tap.wait(lambda: here.tap.exchanges[1].is_over, 5)
    assert here.tap.exchanges[1].let_go
    (_, stopped) = turns()
    assert (stopped["status"], stopped["text"]) == ("cancelled", shown.removesuffix("\n"))
    asked = ask("go on")
    assert (asked.exit_status, asked.text, asked.turn["notes"]) == (0, said("go on", 3), [HOLDS])
    assert here.inputs() == [["hello"], ["hang on"], ["go on"]]
    assert [who for who, _ in here.kept()] == ["user", "assistant", "user", "user", "assistant"]
    assert here.model.service.let_go == let_go + 1


def test_escape_stops_an_answer_and_the_next_turn_works(here: Here) -> None:
    with terminal("talk", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", said("hello"))
        say(t, "hang on", "2 prompts", "answering")
        t.type("\x1b")
        t.shows("Cancelled; what came is kept.", 5)
        here.tap.wait(lambda: here.tap.exchanges[1].is_over, 5)
        say(t, "go on", said("go on", 3))
        t.shows(HOLDS)
        leave(t)
    assert [turn["status"] for turn in turns()] == ["done", "cancelled", "done"]


# Errors


def test_too_many_requests(here: Here) -> None:
    asked = ask("limit it")
    assert (asked.exit_status, asked.turn["error"]["status"]) == (8, 429)
    assert asked.error == f"{here.host} says: too many requests: You are asking too often."
    assert here.tap.asked() == ["POST /invocations 200"] * 3
    assert conversations() == {}


def test_an_agent_that_fails(here: Here) -> None:
    ask("hello")
    here.tap.asked()
    asked = ask("fail first")
    assert (asked.exit_status, asked.turn["status"], asked.text) == (6, "failed", "")
    assert asked.error.startswith(f"{here.host} failed: Error code: 500")
    assert here.tap.asked() == ["POST /invocations 200"]
    asked = ask("fail later")
    assert (asked.exit_status, asked.turn["status"], asked.text) == (7, "interrupted", "3 prompts so ")
    assert "The server had an error" in asked.error
    asked = ask("go on")
    assert (asked.exit_status, asked.text, asked.turn["notes"]) == (0, said("go on", 4), [HOLDS])


def test_a_server_that_dies_in_the_middle_and_comes_back(own: Here) -> None:
    ask("hello")
    with terminal("talk", size=SIZE) as t:
        t.shows(said("hello"))
        say(t, "hang on", "2 prompts", "answering")
        own.process.kill()
        t.shows("The connection was lost")
        t.shows("interrupted after")
        leave(t)
    assert (turns()[1]["status"], turns()[1]["text"].strip()) == ("interrupted", "2 prompts so")
    asked = ask("are you there")
    assert (asked.exit_status, asked.turn["status"]) == (5, "failed")
    own.model.service.go_on.set()
    with agent_server.serving(own.folder, own.model.url, port=own.process.port):
        asked = ask("go on")
        assert (asked.exit_status, asked.text, asked.turn["notes"]) == (0, said("go on", 3), [HOLDS])


def test_a_server_that_is_not_there(own: Here, write_config: Write) -> None:
    write_config(profile(own.process.url))
    own.process.stop()
    nothing = f"Nothing answers at 127.0.0.1:{own.process.port}."
    asked = ask("hello")
    assert (asked.exit_status, asked.error) == (5, nothing)
    with terminal("window", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", nothing, "failed after")
        leave(t)


def test_errors_in_the_window(here: Here) -> None:
    with terminal("talk", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", said("hello"))
        say(t, "limit it", "too many requests: You are asking too often.", "failed after")
        say(t, "fail first", "failed: Error code: 500", "failed after")
        say(t, "fail later", "The server broke off", "interrupted after")
        say(t, "go on", said("go on", 4))
        leave(t)
    assert [turn["status"] for turn in turns()] == ["done", "failed", "failed", "interrupted", "done"]


# What a profile can do


def test_the_trial_of_a_profile(here: Here) -> None:
    status, lines = trial()
    assert status == 0
    told = {name: (ok, text) for name, ok, text in lines}
    assert list(told) == ["key", "models", "reach", "auth", "answer", "stream", "continue", "cancel"]
    assert told["key"] == told["auth"] == ("ok", "no key")
    assert told["models"] == ("-", "this protocol has no list of them")
    assert told["reach"] == ("ok", here.tap.url)
    assert told["answer"][0] == "ok"
    assert told["answer"][1].startswith(
        "“1 prompt so far. You said: Please answer with the one word:…” from fake after "
    )
    assert told["stream"][0] == "ok"
    assert told["continue"] == ("ok", "the server keeps the conversation; “2 prompts so far. You said: Which word…”")
    assert told["cancel"][0] == "ok"
    assert told["cancel"][1].startswith("stopped within ")


def test_it_has_no_list_of_models(here: Here) -> None:
    done = palaver("profiles", "models", "here")
    assert (done.returncode, done.stdout) == (2, "")
    assert "models" in done.stderr
