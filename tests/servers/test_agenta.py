"""Agenta on its stand-in: runs that go on without us, what is read of them later, and what a session is told."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests import virtual_time
from tests.chatting import chatting
from tests.client.fault_server import Chunk, FaultServer, Sleep, head
from tests.client.fault_server import Request as Asks
from tests.client.turns import Told, new_turn, take
from tests.fake_server import FakeServer, Waits, client_of
from tests.loopback import palaver
from tests.servers import agenta
from tests.servers.asking import text_of
from tests.servers.base import Running, serving
from tui.client import Client, Request
from tui.client.http import Http
from tui.client.protocols import agenta as wire
from tui.client.protocols.agenta_runs import Liveness, look
from tui.client.reply import Rejected
from tui.config import Profile
from tui.credentials import Secret
from tui.errors import Refused, UsageError
from tui.events import RunNamed, Waiting
from tui.model import AttemptKind, Item, ItemKind, ItemState, Turn, TurnStatus, Verdict

DONE, FAILED, INTERRUPTED, CANCELLED = (
    TurnStatus.DONE,
    TurnStatus.FAILED,
    TurnStatus.INTERRUPTED,
    TurnStatus.CANCELLED,
)
pytestmark = pytest.mark.timeout(60)


@contextmanager
def server_of(**how: Any) -> Iterator[Running]:
    with serving(agenta.make(**how)) as running:
        yield running


#: What is said of an answer before it hangs.
HELD = "1 prompt so "


@pytest.fixture
def server() -> Iterator[Running]:
    with server_of() as running:
        yield running


def profile_of(server: Running, **options: str) -> Profile:
    where = {"service_url": f"{server.url}{agenta.SERVICE}"} | options
    return Profile("here", "agenta", f"{server.url}/api", options=where)


async def ask(
    server: Running, prompt: str, *, waits: Waits | None = None, told: Told | None = None, **request: Any
) -> Told:
    async with asyncio.timeout(30):
        return await take(Client(sleep=waits or Waits()), profile_of(server), prompt, told=told, **request)


def calls(server: Running, start: int = 0) -> list[str]:
    """What was asked of the server, in short."""
    return [f"{asked.method} {asked.path.removeprefix('/api/sessions')}" for asked in server.service.asked[start:]]


@asynccontextmanager
async def connected(server: Running, **options: str) -> AsyncIterator[Http]:
    profile = profile_of(server, **options)
    async with Http(profile, Secret("k"), headers=wire.headers, sleep=Waits()) as http:
        yield http


async def until(ready: Any) -> None:
    async with asyncio.timeout(20):
        while not ready():
            await asyncio.sleep(0.005)


async def left(server: Running, prompt: str = "hang on", *, pieces: int = 3) -> str:
    """Ask, and close the connection after some pieces of the answer. Gives the run's name."""
    run, seen = "", 0
    async with aclosing(Client().stream(Request(profile_of(server), prompt))) as events:
        async for event in events:
            run = event.run if isinstance(event, RunNamed) else run
            seen += bool(getattr(event, "text", ""))
            if seen == pieces:
                return run
    raise AssertionError("it ended before")


def shown(turn: Turn) -> list[tuple[str, str, str]]:
    return [(str(item.kind), item.text, str(item.state)) for item in turn.items]


# Turns


