"""The Anthropic Messages API: what is sent, and what is made of every kind of event."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.client.turns import Bytes, Read, over, read, take
from tests.fake_server import PROFILE, Waits
from tui.client import Request
from tui.client.protocols.anthropic import body, headers, is_stale, is_unsupported
from tui.client.protocols.anthropic_events import HIDDEN, AnthropicReader, read_usage
from tui.client.reply import Rejected, Reply
from tui.errors import Refused
from tui.events import Finished, ItemDelta, ModelNamed, Used
from tui.model import ItemKind, ItemState, Message, TurnStatus, Usage

ANTHROPIC = replace(PROFILE, protocol="anthropic")


def answer(*payloads: Any, whole: bool = False) -> Read:
    return read(AnthropicReader("host"), *payloads, whole=whole)


def start(**usage: Any) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    return {"type": "message_start", "message": message}


def begin(index: Any, kind: str, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **block}}


def delta(index: Any, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def text(piece: Any, index: Any = 0) -> dict[str, Any]:
    return delta(index, "text_delta", text=piece)


def stop(index: Any = 0) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def tail(reason: Any = "end_turn", *, details: Any = None, **usage: Any) -> dict[str, Any]:
    said = {"stop_reason": reason, "stop_sequence": None} | ({"stop_details": details} if details else {})
    return {"type": "message_delta", "delta": said, "usage": usage}


STOP = {"type": "message_stop"}
PING = {"type": "ping"}
END = [tail(), STOP]


# Text


@pytest.mark.parametrize(
    "payloads",
    [
        [start(), begin(0, "text", text=""), PING, text("Hello "), text("there"), stop(), *END],
        [start(), begin(0, "text", text="Hello "), text("there"), stop(), *END],
        [start(), begin(0, "text", text="Hello there"), stop(), *END],
        [start(), text("Hello "), text("there"), *END],
        [start(), begin(None, "text", text=""), text("Hello ", None), text("there", None), stop(None), *END],
        [start(), begin(0, "text"), text("Hello "), stop(), begin(1, "text"), text("there", 1), stop(1), *END],
        [start(), begin(0, "text"), text("Hello "), text(""), text("there"), tail()],
        [start(), begin(0, "text"), text("Hello "), text("there"), stop(), STOP],
    ],
)
def test_the_same_text_from_every_kind_of_server(payloads: list[Any]) -> None:
    told = answer(*payloads)
    assert told.items == [("message", "", "Hello there")]
    assert told.events[-1] == Finished()
    assert told.turn.model == "m"


def test_text_is_shown_as_it_comes() -> None:
    assert list(AnthropicReader().read(text("Hel"))) == [ItemDelta("message/1", ItemKind.MESSAGE, "Hel")]


def test_text_that_citations_cut_up_is_one_message() -> None:
    cited = delta(1, "citations_delta", citation={"type": "web_search_result_location", "url": "https://a.example"})
    told = answer(
        start(),
        *[begin(0, "text"), text("Bridges: "), stop()],
        *[begin(1, "text", citations=[]), cited, text("2496", 1), stop(1)],
        *[begin(2, "text"), text(" in Hamburg.", 2), stop(2)],
        *END,
    )
    assert told.items == [("message", "", "Bridges: 2496 in Hamburg.")]


def test_the_model_is_told_once() -> None:
    told = answer(start(), begin(0, "text"), text("a"), *END)
    assert [event.model for event in told.events if isinstance(event, ModelNamed)] == ["m"]


# The end


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", ""),
        ("stop_sequence", ""),
        ("max_tokens", "max_tokens"),
        ("tool_use", "tool_use"),
        ("pause_turn", "pause_turn"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
        ("something new", "something new"),
    ],
)
def test_the_reason_is_told_where_it_is_not_the_normal_one(reason: str, finish: str) -> None:
    told = answer(start(), text("a"), tail(reason), STOP)
    assert (told.text, told.turn.finish, told.finished) == ("a", finish, True)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [start()],
        [start(), text("a")],
        [start(), text("a"), stop()],
        [start(), text("a"), "[DONE]"],
        [start(), text("a"), tail(None, output_tokens=3)],
    ],
)
@pytest.mark.fault("N19")
def test_without_a_stop_reason_an_answer_is_not_finished(payloads: list[Any]) -> None:
    told = answer(*payloads)
    assert not told.finished
    assert told.refused is None


@pytest.mark.parametrize("last", [[], ["[DONE]"], [STOP]])
def test_a_stop_reason_ends_the_answer_and_leaves_room_for_what_follows(last: list[Any]) -> None:
    reader = AnthropicReader()
    assert Finished() not in [*reader.read(text("a")), *reader.read(tail())]
    assert reader.over
    assert read(reader, *last).finished


@pytest.mark.fault("N46")
def test_what_comes_after_the_end_is_ignored() -> None:
    late = [begin(1, "text"), text("more", 1), {"type": "error", "error": {"type": "api_error", "message": "late"}}]
    told = answer(start(), text("a"), tail(), *late, STOP)
    assert (told.text, told.turn.finish, told.refused) == ("a", "", None)


def test_an_empty_answer_is_an_answer() -> None:
    told = answer(start(input_tokens=4), tail(output_tokens=1), STOP)
    assert told.finished
    assert told.items == []
    assert told.turn.usage == Usage(4, 1)


# Refusals


def test_an_answer_that_is_refused_at_once_is_an_error_with_the_servers_words() -> None:
    told = answer(start(), tail("refusal", details={"type": "refusal", "explanation": "Not this."}), STOP)
    assert isinstance(told.refused, Rejected)
    assert told.refused.reply.message == "the model refused to answer: Not this."
    assert told.refused.in_stream
    bare = answer(start(), tail("refusal"), STOP)
    assert isinstance(bare.refused, Rejected)
    assert bare.refused.reply.message == "the model refused to answer"


def test_an_answer_that_is_refused_halfway_says_why() -> None:
    told = answer(start(), text("First, "), tail("refusal", details={"explanation": "Not this."}), STOP)
    assert told.items == [("message", "", "First, "), ("notice", "refusal", "Not this.")]
    assert (told.text, told.turn.finish) == ("First, ", "refusal")


# Tokens


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        ({"input_tokens": 9, "output_tokens": 3}, Usage(9, 3)),
        (
            {"input_tokens": 9, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 7, "output_tokens": 3},
            Usage(96, 3, None, 80),
        ),
        ({"cache_read_input_tokens": 80, "output_tokens": 3}, Usage(80, 3, None, 80)),
        ({"input_tokens": 9, "output_tokens": 3, "thinking_tokens": 2}, Usage(9, 3, 2)),
        ({"output_tokens": 3}, Usage(None, 3)),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({"input_tokens": "9", "output_tokens": [3], "cache_read_input_tokens": True}, None),
        ({}, None),
    ],
)
def test_usage(usage: dict[str, Any], wanted: Usage | None) -> None:
    assert read_usage(usage) == wanted


def test_counts_are_totals_and_one_that_is_left_out_stays() -> None:
    told = answer(
        start(input_tokens=9, cache_read_input_tokens=80, output_tokens=1),
        text("a"),
        tail(None, output_tokens=2),
        tail(None, output_tokens=2, cache_read_input_tokens=None),
        tail(output_tokens=7, output_tokens_details={"thinking_tokens": 5}, server_tool_use={"web_search_requests": 1}),
        STOP,
    )
    assert [event.usage for event in told.events if isinstance(event, Used)] == [
        Usage(89, 1, None, 80),
        Usage(89, 2, None, 80),
        Usage(89, 7, 5, 80),
    ]


def test_the_last_count_of_the_input_holds() -> None:
    told = answer(start(input_tokens=0, output_tokens=0), text("a"), tail(input_tokens=12, output_tokens=3), STOP)
    assert told.turn.usage == Usage(12, 3)


# Reasoning


def test_thinking_is_an_item_before_the_answer() -> None:
    told = answer(
        start(),
        begin(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Let me "),
        delta(0, "thinking_delta", thinking="see."),
        delta(0, "signature_delta", signature="c2ln"),
        stop(),
        begin(1, "text", text=""),
        text("Warm.", 1),
        stop(1),
        *END,
    )
    assert told.items == [("reasoning", "", "Let me see."), ("message", "", "Warm.")]
    assert told.text == "Warm."


def test_reasoning_that_is_kept_back_is_said_to_be() -> None:
    told = answer(
        start(),
        *[begin(0, "thinking"), delta(0, "thinking_delta", thinking="Hm."), stop()],
        *[begin(1, "redacted_thinking", data="ZW5jcnlwdGVk"), stop(1)],
        *[begin(2, "text"), text("Warm.", 2), stop(2)],
        *END,
    )
    assert told.items == [("reasoning", "", "Hm."), ("reasoning", "", HIDDEN), ("message", "", "Warm.")]


def test_thinking_that_only_has_a_signature_shows_nothing() -> None:
    told = answer(start(), begin(0, "thinking", thinking=""), delta(0, "signature_delta", signature="x"), stop(), *END)
    assert told.items == []


def test_reasoning_between_two_messages_keeps_its_place() -> None:
    blocks = [
        begin(0, "text"), text("a"), stop(),
        begin(1, "thinking"), delta(1, "thinking_delta", thinking="b"), stop(1),
        begin(2, "text"), text("c", 2), stop(2),
    ]  # fmt: skip
    assert answer(start(), *blocks, *END).items == [("message", "", "a"), ("reasoning", "", "b"), ("message", "", "c")]


# Tools


CALL = {"id": "toolu_1", "name": "weather", "input": {}}


@pytest.mark.parametrize("kind", ["tool_use", "server_tool_use", "mcp_tool_use"])
@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        (["", '{"x"', ":1}"], '{"x":1}'),
        (['{"x":1}'], '{"x":1}'),
        ([""], "{}"),
        ([], "{}"),
    ],
)
def test_a_tools_arguments_come_in_pieces(kind: str, pieces: list[str], arguments: str) -> None:
    deltas = [delta(0, "input_json_delta", partial_json=piece) for piece in pieces]
    told = answer(start(), begin(0, kind, **CALL), *deltas, stop(), tail("tool_use"), STOP)
    (item,) = told.turn.items
    assert (item.key, item.kind, item.name, item.text) == ("toolu_1", ItemKind.TOOL_CALL, "weather", arguments)
    assert item.call_id == "toolu_1"


@pytest.mark.parametrize("closed", [[stop()], []])
def test_arguments_that_come_with_the_start(closed: list[Any]) -> None:
    told = answer(start(), begin(0, "tool_use", **CALL | {"input": {"x": 1}}), *closed, tail("tool_use"), STOP)
    assert told.items == [("tool_call", "weather", '{"x": 1}')]


def test_a_tool_of_an_mcp_server_is_named_with_it() -> None:
    told = answer(start(), begin(0, "mcp_tool_use", **CALL, server_name="town"), stop(), *END)
    assert told.items == [("tool_call", "town.weather", "{}")]


def test_two_calls_of_the_same_id_are_two_items() -> None:
    blocks = [begin(0, "tool_use", **CALL), stop(), begin(1, "tool_use", **CALL | {"name": "wind"}), stop(1)]
    told = answer(start(), *blocks, tail("tool_use"), STOP)
    assert told.items == [("tool_call", "weather", "{}"), ("tool_call", "wind", "{}")]


def test_text_after_a_call_is_a_message_of_its_own() -> None:
    blocks = [text("a"), stop(), begin(1, "tool_use", **CALL), stop(1), text("b", 2)]
    assert [item[2] for item in answer(start(), *blocks, *END).items] == ["a", "{}", "b"]


PAGE = {"type": "web_search_result", "title": "Bridges", "url": "https://a.example", "encrypted_content": "x"}
RESULTS = [
    ("web_search_tool_result", [PAGE, PAGE | {"title": "More"}], "Bridges\nhttps://a.example\nMore\nhttps://a.example"),
    (
        "web_fetch_tool_result",
        {
            "type": "web_fetch_result",
            "url": "https://a.example",
            "retrieved_at": "2026-11-20",
            "content": {
                "type": "document",
                "title": "Bridges",
                "source": {"type": "text", "media_type": "text/plain", "data": "2496 of them."},
            },
        },
        "https://a.example\nBridges\n2496 of them.",
    ),
    (
        "web_fetch_tool_result",
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
        "(application/pdf)",
    ),
    (
        "code_execution_tool_result",
        {"type": "code_execution_result", "stdout": "4\n", "stderr": "", "return_code": 0, "content": []},
        "4",
    ),
    (
        "bash_code_execution_tool_result",
        {
            "type": "bash_code_execution_result",
            "stdout": "done\n",
            "stderr": "careful\n",
            "return_code": 0,
            "content": [{"type": "bash_code_execution_output", "file_id": "file_1"}],
        },
        "done\ncareful\nfile file_1",
    ),
    (
        "text_editor_code_execution_tool_result",
        {"type": "text_editor_code_execution_view_result", "content": "line one\nline two", "file_type": "text"},
        "line one\nline two",
    ),
    ("text_editor_code_execution_tool_result", {"type": "x_result", "lines": ["-a", "+b"]}, "-a\n+b"),
    (
        "tool_search_tool_result",
        {
            "type": "tool_search_tool_search_result",
            "tool_references": [{"type": "tool_reference", "tool_name": "wind"}],
        },
        "wind",
    ),
    ("mcp_tool_result", [{"type": "text", "text": "17"}, {"type": "text", "text": "degrees"}], "17\ndegrees"),
    ("mcp_tool_result", "17 degrees", "17 degrees"),
    ("tool_result", {"type": "new_result", "count": 3, "encrypted_content": "x"}, '{"count": 3}'),
    ("tool_result", None, ""),
]


@pytest.mark.parametrize(("kind", "content", "said"), RESULTS)
def test_what_the_servers_own_tools_answered(kind: str, content: Any, said: str) -> None:
    result = begin(1, kind, tool_use_id="srvtoolu_1", content=content)
    told = answer(start(), begin(0, "server_tool_use", **CALL | {"id": "srvtoolu_1"}), stop(), result, stop(1), *END)
    call, item = told.turn.items
    assert (item.kind, item.text, item.state) == (ItemKind.TOOL_RESULT, said, ItemState.NONE)
    assert item.call_id == call.call_id == "srvtoolu_1"


FAILURES = [
    (
        "web_search_tool_result",
        {"content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}},
        "max_uses_exceeded",
    ),
    (
        "code_execution_tool_result",
        {
            "content": {
                "type": "code_execution_tool_result_error",
                "error_code": "unavailable",
                "error_message": "Later.",
            }
        },
        "unavailable\nLater.",
    ),
    (
        "bash_code_execution_tool_result",
        {"content": {"type": "bash_code_execution_result", "stdout": "", "stderr": "no such file\n", "return_code": 2}},
        "no such file\nexit status 2",
    ),
    ("mcp_tool_result", {"content": [{"type": "text", "text": "boom"}], "is_error": True}, "boom"),
]


@pytest.mark.parametrize(("kind", "block", "said"), FAILURES)
def test_a_tool_that_failed(kind: str, block: dict[str, Any], said: str) -> None:
    (item,) = answer(start(), begin(0, kind, tool_use_id="t", **block), stop(), *END).turn.items
    assert (item.text, item.state) == (said, ItemState.FAILED)


def test_a_result_nested_beyond_reason_is_nothing() -> None:
    content: Any = "deep"
    for _ in range(400):
        content = {"type": "x", "content": [content]}
    told = answer(start(), begin(0, "mcp_tool_result", tool_use_id="t", content=content), stop(), text("a", 1), *END)
    assert told.text == "a"
    assert told.refused is None


# What is not known


def test_blocks_of_other_kinds_are_told_of() -> None:
    told = answer(
        start(),
        *[begin(0, "compaction", content="So far: bridges."), delta(0, "compaction_delta", content="x"), stop()],
        *[begin(1, "container_upload", file_id="file_1"), stop(1)],
        *[begin(2, "dance"), delta(2, "dance_delta", step="left"), stop(2)],
        *END,
    )
    assert told.items == [
        ("notice", "", "The server shortened the conversation."),
        ("notice", "container_upload", '{"file_id": "file_1"}'),
        ("notice", "dance", ""),
    ]


@pytest.mark.fault("N51")
def test_events_of_an_unknown_kind_change_nothing() -> None:
    told = answer({"type": "x"}, {}, {"choices": []}, start(), text("a"), delta(0, "x", text="b"), PING, *END)
    assert told.items == [("message", "", "a")]


@pytest.mark.fault("N53")
def test_a_delta_of_another_kind_than_its_block_begins_an_item() -> None:
    told = answer(start(), begin(0, "thinking"), text("a"), delta(0, "thinking_delta", thinking="b"), *END)
    assert told.items == [("message", "", "a"), ("reasoning", "", "b")]
    orphan = answer(start(), delta(3, "input_json_delta", partial_json="{}"), *END)
    assert orphan.items == [("tool_call", "", "{}")]


NOTHINGS: list[Any] = [None, 5, "x", [], {}, [None], [5], [[]], {"a": None}, True, float("nan"), -1]


@pytest.mark.fault("N50")
@pytest.mark.parametrize("nothing", NOTHINGS, ids=repr)
def test_fields_of_the_wrong_type_never_raise(nothing: Any) -> None:
    blocks = ["text", "thinking", "redacted_thinking", "tool_use", "mcp_tool_result", "web_search_tool_result", "dance"]
    fields = ["text", "thinking", "data", "id", "name", "input", "server_name", "tool_use_id", "content", "is_error"]
    told = answer(
        {"type": nothing, "index": 0},
        {"type": "message_start", "message": nothing},
        {"type": "message_start", "message": {"model": nothing, "usage": nothing}},
        *[{"type": "message_start", "message": {"usage": {"input_tokens": nothing, "output_tokens_details": nothing}}}],
        {"type": "content_block_start", "index": 1, "content_block": nothing},
        *[begin(nothing, kind, **{field: nothing}) for kind in blocks for field in fields],
        {"type": "content_block_delta", "index": 1, "delta": nothing},
        *[delta(nothing, kind, **{field: nothing}) for kind, field in
          (("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json"))
          if nothing != "x"],
        {"type": "content_block_stop", "index": nothing},
        {"type": "message_delta", "delta": nothing, "usage": nothing},
        *([tail(nothing)] if nothing != "x" else []),
        begin(90, "mcp_tool_use", id="last", name="last"),
        text("Fine", 91),
        *END,
    )  # fmt: skip
    assert told.refused is None
    assert told.finished
    assert told.text.endswith("Fine")


# Errors


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
            Reply(529, "Overloaded", type="overloaded_error", form="json"),
        ),
        (
            {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}},
            Reply(429, "Slow down", type="rate_limit_error", form="json"),
        ),
        (
            {"type": "error", "error": {"type": "api_error", "message": "Oh"}},
            Reply(500, "Oh", type="api_error", form="json"),
        ),
        (
            {"type": "error", "error": {"type": "new_error", "message": "Oh"}},
            Reply(0, "Oh", type="new_error", form="json"),
        ),
        (
            {"error": {"message": "m", "type": "server_error", "code": 500}},
            Reply(0, "m", "500", "server_error", form="json"),
        ),
        ({"error": "text"}, Reply(0, "text", form="json")),
        ({"detail": "no such worker"}, Reply(0, "no such worker", form="json")),
    ],
)
def test_errors_in_a_stream(payload: dict[str, Any], reply: Reply) -> None:
    told = answer(start(), text("a"), payload, *END)
    assert isinstance(told.refused, Rejected)
    assert told.refused.in_stream
    assert told.refused.reply == reply
    assert told.text == "a"


@pytest.mark.parametrize("error", [None, {}, [], "x", 5])
def test_an_error_without_words_is_an_error(error: Any) -> None:
    told = answer(start(), {"type": "error", "error": error})
    assert isinstance(told.refused, Rejected)


def event(kind: str, message: str) -> bytes:
    return f'event: error\ndata: {{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}\n\n'.encode()


BEFORE = [
    ("overloaded_error", "Overloaded", "limited", 8, 3),
    ("rate_limit_error", "Slow", "limited", 8, 3),
    ("timeout_error", "Late", "limited", 8, 3),
    ("api_error", "Oh", "refused", 6, 1),
    ("authentication_error", "invalid x-api-key", "not-allowed", 4, 1),
    ("permission_error", "not yours", "not-allowed", 4, 1),
    ("not_found_error", "model: x", "refused", 6, 1),
    ("billing_error", "credit", "refused", 6, 1),
    ("request_too_large", "big", "refused", 6, 1),
    ("invalid_request_error", "prompt is too long: 300000 tokens", "refused", 6, 1),
]


@pytest.mark.parametrize(("kind", "message", "error", "exit_status", "requests"), BEFORE)
@pytest.mark.fault("N48")
async def test_an_error_in_the_stream_counts_as_the_status_its_type_stands_for(
    kind: str, message: str, error: str, exit_status: int, requests: int
) -> None:
    server = Bytes([event(kind, message)])
    told = await take(over(server, Waits()), ANTHROPIC)
    assert told.turn.error is not None
    assert (told.turn.error.kind, told.exit_status, server.requests) == (error, exit_status, requests)


@pytest.mark.fault("N47")
async def test_an_error_after_text_keeps_what_was_said() -> None:
    piece = f"event: content_block_delta\ndata: {json.dumps(text('a'))}\n\n".encode()
    server = Bytes([piece, event("overloaded_error", "Overloaded")])
    told = await take(over(server, Waits()), ANTHROPIC)
    assert (told.turn.status, told.turn.text, server.requests) == (TurnStatus.INTERRUPTED, "a", 1)
    assert told.words.startswith("The server broke off: Overloaded")


async def test_an_answer_without_a_word_that_was_refused_says_so() -> None:
    server = Bytes([b'data: {"type":"message_delta","delta":{"stop_reason":"refusal"}}\n\n'])
    told = await take(over(server, Waits()), ANTHROPIC)
    assert told.words == "server.localhost:1 refused the request: the model refused to answer."
    assert (told.exit_status, server.requests) == (6, 1)


# Answers that are not streamed


def test_an_answer_that_was_not_streamed() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        {"type": "text", "text": "Warm."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"x": 1}},
    ]
    usage = {"input_tokens": 1, "cache_read_input_tokens": 4, "output_tokens": 2}
    told = answer({"model": "m", "content": content, "stop_reason": "tool_use", "usage": usage}, whole=True)
    assert told.items == [("reasoning", "", "Hm."), ("message", "", "Warm."), ("tool_call", "weather", '{"x": 1}')]
    assert (told.turn.usage, told.turn.model, told.turn.finish) == (Usage(5, 2, None, 4), "m", "tool_use")


@pytest.mark.parametrize("content", ["Warm.", [{"type": "text", "text": "Warm."}, None, 5]])
def test_an_answer_that_was_not_streamed_ends_though_it_does_not_say_so(content: Any) -> None:
    told = answer({"content": content}, whole=True)
    assert told.items == [("message", "", "Warm.")]
    assert told.events[-1] == Finished()


@pytest.mark.parametrize("payload", [{}, {"content": None}, {"choices": []}, {"output": []}, {"data": []}])
def test_an_answer_in_another_protocol_is_refused(payload: dict[str, Any]) -> None:
    assert isinstance(answer(payload, whole=True).refused, Refused)


# What is sent


def request(prompt: str = "hi", history: tuple[Message, ...] = (), **profile: Any) -> Request:
    return Request(replace(ANTHROPIC, **profile), prompt, "session", history=history, conversation_id="msg_1")


def said(*roles_and_texts: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in roles_and_texts]}


USER, ASSISTANT = "user", "assistant"
PLAIN = {"model": "m", "max_tokens": 8192, "messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (request(), {}),
        (request(system="Be brief."), {"system": "Be brief."}),
        (request(params={"max_tokens": 99, "temperature": 0}), {"max_tokens": 99, "temperature": 0}),
        (
            request(history=(Message(USER, "one"), Message(ASSISTANT, "eins"))),
            said((USER, "one"), (ASSISTANT, "eins"), (USER, "hi")),
        ),
        (request(history=(Message(USER, "one"), Message(USER, "two"))), said((USER, "one\n\ntwo\n\nhi"))),
        (
            request(history=(Message(USER, "one"), Message(ASSISTANT, "eins"), Message(ASSISTANT, "zwei"))),
            said((USER, "one"), (ASSISTANT, "eins\n\nzwei"), (USER, "hi")),
        ),
        (
            request(history=(Message(USER, "one"), Message(ASSISTANT, " \n"), Message(USER, ""))),
            said((USER, "one\n\nhi")),
        ),
    ],
)
def test_a_request(asked: Request, sent: dict[str, Any]) -> None:
    assert body(asked) == PLAIN | sent


def test_the_key_has_a_header_of_its_own() -> None:
    assert headers(ANTHROPIC, "sk-1") == {"anthropic-version": "2023-06-01", "x-api-key": "sk-1"}
    assert headers(ANTHROPIC, "") == {"anthropic-version": "2023-06-01"}


@pytest.mark.fault("S13")
def test_nothing_is_ever_stale() -> None:
    assert not ANTHROPIC.traits.keeps
    for status in (0, 400, 404, 410, 422):
        reply = Reply(status, "Previous response with id 'msg_1' not found.", "previous_response_not_found")
        assert not is_stale(reply, request())
        assert not is_unsupported(reply)
