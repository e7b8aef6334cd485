"""Genie on its stand-in: conversations that go on, end, are forgotten; refusals; and the program as a process."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chatting import Chatting, chatting
from tests.loopback import palaver, start
from tests.servers import genie
from tests.servers.asking import asks, mapped, text_of
from tests.servers.base import Running, serving
from tests.servers.genie import ANSWERED_GONE
from tui.config import Profile
from tui.credentials import KeySource
from tui.model import AttemptKind, ItemKind, TurnStatus

Write = Callable[[str], Path]

DONE, FAILED = TurnStatus.DONE, TurnStatus.FAILED
CANCELLED, INTERRUPTED = TurnStatus.CANCELLED, TurnStatus.INTERRUPTED
FORGOTTEN = "The server no longer knew this conversation; a new one was started."


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(genie.make()) as running:
        yield running


def profile_of(server: Running, name: str = "here", **options: str) -> Profile:
    return Profile(name, "genie", server.url, options={"warehouse_id": "wh1"} | options)


ask = asks(profile_of)


def ids(server: Running) -> list[str | None]:
    """The conversations that were sent, in order; None where none was."""
    return [asked.json.get("conversationId") for asked in server.service.asked]


# Conversations


async def test_genie_1_the_second_question_carries_the_id_of_the_first_answer(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first = await t.say(session, "one")
    second = await t.say(session, "two")
    assert (first.text, second.text) == (text_of("one"), text_of("two", 2))
    assert first.conversation_id.startswith("conv_")
    assert ids(server) == [None, first.conversation_id]
    assert all("conversation_id" not in asked.json and "source" not in asked.json for asked in server.service.asked)


async def test_genie_2_labels_and_hosts_never_share_an_id(t: Chatting, server: Running, history: Path) -> None:
    for label in ("work", "other"):
        session = await t.chat.open(label)
        await t.say(session, "one")
    mine = [mapping.conversation_id for _, mapping in await t.chat.mappings()]
    assert len(set(mine)) == 2
    await t.chat.aclose()
    await t.store.close()
    with serving(genie.make()) as elsewhere:
        async with chatting(history, profile_of(elsewhere)) as there:
            session = await there.chat.open("work")
            assert (await there.say(session, "two")).text == text_of("two")
            await there.say(session, "three")
        assert ids(elsewhere)[0] is None
        assert len(server.service.asked) == 2


async def test_genie_3_only_the_newest_question_is_sent(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    for prompt in ("one", "two", "three"):
        await t.say(session, prompt)
    inputs = [
        [part["text"] for one in asked.json["input"] for part in one["content"]] for asked in server.service.asked
    ]
    assert inputs == [["one"], ["two"], ["three"]]


async def test_genie_4_the_workspace_is_named_when_configured_and_not_otherwise() -> None:
    with serving(genie.make(workspace="17")) as server:
        told = await ask(server, "hello", profile=profile_of(server, workspace_id="17"))
        assert told.turn.status is DONE
        told = await ask(server, "hello")
    assert (told.turn.status, told.exit_status) == (FAILED, 4)
    assert "set workspace_id in profile here" in told.words
    named, unnamed = (asked.headers for asked in server.service.asked)
    assert named["x-databricks-workspace-id"] == "17"
    assert "x-databricks-workspace-id" not in unnamed


@pytest.mark.parametrize("gone", ANSWERED_GONE)
async def test_genie_5_a_forgotten_conversation_is_replaced_once_with_a_note(gone: str, history: Path) -> None:
    with serving(genie.make(gone=gone)) as server:
        async with chatting(history, profile_of(server)) as t:
            session = await t.chat.open("work")
            first = (await t.say(session, "one")).conversation_id
            server.call(server.service.forget)
            turn = await t.say(session, "two")
            assert (turn.status, turn.text, turn.notes) == (DONE, text_of("two"), (FORGOTTEN,))
            assert [attempt.kind for attempt in turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
            assert await mapped(t, session) == turn.conversation_id != first
            assert (await t.say(session, "three")).text == text_of("three", 2)
        assert ids(server) == [None, first, None, turn.conversation_id]


async def test_genie_5_a_fresh_question_that_fails_leaves_the_conversation_as_it_was(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    first = (await t.say(session, "one")).conversation_id
    server.call(server.service.forget)
    turn = await t.say(session, "fail first")
    assert (turn.status, ids(server)[-2:]) == (FAILED, [first, None])
    assert await mapped(t, session) == first


async def test_genie_6_an_error_after_text_stands_beneath_it(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first = (await t.say(session, "one")).conversation_id
    turn = await t.say(session, "fail later")
    assert (turn.status, turn.text) == (INTERRUPTED, "2 prompts so")
    assert turn.error is not None
    assert "The query failed" in turn.error.message
    assert (len(server.service.asked), await mapped(t, session)) == (2, first)


async def test_genie_7_other_trouble_leaves_the_conversation_and_starts_none(
    t: Chatting, server: Running, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await t.chat.open("work")
    first = (await t.say(session, "one")).conversation_id
    closed = "http://127.0.0.1:1"
    monkeypatch.setenv("WRONG", "wrong")
    server.service.key = "right"
    there = replace(t.profile, key=KeySource("env", ("WRONG",)))
    told = await ask(server, "two", profile=there, conversation_id=first)
    assert (told.exit_status, len(told.turn.attempts)) == (4, 1)
    server.service.key = ""
    told = await ask(server, "two", profile=profile_of(server, warehouse_id="wh-missing"), conversation_id=first)
    assert (told.exit_status, len(told.turn.attempts)) == (6, 1)
    assert "check warehouse_id in profile here" in told.words
    told = await ask(server, "two", profile=replace(t.profile, base_url=closed), conversation_id=first)
    assert told.exit_status == 5
    assert {attempt.kind for attempt in told.turn.attempts} <= {AttemptKind.FIRST, AttemptKind.RETRY}
    assert await mapped(t, session) == first
    assert (await t.say(session, "two")).text == text_of("two", 2)


async def test_genie_8_a_second_failure_is_told_as_that_failure(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    await t.say(session, "one")
    server.call(server.service.forget)
    turn = await t.say(session, "fail first")
    assert [attempt.kind for attempt in turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
    assert turn.error is not None
    assert "No eligible SQL warehouse found" in turn.error.message


async def test_genie_10_a_first_question_that_is_stopped_leaves_nothing(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    t.chat.send(session, "hang on")
    await t.until(lambda: t.changes and t.newest().text == "1 prompt so")
    t.chat.cancel(session.id)
    turn = await t.ended(session)
    assert (turn.status, turn.text) == (CANCELLED, "1 prompt so")
    assert await mapped(t, session) == ""
    await t.until(lambda: server.service.let_go)
    await t.say(session, "two")
    assert ids(server) == [None, None]


async def test_a_later_question_that_is_stopped_keeps_the_conversation(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first = (await t.say(session, "one")).conversation_id
    t.chat.send(session, "hang on")
    await t.until(lambda: t.newest().text.startswith("2 prompts"))
    t.chat.cancel(session.id)
    await t.ended(session)
    await t.say(session, "two")
    assert ids(server) == [None, first, first]


async def test_genie_12_an_old_conversation_is_not_sent(server: Running, history: Path) -> None:
    for ttl, sends in ((60.0, False), (60.0, True), (-1.0, False), (60.0, True)):
        async with chatting(history, profile_of(server), ttl=ttl) as t:
            turn = await t.say(await t.chat.open("work"), "hello")
            assert turn.status is DONE
            assert (ids(server)[-1] is not None) == sends
            if ttl < 0:
                assert turn.notes[0].startswith("The server's conversation was last used")


async def test_genie_12_use_makes_it_last_longer(t: Chatting) -> None:
    session = await t.chat.open("work")
    await t.say(session, "one")
    first = await t.chat.conversations.mapping(session)
    await t.say(session, "two")
    second = await t.chat.conversations.mapping(session)
    assert first is not None
    assert second is not None
    assert second.conversation_id == first.conversation_id
    assert second.used_at > first.used_at


# What an answer holds


async def test_genie_16_and_17_a_query_and_its_rows(t: Chatting) -> None:
    turn = await t.say(await t.chat.open("work"), "table of bridges")
    call, result, message = [item for item in turn.items if item.kind is not ItemKind.REASONING]
    assert (call.kind, call.name, json.loads(call.text)["sql"]) == (
        ItemKind.TOOL_CALL,
        "execute_sql",
        "SELECT city, n FROM bridges",
    )
    assert json.loads(result.text) == {"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}
    assert result.call_id == call.call_id
    assert message.text == text_of("table of bridges")


async def test_charts_are_declined_and_named_where_they_are_wanted(server: Running) -> None:
    told = await ask(server, "table")
    assert told.of(ItemKind.NOTICE) == []
    wanted = replace(profile_of(server), params={"enable_viz": True})
    told = await ask(server, "table", profile=wanted)
    assert told.of(ItemKind.NOTICE) == [("", "A chart is not drawn here: “Bridges” (bar: n by city).")]
    assert told.turn.text == text_of("table")


async def test_genie_15_and_18_thoughts_are_apart_and_the_answer_is_there_once(server: Running) -> None:
    told = await ask(server, "think about it")
    assert ("", "Looking at the bridges...") in told.of(ItemKind.REASONING)
    assert told.of(ItemKind.MESSAGE) == [("", text_of("think about it"))]


async def test_a_question_back_is_answered_by_the_next_turn(t: Chatting) -> None:
    session = await t.chat.open("work")
    turn = await t.say(session, "approve it")
    assert (turn.status, turn.text) == (DONE, "1. Shall I count the closed ones? (yes / no)")
    assert (await t.say(session, "yes")).text == text_of("yes", 2)


async def test_a_query_by_its_other_name(server: Running) -> None:
    told = await ask(server, "tool")
    arguments = '{"query":"SELECT COUNT(*) FROM bridges","thought":"Counting"}'
    assert told.of(ItemKind.TOOL_CALL) == [("execute_sql_query", arguments)]


async def test_an_answer_with_nothing_in_it_is_an_error(server: Running) -> None:
    told = await ask(server, "empty")
    assert (told.turn.status, told.exit_status, told.turn.conversation_id) == (FAILED, 6, "")
    assert "ended without an answer (received 3 events)" in told.words


async def test_genie_19_a_stream_that_breaks_is_incomplete_and_moves_nothing(t: Chatting) -> None:
    session = await t.chat.open("work")
    first = (await t.say(session, "one")).conversation_id
    turn = await t.say(session, "cut here")
    assert (turn.status, turn.text) == (INTERRUPTED, "2 prompts so")
    assert await mapped(t, session) == first


async def test_a_body_it_does_not_understand_is_no_reason_to_go_on(server: Running) -> None:
    odd = replace(profile_of(server), params={"input": "text"})
    told = await ask(server, "hello", profile=odd)
    assert (told.exit_status, len(server.service.asked)) == (6, 1)


async def test_another_path_is_gone(server: Running) -> None:
    told = await ask(server, "hello", profile=replace(profile_of(server), base_url=f"{server.url}/x"))
    assert "No API found for 'POST /x" in told.words


# The program


def configured(server: Running, write_config: Write) -> None:
    write_config(genie.profile_text(server.url))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_genie_9_a_signal_ends_it_cleanly_and_keeps_the_conversation(
    server: Running, write_config: Write, number: int, status: int
) -> None:
    configured(server, write_config)
    assert palaver("ask", "-s", "work", "one").stdout.strip() == text_of("one")
    process = start("ask", "-s", "work", "hang on")
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 100) == b"2 prompts so"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (status, b"Cancelled.\n")
    server.service.go_on.set()
    assert palaver("ask", "-s", "work", "two").stdout.strip() == text_of("two", 2)
    assert ids(server)[1] == ids(server)[2] is not None


@pytest.mark.parametrize("trouble", ["corrupt", "a folder"])
def test_genie_11_a_broken_history_fails_no_answer(
    server: Running, write_config: Write, history: Path, trouble: str
) -> None:
    configured(server, write_config)
    history.parent.mkdir(parents=True)
    if trouble == "corrupt":
        history.write_bytes(b"not a database at all, " * 500)
    else:
        history.mkdir()
    first, second = palaver("ask", "-s", "work", "one"), palaver("ask", "-s", "work", "two")
    assert (first.returncode, first.stdout.strip(), bool(first.stderr)) == (0, text_of("one"), True)
    assert (second.returncode, second.stdout.strip()) == (0, text_of("two", 2 if trouble == "corrupt" else 1))


def test_genie_13_what_is_kept_is_for_its_owner_only(server: Running, write_config: Write, history: Path) -> None:
    configured(server, write_config)
    assert palaver("ask", "-s", "work", "one").returncode == 0
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700


def test_genie_14_two_programs_at_once_both_keep_their_conversation(server: Running, write_config: Write) -> None:
    configured(server, write_config)
    both = [start("ask", "-s", label, "one") for label in ("work", "other")]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.decode().strip(), err) == (0, text_of("one"), b"")
    kept = json.loads(palaver("sessions", "map", "--json").stdout)
    assert sorted(one["session"] for one in kept) == ["other", "work"]
    assert len({one["conversation_id"] for one in kept}) == 2


def test_genie_20_json_is_whole_also_when_it_fails(server: Running, write_config: Write) -> None:
    configured(server, write_config)
    for prompt, status, text in (("fail first", "failed", ""), ("fail later", "interrupted", "1 prompt so")):
        done = palaver("ask", "--output", "json", prompt)
        told = json.loads(done.stdout)
        assert done.returncode != 0
        assert (told["status"], told["text"], told["conversation_id"] or "") == (status, text, "")
        assert told["error"]


def test_genie_20_raw_is_what_came_and_as_it_came(server: Running, write_config: Write) -> None:
    configured(server, write_config)
    done = palaver("ask", "--raw", "table")
    payloads = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("data: ")]
    assert done.returncode == 0
    assert payloads[0] == {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"type": "reasoning", "id": "r1", "status": "in_progress"},
    }
    assert payloads[-1]["response"]["status"] == "completed"
    assert '"preview_rows":[["Hamburg",2496],["Berlin",960]]' in done.stdout