async def test_agenta_1_one_minted_id_is_sent_on_every_turn(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        assert (await t.say(session, "one")).text == text_of("one")
        assert (await t.say(session, "two")).text == text_of("two", 2)
        turn = await t.say(session, "three")
    ids = {asked.json["session_id"] for asked in server.service.asked}
    assert ids == {turn.conversation_id}
    (sent,) = ids
    assert sent == str(uuid.UUID(sent))
    said = [one["parts"][0]["text"] for one in server.service.asked[-1].json["data"]["inputs"]["messages"]]
    assert said == ["one", text_of("one"), "two", text_of("two", 2), "three"]


async def test_a_turn_that_failed_is_not_told_again(server: Running, history: Path) -> None:
    async with chatting(history, profile_of(server)) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        assert (await t.say(session, "empty")).status is FAILED
        assert (await t.say(session, "fail first")).status is FAILED
        assert (await t.say(session, "two")).text == text_of("two", 2)


@pytest.mark.parametrize("shape", ["main", "pr"])
@pytest.mark.parametrize(
    ("prompt", "kinds"),
    [
        ("think", ["reasoning", "message"]),
        ("tool", ["tool_call", "tool_result", "message"]),
        ("table", ["tool_call", "tool_result", "message"]),
        ("long one", ["message"]),
    ],
)
async def test_answers(shape: str, prompt: str, kinds: list[str]) -> None:
    with server_of(shape=shape) as server:
        told = await ask(server, prompt)
    assert (told.turn.status, told.turn.run) == (DONE, "")
    assert [str(item.kind) for item in told.turn.items] == kinds
    assert told.turn.text.startswith(text_of(prompt))
    assert told.turn.usage is not None
    assert (told.turn.usage.input_tokens, told.turn.usage.output_tokens) == (1, 7)


async def test_a_server_that_does_not_know_the_message_format() -> None:
    with server_of(canonical=True) as server:
        told = await ask(server, "tool")
        paused = await ask(server, "approve it")
    assert (told.turn.status, told.turn.text) == (DONE, text_of("tool"))
    assert [str(item.kind) for item in told.turn.items] == ["tool_call", "tool_result", "message"]
    assert told.turn.conversation_id == server.service.asked[0].json["session_id"]
    assert paused.turn.finish == "approval"


async def test_without_a_service_turns_run_below_the_base_url(server: Running) -> None:
    profile = replace(profile_of(server), options={"application_id": "a 1", "project_id": "p"})
    told = await take(Client(sleep=Waits()), profile, "hello")
    assert told.turn.status is DONE
    (asked,) = server.service.asked
    assert (asked.path, asked.query) == ("/api/invoke", {"application_id": "a 1", "project_id": "p"})


@pytest.mark.parametrize(
    ("prompt", "status", "words"),
    [
        ("empty", FAILED, "The agent produced no output."),
        ("fail first", FAILED, "{host} failed: the agent could not be started."),
        ("fail later", INTERRUPTED, "The server broke off: model overloaded; the 3 words that came are kept."),
        ("downstream", FAILED, "Something that {host} relies on refused or failed: the model's provider answered 401."),
    ],
)
async def test_failures(server: Running, prompt: str, status: TurnStatus, words: str) -> None:
    told = await ask(server, prompt)
    assert (told.turn.status, told.turn.conversation_id) == (status, "")
    assert told.words == words.format(host=server.url.removeprefix("http://"))
    assert calls(server) == [f"POST {agenta.SERVICE}/invoke"]


async def test_the_key() -> None:
    with serving(agenta.make(key="k")) as server:
        async with connected(server) as http:
            assert await look(http, "x") == Liveness()
        told = await ask(server, "hello")
        assert (told.turn.status, told.exit_status) == (FAILED, 4)
    assert server.service.asked[0].headers["authorization"] == "ApiKey k"


# Runs that go on


@pytest.mark.parametrize("shape", ["main", "pr"])
async def test_agenta_3_a_run_goes_on_when_its_terminal_is_closed(shape: str, history: Path) -> None:
    with server_of(shape=shape) as server:
        async with chatting(history, profile_of(server)) as t:
            session = await t.chat.open("work")
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().text == HELD)
            await t.chat.aclose(INTERRUPTED)
        assert calls(server) == [f"POST {agenta.SERVICE}/invoke"]
        server.service.go_on.set()
        async with chatting(history, profile_of(server)) as t:
            (before,) = await t.chat.turns(session.id)
            assert (before.status, before.text) == (INTERRUPTED, HELD)
            assert await t.chat.resume(session)
            turn = await t.ended(session)
            assert (turn.status, turn.text, turn.run) == (DONE, text_of("hang on"), "")
            assert [str(item.kind) for item in turn.items] == ["message"]
            assert not await t.chat.resume(session)
            assert (await t.say(session, "and then")).text == text_of("and then", 2)
        assert len({asked.json["session_id"] for asked in server.service.asked if asked.path.endswith("/invoke")}) == 1


@pytest.mark.parametrize("shape", ["main", "pr"])
async def test_agenta_6_letting_go_and_taking_up_shows_nothing_twice(shape: str) -> None:
    with server_of(shape=shape) as server:
        run = await left(server)
        told = Told(new_turn(profile_of(server), "hang on"))
        following = asyncio.create_task(ask(server, "hang on", told=told, run=run))
        await until(lambda: any("/records/query" in call for call in calls(server)))
        server.service.go_on.set()
        await following
    assert (told.turn.status, told.turn.text) == (DONE, text_of("hang on"))
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.RESUMED]
    assert [event.run for event in told.events if isinstance(event, RunNamed)] == [run, ""]
    assert told.turn.conversation_id == run
    assert not any(call.startswith(("DELETE", "POST /streams/")) for call in calls(server))


@pytest.mark.parametrize("lag", [0, 1, 2])
@pytest.mark.parametrize("shape", ["main", "pr"])
async def test_agenta_6_a_connection_that_breaks_in_the_middle_of_an_answer_loses_nothing(shape: str, lag: int) -> None:
    with server_of(shape=shape, lag=lag) as server:
        told = await ask(server, "cut me off")
    assert (told.turn.status, told.turn.text, told.turn.error) == (DONE, text_of("cut me off"), None)
    assert [str(item.kind) for item in told.turn.items] == ["message"]
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST, AttemptKind.RESUMED]
    assert calls(server).count(f"POST {agenta.SERVICE}/invoke") == 1
    waits = [event for event in told.events if isinstance(event, Waiting)]
    assert waits == [Waiting(0.5, "The connection was lost; the run goes on and is taken up again")]
    assert not told.turn.waiting_for
    # What was shown stays until there is as much again.
    texts = [turn.text for turn in told.shown if turn.text]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


