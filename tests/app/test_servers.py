"""What the window does with what servers can do: approvals, models, forks, runs that go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.fake_server import PROFILE, Waits
from tests.servers import docker_agent, responses
from tests.servers.base import Running, serving
from tui.app.screens.picker import Picker
from tui.app.widgets.dialogs import TextDialog
from tui.client import Client
from tui.config import Profile
from tui.model import ItemKind, ItemState, TurnStatus


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(responses.make()) as running:
        yield running


def profile_of(server: Running, *, background: bool = False) -> Profile:
    return replace(PROFILE, base_url=f"{server.url}/v1", options={"background": True} if background else {})


@asynccontextmanager
async def opened(server: Running, history: Path, *, background: bool = False) -> AsyncIterator[Window]:
    profile = profile_of(server, background=background)
    async with window(history, profile, client=Client(sleep=Waits())) as w:
        yield w


async def say(w: Window, prompt: str) -> None:
    """A prompt, and its answer to the end."""
    await w.send(prompt)
    await w.until(lambda: not w.talk.chat.running() and w.screen.transcript.count)
    await w.until(lambda: "after" in w.status or "done in" in w.status or "waits for" in w.status)
    await w.until(lambda: not w.screen.transcript.pace.is_due)


async def test_an_approval_is_shown_in_full_and_answered_in_place(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await say(w, "approve it")
        assert "ops.deploy wants your approval" in w.said
        assert '"to": "production"' in w.said
        assert "waits for your approval" in w.status
        assert "Approve" not in w.picture.splitlines()[-1]
        await w.press("a")
        assert w.screen.prompt.text == "a"
        await w.press("backspace", "tab")
        assert "a Approve" in w.picture.splitlines()[-1]
        await w.press("a", "a")
        await w.until(lambda: "You said: yes" in w.said)
        await w.until(lambda: "ops.deploy approved" in w.said)
        assert "Approved: ops.deploy" in w.said
        assert len(server.service.asked) == 2


async def test_denying_with_a_reason(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await say(w, "approve it")
        await w.press("tab", "D")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        await w.type("not today")
        await w.press("enter")
        await w.until(lambda: "You said: no" in w.said)
        assert server.service.asked[-1].json["input"][0]["reason"] == "not today"
        (before, _) = await w.talk.chat.turns((await w.talk.chat.sessions())[0].id)
        assert before.items[0].state is ItemState.DENIED


async def test_nothing_is_approved_by_itself(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await say(w, "approve it")
        await say(w, "something else")
        assert "ops.deploy wants your approval" in w.said
        assert len(server.service.asked) == 2
        assert server.service.asked[-1].json["input"] == [{"role": "user", "content": "something else"}]


async def test_a_query_and_its_table_unfold(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await say(w, "table please")
        assert "query SELECT city, n FROM bridges → 2 rows of 2 columns" in w.said
        await w.press("tab", "up", "enter")
        assert "Hamburg │ 2496" in w.said


async def test_a_model_is_chosen_from_the_servers_list(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await w.send("/model")
        await w.until(lambda: isinstance(w.app.screen, Picker))
        await w.type("oth")
        await w.press("enter")
        await w.until(lambda: "The next prompt goes to other" in w.status)
        await say(w, "hello")
        assert server.service.asked[-1].json["model"] == "other"
        await w.send("/model mine")
        await w.until(lambda: "The next prompt goes to mine" in w.status)
        await w.send("/nosuch thing")
        await w.until(lambda: "You said: /nosuch thing" in w.said)


async def test_a_profile_is_chosen_from_those_there_are(history: Path) -> None:
    other = replace(PROFILE, name="other", base_url="http://other.localhost:2/v1")
    async with window(history, PROFILE, other) as w:
        await w.send("/profile")
        await w.until(lambda: isinstance(w.app.screen, Picker))
        assert "test (now) — http://server.localhost:1/v1" in w.picture
        assert "other — http://other.localhost:2/v1" in w.picture
        await w.type("other")
        await w.press("enter")
        await w.until(lambda: "The next prompt goes to other" in w.status)
        await w.send("/profile")
        await w.until(lambda: "other (now)" in w.picture)


async def test_a_fork_from_a_turn_goes_on_from_there(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await say(w, "one")
        await say(w, "two")
        await w.press("tab", "up", "up", "f")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        await w.press("enter")
        await w.until(lambda: w.label == "chat-1-2")
        assert "You said: one" in w.said
        assert "You said: two" not in w.said
        await w.type("three")
        assert w.screen.prompt.text == "three"
        await w.press("enter")
        await w.until(lambda: "You said: three" in w.said and "done in" in w.status)
        assert "2 prompts so far. You said: three" in w.said
        await w.press("alt+down")
        await w.until(lambda: w.label == "chat-1")
        assert "You said: two" in w.said


async def test_letting_go_of_a_conversation(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await say(w, "one")
        await w.send("/forget")
        await w.until(lambda: "The next prompt begins a new conversation" in w.status)
        await say(w, "two")
        assert "previous_response_id" not in server.service.asked[-1].json
        assert len(server.service.asked[-1].json["input"]) == 3


async def test_a_run_that_went_on_is_taken_up_when_its_session_is_shown(server: Running, history: Path) -> None:
    async with opened(server, history, background=True) as w:
        await w.send("hang on")
        await w.until(lambda: "1 prompt so" in w.said)
    server.service.go_on.set()
    async with opened(server, history, background=True) as w:
        await w.until(lambda: "1 prompt so far. You said: hang on" in w.said)
        await w.until(lambda: not w.talk.chat.running())
        (session,) = await w.talk.chat.sessions()
        (turn,) = await w.talk.chat.turns(session.id)
        assert (turn.status, turn.text) == (TurnStatus.DONE, "1 prompt so far. You said: hang on")
    assert [asked.method for asked in server.service.asked] == ["POST", "GET"]


async def test_the_palette_offers_what_the_server_can_do(server: Running, history: Path) -> None:
    async with opened(server, history) as w:
        await say(w, "approve it")
        titles = {command.title for command in w.app.palette_commands()}
        assert {"Model", "Fork", "Forget conversation", "Approve ops.deploy", "Deny ops.deploy"} <= titles
        assert not {"Share", "Stop sharing", "Conversations on the server"} & titles


async def test_a_run_that_waits_in_the_middle_is_answered_in_place(history: Path) -> None:
    with serving(docker_agent.make()) as running:
        profile = Profile("here", "docker-agent", running.url, "root")
        async with window(history, profile, client=Client(sleep=Waits())) as w:
            await w.send("approve it")
            await w.until(lambda: "waits for your approval" in w.status)
            await w.until(lambda: "wants your approval" in w.said)
            await w.send("and be careful")
            await w.until(lambda: "You added: and be careful" in w.said)
            await w.press("tab", "d")
            await w.until(lambda: not w.talk.chat.running())
            await w.until(lambda: "done in" in w.status)
            (session,) = await w.talk.chat.sessions()
            (turn,) = await w.talk.chat.turns(session.id)
            assert [item.state for item in turn.items if item.kind is ItemKind.APPROVAL] == [ItemState.DENIED]
            assert "You added: and be careful" in turn.notes
