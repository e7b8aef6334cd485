"""`palaver ask` at a terminal, where a server asks the user something in the middle of its answer."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import palaver
from tests.servers import docker_agent
from tests.servers.base import Running, serving
from tests.terminal import terminal

Write = Callable[[str], Path]
ASKS = "palaver: approve it? [y/N]"


@pytest.fixture
def server(write_config: Write) -> Iterator[Running]:
    with serving(docker_agent.make()) as running:
        write_config(docker_agent.profile_text(running.url))
        yield running


def told(server: Running) -> list[dict[str, Any]]:
    """What the server was told of its questions."""
    return [asked.json for asked in server.service.asked if asked.path.endswith("/resume")]


def status() -> str:
    (turn,) = json.loads(palaver("sessions", "show", "work", "--json").stdout)["messages"]
    return str(turn["status"])


@pytest.mark.parametrize(("answer", "says"), [("y", "approve"), ("yes", "approve"), ("", "reject"), ("n", "reject")])
def test_the_user_is_asked(server: Running, answer: str, says: str) -> None:
    with terminal("ask", "-s", "work", "approve it") as t:
        t.shows(ASKS)
        assert told(server) == []
        t.type(f"{answer}\r")
        assert t.ends() == 0
    assert [(one["confirmation"], one["reason"]) for one in told(server)] == [(says, "")]


def test_what_was_typed_before_the_question_is_no_answer(server: Running) -> None:
    with terminal("ask", "-s", "work", "approve it") as t:
        t.type("y\r")
        t.shows(ASKS)
        t.type("\r")
        assert t.ends() == 0
    assert [one["confirmation"] for one in told(server)] == ["reject"]


@pytest.mark.fault("C12", "C14", "C15")
@pytest.mark.parametrize(
    ("number", "ends", "kept"),
    [(signal.SIGINT, 130, "cancelled"), (signal.SIGTERM, 143, "interrupted"), (signal.SIGHUP, 129, "interrupted")],
)
def test_a_signal_ends_it_at_once_while_it_asks(server: Running, number: int, ends: int, kept: str) -> None:
    """No one has to press Enter first."""
    with terminal("ask", "-s", "work", "approve it") as t:
        t.shows(ASKS)
        if number == signal.SIGINT:
            t.type("\x03")
        else:
            os.kill(t.pid, number)
        assert t.leaves() == ends
        assert "Cancelled." in t.screen()
    assert told(server) == []
    assert status() == kept


def test_a_time_out_ends_it_while_it_asks(server: Running) -> None:
    with terminal("ask", "-s", "work", "--timeout", "2", "approve it") as t:
        t.shows(ASKS)
        t.shows("palaver: no complete answer in 2 s")
        assert t.leaves() == 7
    assert status() == "interrupted"