@pytest.mark.parametrize("shape", ["main", "pr"])
@pytest.mark.parametrize("lag", [1, 3])
async def test_agenta_15_late_records_end_in_the_right_order(shape: str, lag: int) -> None:
    with server_of(shape=shape, lag=lag) as server:
        told = await ask(server, "tool")
        run = told.turn.conversation_id
        again = await ask(server, "tool", run=run)
        assert [(item.kind, item.text) for item in again.turn.items] == [
            (item.kind, item.text) for item in told.turn.items
        ]
        assert again.turn.status is DONE


async def test_agenta_15_a_removed_old_record_is_no_error(server: Running) -> None:
    told = await ask(server, "one")
    session = told.turn.conversation_id
    await ask(server, "two", conversation_id=session)
    del server.service.sessions[session].records[0:2]
    again = await ask(server, "two", run=session)
    assert (again.turn.status, again.turn.text) == (DONE, text_of("two"))
    async with connected(server) as http:
        turns = await wire.recall(http, session)
    assert [(turn.prompt, turn.status) for turn in turns] == [("", DONE), ("two", DONE)]


async def test_what_was_said_before_is_not_taken_for_the_answer(server: Running) -> None:
    """The run was never written of: its records are not those of the turn before."""
    session = (await ask(server, "one")).turn.conversation_id
    told = await ask(server, "two", run=session)
    assert told.turn.items == ()
    assert (told.turn.status, told.words) == (FAILED, "The server has no record of this answer.")


async def test_agenta_2_a_session_the_server_does_not_know_is_said_plainly(server: Running) -> None:
    async with connected(server) as http:
        assert await look(http, "no-such-session") == Liveness()
        assert await wire.recall(http, "no-such-session") == []
        assert await wire.mounts(http, "no-such-session") == []
        await wire.stop(http, "no-such-session")
    told = await ask(server, "hello", run="no-such-session")
    assert told.words == "The server does not know this run any more."
    assert told.turn.status is FAILED


async def test_how_a_session_stands(server: Running) -> None:
    run = await left(server)
    async with connected(server) as http:
        live = await look(http, run)
        assert (live.is_known, live.is_alive, live.is_running, live.is_attached) == (True, True, True, False)
        server.service.go_on.set()
        await until(lambda: not server.service.sessions[run].running)
        live = await look(http, run)
        assert (live.is_alive, live.is_running) == (True, False)
        assert live.turn


async def test_a_run_that_was_stopped_while_it_was_read_keeps_what_was_shown(server: Running) -> None:
    told = Told(new_turn(profile_of(server), "hang on"))
    running = asyncio.create_task(ask(server, "hang on", told=told))
    await until(lambda: told.shown and told.shown[-1].text == HELD)
    session = server.service.asked[0].json["session_id"]
    async with connected(server) as http:
        await wire.stop(http, session)
    await running
    assert (told.turn.status, told.turn.finish, told.turn.text) == (DONE, "other", HELD)


# Watching


async def test_agenta_17_each_ready_is_one_look_and_reconnecting_waits_as_it_is_told() -> None:
    with server_of(retry=1234) as server:
        waits = Waits()
        run = await left(server)
        following = asyncio.create_task(ask(server, "hang on", waits=waits, run=run))
        await until(lambda: calls(server).count("POST /records/query") == 1)
        server.call(server.service.drop_watchers)
        await until(lambda: calls(server).count("POST /records/query") == 2)
        assert waits.seconds == [1.234]
        assert calls(server, 1) == ["GET /streams/watch", "GET /streams/", "POST /records/query"] * 2
        server.service.go_on.set()
        assert (await following).turn.text == text_of("hang on")


async def test_a_server_that_cannot_be_watched_is_asked_after_pauses_that_grow() -> None:
    with server_of(shape="pr") as server:
        waits = Waits()
        run = await left(server)
        following = asyncio.create_task(ask(server, "hang on", waits=waits, run=run))
        await until(lambda: len(waits.seconds) > 12)
        server.service.go_on.set()
        assert (await following).turn.text == text_of("hang on")
    assert calls(server).count("GET /streams/watch") == 1
    polled = waits.seconds[:10]
    assert polled == sorted(polled)
    assert max(waits.seconds) == 8.0


