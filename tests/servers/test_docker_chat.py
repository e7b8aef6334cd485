"""Agents behind Chat Completions, on their stand-in: one name for a conversation, and all that was said each time."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.chatting import Chatting, chatting
from tests.client.turns import take
from tests.fake_server import PROFILE, Waits
from tests.servers import docker_chat
from tests.servers.asking import asks, said, text_of
from tests.servers.base import Asked, Running, serving
from tests.servers.docker_chat import DockerChat
from tui.client import Client
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import Refused, UsageError
from tui.model import ItemKind, MappingState, Session, TurnStatus

DONE, FAILED = TurnStatus.DONE, TurnStatus.FAILED
CANCELLED, INTERRUPTED = TurnStatus.CANCELLED, TurnStatus.INTERRUPTED


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(docker_chat.make()) as running:
        yield running


def service(server: Running) -> DockerChat:
    return cast(DockerChat, server.service)


def profile_of(server: Running, model: str = "root") -> Profile:
    return replace(PROFILE, name="here", protocol="docker-chat", base_url=f"{server.url}/v1", model=model)


def completions(server: Running) -> list[Asked]:
    return [asked for asked in server.service.asked if asked.path == "/v1/chat/completions"]


def names(server: Running) -> list[str]:
    """The conversations' names that were sent, in order."""
    return [asked.headers["x-conversation-id"] for asked in completions(server)]


ask = asks(profile_of)


async def raw(server: Running, body: Any, **headers: str) -> httpx.Response:
    """A request as someone else makes it."""
    async with httpx.AsyncClient(trust_env=False) as client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.post(f"{server.url}/v1/chat/completions", content=content, headers=headers, timeout=20)


async def mapped(t: Chatting, session: Session) -> tuple[str, MappingState] | None:
    mapping = await t.chat.conversations.mapping(session)
    return (mapping.conversation_id, mapping.state) if mapping else None


# Names and histories


async def test_docker_1_a_conversation_has_one_name_and_another_one_another(t: Chatting, server: Running) -> None:
    work, other = await t.chat.open("work"), await t.chat.open("other")
    for session in (work, work, other):
        assert (await t.say(session, "hello")).status is DONE
    first, second, third = names(server)
    assert first == second != third
    for name in (first, third):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name)
    assert await mapped(t, work) == (first, MappingState.LIVE)


async def test_docker_1_the_name_outlives_the_program(server: Running, history: Path) -> None:
    for _ in range(2):
        async with chatting(history, profile_of(server)) as t:
            await t.say(await t.chat.open("work"), "hello")
    first, second = names(server)
    assert first == second


@pytest.mark.parametrize("keeps", [True, False])
async def test_docker_2_everything_is_sent_each_time_and_remembered(keeps: bool, history: Path) -> None:
    """Whether the server keeps conversations makes no difference to the user, and none to what is sent."""
    with serving(DockerChat(keeps=keeps)) as server:
        async with chatting(history, profile_of(server)) as t:
            session = await t.chat.open("work")
            assert (await t.say(session, "one")).text == text_of("one", 1)
            assert (await t.say(session, "two")).text == text_of("two", 2)
            server.call(server.service.forget)
            turn = await t.say(session, "three")
    assert (turn.status, turn.text, turn.notes) == (DONE, text_of("three", 3), ())
    assert [len(said(asked)) for asked in completions(server)] == [1, 3, 5]
    assert len(set(names(server))) == 1


# Failed turns


