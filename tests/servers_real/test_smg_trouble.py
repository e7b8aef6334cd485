"""Palaver and smg where something is in the way: stopped, refused, busy, broken, not there; and what a trial tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers_real import smg
from tests.servers_real.smg_gateway import Gateway, gateway
from tests.servers_real.talking import ask, conversations, interrupt, leave, models, say, trial, turns
from tests.servers_real.upstream import said
from tests.terminal import terminal

Write = Callable[[str], Path]

KEY = "sk-the-right-one"
SIZE = (130, 36)


@pytest.fixture
def here(tmp_path: Path, write_config: Write) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        write_config(made.profile())
        yield made


@pytest.fixture
def by_conversation(here: Gateway, write_config: Write) -> Gateway:
    """The same with a profile that goes on by the server's conversations."""
    write_config(here.profile('continue_by = "conversation"'))
    return here


# Stopping


def test_ctrl_c_stops_an_answer_and_the_next_turn_works(here: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    here.tap.asked()
    status, shown, told, took = interrupt("hang on", "2 prompts")
    assert (status, told) == (130, "Cancelled.\n")
    assert took < 5
    here.tap.wait(lambda: here.tap.exchanges[0].is_over, 5)
    assert here.tap.exchanges[0].let_go
    assert here.tap.asked() == ["POST /v1/responses 200"]
    (_, stopped) = turns()
    assert (stopped["status"], stopped["text"]) == ("cancelled", shown.removesuffix("\n"))
    assert conversations() == {"talk": before}
    here.model.service.go_on.set()
    asked = ask("go on")
    assert (asked.exit_status, asked.text) == (0, said("go on", 3))
    (sent,) = (exchange.json for exchange in here.tap.exchanges)
    assert sent["previous_response_id"] == before
    assert [one["content"] for one in sent["input"]] == ["hang on", stopped["text"], "go on"]


def test_escape_stops_an_answer_and_the_next_turn_works(here: Gateway) -> None:
    with terminal(size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", said("hello"))
        here.tap.asked()
        say(t, "hang on", "2 prompts", "answering")
        t.type("\x1b")
        t.shows("Cancelled; what came is kept.", 5)
        here.tap.wait(lambda: here.tap.exchanges[0].is_over, 5)
        assert here.tap.exchanges[0].let_go
        here.model.service.go_on.set()
        say(t, "go on", said("go on", 3))
        leave(t)
    assert [turn["status"] for turn in turns("chat-1")] == ["done", "cancelled", "done"]


def test_stopping_in_a_conversation(by_conversation: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    assert interrupt("hang on", "2 prompts")[:1] == (130,)
    assert conversations() == {"talk": before}
    asked = ask("go on")
    assert (asked.exit_status, asked.text, asked.turn["conversation_id"]) == (0, said("go on", 3), before)


def test_stopping_what_it_takes_for_a_run_in_the_background(here: Gateway, write_config: Write) -> None:
    """It streams such a run to us, and has no call to stop one: that is not our user's trouble."""
    write_config(here.profile("background = true"))
    ask("hello")
    here.tap.asked()
    status, _, told, took = interrupt("hang on", "2 prompts")
    assert (status, told) == (130, "Cancelled.\n")
    assert took < 5
    calls = here.tap.asked()
    assert calls[0] == "POST /v1/responses 200"
    assert re.fullmatch(r"POST /v1/responses/resp_\w+/cancel 501", calls[1])
    here.model.service.go_on.set()
    asked = ask("go on")
    assert (asked.exit_status, asked.text) == (0, said("go on", 3))


# Errors


def test_a_wrong_key(tmp_path: Path, write_config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    with gateway(tmp_path, key=KEY) as here:
        write_config(here.profile('api_key_env = "GATEWAY_KEY"'))
        monkeypatch.setenv("GATEWAY_KEY", KEY)
        before = ask("hello").turn["conversation_id"]
        monkeypatch.setenv("GATEWAY_KEY", "sk-the-wrong-one")
        refused = f"{here.host} refused the key from environment variable GATEWAY_KEY: Invalid API key."
        asked = ask("and again")
        assert (asked.exit_status, asked.turn["status"], asked.error) == (4, "failed", refused)
        with terminal("window", size=SIZE) as t:
            t.shows("Type a message")
            say(t, "hello", "refused the key from environment variable GATEWAY_KEY", "failed after")
            leave(t)
        assert conversations() == {"talk": before}
        assert here.tap.asked() == ["POST /v1/responses 200"] + ["POST /v1/responses 401"] * 2
        monkeypatch.setenv("GATEWAY_KEY", KEY)
        assert ask("and again").text == said("and again", 2)


def test_too_many_requests(here: Gateway) -> None:
    asked = ask("limit it")
    assert (asked.exit_status, asked.turn["error"]["status"]) == (8, 429)
    assert asked.error == f"{here.host} says: too many requests: You are asking too often."
    assert here.tap.asked() == ["POST /v1/responses 429"] * 3


def test_a_server_that_fails(here: Gateway) -> None:
    asked = ask("fail first")
    assert (asked.exit_status, asked.error) == (6, f"{here.host} failed: The server had an error.")
    assert here.tap.asked() == ["POST /v1/responses 500"]
    asked = ask("fail later")
    assert (asked.exit_status, asked.turn["status"], asked.text) == (7, "interrupted", "1 prompt so ")
    assert here.tap.asked() == ["POST /v1/responses 200"]
    assert conversations() == {}


def test_a_stream_that_is_cut(here: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    here.tap.asked()
    asked = ask("cut it")
    assert (asked.exit_status, asked.turn["status"]) == (7, "interrupted")
    assert said("cut it", 2).startswith(asked.text)
    assert asked.text
    assert here.tap.asked() == ["POST /v1/responses 200"]
    assert conversations() == {"talk": before}
    assert ask("go on").text == said("go on", 3)


def test_a_model_that_is_not_there(here: Gateway) -> None:
    here.model.stop()
    asked = ask("hello")
    assert asked.exit_status == 8
    assert asked.turn["error"]["status"] in (502, 503)


def test_a_gateway_that_is_not_there(here: Gateway, write_config: Write) -> None:
    write_config('profile = "here"\n' + smg.profile_text(here.process.url))
    here.process.stop()
    nothing = f"Nothing answers at 127.0.0.1:{here.process.port}."
    asked = ask("hello")
    assert (asked.exit_status, asked.error) == (5, nothing)
    with terminal("window", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", nothing, "failed after")
        leave(t)


def test_errors_in_the_window(here: Gateway) -> None:
    with terminal(size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", said("hello"))
        say(t, "limit it", "too many requests: You are asking too often.", "failed after")
        say(t, "fail first", f"{here.host} failed: The server had an error.", "failed after")
        say(t, "fail later", "The server broke off: The server had an error", "interrupted after")
        say(t, "cut it", "The connection was lost", "interrupted after")
        say(t, "go on", said("go on", 4))
        leave(t)
    assert here.told() == ["hello", "fail later", "cut it", "go on"]


# What a profile can do


@pytest.mark.parametrize("by", ["previous_response_id", "conversation"])
def test_the_trial_of_a_profile(tmp_path: Path, write_config: Write, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    with gateway(tmp_path, pace=0.05) as here:
        # Open to all; but it asks its model for a list only with a key.
        write_config(here.profile(f'api_key_env = "GATEWAY_KEY"\ncontinue_by = "{by}"'))
        monkeypatch.setenv("GATEWAY_KEY", KEY)
        status, lines = trial()
        assert status == 0
        assert [(name, ok) for name, ok, _ in lines] == [
            (name, "ok") for name in ("key", "models", "reach", "auth", "answer", "stream", "continue", "cancel")
        ]
        told = {name: text for name, _, text in lines}
        assert told["key"] == told["auth"] == "environment variable GATEWAY_KEY"
        assert told["models"] == "fake, other"
        assert told["reach"] == here.tap.url
        assert told["answer"].startswith(
            "“1 prompt so far. You said: Please answer with the one word:…” from fake after "
        )
        assert told["stream"].startswith("it came in ")
        assert told["continue"] == "the server keeps the conversation; “2 prompts so far. You said: Which word…”"
        assert told["cancel"].startswith("stopped within ")
        assert models() == ["fake", "other"]


def test_the_trial_of_a_profile_with_a_wrong_key(
    tmp_path: Path, write_config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gateway(tmp_path, key=KEY) as here:
        write_config(here.profile('api_key_env = "GATEWAY_KEY"'))
        monkeypatch.setenv("GATEWAY_KEY", "sk-the-wrong-one")
        status, lines = trial()
        assert status == 4
        assert [(name, ok) for name, ok, _ in lines if name != "models"] == [
            ("key", "ok"),
            ("reach", "ok"),
            ("auth", "failed"),
        ]
        assert "refused the key from environment variable GATEWAY_KEY: Invalid API key" in lines[-1][2]


def test_the_trial_of_a_profile_without_a_list_of_models(here: Gateway) -> None:
    status, lines = trial()
    assert status == 0
    (told,) = [(ok, text) for name, ok, text in lines if name == "models"]
    assert told[0] == "-"
    assert "No models available" in told[1]