async def test_agenta_7_a_displaced_stream_ends_with_a_note_and_no_error(server: Running) -> None:
    told = Told(new_turn(profile_of(server), "hang on"))
    running = asyncio.create_task(ask(server, "hang on", told=told))
    await until(lambda: told.shown and told.shown[-1].text == HELD)
    session = server.service.asked[0].json["session_id"]
    server.call(server.service.steal, session, "someone")
    await running
    assert (told.turn.status, told.turn.finish, told.turn.error) == (DONE, "stolen", None)
    assert told.turn.notes == ("Another client has taken over this session; the answer goes on there.",)
    assert told.turn.text == HELD
    assert len(server.service.asked) == 1, "it does not fight back"


async def test_agenta_7_nor_does_one_that_is_watched(server: Running) -> None:
    run = await left(server)
    following = asyncio.create_task(ask(server, "hang on", run=run))
    await until(lambda: "POST /records/query" in calls(server))
    asked = len(server.service.asked)
    server.call(server.service.steal, run, "someone")
    told = await following
    assert (told.turn.status, told.turn.finish, len(server.service.asked)) == (DONE, "stolen", asked)


def test_agenta_8_keepalives_keep_an_answer_alive() -> None:
    part = {"type": "text-delta", "id": "m1", "delta": "late"}
    waiting = [step for _ in range(5) for step in (Chunk(b": keepalive\n\n"), Sleep(10.0))]
    end = b"".join(f"data: {json.dumps(one)}\n\n".encode() for one in (part, {"type": "finish"})) + b"data: [DONE]\n\n"
    script = [Asks(), head(200, "transfer-encoding: chunked"), *waiting, Chunk(end)]

    async def scene() -> Told:
        async with FaultServer(script) as server:
            profile = Profile("here", "agenta", server.url, idle_timeout=35.0)
            return await take(Client(sleep=Waits()), profile, "hello")

    told = virtual_time.play(scene, settle=0.05)
    assert (told.turn.status, told.turn.text) == (DONE, "late")


# Trouble while following


Script = dict[str, list[Any]]
"""What to answer to requests, by path: a status (0 breaks the connection) and a value. The last is for ever."""


