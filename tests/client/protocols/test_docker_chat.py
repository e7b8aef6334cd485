"""Agents behind Chat Completions: what is sent, and what ends an answer well."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.turns import Bytes, Read, Told, over, read, take
from tests.fake_server import CHAT_PROFILE
from tui.client import Request
from tui.client.protocols import load
from tui.client.protocols.docker_chat import DockerChatReader, body, headers, is_stale, is_unsupported
from tui.client.reply import Rejected, Reply
from tui.credentials import KeySource
from tui.events import ConversationIssued, Finished, ItemDelta, ModelNamed, Used
from tui.model import ItemKind, Message, TurnStatus, Usage

PROFILE = replace(CHAT_PROFILE, name="docker", protocol="docker-chat", model="root", key=KeySource())
OURS = "0197f2aa-1111-7000-8000-000000000001"


def chunk(finish: str = "", /, **delta: Any) -> dict[str, Any]:
    """A chunk as the server writes it: what is empty is left out."""
    choice = {"index": 0, "delta": delta} | ({"finish_reason": finish} if finish else {})
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "root", "choices": [choice]}


ROLE, STOP = chunk(role="assistant"), chunk("stop")
USAGE = chunk() | {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}}
ERROR = {"error": {"message": "model root: it broke", "type": "internal_error"}}


def answer(*payloads: Any, whole: bool = False) -> Read:
    return read(DockerChatReader("host", OURS), *payloads, whole=whole)


def call(call_id: str, name: str, arguments: str, index: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return chunk(tool_calls=[told | ({"index": index} if index else {})])


# What is sent


def test_everything_said_is_sent_to_the_agent_the_profile_names() -> None:
    said = (Message("user", "hello"), Message("assistant", "Hi"))
    assert body(Request(PROFILE, "and again?", history=said, conversation_id=OURS)) == {
        "model": "root",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "and again?"},
        ],
    }


def test_the_key_goes_where_the_server_looks_for_it() -> None:
    assert headers(PROFILE, "k") == {"authorization": "Bearer k"}
    assert headers(PROFILE, "") == {}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, "conversation not found", form="json"),
        Reply(500, "session not found", form="json"),
        Reply(409, "another request is already in flight for this conversation id", form="json"),
        Reply(400, "no user message provided", form="json"),
        Reply(0, "conversation expired", form="json"),
    ],
)
def test_nothing_means_that_a_conversation_is_unknown(reply: Reply) -> None:
    assert not is_stale(reply, Request(PROFILE, "hello", conversation_id=OURS))
    assert not is_unsupported(reply)


def test_the_protocol_is_found_by_its_name() -> None:
    assert load("docker-chat").body(Request(PROFILE, "hello"))["model"] == "root"


# What comes


def test_docker_3_a_missing_id_is_normal_and_ours_is_kept_once_the_answer_is_done() -> None:
    told = answer(ROLE, chunk(content="Hi "), chunk(content="there"), STOP, USAGE, "[DONE]")
    assert told.items == [("message", "", "Hi there")]
    assert told.events[-2:] == [ConversationIssued(OURS), Finished()]
    assert Used(Usage(12, 5)) in told.events
    assert [event for event in told.events if isinstance(event, ModelNamed)] == [ModelNamed("root")]


def test_the_id_is_not_given_out_before_the_end() -> None:
    reader = DockerChatReader("host", OURS)
    for payload in (ROLE, chunk(content="Hi"), STOP, USAGE):
        assert not [one for one in reader.read(payload) if isinstance(one, ConversationIssued | Finished)]


@pytest.mark.parametrize("count", range(5))
def test_docker_10_without_the_sentinel_nothing_is_done(count: int) -> None:
    told = answer(*[ROLE, chunk(content="Hi "), chunk(content="there"), STOP, USAGE][:count])
    assert (told.finished, told.refused, told.issued) == (False, None, "")


@pytest.mark.parametrize("payloads", [[], [ROLE], [ROLE, chunk(content="Hi")], [USAGE]])
def test_the_sentinel_alone_ends_nothing(payloads: list[Any]) -> None:
    told = answer(*payloads, "[DONE]")
    assert (told.finished, told.issued) == (False, "")


@pytest.mark.parametrize("before", [[], [ROLE], [ROLE, chunk(content="Hi")], [ROLE, call("call_1", "shell", "{}")]])
def test_docker_9_an_error_is_one_failure_whatever_follows_it(before: list[Any]) -> None:
    told = answer(*before, ERROR, chunk("error"), USAGE, "[DONE]")
    assert isinstance(told.refused, Rejected)
    assert (told.refused.reply.status, told.refused.reply.message) == (500, "model root: it broke")
    assert told.refused.in_stream
    assert (told.finished, told.issued) == (False, "")
    assert told.text == ("Hi" if chunk(content="Hi") in before else "")


def test_the_finish_reason_error_alone_is_a_failure() -> None:
    told = answer(ROLE, chunk("error"), "[DONE]")
    assert isinstance(told.refused, Rejected)
    assert not told.finished


async def test_docker_9_the_user_reads_one_line_and_keeps_what_came() -> None:
    lines = [f"data: {json.dumps(one)}\n\n" for one in (ROLE, chunk(content="Half of it"), ERROR, chunk("error"))]
    told = await served([*lines, "data: [DONE]\n\n"])
    assert (told.turn.status, told.turn.text, told.turn.conversation_id) == (
        TurnStatus.INTERRUPTED,
        "Half of it",
        "",
    )
    assert told.words == "The server broke off: model root: it broke; the 3 words that came are kept."
    assert len(told.turn.attempts) == 1


@pytest.mark.fault("N19")
async def test_docker_10_the_end_of_the_body_without_the_sentinel_is_a_cut() -> None:
    told = await served([f"data: {json.dumps(one)}\n\n" for one in (ROLE, chunk(content="All of it"), STOP)])
    assert (told.turn.status, told.exit_status, told.turn.conversation_id) == (TurnStatus.INTERRUPTED, 7, "")
    assert told.turn.text == "All of it"


def test_docker_11_calls_are_shown_and_nothing_else_is_made_of_them() -> None:
    told = answer(
        ROLE, call("call_1", "shell", '{"cmd":"ls \\u003e x"}'), call("call_2", "shell", "{}", 1), STOP, "[DONE]"
    )
    calls = [(item.kind, item.name, item.text, item.call_id) for item in told.turn.items]
    assert calls == [
        (ItemKind.TOOL_CALL, "shell", '{"cmd":"ls \\u003e x"}', "call_1"),
        (ItemKind.TOOL_CALL, "shell", "{}", "call_2"),
    ]
    assert told.turn.finish == ""


def test_docker_12_what_is_left_out_does_no_harm() -> None:
    """No index, no finish reason, no choices, no delta."""
    bare = {"choices": [{"delta": {"content": "Hi"}}]}
    told = answer({"choices": []}, {}, {"choices": [{}]}, bare, {"choices": [{"finish_reason": "stop"}]}, "[DONE]")
    assert told.items == [("message", "", "Hi")]
    assert told.finished


def test_an_empty_answer_is_an_answer() -> None:
    told = answer(ROLE, STOP, USAGE, "[DONE]")
    assert (told.finished, told.items, told.issued) == (True, [], OURS)


def test_an_answer_that_was_not_streamed_is_read_whole() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    told = answer({"model": "root", "choices": [choice], "usage": {"prompt_tokens": 1}}, whole=True)
    assert told.items == [("message", "", "Hi")]
    assert told.events[-2:] == [ConversationIssued(OURS), Finished()]


def test_text_is_shown_as_it_comes() -> None:
    assert list(DockerChatReader().read(chunk(content="Hel"))) == [
        ModelNamed("root"),
        ItemDelta("message/1", ItemKind.MESSAGE, "Hel"),
    ]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "finish_reason", "error", "tool_calls", "function", "index", "usage"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["choices", "error", "usage", "model"]), _JSON, max_size=3), max_size=5)
)
def test_whatever_comes_it_is_an_answer_or_a_refusal(payloads: list[dict[str, Any]]) -> None:
    told = answer(*payloads, "[DONE]")
    assert told.finished == (told.issued == OURS)


# Errors before an answer


@pytest.mark.parametrize(
    ("status", "sent", "words", "exit_status"),
    [
        (
            401,
            '{"error":{"message":"missing or invalid bearer token","type":"invalid_request_error"}}\n',
            "server.localhost:1 wants a key: missing or invalid bearer token — set api_key_env in profile docker",
            4,
        ),
        (
            401,
            "<html><title>Sign in</title></html>",
            "server.localhost:1 wants a key: Sign in — set api_key_env in profile docker",
            4,
        ),
        (
            404,
            '{"message":"Not Found"}\n',
            "There is no such endpoint or model at http://server.localhost:1/v1: Not Found.",
            6,
        ),
        (
            404,
            "404 page not found\n",
            "There is no such endpoint or model at http://server.localhost:1/v1: 404 page not found.",
            6,
        ),
        (413, '{"message":"Request Entity Too Large"}\n', "The message is too large for the server.", 6),
        (413, "", "The message is too large for the server.", 6),
        (
            400,
            '{"error":{"message":"no user message provided","type":"invalid_request_error"}}\n',
            "server.localhost:1 refused the request: no user message provided.",
            6,
        ),
        (
            500,
            '{"error":{"message":"failed to acquire runtime: x","type":"internal_error"}}\n',
            "server.localhost:1 failed: failed to acquire runtime: x.",
            6,
        ),
    ],
)
async def test_docker_13_every_envelope_gives_one_readable_line(
    status: int, sent: str, words: str, exit_status: int
) -> None:
    told = await served([sent], status=status, content_type="application/json")
    assert (told.words, told.exit_status) == (words, exit_status)
    assert told.turn.status is TurnStatus.FAILED
    assert "\n" not in told.words


async def served(pieces: list[str], *, status: int = 200, content_type: str = "text/event-stream") -> Told:
    """A turn of which every request is answered with the same bytes: the list of agents cannot be had then."""
    transport = Bytes([piece.encode() for piece in pieces], status=status, headers={"content-type": content_type})
    return await take(over(transport), PROFILE)
