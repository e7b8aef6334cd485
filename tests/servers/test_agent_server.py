"""Agent servers on their stand-in: sessions, runs in the background that outlive their connection, and other tokens."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.chatting import Chatting, chatting
from tests.client.turns import Told, new_turn, take
from tests.fake_server import Waits
from tests.servers import agent_server
from tests.servers.agent_server import AgentServer
from tests.servers.asking import mapped, text_of
from tests.servers.base import Asked, Running, serving
from tui.client import Client, Request
from tui.client.protocols.agent_server_events import RESTARTED
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import UsageError
from tui.events import Noted, RunNamed, Waiting
from tui.model import AttemptKind, ItemKind, TurnStatus

DONE, FAILED = TurnStatus.DONE, TurnStatus.FAILED
CANCELLED, INTERRUPTED = TurnStatus.CANCELLED, TurnStatus.INTERRUPTED


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(agent_server.make()) as running:
        yield running


def service(server: Running) -> AgentServer:
    return cast(AgentServer, server.service)


def profile_of(server: Running, name: str = "here", *, background: bool = False) -> Profile:
    return Profile(name, "agent-server", server.url, options={"background": True} if background else {})


async def ask(
    server: Running, prompt: str, *, background: bool = False, waits: Waits | None = None, **request: Any
) -> Told:
    return await take(Client(sleep=waits or Waits()), profile_of(server, background=background), prompt, **request)


def posts(server: Running) -> list[Asked]:
    return [asked for asked in server.service.asked if asked.method == "POST"]


def gets(server: Running) -> list[Asked]:
    return [asked for asked in server.service.asked if asked.method == "GET"]


def sessions(server: Running) -> list[str]:
    """The sessions that were sent, in order."""
    return [asked.json["custom_inputs"]["session_id"] for asked in posts(server)]


def inputs(server: Running) -> list[list[tuple[str, str]]]:
    return [[(one["role"], one["content"]) for one in asked.json["input"]] for asked in posts(server)]


def stored(server: Running, session: str) -> list[str]:
    """Who has said something in a session, as the server keeps it."""
    return [str(item.get("role", item.get("type"))) for item in service(server).sessions[session]]


async def raw(server: Running, body: bytes, path: str = "/invocations") -> httpx.Response:
    """A request as someone else makes it."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"{server.url}{path}", content=body, timeout=20)


# Sessions