async def answer_all(server: FakeServer, running: asyncio.Task[Told], script: Script) -> None:
    """Answer what a turn asks until it is over."""
    while not running.done():
        getting = asyncio.create_task(server.request())
        await asyncio.wait({running, getting}, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done():
            getting.cancel()
            break
        exchange = getting.result()
        queue = script[exchange.path.removeprefix("/api/sessions")]
        status, value = queue.pop(0) if len(queue) > 1 else queue[0]
        if status == 0:
            exchange.break_off()
        else:
            exchange.answer(status, value)
    await running


async def play(script: Script, told: Told, **request: Any) -> FakeServer:
    """A turn with a server that answers by `script`."""
    server = FakeServer()
    running = asyncio.create_task(take(client_of(server), HERE, told=told, **request))
    await answer_all(server, running, script)
    return server


HERE = Profile("here", "agenta", "http://agenta.localhost:1/api")
IDLE = (200, {"stream": {"session_id": "s", "flags": {"is_alive": True, "is_running": False, "is_attached": False}}})
NO_WATCH = [(404, {"detail": "Not Found"})]
BUSY_ONCE = (503, {"detail": "try later"})
ANSWERED = (
    200,
    {"count": 2, "records": [{"record_id": "1", "record_index": 0, "record_type": "message", "record_source": "agent",
                              "attributes": {"type": "message", "text": "fine"}, "turn_id": "t"},
                             {"record_id": "2", "record_index": 1, "record_type": "done", "record_source": "agent",
                              "attributes": {"type": "done"}, "turn_id": "t"}]},
)  # fmt: skip


async def test_trouble_while_following_is_waited_out() -> None:
    told = Told(new_turn(HERE, "hello"))
    live = [BUSY_ONCE, (0, None), IDLE]
    await play({"/streams/watch": NO_WATCH, "/streams/": live, "/records/query": [ANSWERED]}, told, run="s")
    assert (told.turn.status, told.turn.text) == (DONE, "fine")
    waits = [event.seconds for event in told.events if isinstance(event, Waiting)]
    assert waits == [0.5, 1.0, 0.0]


@pytest.mark.parametrize(
    ("live", "status", "words"),
    [
        ((404, {"detail": "Not Found"}), FAILED, "The server does not know this run any more."),
        ((401, {"detail": "Unauthorized"}), TurnStatus.INTERRUPTED, "agenta.localhost:1 wants a key: Unauthorized — "),
        ((403, {"detail": "No."}), TurnStatus.INTERRUPTED, "agenta.localhost:1 does not allow this: No."),
        (
            BUSY_ONCE,
            TurnStatus.INTERRUPTED,
            "The run cannot be followed: agenta.localhost:1 is overloaded or down (status 503): try later",
        ),
        (
            (0, None),
            TurnStatus.INTERRUPTED,
            "The run cannot be followed: The connection to agenta.localhost:1 was lost",
        ),
        ((200, {"stream": None}), FAILED, "The server does not know this run any more."),
        ((302, {}), FAILED, "agenta.localhost:1 answered with the unexpected status 302."),
        ((200, "nonsense"), FAILED, "The server does not know this run any more."),
    ],
)
async def test_trouble_that_does_not_pass(live: Any, status: TurnStatus, words: str) -> None:
    told = Told(new_turn(HERE, "hello"))
    empty = (200, {"count": 0, "records": []})
    await play({"/streams/watch": NO_WATCH, "/streams/": [live], "/records/query": [empty]}, told, run="s")
    assert (told.turn.status, told.words[: len(words)]) == (status, words)


async def test_an_answer_that_broke_off_says_so_where_no_records_are_kept() -> None:
    server = FakeServer()
    running = asyncio.create_task(take(client_of(server), HERE, "hello"))
    exchange = await server.request()
    exchange.respond().event({"type": "text-delta", "id": "m1", "delta": "half an answer"}).break_off()
    for _ in range(2):
        (await server.request()).answer(404, {"detail": "Not Found"})
    told = await running
    assert (told.turn.status, told.turn.text) == (INTERRUPTED, "half an answer")
    assert told.words == "The connection was lost; the 3 words that came are kept."
    assert told.turn.run, "it may still be taken up"


async def test_an_answer_that_broke_off_and_was_stopped_keeps_what_was_shown() -> None:
    """What was being said when a run was stopped is in no record."""
    server, told = FakeServer(), Told(new_turn(HERE, "hello"))
    running = asyncio.create_task(take(client_of(server), HERE, "hello", told=told))
    exchange = await server.request()
    exchange.respond().event({"type": "text-delta", "id": "m1", "delta": "half an answer"}).break_off()
    kept = [{"record_index": 0, "attributes": {"type": "message", "text": "hello"}, "record_source": "user", "turn_id": "t"},
            {"record_index": 1, "attributes": {"type": "done", "stopReason": "cancelled"}, "turn_id": "t"}]  # fmt: skip
    script = {"/streams/watch": NO_WATCH, "/streams/": [IDLE], "/records/query": [(200, {"records": kept})]}
    await answer_all(server, running, script)
    assert (told.turn.status, told.turn.text, told.turn.finish) == (DONE, "half an answer", "cancelled")


async def test_a_turn_is_over_although_another_one_runs() -> None:
    told = Told(new_turn(HERE, "hello"))
    rows = [{"record_index": 0, "attributes": {"type": "message", "text": "hello"}, "record_source": "user", "turn_id": "t"},
            {"record_index": 1, "attributes": {"type": "message", "text": "fine"}, "turn_id": "t"},
            {"record_index": 2, "attributes": {"type": "done", "stopReason": "end_turn"}, "turn_id": "t"},
            {"record_index": 0, "attributes": {"type": "message"}, "record_source": "user", "turn_id": "u"}]  # fmt: skip
    live = (200, {"stream": {"flags": {"is_alive": True, "is_running": True}}})
    await play(
        {"/streams/watch": NO_WATCH, "/streams/": [live], "/records/query": [(200, {"records": rows})]}, told, run="s"
    )
    assert (told.turn.status, told.turn.text) == (DONE, "fine")


async def test_a_run_that_ended_in_an_error_says_so() -> None:
    told = Told(new_turn(HERE, "hello"))
    failed = json.loads(json.dumps(ANSWERED[1]))
    failed["records"][1]["record_type"] = "error"
    failed["records"][1]["attributes"] = {"type": "error", "message": "model overloaded", "code": "rate_limit_error"}
    server = await play(
        {"/streams/watch": NO_WATCH, "/streams/": [IDLE], "/records/query": [(200, failed)]}, told, run="s"
    )
    assert (told.turn.status, told.turn.text, told.turn.run) == (INTERRUPTED, "fine", "")
    assert told.words.startswith("The server broke off: model overloaded")
    assert all(one.path != "/api/invoke" for one in server.seen)


async def test_a_run_that_ended_without_an_answer_is_incomplete() -> None:
    told = Told(new_turn(HERE, "hello"))
    half = {
        "records": [{"record_id": "1", "record_index": 0, "attributes": {"type": "tool_call", "id": "c", "name": "n"}}]
    }
    await play({"/streams/watch": NO_WATCH, "/streams/": [IDLE], "/records/query": [(200, half)]}, told, run="s")
    assert (told.turn.status, told.words) == (INTERRUPTED, "The run ended without an answer; what came is kept.")


# Busy, or only alive


@pytest.mark.parametrize("shape", ["main", "pr"])
async def test_agenta_5_a_session_that_is_answering_is_busy(shape: str, history: Path) -> None:
    with server_of(shape=shape) as server:
        waits = Waits()
        run = await left(server)
        told = await ask(server, "another", waits=waits, conversation_id=run)
        assert (told.turn.status, told.exit_status, told.turn.items) == (FAILED, 8, ())
        assert told.words == (
            f"The conversation is busy: Session '{run}' already has an active turn — try again in a moment"
        )
        assert waits.seconds == [1.0, 2.0, 4.0]
        assert all(asked.headers.get("x-ag-session-control") is None for asked in server.service.asked)


async def test_agenta_5_a_session_that_is_only_alive_is_taken_over() -> None:
    with server_of(clings=True, forces=True) as server:
        session = (await ask(server, "one")).turn.conversation_id
        told = await ask(server, "two", conversation_id=session)
        assert (told.turn.status, told.turn.text) == (DONE, text_of("two"))
        assert [
            asked.headers.get("x-ag-session-control") for asked in server.service.asked if "invoke" in asked.path
        ] == [
            None,
            None,
            "force",
        ]


async def test_agenta_5_where_a_service_does_not_take_over_it_is_waited_for() -> None:
    with server_of(clings=True) as server:
        waits = Waits()
        session = (await ask(server, "one")).turn.conversation_id
        told = await ask(server, "two", conversation_id=session, waits=waits)
        assert (told.exit_status, waits.seconds) == (8, [1.0, 2.0, 4.0])
        assert told.words.startswith("The conversation is busy")


# Stopping


@pytest.mark.parametrize("shape", ["main", "pr"])
@pytest.mark.parametrize("is_strict", [False, True])
async def test_agenta_4_stop_sends_exactly_one_cancel(shape: str, is_strict: bool, history: Path) -> None:
    with server_of(shape=shape, is_strict=is_strict) as server:
        async with chatting(history, profile_of(server)) as t:
            session = await t.chat.open("work")
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().text == HELD)
            t.chat.cancel(session.id)
            turn = await t.ended(session)
            assert (turn.status, turn.run, turn.text) == (CANCELLED, "", HELD)
            await t.until(lambda: len(server.service.asked) == 2)
            await t.until(lambda: all(not one.running for one in server.service.sessions.values()))
        invoked, stopped = server.service.asked
        assert (stopped.method, stopped.path) == ("POST", "/api/sessions/streams/")
        assert stopped.json == {"session_id": invoked.json["session_id"], "force": False}


