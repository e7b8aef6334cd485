"""What Agenta says in a stream, as it came and as it must not matter, and what is sent to it."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from tests.client.protocols.recordings import HERE
from tests.client.turns import Bytes, Read, over, read, take
from tests.fake_server import FakeServer, Waits, client_of
from tui.client.protocols import load
from tui.client.protocols.agenta import address, body, headers, is_stale, is_unsupported
from tui.client.protocols.agenta_events import AgentaReader, is_session_id, tool_call_id
from tui.client.protocols.agenta_parts import parts_of
from tui.client.protocols.fields import Payload
from tui.client.reply import Rejected, Reply, read_reply
from tui.client.request import Request
from tui.client.sse import Decoder
from tui.config import Profile
from tui.errors import ConfigError, PalaverError, Refused
from tui.events import ConversationIssued, Finished, ItemDelta, ItemWhole, Noted, RunNamed
from tui.model import Item, ItemKind, ItemState, Message, TurnStatus, Usage

AGENTA = Profile("agenta", "agenta", "http://agenta.localhost:1/api")
SESSION = "0197f2aa-1111-7000-8000-000000000001"
JUNK: tuple[Any, ...] = (None, 5, -1, 1.5, True, "", "x\x1b[31m", [], ["x"], {}, {"a": {"b": 1}}, [[{}]])
NAMES = ("ok", "hitl", "err")


def recorded(name: str) -> bytes:
    return (HERE / "agenta" / f"agenta-vercel-{name}.sse").read_bytes()


def payloads(raw: bytes) -> list[Payload | str]:
    found = Decoder().feed(raw)
    return [one.data if one.data == "[DONE]" else json.loads(one.data) for one in found]


def answer(*parts: Payload | str, session: str = SESSION, **how: bool) -> Read:
    return read(AgentaReader("host", session), *parts, **how)


FINISH: Payload = {"type": "finish", "finishReason": "stop"}
SAID: Payload = {"type": "text-delta", "id": "m1", "delta": "Hello"}


def call(**more: Any) -> Payload:
    return {
        "type": "tool-input-available",
        "toolCallId": "call_1",
        "toolName": "weather",
        "input": {"city": "SF"},
        **more,
    }


def states(told: Read) -> list[tuple[str, str, str]]:
    return [(str(item.kind), item.text, str(item.state)) for item in told.turn.items]


# As recorded


def test_an_answer_as_it_was_recorded() -> None:
    told = answer(*payloads(recorded("ok")), session="mine")
    assert told.items == [
        ("reasoning", "", "hmm"),
        ("tool_call", "weather", '{"city": "SF"}'),
        ("tool_result", "", "sunny"),
        ("message", "", "It is sunny ☀."),
    ]
    assert [item.key for item in told.turn.items] == ["reasoning/r1", "call/call_1", "result/call_1", "text/m1"]
    assert told.turn.usage == Usage(12, 5)
    assert told.events[-3:] == [ConversationIssued("s-1"), RunNamed(""), Finished("")]
    assert told.events[0] == RunNamed("s-1")


def test_agenta_9_an_error_told_twice_is_one_and_the_text_before_it_stays() -> None:
    told = answer(*payloads(recorded("err")))
    assert told.text == "It is "
    assert isinstance(told.refused, Rejected)
    assert told.refused.in_stream
    assert told.refused.reply == Reply(0, "model overloaded", "runner_error", form="json")
    assert (told.finished, told.issued) == (False, "")
    assert told.events[-1] == RunNamed("")


async def test_agenta_9_what_the_user_reads_of_it() -> None:
    told = await take(over(Bytes([recorded("err")])), AGENTA)
    assert told.turn.status is TurnStatus.INTERRUPTED
    assert told.words == "The server broke off: model overloaded; the 6 words that came are kept."
    assert told.turn.run == ""


def test_agenta_10_a_pause_for_approval_waits_for_the_user() -> None:
    told = answer(*payloads(recorded("hitl")))
    assert told.finished
    assert told.events[-1] == Finished("approval")
    (asked,) = told.turn.open_approvals
    assert asked == Item("call_1/approval", ItemKind.APPROVAL, '{"city": "SF"}', "weather", "int_1", ItemState.OPEN)
    assert tool_call_id(asked) == "call_1"


async def test_agenta_10_it_is_neither_done_without_a_word_nor_failed() -> None:
    told = await take(over(Bytes([recorded("hitl")])), AGENTA)
    assert (told.turn.status, told.turn.finish, told.turn.error) == (TurnStatus.DONE, "approval", None)


@pytest.mark.parametrize("name", NAMES)
async def test_how_an_answer_is_cut_into_pieces_makes_no_difference(name: str) -> None:
    raw = recorded(name)
    whole = await take(over(Bytes([raw])), AGENTA)
    bytewise = await take(over(Bytes([raw[at : at + 1] for at in range(len(raw))])), AGENTA)
    assert (bytewise.turn.items, bytewise.turn.status) == (whole.turn.items, whole.turn.status)
    other = await take(over(Bytes([raw.replace(b"\n", b"\r\n").replace(b"data: ", b"data:")])), AGENTA)
    assert (other.turn.items, other.turn.status) == (whole.turn.items, whole.turn.status)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_breaks_off_is_not_finished_wherever_it_does(name: str) -> None:
    told = payloads(recorded(name))
    for cut in range(len(told) - 2):
        part = answer(*told[:cut])
        assert not part.finished
        assert part.issued == ""
        assert part.refused is None or name == "err"


def test_the_end_without_its_sentinel_is_an_end() -> None:
    assert answer(*payloads(recorded("ok"))[:-1]).finished


def test_the_sentinel_without_an_end_is_none() -> None:
    told = answer(SAID, "[DONE]")
    assert not told.finished
    assert told.issued == ""


# Parts, one by one


def test_agenta_8_keepalives_are_no_events() -> None:
    with_them = recorded("ok")
    without = with_them.replace(b": keepalive\n\n", b"")
    assert without != with_them
    assert answer(*payloads(with_them)).events == answer(*payloads(without)).events


def test_agenta_9_a_block_may_lack_its_end_and_its_beginning() -> None:
    assert answer(SAID, FINISH, "[DONE]").text == "Hello"
    two = answer({"type": "text-start", "id": "a"}, {"type": "text-start", "id": "b"}, {**SAID, "id": "a"}, FINISH)
    assert two.items == [("message", "", "Hello")]


def test_an_id_that_comes_again_names_another_block() -> None:
    end: Payload = {"type": "text-end", "id": "m1"}
    told = answer(SAID, end, {"type": "text-start", "id": "m1"}, {**SAID, "delta": "there"}, end, FINISH)
    assert [(item.key, item.text) for item in told.turn.items] == [("text/m1", "Hello"), ("text/m1#2", "there")]
    same = answer({**SAID, "type": "reasoning-delta"}, SAID, FINISH)
    assert [item.key for item in same.turn.items] == ["reasoning/m1", "text/m1"]


def test_agenta_12_a_declined_tool_is_not_a_failed_one() -> None:
    told = answer(call(), {"type": "tool-output-denied", "toolCallId": "call_1"}, FINISH)
    assert told.turn.items[-1] == Item("result/call_1", ItemKind.TOOL_RESULT, "", "weather", "call_1", ItemState.DENIED)
    failed = answer(call(), {"type": "tool-output-error", "toolCallId": "call_1", "errorText": "no route"}, FINISH)
    assert failed.turn.items[-1] == Item(
        "result/call_1", ItemKind.TOOL_RESULT, "no route", "", "call_1", ItemState.FAILED
    )


def test_agenta_13_what_a_tool_is_called_with_is_replaced_when_it_comes_again() -> None:
    told = answer(call(input={}), call(), call(toolName="", input={"city": "NY"}), FINISH)
    assert told.turn.items == (Item("call/call_1", ItemKind.TOOL_CALL, '{"city": "NY"}', "weather", "call_1"),)


def test_agenta_13_an_approval_shows_what_would_really_run() -> None:
    asks: Payload = {"type": "tool-approval-request", "approvalId": "int_1", "toolCallId": "call_1"}
    told = answer(call(input={}), asks, call(), {"type": "finish"})
    (asked,) = told.turn.open_approvals
    assert asked.text == '{"city": "SF"}'


def test_agenta_14_unknown_parts_are_ignored() -> None:
    unknown: list[Payload] = [
        {"type": "start-step"},
        {"type": "tool-output-preliminary", "toolCallId": "call_1"},
        {"type": "data-render", "data": {"toolCallId": "call_1"}},
        {"type": "data-something", "data": {"a": 1}},
        {"type": "source-url", "url": "http://x"},
        {"type": "turn", "data": {"turnId": "t"}},
        {"type": "new"},
        {},
    ]
    assert answer(SAID, *unknown, FINISH).events == answer(SAID, FINISH).events


def test_a_tools_arguments_as_they_come() -> None:
    told = answer(
        {"type": "tool-input-start", "toolCallId": "call_1", "toolName": "weather"},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": '{"ci'},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": 'ty"}'},
        end=False,
    )
    assert told.items == [("tool_call", "weather", '{"city"}')]
    wrong = answer({**call(), "type": "tool-input-error", "errorText": "no such field"}, FINISH)
    assert [state for _, _, state in states(wrong)] == ["", "failed"]


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("sunny", "sunny"),
        ({"columns": ["n"], "rows": [[1]]}, '{"columns": ["n"], "rows": [[1]]}'),
        ([1, "ü"], '[1, "ü"]'),
        (None, ""),
        (0, "0"),
    ],
)
def test_what_a_tool_gives(output: object, shown: str) -> None:
    told = answer(call(), {"type": "tool-output-available", "toolCallId": "call_1", "output": output}, FINISH)
    assert told.turn.items[-1].text == shown


@pytest.mark.parametrize(
    ("kind", "state"),
    [("tool-output-available", "approved"), ("tool-output-denied", "denied"), ("tool-output-error", "approved")],
)
def test_a_question_whose_tool_has_run_is_not_open_any_more(kind: str, state: str) -> None:
    asks: Payload = {"type": "tool-approval-request", "approvalId": "int_1", "toolCallId": "call_1"}
    told = answer(call(), asks, {"type": kind, "toolCallId": "call_1", "output": "x", "errorText": "y"}, FINISH)
    assert [str(item.state) for item in told.turn.items if item.kind is ItemKind.APPROVAL] == [state]
    assert told.events[-1] == Finished("")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", ""), (None, ""), ("unknown", ""), ("length", "length"), ("content-filter", "content-filter"),
     ("tool-calls", "tool-calls"), ("other", "other"), (5, "")],
)  # fmt: skip
def test_why_it_stopped(reason: object, finish: str) -> None:
    assert answer(SAID, {"type": "finish", "finishReason": reason}, "[DONE]").events[-1] == Finished(finish)


def test_an_end_that_says_error_is_one_even_without_words() -> None:
    told = answer(SAID, {"type": "finish", "finishReason": "error"}, "[DONE]")
    assert isinstance(told.refused, Rejected)
    assert not told.finished


@pytest.mark.parametrize("after", [(), ("[DONE]",), ({"type": "finish", "finishReason": "error"},)])
def test_half_of_an_errors_two_parts_is_an_error(after: tuple[Payload | str, ...]) -> None:
    data: Payload = {"type": "data-agent-error", "data": {"code": "c", "errorText": "m"}}
    assert isinstance(told := answer(SAID, data, *after).refused, Rejected)
    assert told.reply == Reply(0, "m", "c", form="json")
    assert isinstance(told := answer(SAID, {"type": "error", "errorText": "m"}).refused, Rejected)
    assert told.reply == Reply(0, "m", form="json")


def test_nothing_produced_is_said_plainly() -> None:
    said = "The agent produced no output."
    told = answer(
        {"type": "data-agent-error", "data": {"code": "no_output", "errorText": said}},
        {"type": "error", "errorText": said},
    )
    assert isinstance(told.refused, Refused)
    assert told.refused.message == said


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ({"type": "file", "url": "https://x/a.png", "mediaType": "image/png"}, ("file", "https://x/a.png (image/png)")),
        ({"type": "file", "url": "data:image/png;base64,AAAA", "mediaType": "image/png"},
         ("file", "image/png, 26 characters in the answer itself")),
        ({"type": "data-input-request", "id": "i", "data": {"message": "Which city?"}}, ("input-request", "Which city?")),
        ({"type": "data-interaction", "data": {"kind": "k", "payload": 1}}, ("interaction", '{"kind": "k", "payload": 1}')),
        ({"type": "data-mcp-server-failed", "data": {"serverName": "s", "message": "m"}}, ("mcp-server-failed", "s: m")),
        ({"type": "data-approval-manifest", "data": {"files": 2}}, ("approval-manifest", '{"files": 2}')),
        ({"type": "data-committed-revision", "data": {"version": 3}}, ("committed-revision", '{"version": 3}')),
    ],
)  # fmt: skip
def test_notices(part: Payload, shown: tuple[str, str]) -> None:
    (item,) = answer(part, FINISH).turn.items
    assert (item.kind, item.name, item.text) == (ItemKind.NOTICE, *shown)


def test_tokens_may_come_a_few_at_a_time() -> None:
    told = answer(
        {"type": "usage", "data": {"input": 3}}, {"type": "usage", "data": {"output": 2, "input": None}}, SAID, FINISH
    )
    assert told.turn.usage == Usage(3, 2)
    assert answer({"type": "finish", "messageMetadata": {"usage": {"input": 0, "output": "x"}}}).turn.usage is None


def test_agenta_7_a_displaced_stream_ends_with_a_note_and_no_error() -> None:
    told = answer(SAID, {"reason": "stolen", "by": "watcher"})
    assert told.finished
    assert told.refused is None
    assert told.text == "Hello"
    assert told.turn.notes == ("Another client has taken over this session; the answer goes on there.",)
    assert Finished("stolen") in told.events


PARTS: list[Payload] = [
    *(part for name in NAMES for part in payloads(recorded(name)) if isinstance(part, dict)),
    {"type": "tool-output-error", "toolCallId": "c", "errorText": "e"},
    {"type": "tool-output-denied", "toolCallId": "c"},
    {"type": "tool-approval-response", "approvalId": "int_1", "approved": True},
    {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "x"},
    {"type": "file", "url": "u", "mediaType": "m"},
    {"type": "message-metadata", "messageMetadata": {"turnId": "t", "sessionId": "s"}},
    {"type": "data-input-request", "id": "i", "data": {"message": "m"}},
    {"type": "interaction_request", "data": {"id": "i", "kind": "user_approval", "payload": {"toolCall": {"id": "c"}}}},
    {"type": "interaction_response", "data": {"id": "i", "payload": {"approved": True}}},
    {"type": "tool_call", "data": {"id": "c", "name": "n", "input": {}}},
    {"type": "tool_result", "data": {"id": "c", "output": "o", "isError": True}},
    {"type": "message", "data": {"text": "t"}},
    {"type": "done", "data": {"stopReason": "end_turn"}},
    {"reason": "stolen", "by": "w"},
]


def _with(part: Payload, junk: object) -> list[Payload]:
    """`part` with each of its fields, and of the fields in these, replaced."""
    found = [{**part, name: junk} for name in part]
    for name, value in part.items():
        if isinstance(value, dict):
            found += [{**part, name: one} for one in _with(value, junk)]
    return found


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_fields_of_the_wrong_kind_break_nothing(junk: object) -> None:
    for part in PARTS:
        for broken in _with(part, junk):
            told = answer(call(), broken, SAID, broken)
            assert told.refused is None or isinstance(told.refused, Rejected | PalaverError)
            json.dumps([repr(item) for item in told.turn.items])


# Agenta's own events


def test_its_own_events_say_the_same_as_the_parts_of_a_message() -> None:
    own: list[Payload] = [
        {"type": "thought_start", "data": {"id": "r1"}},
        {"type": "thought_delta", "data": {"id": "r1", "delta": "hmm"}},
        {"type": "thought_end", "data": {"id": "r1"}},
        {"type": "tool_call", "data": {"id": "call_1", "name": "weather", "input": {"city": "SF"}}},
        {"type": "tool_result", "data": {"id": "call_1", "output": "sunny"}},
        {"type": "message_start", "data": {"id": "m1"}},
        {"type": "message_delta", "data": {"id": "m1", "delta": "It is "}},
        {"type": "message_delta", "data": {"id": "m1", "delta": "sunny ☀."}},
        {"type": "message_end", "data": {"id": "m1"}},
        {"type": "usage", "data": {"input": 12, "output": 5, "total": 17}},
        {"type": "done", "data": {"stopReason": "end_turn"}},
    ]
    told = answer(*own, session="s-1")
    other = answer(*payloads(recorded("ok")), session="s-1")
    assert (told.turn.items, told.turn.usage, told.events[-1]) == (other.turn.items, other.turn.usage, Finished(""))


def test_its_own_events_that_hold_all_of_a_block() -> None:
    told = answer(
        {"type": "thought", "data": {"text": "hmm"}},
        {"type": "message", "data": {"text": "one"}},
        {"type": "message", "data": {"text": "two"}},
        {"type": "done", "data": {}},
    )
    assert told.items == [("reasoning", "", "hmm"), ("message", "", "one"), ("message", "", "two")]
    assert told.finished


def test_its_own_approval_and_the_answer_to_it() -> None:
    asked = {
        "toolCallId": "call_1",
        "toolCall": {"name": "deploy", "rawInput": {"to": "prod"}},
        "manifest": {"files": 1},
    }
    asks: Payload = {"type": "interaction_request", "data": {"id": "int_1", "kind": "user_approval", "payload": asked}}
    first, corrected = ({"type": "done", "data": {"stopReason": stop}} for stop in (None, "paused"))
    told = answer(asks, first, corrected)
    assert told.events[-1] == Finished("approval")
    assert [str(item.kind) for item in told.turn.items] == ["tool_call", "notice", "approval"]
    assert told.turn.open_approvals[0].text == '{"to": "prod"}'
    for said, state in (({"approved": True}, "approved"), ({"verdict": "denied"}, "denied"), ({}, "open")):
        after: Payload = {"type": "interaction_response", "data": {"id": "int_1", "payload": said}}
        assert str(answer(asks, after).turn.items[-1].state) == state


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"kind": "user_input", "payload": {"message": "Which?"}}, "notice"),
        ({"kind": "new", "payload": {}}, "notice"),
        ({"kind": "client_tool", "payload": {"toolCallId": "c", "toolName": "connect", "input": {}}}, "tool_call"),
    ],
)
def test_other_things_it_may_want(event: dict[str, Any], kind: str) -> None:
    told = answer({"type": "interaction_request", "data": {"id": "i", **event}})
    assert [str(item.kind) for item in told.turn.items] == [kind]


def test_its_own_errors() -> None:
    told = answer(SAID, {"type": "error", "data": {"message": "m", "code": "c"}})
    assert isinstance(told.refused, Rejected)
    assert told.refused.reply == Reply(0, "m", "c", form="json")


@pytest.mark.parametrize("kind", ["message", "data", "file", "tool_result", "new"])
def test_events_may_be_empty(kind: str) -> None:
    assert all(isinstance(part, dict) for part in parts_of(kind, {}, "n"))


# Answers that were not streamed


def test_an_answer_that_was_not_streamed() -> None:
    said = [{"role": "user", "content": "hi"}, {"role": "tool", "content": "x"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hel"}, {"text": "lo"}]},
            {"role": "assistant", "content": "there"}]  # fmt: skip
    told = answer({"session_id": "s-2", "data": {"outputs": {"messages": said}}}, whole=True)
    assert told.text == "Hello\n\nthere"
    assert told.issued == "s-2"
    assert told.events[-1] == Finished("")


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"status": {"code": 500, "message": "m"}}, Rejected),
        ({"data": {"outputs": {}}}, Refused),
        ({"data": []}, Refused),
        ({}, Refused),
    ],
)
def test_answers_that_were_not_streamed_and_are_none(payload: Payload, error: type[Exception]) -> None:
    assert isinstance(answer(payload, whole=True).refused, error)


# Sessions' ids


@pytest.mark.parametrize("where", ["header", "metadata", "later"])
async def test_agenta_1_the_servers_id_is_adopted_where_it_is_another_one(where: str) -> None:
    server = FakeServer()
    running = asyncio.create_task(take(client_of(server), AGENTA, "hello"))
    exchange = await server.request()
    ours = exchange.json["session_id"]
    assert (str(uuid.UUID(ours)), ours) == (ours, ours.lower())
    exchange.respond(headers={"x-ag-session-id": "theirs" if where == "header" else ours})
    if where != "header":
        kind = "start" if where == "metadata" else "message-metadata"
        exchange.event({"type": kind, "messageMetadata": {"sessionId": "theirs", "turnId": "turn_1"}})
    exchange.event(SAID).event(FINISH).event("[DONE]").end()
    told = await running
    assert told.turn.conversation_id == "theirs"
    named = [event.run for event in told.events if isinstance(event, RunNamed)]
    assert named == (["theirs", ""] if where == "header" else [ours, "theirs", ""])


@pytest.mark.parametrize("session", ["", "a b", "../x", "x" * 129, "ü", 5, None, {}, "a\n"])
def test_agenta_18_an_id_that_could_not_be_sent_again_is_not_adopted(session: object) -> None:
    assert not is_session_id(session)
    told = answer({"type": "start", "messageMetadata": {"sessionId": session}}, SAID, FINISH)
    assert told.issued == SESSION


@pytest.mark.parametrize("session", ["", "a/b", "x" * 129, "tenant.1"])
async def test_agenta_18_ids_the_server_would_refuse_are_refused_before_sending(session: str) -> None:
    server = Bytes([])
    for request in ({"conversation_id": session or "\x00"}, {"run": session or "\x00"}):
        told = await take(over(server), AGENTA, **request)
        assert told.turn.status is TurnStatus.FAILED
        assert "cannot be the id of a session here" in told.words
        assert "\x1b" not in told.words
    assert server.requests == 0


async def test_the_id_is_not_given_out_before_the_end() -> None:
    told = answer(*payloads(recorded("ok"))[:-2])
    assert told.issued == ""


# What is sent


def request(
    prompt: str = "weather in SF?", history: tuple[Message, ...] = (), session: str = SESSION, **profile: Any
) -> Request:
    return Request(replace(AGENTA, **profile), prompt, "session", history=history, conversation_id=session)


def test_a_request() -> None:
    options = {"application_id": "a", "variant_id": "v", "revision_id": "r"}
    said = (Message("user", "hi"), Message("assistant", "hello"))
    assert body(request(history=said, options=options)) == {
        "session_id": SESSION,
        "references": {
            "application": {"id": "a"},
            "application_variant": {"id": "v"},
            "application_revision": {"id": "r"},
        },
        "data": {
            "inputs": {
                "messages": [
                    {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]},
                    {"id": "a2", "role": "assistant", "parts": [{"type": "text", "text": "hello"}]},
                    {"id": "u3", "role": "user", "parts": [{"type": "text", "text": "weather in SF?"}]},
                ]
            }
        },
    }


def test_parameters_are_told_where_there_are_any_or_nothing_else_says_them() -> None:
    assert body(request())["data"]["parameters"] == {"agent": {}}
    assert "references" not in body(request())
    params = {"agent": {"model": "m"}}
    assert body(request(params=params, options={"application_id": "a"}))["data"]["parameters"] == params
    assert "parameters" not in body(request(options={"application_id": "a"}))["data"]


def test_blank_messages_are_not_told_and_the_system_prompt_comes_first() -> None:
    said = (Message("user", ""), Message("assistant", "  "))
    messages = body(request(history=said, system="Be brief."))["data"]["inputs"]["messages"]
    assert [(one["role"], one["parts"][0]["text"]) for one in messages] == [
        ("system", "Be brief."),
        ("user", "weather in SF?"),
    ]


def test_a_request_can_be_put_on_the_wire_whatever_was_typed() -> None:
    sent = body(request("\ud800 \x00 \u2028 \U0001f600"))
    assert json.loads(json.dumps(sent)) == sent


def test_the_key_goes_along_as_agenta_wants_it() -> None:
    assert headers(AGENTA, "k") == {"authorization": "ApiKey k"}
    assert headers(AGENTA, "") == {}


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({}, "/invoke"),
        ({"project_id": "p"}, "/invoke?project_id=p"),
        ({"service_url": "http://agenta.localhost:1/services/x"}, "http://agenta.localhost:1/services/x/invoke"),
        ({"service_url": "http://agenta.localhost:1/services/x/"}, "http://agenta.localhost:1/services/x/invoke"),
        ({"service_url": "http://agenta.localhost:1/services/x/invoke?a=b", "application_id": "a&b"},
         "http://agenta.localhost:1/services/x/invoke?a=b&application_id=a%26b"),
    ],
)  # fmt: skip
def test_where_a_turn_runs(options: dict[str, str], where: str) -> None:
    assert address(replace(AGENTA, options=options)) == where


@pytest.mark.parametrize(
    "service",
    ["https://agenta.localhost:1/s", "http://agenta.localhost:2/s", "http://evil.localhost:1/s", "services/x", "http://", "file:///x"],
)  # fmt: skip
async def test_the_key_goes_to_no_other_origin(service: str) -> None:
    profile = replace(AGENTA, options={"service_url": service})
    with pytest.raises(ConfigError, match=r"^service_url"):
        address(profile)
    server = Bytes([recorded("ok")])
    told = await take(over(server), profile)
    assert (told.turn.status, told.exit_status, server.requests) == (TurnStatus.FAILED, 3, 0)


async def test_a_stream_is_asked_for_as_messages_have_it() -> None:
    server = FakeServer()
    running = asyncio.create_task(take(client_of(server), AGENTA, "hello"))
    exchange = await server.request()
    assert exchange.request.headers["accept"] == "text/event-stream"
    assert exchange.request.headers["x-ag-messages-format"] == "vercel"
    assert "x-ag-session-control" not in exchange.request.headers
    exchange.respond().send(recorded("ok")).end()
    assert (await running).turn.text == "It is sunny ☀."


async def test_a_blank_prompt_is_not_sent() -> None:
    server = Bytes([])
    told = await take(over(server), AGENTA, "  \n ")
    assert (told.exit_status, server.requests) == (2, 0)


# Nothing is stale


LOOKALIKES = {
    "unknown stream": (404, {"detail": "No stream found for session 'x'."}),
    "id": (400, {"detail": "session_id contains invalid characters or is empty."}),
    "another id": (422, {"detail": "Session id 'x' is invalid."}),
    "busy": (
        409,
        {"detail": {"message": f"Session '{SESSION}' already has an active turn.", "liveness": {"running": True}}},
    ),
    "interaction": (404, {"detail": "Interaction not found"}),
    "key": (401, {"detail": "Unauthorized"}),
    "service": (424, {"status": {"code": 424, "message": "session not found"}}),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_no_reply_is_stale(name: str) -> None:
    status, said = LOOKALIKES[name]
    reply = read_reply(status, json.dumps(said).encode())
    assert not is_stale(reply, request())
    assert not is_unsupported(reply)


# Refusals, in words


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (500, {"detail": "Something broke."}, "agenta.localhost:1 failed: Something broke."),
        (500, {"detail": {"message": "Something broke.", "more": [1]}}, "agenta.localhost:1 failed: Something broke."),
        (500, {"status": {"type": "t", "code": 500, "message": "no model", "stacktrace": ["secret line"]}},
         "agenta.localhost:1 failed: no model."),
        (424, {"status": {"code": 424, "message": "the provider answered 401"}},
         "Something that agenta.localhost:1 relies on refused or failed: the provider answered 401."),
        (424, {}, "Something that agenta.localhost:1 relies on refused or failed: {}."),
        (406, {"detail": "Not Acceptable", "requested": "text/event-stream", "supported": ["application/json"]},
         "agenta.localhost:1 does not answer this as a stream: Not Acceptable — check service_url"),
        (401, {"detail": "Unauthorized"}, "agenta.localhost:1 wants a key: Unauthorized — set api_key_env in profile agenta"),
        (403, {"detail": "You do not have access to perform this action."},
         "agenta.localhost:1 does not allow this: You do not have access to perform this action."),
    ],
)  # fmt: skip
async def test_agenta_16_refusals_are_readable(status: int, said: Any, words: str) -> None:
    told = await take(
        over(Bytes([json.dumps(said).encode()], status=status, headers={"content-type": "application/json"})), AGENTA
    )
    assert told.turn.status is TurnStatus.FAILED
    assert told.words == words


async def test_too_many_runs_is_waited_for() -> None:
    waits = Waits()
    said = json.dumps({"detail": "Concurrency cap reached for this project."}).encode()
    told = await take(over(Bytes([said], status=429), waits), AGENTA)
    assert told.exit_status == 8
    assert "Concurrency cap reached" in told.words
    assert len(waits.seconds) == 2


def test_it_is_what_the_table_names() -> None:
    wire = load("agenta")
    assert all(
        hasattr(wire, name) for name in ("stream", "stop", "steer", "conversations", "recall", "headers", "body")
    )


def test_no_text_is_told_twice() -> None:
    told = answer(*payloads(recorded("ok")))
    assert [event.text for event in told.events if isinstance(event, ItemDelta) and event.key == "text/m1"] == [
        "",
        "It is ",
        "sunny ☀.",
    ]
    assert not any(isinstance(event, Noted) for event in told.events)
    assert sum(isinstance(event, ItemWhole) for event in told.events) == 2
