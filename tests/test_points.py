"""Which conversation a fork, or a prompt that is changed, goes on with: the one its id names the point of, or a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import PROFILE
from tests.test_chat import DAY, Hands
from tui.credentials import KeySource
from tui.errors import ConfigError
from tui.model import Session

OTHER = replace(PROFILE, name="other", key=KeySource("env", ("OTHER_KEY",)))
IN_HEADERS = replace(PROFILE, key=KeySource(), headers=(("x-api-key", "one"),))
BY_CONVERSATION = replace(PROFILE, continue_by="conversation")


@pytest.fixture(autouse=True)
def other_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "another")


async def told(t: Talk, session: Session, prompt: str, **send: Any) -> tuple[str | None, list[str]]:
    """What the server is told with a prompt: the id it is to go on from, and all that was said."""
    turn = await t.answered(session, prompt, f"re {prompt}", f"resp_{prompt}", **send)
    sent = t.server.seen[-1].json
    assert turn.text == f"re {prompt}"
    return sent.get("previous_response_id"), [message["content"] for message in sent["input"]]


async def told_in(
    t: Talk, session: Session, prompt: str, conversation_id: str = "", **send: Any
) -> tuple[str, list[str]]:
    """The same, of a conversation; with `conversation_id` the server makes it first."""
    t.chat.send(session, prompt, **send)
    exchange = await t.server.request()
    if conversation_id:
        assert exchange.path == "/v1/conversations"
        exchange.answer(200, {"id": conversation_id, "object": "conversation"})
        exchange = await t.server.request()
    answer_well(exchange, f"re {prompt}", f"resp_{prompt}")
    await t.chat.settled(session.id)
    return exchange.json["conversation"], [message["content"] for message in exchange.json["input"]]


@pytest.mark.parametrize("prompt", ["zwei", "two"], ids=["changed", "asked again"])
async def test_a_changed_prompt_begins_a_conversation_where_its_id_names_no_point(history: Path, prompt: str) -> None:
    async with talk(history, BY_CONVERSATION) as t:
        session = await t.chat.open("work")
        assert await told_in(t, session, "one", "conv_1") == ("conv_1", ["one"])
        assert await told_in(t, session, "two") == ("conv_1", ["two"])
        assert await told_in(t, session, prompt, "conv_2", at=1) == ("conv_2", ["one", "re one", prompt])
        assert await told_in(t, session, "three") == ("conv_2", ["three"])


async def test_a_fork_begins_a_conversation_where_its_id_names_no_point(history: Path) -> None:
    async with talk(history, BY_CONVERSATION) as t:
        session = await t.chat.open("work")
        await told_in(t, session, "one", "conv_1")
        await told_in(t, session, "two")
        for at, label, said in ((1, "early", ["one", "re one"]), (None, "late", ["one", "re one", "two", "re two"])):
            forked = (await t.chat.conversations.fork(session, label, at)).session
            assert await told_in(t, forked, "four", f"conv_{label}") == (f"conv_{label}", [*said, "four"])
        assert await told_in(t, session, "three") == ("conv_1", ["three"])


@pytest.mark.fault("L14", "L15")
async def test_no_one_goes_on_from_what_was_said_as_someone_else(history: Path) -> None:
    async with talk(history, PROFILE, OTHER) as t:
        session = await t.chat.open("work")
        await told(t, session, "one")
        assert await told(t, session, "two", profile=OTHER) == (None, ["one", "re one", "two"])
        assert await told(t, session, "three", profile=OTHER) == ("resp_two", ["three"])
        forked = (await t.chat.conversations.fork(await again(t, session), "early", 1)).session
        assert await told(t, forked, "four") == (None, ["one", "re one", "four"])
        assert await told(t, session, "zwei", profile=OTHER, at=1) == (None, ["one", "re one", "zwei"])
        assert await told(t, session, "drei", profile=OTHER, at=2) == ("resp_zwei", ["drei"])


async def again(t: Talk, session: Session) -> Session:
    """A session as it is now."""
    now = await t.store.session(session.id)
    assert now is not None
    return now


async def test_keys_in_headers_are_told_apart_by_their_profile(history: Path) -> None:
    elsewhere = replace(IN_HEADERS, name="elsewhere", headers=(("x-api-key", "two"),))
    assert IN_HEADERS.principal == "headers of test"
    assert replace(IN_HEADERS, headers=(("x-version", "2"),)).principal == ""
    assert replace(IN_HEADERS, key=OTHER.key).principal == "env:OTHER_KEY headers of test"
    async with talk(history, IN_HEADERS, elsewhere) as t:
        session = await t.chat.open("work")
        await told(t, session, "one")
        assert await told(t, session, "two", profile=elsewhere) == (None, ["one", "re one", "two"])
        assert await told(t, session, "three", profile=IN_HEADERS) == ("resp_one", ["two", "re two", "three"])


async def test_what_was_let_go_of_is_not_taken_up_by_a_changed_prompt(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        for word in ("one", "two"):
            await told(t, session, word)
        assert await t.chat.conversations.forget(session)
        assert await told(t, session, "zwei", at=1) == (None, ["one", "re one", "zwei"])


async def test_a_turn_of_long_ago_is_not_gone_on_from(history: Path) -> None:
    hands = Hands()
    async with talk(history, clock=hands.clock) as t:
        session = await t.chat.open("work")
        for word in ("one", "two"):
            await told(t, session, word)
        hands.now += 40 * DAY
        forked = (await t.chat.conversations.fork(await again(t, session), "other")).session
        late = "The server's conversation was last used 40 days ago; a new one was started, with 2 earlier turns sent along."
        turn = await t.answered(forked, "three", "yes", "resp_three")
        assert (turn.notes, "previous_response_id" in t.server.seen[-1].json) == ((late,), False)
        turn = await t.answered(session, "zwei", "yes", "resp_zwei", at=1)
        assert turn.notes == (late.replace("2 earlier turns", "1 earlier turn"),)
        assert "previous_response_id" not in t.server.seen[-1].json


async def test_what_was_said_goes_to_no_other_server_because_a_profile_is_gone(history: Path) -> None:
    async with talk(history, OTHER, PROFILE) as t:
        session = await t.chat.open("work")
        await told(t, session, "one", profile=PROFILE)
    async with talk(history, OTHER) as t:
        session = await t.chat.open("work")
        with pytest.raises(ConfigError, match="The profile 'test' is not configured any more") as caught:
            t.chat.send(session, "two")
        assert (caught.value.exit_status, t.server.seen) == (3, [])
        assert not t.chat.traits_of(session).keeps
        assert (await t.chat.conversations.fork(session, "other")).session.profile == "test"
        session = await t.chat.set_profile(session.id, "other")
        assert await told(t, session, "two") == (None, ["one", "re one", "two"])