async def test_docker_4_a_failed_turn_stays_failed_and_is_said_again_under_the_same_name(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    await t.say(session, "good one")
    failed = await t.say(session, "fail first")
    assert (failed.status, failed.prompt, failed.text) == (FAILED, "fail first", "")
    assert str(failed.error) == (f"{server.url[7:]} failed: all models failed: model root: 500 Internal Server Error.")
    assert len(failed.attempts) == 1
    again = await t.say(session, "better now")
    assert (again.status, again.text) == (DONE, text_of("better now", 2))
    assert len(set(names(server))) == 1
    assert [turn.status for turn in await t.chat.turns(session.id)] == [DONE, FAILED, DONE]


async def test_docker_5_after_a_failure_the_server_is_told_the_good_turns_and_the_new_prompt(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    await t.say(session, "good one")
    await t.say(session, "fail first")
    await t.say(session, "new one")
    assert said(completions(server)[-1]) == [
        ("user", "good one"),
        ("assistant", text_of("good one", 1)),
        ("user", "new one"),
    ]
    assert service(server).talks[names(server)[0]].prompts == ["good one", "new one"]


async def test_a_first_turn_that_fails_issues_no_name(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    assert (await t.say(session, "fail first")).conversation_id == ""
    assert await mapped(t, session) is None
    assert (await t.say(session, "new one")).text == text_of("new one", 1)


async def test_docker_9_a_failure_after_text_keeps_the_text_and_is_told_as_part_of_the_talk(
    t: Chatting, server: Running
) -> None:
    """The server has rolled it back, so what the user saw of it is told under a new name."""
    session = await t.chat.open("work")
    await t.say(session, "good one")
    broken = await t.say(session, "fail later")
    assert (broken.status, broken.text) == (INTERRUPTED, "2 prompts so ")
    assert "stream ended early & was not complete" in str(broken.error)
    assert (await t.say(session, "go on")).text == text_of("go on", 3)
    first, second, third = names(server)
    assert first == second != third


@pytest.mark.parametrize("prompt", ["", "  ", "\n\t "])
async def test_docker_6_what_is_blank_is_never_sent(t: Chatting, server: Running, prompt: str) -> None:
    session = await t.chat.open("work")
    with pytest.raises(UsageError, match="The prompt is empty"):
        t.chat.send(session, prompt)
    assert server.service.asked == []


# Busy


async def test_docker_7_a_busy_conversation_is_waited_for_and_then_said_to_be_busy(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    await t.say(session, "hello")
    (name,) = names(server)
    service(server).busy.add(name)
    turn = await t.say(session, "and again")
    assert (turn.status, turn.prompt) == (FAILED, "and again")
    assert turn.error is not None
    assert (turn.error.kind, turn.error.exit_status) == ("limited", 8)
    assert str(turn.error) == (
        "The conversation is busy: another request is already in flight for this conversation id"
        " — try again in a moment"
    )
    assert len(turn.attempts) == 4
    service(server).busy.discard(name)
    assert (await t.say(session, "and again")).text == text_of("and again", 2)
    assert set(names(server)) == {name}


async def test_docker_7_the_answer_comes_once_the_other_one_is_done(server: Running) -> None:
    """Someone else is being answered in the conversation; the waits are not spent, the other one ends meanwhile."""
    name = "0197f2aa-1111-7000-8000-000000000001"
    others = asyncio.create_task(
        raw(
            server,
            {"stream": True, "messages": [{"role": "user", "content": "hang on"}]},
            **{"X-Conversation-Id": name},
        )
    )

    class FreesIt(Waits):
        async def __call__(self, seconds: float) -> None:
            await super().__call__(seconds)
            server.service.go_on.set()
            await others

    async with asyncio.timeout(20):
        while name not in service(server).busy:
            await asyncio.sleep(0.005)
        waits = FreesIt()
        told = await ask(server, "hello", conversation_id=name, waits=waits)
    assert (told.turn.status, told.turn.text, waits.seconds) == (DONE, text_of("hello", 2), [1.0])


async def test_docker_7_a_second_prompt_in_one_conversation_does_not_leave_before_the_first_is_answered(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    t.chat.send(session, "hang on")
    await t.until(lambda: t.newest().text)
    with pytest.raises(UsageError, match="still answering"):
        t.chat.send(session, "me too")
    assert len(completions(server)) == 1
    server.service.go_on.set()
    assert (await t.ended(session)).status is DONE
    assert (await t.say(session, "me too")).status is DONE


async def test_docker_8_two_conversations_stream_at_once(t: Chatting, server: Running) -> None:
    one, two = await t.chat.open("one"), await t.chat.open("two")
    t.chat.send(one, "hang on to one")
    t.chat.send(two, "hang on to two")
    await t.until(lambda: len(service(server).busy) == 2)
    server.service.go_on.set()
    first, second = await t.ended(one), await t.ended(two)
    assert (first.text, second.text) == (text_of("hang on to one", 1), text_of("hang on to two", 1))
    assert first.conversation_id != second.conversation_id


# Stopped turns


async def test_docker_14_after_a_stop_the_server_does_not_see_the_stopped_prompt_twice(
    t: Chatting, server: Running
) -> None:
    """The server has kept the stopped prompt without its answer, so the talk goes on under a new name, as the user saw it."""
    session = await t.chat.open("work")
    await t.say(session, "good one")
    t.chat.send(session, "hang on")
    await t.until(lambda: t.newest().prompt == "hang on" and t.newest().text == "2 prompts so ")
    assert t.chat.cancel(session.id)
    stopped = await t.ended(session)
    assert (stopped.status, stopped.text) == (CANCELLED, "2 prompts so ")
    await t.until(lambda: not service(server).busy)
    turn = await t.say(session, "go on")
    assert (turn.status, turn.text) == (DONE, text_of("go on", 3))
    first, second, third = names(server)
    assert first == second != third
    assert service(server).talks[first].prompts == ["good one", "hang on"]
    assert service(server).talks[third].said[:-1] == [
        ("user", "good one"),
        ("assistant", text_of("good one", 1)),
        ("user", "hang on"),
        ("assistant", "2 prompts so "),
        ("user", "go on"),
    ]
    await t.say(session, "and on")
    assert names(server)[-1] == third


async def test_docker_14_a_prompt_stopped_before_any_answer_is_not_told_again(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    await t.say(session, "good one")
    server.service.pace = 30.0
    t.chat.send(session, "never mind")
    await t.until(lambda: service(server).busy)
    assert t.chat.cancel(session.id)
    stopped = await t.ended(session)
    assert stopped.status is CANCELLED
    server.service.pace = 0.0
    await t.until(lambda: not service(server).busy)
    turn = await t.say(session, "go on")
    prompts = service(server).talks[names(server)[-1]].prompts
    assert (turn.status, prompts.count("never mind")) == (DONE, int(bool(stopped.text)))


async def test_docker_10_a_connection_that_breaks_is_incomplete(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn = await t.say(session, "cut me off")
    assert (turn.status, turn.text, turn.conversation_id) == (INTERRUPTED, "1 prompt so ", "")
    assert len(completions(server)) == 1


# Agents


async def test_docker_15_agents_are_listed(server: Running) -> None:
    assert await Client().ask(profile_of(server), lambda wire, http: wire.models(http)) == ["root", "reviewer"]


async def test_docker_15_an_unknown_agent_is_refused_before_anything_is_sent(server: Running) -> None:
    told = await take(Client(), profile_of(server, "rot"), "hello")
    assert told.turn.status is FAILED
    assert told.words == f"{server.url[7:]} has no agent “rot” — there are: root, reviewer"
    assert completions(server) == []


@pytest.mark.parametrize("agent", ["root", "reviewer", ""])
async def test_docker_15_a_known_agent_or_none_in_particular_answers(server: Running, agent: str) -> None:
    assert (await take(Client(), profile_of(server, agent), "hello")).turn.status is DONE
    assert service(server).ran == [agent or "root"]


async def test_the_real_server_would_take_another_agent_and_not_say_so(server: Running) -> None:
    answer = await raw(server, {"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}]})
    assert (answer.status_code, answer.json()["model"], service(server).ran) == (200, "gpt-4", ["root"])


# What an answer shows


async def test_docker_11_tools_are_shown_and_nothing_is_sent_back(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn = await t.say(session, "tool please")
    shown = [(item.name, item.text) for item in turn.items if item.kind is ItemKind.TOOL_CALL]
    assert shown == [("weather", '{"city":"Hamburg"}'), ("shell", '{"cmd":"ls > /tmp/out"}')]
    assert [item.kind for item in turn.items] == [ItemKind.TOOL_CALL, ItemKind.TOOL_CALL, ItemKind.MESSAGE]
    await t.say(session, "thanks")
    assert [role for role, _ in said(completions(server)[-1])] == ["user", "assistant", "user"]


@pytest.mark.parametrize("prompt", ["think about it", "approve it", "table of it", "long one"])
async def test_every_other_manner_ends_well(server: Running, prompt: str) -> None:
    told = await ask(server, prompt)
    assert told.turn.status is DONE
    assert told.turn.text.startswith(text_of(prompt, 1))
    assert told.turn.usage is not None
    assert (told.turn.usage.input_tokens, told.turn.usage.output_tokens) == (1, 7)


async def test_an_empty_answer_is_done(server: Running) -> None:
    told = await ask(server, "empty")
    assert (told.turn.status, told.turn.items) == (DONE, ())
    assert told.turn.conversation_id == names(server)[0]


async def test_docker_13_a_wrong_key_is_told_in_one_line() -> None:
    with serving(docker_chat.make(key="right")) as server:
        told = await take(Client(), replace(profile_of(server), key=KeySource()), "hello")
    assert (told.turn.status, told.exit_status) == (FAILED, 4)
    assert told.words.startswith(f"{server.url[7:]} wants a key: missing or invalid bearer token")


async def test_docker_13_what_is_too_large_is_told_in_one_line(server: Running) -> None:
    told = await ask(server, "x" * docker_chat.BODY_LIMIT)
    assert (told.turn.status, told.words) == (FAILED, "The message is too large for the server.")


async def test_a_name_that_no_header_may_have_is_refused(server: Running) -> None:
    told = await ask(server, "hello", conversation_id="a\nb: c")
    assert told.turn.status is FAILED
    assert told.turn.error is not None
    assert told.turn.error.kind == Refused.kind
    assert completions(server) == []


# The stand-in itself


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "at least one message is required"),
        ({"messages": [{"role": "user", "content": "  "}]}, 400, "no user message provided"),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, 400, "no user message provided"),
        (
            {"messages": [{"role": "user", "content": "a"}], "temperature": 3},
            400,
            "temperature must be in [0, 2], got 3",
        ),
        (b"nonsense", 400, "invalid character 'n' looking for beginning of value"),
        ({"messages": [{"role": "user", "content": "fail first"}]}, 500, None),
    ],
)
async def test_the_stand_in_is_as_strict_as_the_real_one(server: Running, body: Any, status: int, said: str) -> None:
    answer = await raw(server, body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["type"] == ("internal_error" if status == 500 else "invalid_request_error")
    assert said is None or error["message"] == said


async def test_the_stand_in_takes_the_newest_prompt_where_it_knows_the_rest(server: Running) -> None:
    said = [{"role": "user", "content": "one"}]
    for _ in range(2):
        answer = await raw(server, {"messages": said}, **{"X-Conversation-Id": "mine"})
    assert answer.json()["choices"][0]["message"]["content"] == text_of("one", 2)
    assert service(server).talks["mine"].prompts == ["one", "one"]
