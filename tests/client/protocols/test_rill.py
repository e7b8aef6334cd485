"""Rill: what is sent, what is made of every kind of message, and what a server's refusals mean."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.turns import Bytes, Read, Told, over, read, take
from tests.fake_server import FakeServer, Waits, client_of
from tests.servers.rill_catalog import loose
from tui.client import Request
from tui.client.protocols import load
from tui.client.protocols.fields import seconds_of
from tui.client.protocols.rill import FORK_HINT, body, headers, is_stale, is_unsupported
from tui.client.protocols.rill_events import FORK_NOTE, RillReader, read_message
from tui.client.reply import Rejected, Reply, read_error, read_reply
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import NotAllowed, Refused, Stale
from tui.events import ConversationIssued, Finished, ItemWhole, Noted
from tui.model import AttemptKind, Item, ItemKind, ItemState, Message, TurnStatus

ID = "5f0c6a9e-0001-4000-8000-000000000001"
GONE = f'failed to find session "{ID}": not found'
DENIED = f'access denied to session "{ID}"'
RILL = Profile(name="rill", protocol="rill", base_url="http://server.localhost:1")
KEYED = replace(RILL, key=KeySource("env", ("RILL_KEY",)))
DONE, FAILED, INTERRUPTED = TurnStatus.DONE, TurnStatus.FAILED, TurnStatus.INTERRUPTED


def request(prompt: str = "hello", profile: Profile = RILL, **more: Any) -> Request:
    return Request(profile, prompt, **more)


def message(kind: str, tool: str = "", data: Any = None, own_id: str = "m9", **more: Any) -> dict[str, Any]:
    given = {} if data is None else {"contentType": "json", "contentData": json.dumps(data)}
    return {"id": own_id, "type": kind, "tool": tool} | given | more


def asked(prompt: str = "hello", own_id: str = "m1", **more: Any) -> dict[str, Any]:
    content = [{"text": prompt}]
    return message("call", "router_agent", {"prompt": prompt}, own_id, role="user", content=content) | more


def answered(text: str = "Denmark.", own_id: str = "m4", parent: str = "m1", **more: Any) -> dict[str, Any]:
    content = [{"text": text}]
    made = message("result", "router_agent", {"response": text}, own_id, role="assistant", content=content)
    return made | {"parentId": parent} | more


def called(given: Any, own_id: str = "m2", tool: str = "query_metrics_view", **more: Any) -> dict[str, Any]:
    content = [{"toolCall": {"id": own_id, "name": tool, "input": given}}]
    return message("call", tool, given, own_id, role="assistant", parentId="m1", content=content) | more


def resulted(data: Any, own_id: str = "m3", tool: str = "query_metrics_view", **more: Any) -> dict[str, Any]:
    content = [{"toolResult": {"id": "m2", "content": json.dumps(data)}}]
    return message("result", tool, data, own_id, role="tool", parentId="m2", content=content) | more


def failed(error: str, own_id: str = "m3", tool: str = "query_metrics_view") -> dict[str, Any]:
    content = [{"toolResult": {"id": "m2", "content": error, "isError": True}}]
    more = {"contentType": "error", "contentData": error}
    return message("result", tool, None, own_id, role="tool", parentId="m2", content=content) | more


def progress(text: str, own_id: str = "m5") -> dict[str, Any]:
    content = [{"text": text}]
    return message(
        "progress", "", None, own_id, role="assistant", contentType="text", contentData=text, content=content
    )


def frame(one: Any, conversation_id: Any = ID) -> dict[str, Any]:
    return {"conversationId": conversation_id, "message": one}


def answer(*messages: Any, is_forked: bool = False, end: bool = True) -> Read:
    return read(RillReader("host", is_forked=is_forked), *map(frame, messages), end=end)


def events(*payloads: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return b"".join(f"{head}data: {json.dumps(payload)}\n\n".encode() for payload in payloads)


def frames(*messages: Any) -> bytes:
    return events(*map(frame, messages))


async def told_of(*chunks: bytes, profile: Profile = RILL, status: int = 200, kind: str = "", **more: Any) -> Told:
    """A turn that is answered with these bytes, however often it is asked."""
    server = Bytes(chunks, status=status, headers={"content-type": kind or "text/event-stream"})
    told = await take(over(server), profile, **more)
    assert server.open == 0
    return told


WHOLE = [asked(), called({"metrics_view": "sales"}), resulted({"total": 7}), progress("So it is."), answered()]


# What is sent


def test_the_first_message_carries_no_id_and_a_later_one_does() -> None:
    assert body(request()) == {"prompt": "hello"}
    assert body(request(conversation_id=ID)) == {"prompt": "hello", "conversationId": ID}


def test_an_agent_and_whatever_the_profile_adds_go_along_but_nothing_that_was_said_before() -> None:
    profile = replace(RILL, options={"agent": "analyst_agent"}, params={"disableMemory": True}, system="Be brief.")
    history = (Message("user", "before"), Message("assistant", "so"))
    sent = body(request(profile=profile, history=history))
    assert sent == {"prompt": "hello", "agent": "analyst_agent", "disableMemory": True}


def test_it_is_a_protocol() -> None:
    wire = load("rill")
    assert wire.body(request()) == {"prompt": "hello"}
    assert not wire.is_unsupported(Reply(500, GONE, form="json"))
    assert not is_unsupported(Reply(400, "unknown field", form="json"))


@pytest.mark.parametrize(("options", "path"), [
    ({}, "/v1/instances/default/ai/complete/stream"),
    ({"instance": "a_b-1"}, "/v1/instances/a_b-1/ai/complete/stream"),
    ({"instance": "../x y"}, "/v1/instances/..%2Fx%20y/ai/complete/stream"),
])  # fmt: skip
async def test_where_it_is_sent(options: dict[str, str], path: str) -> None:
    server = FakeServer()
    server_side = server.request()
    turn = take(client_of(server), replace(RILL, options=options))
    exchange, told = await _both(server_side, turn, frames(*WHOLE))
    assert exchange.request.url.raw_path.decode() == path
    assert exchange.request.headers["accept"] == "text/event-stream"
    assert exchange.request.headers["content-type"] == "application/json"
    assert told.turn.status is DONE


@pytest.mark.fault("S12")
@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
async def test_nothing_is_asked_of_a_conversation_that_has_no_place_in_an_address(name: str) -> None:
    server = FakeServer()
    with pytest.raises(Refused, match="cannot be part of an address"):
        await client_of(server).ask(RILL, lambda wire, http: wire.recall(http, name))
    assert server.seen == []


async def _both(server_side: Any, turn: Any, answer_bytes: bytes) -> Any:
    running = asyncio.ensure_future(turn)
    exchange = await server_side
    exchange.respond().send(answer_bytes).end()
    return exchange, await running


def test_rill_17_local_mode_sends_no_authorization() -> None:
    assert headers(RILL, "") == {}
    assert headers(RILL, "token") == {"authorization": "Bearer token"}


# What messages are


def test_an_answer_with_all_that_led_to_it() -> None:
    told = answer(*WHOLE)
    assert told.items == [
        ("tool_call", "query_metrics_view", '{"metrics_view": "sales"}'),
        ("tool_result", "query_metrics_view", '{"total": 7}'),
        ("reasoning", "", "So it is."),
        ("message", "", "Denmark."),
    ]
    assert told.events[-2:] == [ConversationIssued(ID), Finished()]
    assert [item.key for item in told.turn.items] == ["m2", "m3", "m5", "m4"]


def test_rill_3_the_echo_of_what_the_user_said_is_not_shown() -> None:
    told = answer(asked("which country grew most?"), answered())
    assert told.items == [("message", "", "Denmark.")]
    assert answer(asked(), end=False).visible == 0


def test_rill_4_a_result_belongs_to_its_call_by_its_parent() -> None:
    told = answer(asked(), called({}), called({}, "m6"), resulted({"n": 1}, parentId="m6"), resulted({"n": 2}, "m7"))
    assert [(item.key, item.call_id) for item in told.turn.items] == [
        ("m2", "m2"),
        ("m6", "m6"),
        ("m3", "m6"),
        ("m7", "m2"),
    ]
    without_parent = resulted({"n": 1})
    del without_parent["parentId"]
    assert [item.call_id for item in answer(without_parent).turn.items] == ["m2"]


def test_rill_4_a_failed_tool_is_shown_as_failed_and_the_turn_goes_on() -> None:
    told = answer(asked(), called({}), failed("no such metrics view"), answered("I could not look."))
    result = told.turn.items[1]
    assert (result.kind, result.state, result.text) == (
        ItemKind.TOOL_RESULT,
        ItemState.FAILED,
        "no such metrics view",
    )
    assert told.finished
    assert told.text == "I could not look."


@pytest.mark.parametrize("error", [
    {"contentType": "error", "contentData": "broken"},
    {"content": [{"toolResult": {"content": "broken", "isError": True}}]},
])  # fmt: skip
def test_rill_4_a_tool_says_in_two_ways_that_it_failed(error: dict[str, Any]) -> None:
    (item,) = read_message({"id": "m3", "type": "result", "tool": "t", "parentId": "m2"} | error)
    assert item == Item("m3", ItemKind.TOOL_RESULT, "broken", "t", "m2", ItemState.FAILED)


@pytest.mark.parametrize("seed", range(20))
async def test_rill_5_blanks_order_and_absent_zeros_make_no_difference(seed: int) -> None:
    dice = random.Random(seed)
    raw = "".join(f"data: {loose(frame(one), dice)}\n\n" for one in WHOLE).encode()
    told = await told_of(raw)
    assert told.turn.items == answer(*WHOLE).turn.items
    assert told.turn.status is DONE


def test_rill_5_zeros_that_are_told_make_no_difference_either() -> None:
    zeros = {"index": 0, "parentId": "", "conversationId": ""}
    told = answer(zeros | asked(), zeros | called({}), answered("Denmark.", index=0))
    assert told.items == [("tool_call", "query_metrics_view", "{}"), ("message", "", "Denmark.")]


@pytest.mark.parametrize(("one", "wanted"), [
    (called({"a": 1}) | {"contentData": ""}, ("query_metrics_view", '{"a": 1}')),
    ({"type": "call", "content": [{"toolCall": {"name": "t", "input": {}}}]}, ("t", "{}")),
    ({"type": "call", "tool": "t"}, ("t", "")),
    (resulted({"a": 1}) | {"contentData": None}, ("query_metrics_view", '{"a": 1}')),
    ({"type": "result", "tool": "t", "content": [{"toolResult": {"content": {"a": 1}}}]}, ("t", '{"a": 1}')),
    (progress("x") | {"content": []}, ("", "x")),
    (answered("x") | {"content": []}, ("", "x")),
    (answered("x") | {"contentData": ""}, ("", "x")),
    (answered() | {"content": [], "contentType": "text", "contentData": "plain"}, ("", "plain")),
    (answered("") | {"content": [{"text": ""}]}, ("", "")),
    ({"type": "warning", "content": [{"text": "Slow."}]}, ("warning", "Slow.")),
    ({"type": "progress", "role": "system", "content": [{"text": "Noted."}]}, ("", "Noted.")),
])  # fmt: skip
def test_a_message_with_something_missing(one: dict[str, Any], wanted: tuple[str, str]) -> None:
    (item,) = read_message(one, "#1")
    assert (item.name, item.text) == wanted
    assert item.key in (one.get("id"), "#1")


@pytest.mark.parametrize("inner", [
    called({"prompt": "hello"}, tool="analyst_agent"),
    resulted({"response": "Denmark."}, tool="analyst_agent"),
    called(None, tool="Agent choice"),
    resulted({"agent": "analyst_agent"}, tool="Agent choice"),
    {"type": "call", "tool": "router_agent", "role": "assistant"},
    {"type": "warning"},
    {},
])  # fmt: skip
def test_what_only_hands_on_or_says_nothing_is_not_shown(inner: dict[str, Any]) -> None:
    assert list(read_message(inner)) == []


COLUMNS = [{"name": "country", "type": "CODE_STRING"}, {"name": "n"}]
TABLE = {"columns": ["country", "n"], "rows": [["DK", 7], ["SE", None]]}


@pytest.mark.parametrize("data", [
    {"schema": COLUMNS, "data": [["DK", 7], ["SE", None]], "open_url": "https://x"},
    {"data": [{"country": "DK", "n": 7}, {"country": "SE"}]},
    {"schema": COLUMNS, "data": [{"n": 7, "country": "DK"}, {"country": "SE"}]},
])  # fmt: skip
def test_the_rows_of_a_query_are_a_table(data: dict[str, Any]) -> None:
    (item,) = read_message(resulted(data))
    assert json.loads(item.text) == TABLE


def test_a_query_without_rows_still_has_columns() -> None:
    (item,) = read_message(resulted({"schema": COLUMNS, "data": []}))
    assert json.loads(item.text) == {"columns": ["country", "n"], "rows": []}


@pytest.mark.parametrize("data", [{"data": []}, {"data": "x"}, {"data": [1, 2]}, {"data": [[1]]}, [1], "text", 7])
def test_what_is_no_table_stays_as_it_is(data: Any) -> None:
    (item,) = read_message(resulted(data))
    assert item.text == json.dumps(data)


def test_rows_that_were_left_out_are_told_of() -> None:
    data = {"schema": COLUMNS, "data": [["DK", 7]], "truncation_warning": "The system truncated the result to 1 rows"}
    table, notice = read_message(resulted(data))
    assert table.kind is ItemKind.TOOL_RESULT
    assert (notice.key, notice.kind, notice.text) == ("m3/notice", ItemKind.NOTICE, data["truncation_warning"])


@pytest.mark.parametrize(("value", "seconds"), [
    ("2026-01-02T03:04:05.000006Z", 1767323045.000006),
    ("2026-01-02T03:04:05.123456789Z", 1767323045.123456),
    ("2026-01-02T04:04:05+01:00", 1767323045.0),
    ("2026-01-02T03:04:05", 1767323045.0),
    ("0001-01-01T00:00:00Z", None),
    ("yesterday", None),
    ("", None),
    (7, None),
    (None, None),
])  # fmt: skip
def test_times(value: object, seconds: float | None) -> None:
    assert seconds_of(value) == seconds


# Ids


def test_rill_1_the_id_is_that_of_the_first_frame_and_given_out_at_the_end() -> None:
    told = read(RillReader(), frame(asked()), frame(called({}), "other"), frame(answered(), "third"))
    assert [event for event in told.events if isinstance(event, ConversationIssued)] == [ConversationIssued(ID)]
    assert told.events[-2:] == [ConversationIssued(ID), Finished()]
    late = read(RillReader(), {"message": asked()}, frame(answered()))
    assert late.issued == ID


def test_an_answer_without_any_id_is_an_answer() -> None:
    told = read(RillReader(), {"message": asked()}, frame(answered(), ""))
    assert told.finished
    assert told.issued == ""


@pytest.mark.parametrize("bad", ["a b", "x\ny", "x" * 5000, 7, ["x"]])
def test_an_id_that_cannot_be_kept_is_refused(bad: Any) -> None:
    told = read(RillReader("host"), frame(asked(), bad), frame(answered(), bad))
    assert isinstance(told.refused, Refused)
    assert told.issued == ""


# The end


def test_rill_6_the_bodys_end_after_the_answer_is_the_end() -> None:
    reader = RillReader()
    assert [event for event in reader.read(frame(answered())) if isinstance(event, Finished)] == []
    assert reader.over
    assert list(reader.end()) == [ConversationIssued(ID), Finished()]


@pytest.mark.parametrize("count", range(len(WHOLE)))
async def test_rill_6_the_bodys_end_before_the_answer_cuts_it_short(count: int) -> None:
    told = await told_of(events({}), frames(*WHOLE[:count]))
    shown = count > 1
    assert told.turn.status is (INTERRUPTED if shown else FAILED)
    assert told.turn.error is not None
    assert told.turn.error.kind == "incomplete"
    assert len(told.turn.items) == max(0, count - 1)
    assert ConversationIssued(ID) not in told.events


async def test_an_answer_cut_anywhere_is_whole_or_incomplete() -> None:
    raw = frames(*WHOLE)
    last = raw.rindex(b"data: ")
    for place in range(1, len(raw), 11):
        told = await told_of(raw[:place])
        # What is left of a frame is read at the end of the body, if it is all there.
        assert told.turn.status is not DONE or place > last
        assert told.turn.error is None or told.turn.error.kind in ("incomplete", "refused")
    whole = await told_of(*[raw[place : place + 1] for place in range(len(raw))])
    assert whole.turn.items == answer(*WHOLE).turn.items


async def test_a_connection_lost_after_the_answer_takes_nothing_away() -> None:
    server = Bytes([frames(*WHOLE)], breaks=httpx.ReadError("gone"))
    told = await take(over(server), RILL)
    assert (told.turn.status, told.turn.text, told.turn.conversation_id) == (DONE, "Denmark.", ID)


async def test_an_answer_that_is_empty_is_done() -> None:
    told = await told_of(frames(asked(), answered("")))
    assert (told.turn.status, told.turn.text, told.turn.conversation_id) == (DONE, "", ID)


def test_what_follows_the_answer_is_not_read() -> None:
    told = answer(asked(), answered(), called({}), answered("again"))
    assert told.text == "Denmark."
    assert len(told.turn.items) == 1


def test_an_error_after_the_answer_is_noted() -> None:
    """Once, however many there are."""
    told = read(RillReader(), frame(answered()), *[{"code": "Unknown", "error": "flush failed"}] * 3)
    assert told.finished
    assert told.turn.notes == ("The server reported an error after its answer; it may not have kept it.",)


def test_an_answer_in_one_piece() -> None:
    told = read(RillReader(), {"conversationId": ID, "messages": WHOLE}, whole=True)
    assert told.items == answer(*WHOLE).items
    assert told.issued == ID
    assert isinstance(read(RillReader("host"), {"object": "list"}, whole=True).refused, Refused)


# Errors


async def test_rill_7_an_error_in_a_stream_is_told_with_its_code() -> None:
    error = {"code": "InvalidArgument", "error": "prompt or feedback_agent_context must be provided"}
    told = await told_of(events(error, name="error"))
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert told.words == (
        "server.localhost:1 refused the request: prompt or feedback_agent_context must be provided (InvalidArgument)."
    )
    assert len(told.turn.attempts) == 1


async def test_rill_7_an_error_without_a_code_as_older_servers_have_it() -> None:
    told = await told_of(events({"error": "context deadline exceeded"}, name="error"))
    assert told.words == "server.localhost:1 failed: context deadline exceeded."


async def test_rill_7_an_error_whose_event_has_lost_its_name() -> None:
    told = await told_of(events(frame(asked())), events({"code": "Internal", "error": "no catalog"}))
    assert told.words == "server.localhost:1 failed: no catalog (Internal)."


async def test_rill_7_an_error_after_output_keeps_it() -> None:
    error = {"code": "Unknown", "error": "context deadline exceeded"}
    told = await told_of(frames(*WHOLE[:4]), events(error, name="error"))
    assert (told.turn.status, told.exit_status) == (INTERRUPTED, 7)
    assert told.words.startswith("The server broke off: context deadline exceeded (Unknown); the ")
    assert len(told.turn.items) == 3


async def test_an_agent_that_failed_is_no_answer() -> None:
    error = {"contentType": "error", "contentData": "completion failed: no model"}
    wrong = answered("Error: completion failed: no model", **error)
    told = await told_of(frames(asked(), wrong))
    assert (told.turn.status, told.turn.text) == (FAILED, "")
    assert told.words == "server.localhost:1 failed: completion failed: no model."
    assert ConversationIssued(ID) not in told.events
    without_data = await told_of(frames(asked(), {name: wrong[name] for name in wrong if name != "contentData"}))
    assert without_data.words == told.words


async def test_rill_15_nothing_is_asked_for_again_once_the_server_has_the_prompt() -> None:
    busy = {"code": "Unavailable", "error": "try again"}
    waits = Waits()
    server = Bytes([frames(asked()), events(busy, name="error")])
    told = await take(over(server, waits), RILL, conversation_id=ID)
    assert (server.requests, waits.seconds) == (1, [])
    assert told.turn.status is FAILED
    gone = Bytes([frames(asked()), events({"code": "Unknown", "error": GONE}, name="error")])
    told = await take(over(gone), RILL, conversation_id=ID)
    assert gone.requests == 1
    assert told.words.endswith("the server has kept what you said; sent again, it has it twice")


async def test_trouble_that_passes_before_the_server_has_the_prompt_is_waited_for() -> None:
    waits = Waits()
    server = Bytes([events({"code": "Unavailable", "error": "try again"}, name="error")])
    told = await take(over(server, waits), RILL)
    assert server.requests == 3
    assert len(waits.seconds) == 2
    assert told.turn.error is not None
    assert told.turn.error.kind == "limited"


# Whose fault it is


async def test_rill_9_action_not_allowed_is_no_matter_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RILL_KEY", "token-1234")
    for raw, kind in ((b"action not allowed\n", "text/plain"), (NO_ACTION, "application/json")):
        told = await told_of(raw, profile=KEYED, status=401, kind=kind)
        assert (told.exit_status, told.turn.error and told.turn.error.kind) == (4, "not-allowed")
        assert told.words == "server.localhost:1 does not allow this: action not allowed."
    local = await told_of(NO_ACTION, status=401, kind="application/json")
    assert "key" not in local.words


NO_ACTION = json.dumps({"code": 16, "message": "action not allowed", "details": []}).encode()


async def test_rill_9_a_jwt_that_has_expired_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RILL_KEY", "token-1234")
    expired = json.dumps({"code": 16, "message": "jwt is expired", "details": []}).encode()
    told = await told_of(expired, profile=KEYED, status=401, kind="application/json")
    assert told.exit_status == 4
    assert told.words == "server.localhost:1 refused the key from environment variable RILL_KEY: jwt is expired."


@pytest.mark.parametrize("denied", [
    {"code": "Unknown", "error": DENIED},
    {"code": "Unknown", "error": f"action not allowed: {DENIED}"},
    {"error": DENIED},
])  # fmt: skip
async def test_someone_elses_conversation_is_not_allowed_and_stays_known(denied: dict[str, str]) -> None:
    told = await told_of(events(denied, name="error"), conversation_id=ID)
    assert (told.turn.status, told.exit_status, len(told.turn.attempts)) == (FAILED, 4, 1)
    assert told.words.endswith("it belongs to someone else, who has not shared it")


async def test_a_key_that_is_said_back_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RILL_KEY", "token-1234")
    said = json.dumps({"code": 16, "message": "action not allowed for token-1234"}).encode()
    told = await told_of(said, profile=KEYED, status=401, kind="application/json")
    assert "token-1234" not in told.words
    assert "***" in told.words


# Forked conversations


@pytest.mark.parametrize("error", ["action not allowed", "resource not found", 'access denied to tool "x"'])
async def test_rill_18_a_tool_that_may_not_see_something_hints_at_the_fork_once(error: str) -> None:
    raw = frames(asked(), called({}), failed(error), called({}, "m6"), failed(error, "m7"), answered("Sorry."))
    told = await told_of(raw, conversation_id=ID, is_forked=True)
    assert told.turn.status is DONE
    assert told.turn.notes == (FORK_NOTE,)
    assert [item.state for item in told.turn.items if item.kind is ItemKind.TOOL_RESULT] == [ItemState.FAILED] * 2
    plain = await told_of(raw, conversation_id=ID)
    assert plain.turn.notes == ()


def test_rill_18_other_failures_do_not() -> None:
    told = answer(asked(), called({}), failed("syntax error at 1:1"), resulted("action not allowed"), is_forked=True)
    assert told.turn.notes == ()


async def test_rill_18_a_refusal_hints_at_the_fork_too() -> None:
    denied = {"code": "Unauthenticated", "error": "action not allowed"}
    told = await told_of(events(denied, name="error"), conversation_id=ID, is_forked=True)
    assert told.exit_status == 4
    assert told.words.endswith(FORK_HINT)
    wrong = answered("", contentType="error", contentData="resource not found: sales")
    told = await told_of(frames(asked(), wrong), conversation_id=ID, is_forked=True)
    assert told.words.endswith(FORK_HINT)
    fresh = await told_of(events(denied, name="error"), is_forked=True)
    assert FORK_HINT not in fresh.words, "a new conversation was made from none"


# Stale


def rest(status: int, message: str, code: int = 2) -> Reply:
    return read_reply(status, json.dumps({"code": code, "message": message, "details": []}).encode())


def in_stream(message: str, code: str = "Unknown") -> Reply:
    return read_error({"code": code, "error": message} if code else {"error": message})


STALE = {
    "stream": in_stream(GONE),
    "older stream": in_stream(GONE, ""),
    "REST": rest(500, GONE),
    "older gateway": rest(400, GONE),
    "fork": rest(500, f"failed to load session to fork: {GONE}"),
    "odd id": in_stream('failed to find session "a \\"b\\" c": not found'),
}

NOT_STALE = {
    "another 500": rest(500, "context deadline exceeded"),
    "not found alone": rest(404, 'message with id "m" not found in conversation "c"', 5),
    "dashboard": in_stream('explore "sales" not found'),
    "metrics view": in_stream('metrics view "sales" not found'),
    "instance": in_stream('failed to get instance "x": not found'),
    "messages": in_stream(f'failed to find messages for session "{ID}": not found'),
    "database": in_stream(f'failed to find session "{ID}": connection refused'),
    "denied": in_stream(f"action not allowed: {DENIED}"),
    "not allowed": rest(401, "action not allowed", 16),
    "expired": rest(401, "jwt is expired", 16),
    "expired, in the same words": rest(401, GONE, 16),
    "limited": rest(429, GONE, 8),
    "busy": rest(503, GONE, 14),
    "unknown field": read_reply(400, b"failed to parse request body\n"),
    "web page": read_reply(500, f"<html><title>{GONE}</title></html>".encode()),
    "no words": read_reply(500, b""),
    "not found": read_reply(404, b"404 page not found\n"),
}


@pytest.mark.parametrize("name", STALE)
def test_a_stale_conversation(name: str) -> None:
    assert is_stale(STALE[name], request(conversation_id=ID))
    assert not is_stale(STALE[name], request()), "nothing is stale that was not sent"


@pytest.mark.parametrize("name", NOT_STALE)
def test_other_trouble_is_not_stale(name: str) -> None:
    assert not is_stale(NOT_STALE[name], request(conversation_id=ID))


async def test_rill_8_an_unknown_conversation_is_begun_anew_once() -> None:
    server = Bytes([events({"code": "Unknown", "error": GONE}, name="error")])
    told = await take(over(server), RILL, conversation_id=ID)
    assert server.requests == 2
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
    assert told.turn.status is FAILED
    alone = Bytes([events({"code": "Unknown", "error": GONE}, name="error")])
    told = await take(over(alone), RILL, conversation_id=ID, allow_fresh=False)
    assert alone.requests == 1
    assert told.turn.error is not None
    assert told.turn.error.kind == "stale"


async def test_rill_8_any_other_500_is_the_servers_trouble() -> None:
    raw = json.dumps({"code": 2, "message": "no catalog", "details": []}).encode()
    told = await told_of(raw, status=500, kind="application/json", conversation_id=ID)
    assert told.words == "server.localhost:1 failed: no catalog."
    assert len(told.turn.attempts) == 1


# Small requests


async def asking(question: Any, status: int, value: Any) -> Any:
    server = Bytes([json.dumps(value).encode()], status=status, headers={"content-type": "application/json"})
    return await over(server).ask(RILL, question)


async def test_rill_8_a_conversation_that_is_gone_cannot_be_read() -> None:
    for status in (500, 400):
        with pytest.raises(Stale, match="does not know this conversation") as told:
            await asking(lambda wire, http: wire.recall(http, ID), status, {"code": 2, "message": GONE, "details": []})
        assert told.value.hint == "start a new one"
    with pytest.raises(Refused, match="failed: no catalog") as other:
        await asking(lambda wire, http: wire.recall(http, ID), 500, {"code": 2, "message": "no catalog"})
    assert not isinstance(other.value, Stale)


@pytest.mark.parametrize(("status", "words"), [(401, "action not allowed"), (500, DENIED), (403, "no")])
async def test_someone_elses_conversation_cannot_be_read(status: int, words: str) -> None:
    with pytest.raises(NotAllowed, match="does not allow this"):
        await asking(lambda wire, http: wire.recall(http, ID), status, {"code": 16, "message": words})


@pytest.mark.parametrize("found", [
    {},
    [],
    None,
    {"messages": "x", "conversation": 7},
    {"messages": [None, 7, {}, {"type": 7}]},
    {"messages": [called({}), answered(), resulted({})]},
    {"messages": [asked("")]},
])  # fmt: skip
async def test_a_conversation_in_which_nothing_was_said(found: Any) -> None:
    assert await asking(lambda wire, http: wire.recall(http, ID), 200, found) == []


async def test_what_was_said_is_told_as_turns() -> None:
    at = {"createdOn": "2026-01-02T03:04:05Z"}
    later = {"createdOn": "2026-01-02T03:04:09Z"}
    messages = [asked("one") | at, called({}) | at, failed("broken"), answered("Denmark.") | later]
    messages += [asked("two", "n1"), progress("Looking.", "n2") | {"parentId": "n1"}]
    first, second = await asking(lambda wire, http: wire.recall(http, ID), 200, {"messages": messages})
    assert (first.prompt, first.text, first.status, first.depth) == ("one", "Denmark.", DONE, 0)
    assert (first.created_at, first.ended_at, first.conversation_id) == (1767323045.0, 1767323049.0, ID)
    assert (first.session_id, first.profile, first.protocol, first.origin) == ("", "rill", "rill", RILL.origin)
    assert [(item.key, item.kind, item.state) for item in first.items] == [
        ("m2", ItemKind.TOOL_CALL, ItemState.NONE),
        ("m3", ItemKind.TOOL_RESULT, ItemState.FAILED),
        ("m4", ItemKind.MESSAGE, ItemState.NONE),
    ]
    assert (second.prompt, second.status, second.depth, second.conversation_id) == ("two", INTERRUPTED, 1, "")
    assert [item.text for item in second.items] == ["Looking."]
    assert str(second.error) == "The server has no answer to this."
    assert len({first.id, second.id}) == 2
    assert len(first.id) == 26


async def test_answers_that_were_made_at_once_are_told_apart() -> None:
    messages = [asked("one"), asked("two", "n1"), called({}), called({}, "n2", parentId="n1")]
    messages += [answered("Two.", "n4", "n1"), answered("One.")]
    one, two = await asking(lambda wire, http: wire.recall(http, ID), 200, {"messages": messages})
    assert ([item.key for item in one.items], one.text) == (["m2", "m4"], "One.")
    assert ([item.key for item in two.items], two.text) == (["n2", "n4"], "Two.")


async def test_an_answer_that_failed_is_told_as_that() -> None:
    wrong = answered("Error: no model", contentType="error", contentData="no model")
    for before, status in (([], FAILED), ([called({})], INTERRUPTED)):
        (turn,) = await asking(lambda wire, http: wire.recall(http, ID), 200, {"messages": [asked(), *before, wrong]})
        assert turn.status is status
        assert str(turn.error) == "server.localhost:1 failed: no model."
        assert turn.text == ""


async def test_conversations_are_listed_the_newest_first() -> None:
    rows = [
        {"id": "a", "title": "old", "updatedOn": "2026-01-01T00:00:00Z"},
        {"id": "b", "title": "new", "updatedOn": "2026-01-02T00:00:00Z"},
        {"id": "c", "createdOn": "2026-01-01T12:00:00Z", "updatedOn": None},
        {"id": "", "title": "no id"},
        {"id": "d", "updatedOn": "?"},
        7,
    ]
    found = await asking(lambda wire, http: wire.conversations(http), 200, {"conversations": rows})
    assert [(one.id, one.title) for one in found] == [("b", "new"), ("c", ""), ("a", "old"), ("d", "")]
    assert found[0].used_at == 1767312000.0
    assert found[3].used_at is None
    assert await asking(lambda wire, http: wire.conversations(http), 200, {}) == []


@pytest.mark.parametrize(("told", "is_own"), [({"isOwner": True}, True), ({"isOwner": False}, False), ({}, True)])
async def test_whose_a_conversation_is(told: dict[str, bool], is_own: bool) -> None:
    found = {"conversation": {"id": "x", "title": "Sales"}} | told
    one = await asking(lambda wire, http: wire.conversation(http, ID), 200, found)
    assert (one.id, one.title, one.is_own, one.is_shared) == (ID, "Sales", is_own, not is_own)


@pytest.mark.parametrize("made", [{}, {"conversationId": ""}, {"conversationId": 7}, None])
async def test_a_fork_without_an_id_is_none(made: Any) -> None:
    with pytest.raises(Refused, match="id that cannot be used"):
        await asking(lambda wire, http: wire.fork(http, ID, None), 200, made)


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("id", "parentId", "role", "type", "tool", "contentType", "contentData", "content", "createdOn")
WORDS = st.sampled_from(["router_agent", "analyst_agent", "call", "result", "progress", "error", "user", "assistant"])
ODD = st.dictionaries(st.sampled_from(NAMES), WORDS | JSON | st.lists(
    st.fixed_dictionaries({}, optional={"text": JSON, "toolCall": JSON, "toolResult": JSON})), max_size=9)  # fmt: skip


@given(st.lists(st.fixed_dictionaries({}, optional={"conversationId": JSON, "message": ODD | JSON, "error": JSON})))
def test_nothing_a_server_sends_is_a_mistake_of_ours(payloads: list[dict[str, Any]]) -> None:
    told = read(RillReader("host", is_forked=True), *payloads)
    assert told.refused is None or isinstance(told.refused, Rejected | Refused)
    assert all(isinstance(event, ItemWhole | Noted | ConversationIssued | Finished) for event in told.events)


def test_json_nested_beyond_reason_is_text() -> None:
    deep = "[" * 100_000
    (item,) = read_message({"type": "result", "tool": "t", "contentData": deep})
    assert item.text == deep