async def test_agenta_4_where_commands_are_not_taken_the_stream_is_deleted() -> None:
    with server_of(commands=False) as server:
        run = await left(server)
        async with connected(server) as http:
            await wire.stop(http, run)
        assert calls(server, 1) == ["POST /streams/", "DELETE /streams/"]
        assert server.service.sessions[run].running is None


@pytest.mark.parametrize("prompt", ["", "  ", "\n\t"])
async def test_agenta_4_a_blank_prompt_never_sends_a_command(server: Running, prompt: str) -> None:
    async with connected(server) as http:
        with pytest.raises(UsageError):
            await wire.steer(http, "session-1", prompt)
    told = await ask(server, prompt, conversation_id="session-1")
    assert told.exit_status == 2
    assert server.service.asked == []


async def test_agenta_18_ids_the_server_would_refuse_are_not_sent(server: Running) -> None:
    async with connected(server) as http:
        for call in (wire.stop, wire.recall, wire.mounts):
            with pytest.raises(Refused):
                await call(http, "a/../b")
        with pytest.raises(Refused):
            await wire.steer(http, "x" * 129, "hello")
    assert server.service.asked == []


# Steering


@pytest.mark.parametrize("shape", ["main", "pr"])
@pytest.mark.parametrize("is_strict", [False, True])
async def test_more_can_be_said_while_it_answers(shape: str, is_strict: bool, history: Path) -> None:
    with server_of(shape=shape, is_strict=is_strict) as server:
        async with chatting(history, profile_of(server)) as t:
            session = await t.chat.open("work")
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().text == HELD)
            assert t.chat.can_steer(session.id)
            await t.chat.steer(session.id, "in French, please")
            turn = await t.ended(session)
            assert (turn.status, turn.run) == (DONE, "")
            assert turn.text == f"{HELD}\n\n{text_of('in French, please', 2)}"
            assert turn.notes == ("You added: in French, please",)
        commands = [
            asked.json for asked in server.service.asked if asked.path == "/api/sessions/streams/" and asked.body
        ]
        modes = {"main": 1 + is_strict, "pr": 1 + 2 * is_strict}
        assert len(commands) == modes[shape]
        assert all(command["force"] and command["detached"] for command in commands)
        assert len(server.service.sessions[turn.conversation_id].runs) == 2


async def test_a_server_that_takes_it_for_something_else_is_said_to() -> None:
    server = FakeServer()
    async with Http(HERE, None, server, headers=wire.headers) as http:
        telling = asyncio.create_task(wire.steer(http, "s", "hello"))
        (await server.request()).answer(200, {"mode": "attach", "session_id": "s"})
        with pytest.raises(Refused, match="took this for something else"):
            await telling