async def test_agent_server_1_the_session_is_ours_from_the_first_turn_on(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first, second = await t.say(session, "one"), await t.say(session, "two")
    assert (first.text, second.text) == (text_of("one"), text_of("two", 2))
    sent = sessions(server)
    assert sent == [first.conversation_id] * 2
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", sent[0])
    assert await mapped(t, session) == sent[0]
    other = await t.chat.open("other")
    await t.say(other, "three")
    assert sessions(server)[2] != sent[0]


async def test_agent_server_2_another_session_is_adopted(server: Running) -> None:
    service(server).plain = True
    told = await ask(server, "hello")
    assert (told.turn.status, told.turn.text) == (DONE, text_of("hello"))
    assert told.turn.conversation_id == sessions(server)[0]
    told = await ask(server, "hello", conversation_id="theirs")
    assert told.turn.conversation_id == "theirs"


async def test_agent_server_3_only_the_newest_message_is_sent_later(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    for prompt in ("one", "two", "three"):
        await t.say(session, prompt)
    assert inputs(server) == [[("user", "one")], [("user", "two")], [("user", "three")]]


async def test_agent_server_3_where_a_session_begins_anew_all_is_told(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        await t.say(await t.chat.open("work"), "one")
    async with chatting(history, profile_of(server), ttl=-1.0) as t:
        turn = await t.say(await t.chat.open("work"), "two")
    assert turn.text == text_of("two", 2)
    assert inputs(server)[1] == [("user", "one"), ("assistant", text_of("one")), ("user", "two")]
    assert len(set(sessions(server))) == 2
    assert "with 1 earlier turn sent along" in turn.notes[0]


async def test_a_session_the_server_has_forgotten_is_an_empty_one(t: Chatting, server: Running) -> None:
    """The server does not say so, and nobody else knows."""
    session = await t.chat.open("work")
    await t.say(session, "one")
    server.call(server.service.forget)
    turn = await t.say(session, "two")
    assert (turn.status, turn.text, turn.notes, len(turn.attempts)) == (DONE, text_of("two"), (), 1)


async def test_agent_server_4_and_13_a_turn_with_a_tool(server: Running) -> None:
    told = await ask(server, "tool, please")
    call, result, message = told.turn.items
    assert (call.kind, call.name, call.text) == (ItemKind.TOOL_CALL, "weather", '{"city": "Hamburg"}')
    assert (result.kind, result.text) == (ItemKind.TOOL_RESULT, "17 degrees")
    assert call.call_id == result.call_id == "call_1"
    assert message.text == text_of("tool, please")


async def test_a_turn_with_rows(server: Running) -> None:
    told = await ask(server, "table, please")
    assert json.loads(told.of(ItemKind.TOOL_CALL)[0][1]) == {"sql": "SELECT city, n FROM bridges"}
    assert json.loads(told.of(ItemKind.TOOL_RESULT)[0][1])["rows"] == [["Hamburg", 2496], ["Berlin", 960]]


async def test_a_turn_that_thinks_and_one_that_says_nothing(server: Running) -> None:
    told = await ask(server, "think about it")
    assert told.of(ItemKind.REASONING) == [("", "It is a simple question.")]
    assert told.turn.text == text_of("think about it")
    told = await ask(server, "empty")
    assert (told.turn.status, told.turn.items) == (DONE, ())
    assert told.turn.conversation_id == sessions(server)[1]


async def test_agent_server_7_failures(server: Running) -> None:
    told = await ask(server, "fail first")
    assert (told.turn.status, told.turn.text, told.exit_status) == (FAILED, "", 6)
    assert told.words == f"{server.url[7:]} failed: Error code: 500 - forced failure."
    told = await ask(server, "fail later")
    assert (told.turn.status, told.turn.text, told.exit_status) == (INTERRUPTED, "1 prompt so ", 7)
    assert "kaboom" in told.words
    assert told.turn.conversation_id == ""
    assert len(posts(server)) == 2


async def test_agent_server_8_a_stream_that_breaks_is_incomplete(server: Running) -> None:
    told = await ask(server, "cut here")
    assert (told.turn.status, told.turn.text, told.turn.conversation_id) == (INTERRUPTED, "1 prompt ", "")
    assert len(posts(server)) == 1


async def test_agent_server_9_a_trace_is_ignored(server: Running) -> None:
    traced = replace(profile_of(server), headers=(("x-mlflow-return-trace-id", "true"),))
    told = await take(Client(), traced, "hello")
    assert (told.turn.status, told.turn.text) == (DONE, text_of("hello"))


@pytest.mark.parametrize("plain", [True, False], ids=["by its status", "in the stream"])
async def test_agent_server_10_a_status_in_words_is_waited_for_and_said(server: Running, plain: bool) -> None:
    service(server).plain = plain
    waits = Waits()
    told = await ask(server, "503 please", waits=waits)
    assert (told.exit_status, len(posts(server)), len(waits.seconds)) == (8, 3, 2)
    assert "is overloaded or down (status 503): Failed to connect to Lakebase instance 'x'" in told.words


async def test_agent_server_11_a_body_that_is_no_object(server: Running) -> None:
    answer = await raw(server, b"[]")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    told = await take(Client(), replace(profile_of(server), params={"input": 7}), "hello")
    assert "Input should be a valid list" in told.words
    told = await take(Client(), replace(profile_of(server), params={"input": []}), "hello")
    assert told.words == f"{server.url[7:]} failed: list index out of range."
    assert (await raw(server, b"{")).status_code == 400
    assert (await raw(server, b"{}", "/other")).json() == {"detail": "Not Found"}


# After a failure


async def test_agent_server_15_a_later_turn_that_failed_is_still_in_the_session(t: Chatting, server: Running) -> None:
    """Sent again, it is there twice: the server keeps what it could not answer."""
    session = await t.chat.open("work")
    first = (await t.say(session, "one")).conversation_id
    assert (await t.say(session, "fail later")).status is INTERRUPTED
    assert stored(server, first) == ["user", "assistant", "user"]
    turn = await t.say(session, "two")
    assert (turn.text, sessions(server)) == (text_of("two", 3), [first] * 3)


async def test_agent_server_15_a_first_turn_that_failed_is_left_behind_with_its_session(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    await t.say(session, "fail first")
    assert await mapped(t, session) == ""
    turn = await t.say(session, "two")
    assert (turn.text, len(set(sessions(server)))) == (text_of("two"), 2)


async def test_a_turn_that_is_stopped_leaves_its_message_and_no_answer(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first = (await t.say(session, "one")).conversation_id
    t.chat.send(session, "hang on")
    await t.until(lambda: t.newest().text == "2 prompts so ")
    t.chat.cancel(session.id)
    assert (await t.ended(session)).status is CANCELLED
    await t.until(lambda: server.service.let_go)
    assert stored(server, first) == ["user", "assistant", "user"]
    assert (await t.say(session, "two")).text == text_of("two", 3)


async def test_agent_server_16_a_conversation_is_one_turn_at_a_time_and_two_run_at_once(
    t: Chatting, server: Running
) -> None:
    work, other = await t.chat.open("work"), await t.chat.open("other")
    t.chat.send(work, "hang on")
    with pytest.raises(UsageError, match="still answering"):
        t.chat.send(work, "and?")
    t.chat.send(other, "hang too")
    await t.until(lambda: len(posts(server)) == 2 and set(t.chat.running()) == {work.id, other.id})
    server.service.go_on.set()
    assert (await t.ended(work)).text == text_of("hang on")
    assert (await t.ended(other)).text == text_of("hang too")
    # Two conversations have no order between them: either prompt may reach the server first.
    assert sorted(inputs(server)) == [[("user", "hang on")], [("user", "hang too")]]


async def test_agent_server_20_hosts_and_tokens_never_share_a_connection(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADA", "token-of-ada")
    monkeypatch.setenv("BOB", "token-of-bob")
    made: list[httpx.AsyncHTTPTransport] = []

    def transport_of(_: Profile) -> httpx.AsyncBaseTransport:
        made.append(httpx.AsyncHTTPTransport(trust_env=False))
        return made[-1]

    client = Client(transport_of=transport_of)
    with serving(agent_server.make()) as elsewhere:
        for there in (server, elsewhere):
            for name in ("ADA", "BOB"):
                told = await take(client, replace(profile_of(there), key=KeySource("env", (name,))), "hello")
                assert told.turn.status is DONE
        assert len({id(one) for one in made}) == 4
        for there in (server, elsewhere):
            assert [asked.headers["authorization"] for asked in posts(there)] == [
                "Bearer token-of-ada",
                "Bearer token-of-bob",
            ]
            assert {asked.headers["connection"] for asked in posts(there)} == {"close"}


# In the background


async def test_agent_server_17_a_run_is_followed_through_a_connection_that_breaks(server: Running) -> None:
    waits = Waits()
    told = await ask(server, "cut me off", background=True, waits=waits)
    assert (told.turn.status, told.turn.text) == (DONE, text_of("cut me off"))
    posted, taken_up = server.service.asked
    assert (posted.path, posted.json["background"], posted.json["stream"]) == ("/invocations", True, True)
    assert taken_up.path.startswith("/responses/resp_")
    assert taken_up.query == {"stream": "true", "starting_after": "4"}
    assert [event.seconds for event in told.events if isinstance(event, Waiting)] == [0.5, 0.0]
    assert waits.seconds == [0.5]
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST]
    assert (told.turn.run, told.turn.conversation_id) == ("", sessions(server)[0])
    assert stored(server, sessions(server)[0]) == ["user", "assistant"]


@pytest.mark.parametrize("prompt", ["hello", "tool", "table", "think", "empty"])
async def test_answers_from_the_background_are_the_same(server: Running, prompt: str) -> None:
    ahead, behind = await ask(server, prompt), await ask(server, prompt, background=True)
    assert [(item.kind, item.name, item.text) for item in behind.turn.items] == [
        (item.kind, item.name, item.text) for item in ahead.turn.items
    ]
    assert behind.turn.status is DONE


async def _name_of(server: Running, prompt: str) -> str:
    """The name of a run that is left as soon as it has one."""
    events = Client().stream(Request(profile_of(server, background=True), prompt))
    async with aclosing(events):
        async for event in events:
            if isinstance(event, RunNamed):
                return event.run
    raise AssertionError("no run was named")


async def test_a_run_that_was_left_is_taken_up_again_from_its_beginning(server: Running) -> None:
    run = await _name_of(server, "hang on")
    server.service.go_on.set()
    told = await ask(server, "hang on", background=True, run=run)
    assert (told.turn.status, told.turn.text) == (DONE, text_of("hang on"))
    assert told.turn.conversation_id == sessions(server)[0]
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.RESUMED]
    assert gets(server)[0].query == {"stream": "true"}
    assert len(posts(server)) == 1


async def test_a_first_turn_that_is_taken_up_by_another_program_goes_on_in_its_session(
    server: Running, history: Path
) -> None:
    there = profile_of(server, background=True)
    async with chatting(history, there) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hang on")
        await t.until(lambda: t.changes and t.newest().text)
        t.chat.cancel(session.id, lets_go=True)
        turn = await t.ended(session)
        assert turn.status is INTERRUPTED
        assert turn.run.startswith("resp_")
    server.service.go_on.set()
    async with chatting(history, there) as t:
        found = await t.chat.find("work")
        assert found is not None
        assert await t.chat.resume(found)
        turn = await t.ended(found)
        assert (turn.status, turn.text, turn.run) == (DONE, text_of("hang on"), "")
        assert await mapped(t, found) == turn.conversation_id == sessions(server)[0]
        assert (await t.say(found, "two")).text == text_of("two", 2)


async def test_a_run_that_is_gone_is_an_error_and_no_reason_to_ask_again(server: Running) -> None:
    told = await ask(server, "hello", background=True, run="resp_gone")
    assert (told.turn.status, told.exit_status, told.turn.run) == (FAILED, 6, "")
    assert told.words == "The server does not know this run any more."
    assert len(server.service.asked) == 1


@pytest.mark.parametrize("prompt", ["fail first", "fail later"])
async def test_a_run_that_fails_ends_it(server: Running, prompt: str) -> None:
    told = await ask(server, prompt, background=True)
    assert told.turn.status in (FAILED, INTERRUPTED)
    assert told.turn.run == ""
    assert ("forced failure" if prompt == "fail first" else "kaboom") in told.words
    assert gets(server) == []


async def test_agent_server_18_a_run_that_began_anew_elsewhere(server: Running) -> None:
    told = Told(new_turn(profile_of(server, background=True), "hang on"))
    running = asyncio.create_task(
        take(Client(sleep=Waits()), profile_of(server, background=True), "hang on", told=told)
    )
    async with asyncio.timeout(20):
        while not told.shown or told.shown[-1].text != "1 prompt so ":
            await asyncio.sleep(0.005)
        server.call(service(server).crash)
        server.service.go_on.set()
        await running
    assert (told.turn.status, told.turn.text) == (DONE, text_of("hang on"))
    session = f"{sessions(server)[0]}::attempt-2"
    assert told.turn.conversation_id == session
    assert Noted(RESTARTED) in told.events
    after = await ask(server, "two", background=True, conversation_id=told.turn.conversation_id)
    assert (after.turn.text, sessions(server)[-1]) == (text_of("two", 2), session)


async def test_agent_server_18_also_when_it_is_taken_up_only_later(server: Running) -> None:
    run = await _name_of(server, "hang on")
    server.call(service(server).crash)
    server.service.go_on.set()
    told = await ask(server, "hang on", background=True, run=run)
    assert told.turn.text == text_of("hang on")
    assert told.turn.conversation_id == f"{sessions(server)[0]}::attempt-2"


async def test_agent_server_19_no_one_asks_for_a_cancel_that_there_is_not(server: Running, history: Path) -> None:
    assert (await raw(server, b"", "/responses/resp_x/cancel")).status_code == 501
    server.service.asked.clear()
    async with chatting(history, profile_of(server, background=True)) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hang on")
        await t.until(lambda: t.changes and t.newest().text)
        t.chat.cancel(session.id)
        turn = await t.ended(session)
        assert (turn.status, turn.error) == (CANCELLED, None)
    assert [asked.path for asked in server.service.asked] == ["/invocations"]


async def test_a_server_that_tells_of_a_run_only_as_a_whole_is_asked_until_it_is_done(server: Running) -> None:
    service(server).plain = True

    class Going(Waits):
        async def __call__(self, seconds: float) -> None:
            server.service.go_on.set()
            await super().__call__(seconds)
            await asyncio.sleep(0.01)

    waits = Going()
    told = await ask(server, "hang on", background=True, waits=waits)
    assert (told.turn.status, told.turn.text) == (DONE, text_of("hang on"))
    assert told.turn.conversation_id == sessions(server)[0]
    assert waits.seconds[0] == 0.5
    assert gets(server)


async def test_a_server_without_a_database_answers_in_the_foreground() -> None:
    with serving(agent_server.make(database=False)) as server:
        told = await ask(server, "tool", background=True)
        assert (told.turn.status, told.turn.text, told.turn.run) == (DONE, text_of("tool"), "")
        assert not any(isinstance(event, RunNamed) for event in told.events)
        told = await ask(server, "cut", background=True)
        assert (told.turn.status, told.turn.text) == (INTERRUPTED, "1 prompt ")
        told = await ask(server, "hello", background=True, run="resp_x")
        assert "requires a database configuration" in told.words


async def test_a_gateway_that_is_down_for_a_moment_is_asked_again(server: Running) -> None:
    service(server).down = 2
    waits = Waits()
    told = await ask(server, "cut me off", background=True, waits=waits)
    assert (told.turn.status, told.turn.text) == (DONE, text_of("cut me off"))
    assert waits.seconds == [0.5, 1.0, 2.0]


async def test_a_gateway_that_stays_down_leaves_the_run_to_be_taken_up(server: Running) -> None:
    service(server).down = 99
    waits = Waits()
    told = await ask(server, "cut me off", background=True, waits=waits)
    assert (told.turn.status, told.turn.text, told.exit_status) == (INTERRUPTED, "1 prompt ", 7)
    assert waits.seconds == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert "upstream connect error" in told.words
    assert told.turn.run.startswith("resp_")
    service(server).down = 0
    told = await ask(server, "cut me off", background=True, run=told.turn.run)
    assert (told.turn.status, told.turn.text) == (DONE, text_of("cut me off"))
