"""A prompt changed by command: asked in its place, listed as a branch, chosen again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Loopback, loopback, palaver, profile_text


@pytest.fixture
def server(write_config: Callable[[str], Path]) -> Iterator[Loopback]:
    with loopback(lambda call: call.well(f"to {call.prompt}", f"resp_{len(here.calls)}")) as here:
        write_config(profile_text(here.url))
        for prompt in ("one", "two"):
            assert palaver("ask", "-s", "work", prompt).returncode == 0
        yield here


def said() -> list[str]:
    return [turn["prompt"] for turn in json.loads(palaver("sessions", "show", "work", "--json").stdout)["messages"]]


def branches() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(palaver("sessions", "branches", "work", "--json").stdout)
    return listed


def test_a_prompt_is_changed_and_both_ways_are_kept(server: Loopback) -> None:
    done = palaver("ask", "-s", "work", "--at", "2", "two, otherwise")
    assert (done.returncode, done.stdout.strip()) == (0, "to two, otherwise")
    # The server goes on from the answer before the message that was changed.
    assert server.calls[-1].json["previous_response_id"] == "resp_1"
    assert said() == ["one", "two, otherwise"]
    first, second = branches()
    assert (first["branch"], first["present"], first["from_turn"], first["turns"], first["prompt"]) == (
        1, False, 1, 2, "one",
    )  # fmt: skip
    assert (second["branch"], second["present"], second["from_turn"], second["turns"], second["prompt"]) == (
        2, True, 2, 2, "two, otherwise",
    )  # fmt: skip
    table = palaver("sessions", "branches", "work").stdout.splitlines()
    assert table[0].split() == ["BRANCH", "FROM", "TURN", "TURNS", "LAST", "USED", "BEGINS", "WITH"]
    assert table[2].startswith("2       now  2          2 ")
    chosen = palaver("sessions", "choose", "work", "1")
    assert chosen.stdout == "work goes on with branch 1, after 2 turns\n"
    assert said() == ["one", "two"]
    assert palaver("ask", "-s", "work", "three").returncode == 0
    assert server.calls[-1].json["previous_response_id"] == "resp_2"
    assert [branch["present"] for branch in branches()] == [True, False]


def test_what_there_is_not_is_refused_before_anything_is_sent(server: Loopback) -> None:
    sent = len(server.calls)
    done = palaver("ask", "-s", "work", "--at", "3", "hello")
    assert (done.returncode, "it has 2" in done.stderr) == (9, True)
    assert palaver("ask", "-s", "work", "--at", "0", "hello").returncode == 2
    assert palaver("ask", "--at", "1", "hello").returncode == 2
    assert palaver("ask", "--fresh", "hello").returncode == 2
    assert palaver("ask", "-s", "work", "--fresh", "--approve").returncode == 2
    assert palaver("sessions", "choose", "work", "2").returncode == 9
    assert palaver("sessions", "choose", "work", "0").returncode == 2
    assert palaver("sessions", "branches", "none").returncode == 9
    assert len(server.calls) == sent
    assert said() == ["one", "two"]


def test_a_conversation_is_begun_afresh_and_accounted_for(server: Loopback) -> None:
    before = json.loads(palaver("sessions", "conversation", "work", "--json").stdout)
    (kept,) = before["conversations"]
    assert (kept["conversation_id"], kept["state"], kept["turns"], kept["protocol"]) == (
        "resp_2",
        "live",
        2,
        "responses",
    )
    assert kept["expires_at"] > kept["used_at"] >= kept["issued_at"]
    assert [
        (one["turn"], one["kind"], one["sent_id"], one["received_id"], one["outcome"]) for one in before["events"]
    ] == [(1, "first", None, "resp_1", "done")]
    assert palaver("ask", "-s", "work", "--fresh", "three").returncode == 0
    asked = server.calls[-1].json
    assert "previous_response_id" not in asked
    assert [one["content"] for one in asked["input"]] == ["one", "to one", "two", "to two", "three"]
    lines = palaver("sessions", "conversation", "work").stdout.splitlines()
    assert lines[0] == f"http://127.0.0.1:{server.port} · responses · live"
    assert lines[1] == "  id         resp_3"
    assert any(line.endswith("turn 3: asked without an id: done") for line in lines)
    assert "  received   resp_3" in lines
    assert palaver("sessions", "detach", "work").returncode == 0
    assert "detached" in palaver("sessions", "conversation", "work").stdout.splitlines()[0]
    assert "expires" not in palaver("sessions", "conversation", "work").stdout