async def test_other_trouble_is_no_reason_to_try_another_shape() -> None:
    server = FakeServer()
    async with Http(HERE, None, server, headers=wire.headers) as http:
        telling = asyncio.create_task(wire.steer(http, "s", "hello"))
        (await server.request()).answer(422, {"detail": "Session id 's' is invalid."})
        with pytest.raises(Rejected):
            await telling
    assert len(server.seen) == 1


@pytest.mark.parametrize("finish", ["other", "stop"])
async def test_what_was_added_may_come_to_nothing(finish: str) -> None:
    """The server says that something runs, and no one works on it."""
    server, told = FakeServer(), Told(new_turn(HERE, "hello"))
    running = asyncio.create_task(take(client_of(server), HERE, "hello", told=told))
    asked = await server.request()
    session = asked.json["session_id"]
    asked.respond().event({"type": "text-delta", "id": "m1", "delta": "half"})
    async with Http(HERE, None, server, headers=wire.headers) as http:
        telling = asyncio.create_task(wire.steer(http, session, "more"))
        (await server.request()).answer(200, {"mode": "steer", "session_id": session})
        await telling
    asked.event({"type": "finish", "finishReason": finish}).event("[DONE]").end()
    live = (200, {"stream": {"flags": {"is_alive": True, "is_running": True}}})
    script = {"/streams/watch": NO_WATCH, "/streams/": [live], "/records/query": [(200, {"records": []})]}
    await answer_all(server, running, script)
    assert (told.turn.status, told.turn.text, told.turn.finish, told.turn.run) == (DONE, "half", "other", "")
    assert told.turn.notes == ("Nothing has come of what was added.",)


# Approvals


@pytest.mark.parametrize("shape", ["main", "pr"])
@pytest.mark.parametrize("approved", [True, False])
async def test_agenta_11_an_answer_is_sent_once_and_the_run_goes_on(shape: str, approved: bool, history: Path) -> None:
    with server_of(shape=shape) as server:
        async with chatting(history, profile_of(server)) as t:
            session = await t.chat.open("work")
            turn = await t.say(session, "approve it")
            assert turn.finish == "approval"
            (asked,) = turn.open_approvals
            await t.chat.answer(session, turn, asked, Verdict(approved, reason="" if approved else "not today"))
            with pytest.raises(UsageError):
                await t.chat.answer(session, turn, asked, Verdict(approved))
            after = await t.ended(session)
            assert (after.status, after.run, after.text) == (DONE, "", text_of("yes" if approved else "no"))
            results = [item for item in after.items if item.kind is ItemKind.TOOL_RESULT]
            assert [item.state for item in results] == [ItemState.NONE if approved else ItemState.DENIED]
            assert (await t.say(session, "go on")).status is DONE
        answers = [asked for asked in server.service.asked if asked.path.endswith("/respond")]
        assert len(answers) == 1
        sent = {"approved": approved, "tool_call_id": asked.key.removesuffix("/approval")}
        assert answers[0].json == {"answer": sent | ({} if approved else {"message": "not today"})}
        assert asked.call_id not in answers[0].path, "it is answered by the server's own name for it"


async def test_agenta_11_what_was_answered_already_is_said_and_followed(server: Running) -> None:
    told = await ask(server, "approve it")
    session = told.turn.conversation_id
    (asked,) = told.turn.open_approvals
    (known,) = server.service.sessions[session].interactions
    async with connected(server) as http:
        await http.call("POST", f"/sessions/interactions/{known['id']}/respond", {"answer": {"approved": True}})
    await until(lambda: not server.service.sessions[session].running)
    after = await ask(server, "Approved: deploy", conversation_id=session, answers=((asked, Verdict(False)),))
    assert (after.turn.status, after.turn.text) == (DONE, text_of("yes"))
    assert after.turn.notes == ("This was already answered, or is not waited for any more: deploy.",)


async def test_agenta_11_a_question_that_was_given_up_is_said_to_be(server: Running) -> None:
    told = await ask(server, "approve it")
    session = told.turn.conversation_id
    await ask(server, "never mind", conversation_id=session)
    after = await ask(
        server, "Approved: deploy", conversation_id=session, answers=((told.turn.open_approvals[0], Verdict(True)),)
    )
    assert after.turn.notes == ("This was already answered, or is not waited for any more: deploy.",)
    assert [asked.path for asked in server.service.asked if asked.path.endswith("/respond")] != []


async def test_a_question_the_server_does_not_know(server: Running) -> None:
    told = await ask(server, "approve it")
    stray = replace(told.turn.open_approvals[0], call_id="int_unknown")
    after = await ask(
        server, "Approved: deploy", conversation_id=told.turn.conversation_id, answers=((stray, Verdict(True)),)
    )
    assert after.words == "The server does not know this question any more — ask again"
    none = await ask(server, "Approved: deploy", answers=((stray, Verdict(True)),))
    assert none.words.startswith("The session of this question is not known any more")


async def test_an_answer_of_which_nothing_comes_is_incomplete() -> None:
    told = Told(new_turn(HERE, "Approved: deploy"))
    item = Item("c/approval", ItemKind.APPROVAL, "{}", "deploy", "int_1", ItemState.OPEN)
    empty = (200, {"count": 0, "records": []})
    answers: dict[str, list[Any]] = {
        "/streams/watch": NO_WATCH, "/streams/": [IDLE], "/records/query": [empty],
        "/interactions/query": [(404, {"detail": "Not Found"})], "/interactions/int_1/respond": [(200, {"count": 1})],
    }  # fmt: skip
    server = await play(answers, told, conversation_id="s", answers=((item, Verdict(True)),))
    assert told.words == "The server took the answer, and nothing has come of it yet, with no answer."
    assert sum(one.path.endswith("/respond") for one in server.seen) == 1


# Sessions there are


@pytest.mark.parametrize("shape", ["main", "pr"])
async def test_sessions_are_listed(shape: str) -> None:
    with server_of(shape=shape) as server:
        for prompt in ("one", "two"):
            await ask(server, prompt)
        async with connected(server) as http:
            found = await wire.conversations(http)
        ids = [asked.json["session_id"] for asked in server.service.asked if "invoke" in asked.path]
        assert [(one.id, one.title) for one in found] == [(ids[1], "two"), (ids[0], "one")]
        assert all(one.used_at and one.used_at > 1_700_000_000 for one in found)


async def test_a_session_is_read_as_turns(server: Running, history: Path) -> None:
    first = await ask(server, "think")
    session = first.turn.conversation_id
    paused = await ask(server, "approve it", conversation_id=session)
    await ask(
        server, "Denied: deploy", conversation_id=session, answers=((paused.turn.open_approvals[0], Verdict(False)),)
    )
    await ask(server, "fail later", conversation_id=session)
    async with connected(server) as http:
        turns = await wire.recall(http, session)
    assert [(turn.prompt, turn.status, turn.depth) for turn in turns] == [
        ("think", DONE, 0),
        ("approve it", DONE, 1),
        ("fail later", INTERRUPTED, 2),
    ]
    assert shown(turns[0]) == shown(first.turn)
    assert [str(item.state) for item in turns[1].items if item.kind is ItemKind.APPROVAL] == ["denied"]
    assert turns[1].open_approvals == ()
    assert str(turns[2].error) == "The server broke off: model overloaded"
    for turn in turns:
        assert (turn.session_id, turn.profile, turn.protocol, turn.conversation_id) == ("", "here", "agenta", session)
        assert turn.origin == server.url
        assert turn.created_at <= (turn.ended_at or 0)
    async with chatting(history, profile_of(server)) as t:
        adopted = await t.chat.conversations.adopt("found", session, t.profile)
        assert [turn.prompt for turn in await t.chat.turns(adopted.id)] == ["think", "approve it", "fail later"]
        assert (await t.say(adopted, "and then")).conversation_id == session


async def test_a_question_is_open_in_the_newest_turn_only(server: Running) -> None:
    session = (await ask(server, "approve it")).turn.conversation_id
    async with connected(server) as http:
        (turn,) = await wire.recall(http, session)
        assert (len(turn.open_approvals), turn.finish) == (1, "approval")
        await ask(server, "never mind", conversation_id=session)
        first, _ = await wire.recall(http, session)
        assert first.open_approvals == ()


async def test_folders_are_listed_where_there_are_any(server: Running) -> None:
    session = (await ask(server, "one")).turn.conversation_id
    async with connected(server, project_id="p 1") as http:
        assert await wire.mounts(http, session) == ["cwd"]
    assert server.service.asked[-1].query == {"session_id": session, "project_id": "p 1"}
    gone = FakeServer()
    async with Http(HERE, None, gone, headers=wire.headers) as http:
        for status in (404, 422):
            asking = asyncio.create_task(wire.mounts(http, "s"))
            (await gone.request()).answer(status, {"detail": "no"})
            assert await asking == []


# As a process


def test_agenta_4_asking_as_a_process(server: Running, write_config: Any) -> None:
    write_config(agenta.profile_text(server.url))
    first = palaver("ask", "-s", "work", "one")
    assert (first.returncode, first.stdout) == (0, f"{text_of('one')}\n")
    paused = palaver("ask", "-s", "work", "approve it")
    assert paused.stdout == ""
    assert "deploy wants your approval" in paused.stderr
    blank = palaver("ask", "-s", "work", "   ")
    assert blank.returncode == 2
    assert all(not asked.path.startswith("/api/sessions/streams") for asked in server.service.asked)
