"""Ollama's API: what is sent, and what is made of every kind of line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.client.turns import Bytes, Read, over, read, take
from tests.fake_server import PROFILE, FakeServer, Waits, client_of
from tui.client import Request
from tui.client.protocols.ollama import OllamaReader, body, headers, is_stale, is_unsupported, read_usage
from tui.client.reply import Rejected, Reply
from tui.credentials import KeySource
from tui.errors import Incomplete, Refused
from tui.events import Finished, ItemDelta, ModelNamed
from tui.model import ItemKind, Message, TurnStatus, Usage

ROOT = "http://server.localhost:1"
OLLAMA = replace(PROFILE, protocol="ollama", base_url=ROOT)


def answer(*payloads: Any, whole: bool = False) -> Read:
    return read(OllamaReader("host"), *payloads, whole=whole)


def line(content: Any = "", **message: Any) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": content, **message}, "done": False}


def last(reason: Any = "stop", **more: Any) -> dict[str, Any]:
    return {**line(), "done": True, "done_reason": reason, **more}


# Text


@pytest.mark.parametrize(
    "payloads",
    [
        [line("Hello "), line("there"), last()],
        [line("Hello "), {**last(), "message": {"role": "assistant", "content": "there"}}],
        [line("Hello "), line(""), line("there", thinking=""), last()],
        [line("Hello there"), {"done": True}],
        [{"message": {"content": "Hello there"}}, last()],
    ],
)
def test_the_same_text_from_every_kind_of_server(payloads: list[Any]) -> None:
    told = answer(*payloads)
    assert told.items == [("message", "", "Hello there")]
    assert told.events[-1] == Finished()


def test_text_is_shown_as_it_comes() -> None:
    assert list(OllamaReader().read({"message": {"content": "Hel"}})) == [
        ItemDelta("message/1", ItemKind.MESSAGE, "Hel")
    ]


def test_the_model_is_told_once() -> None:
    told = answer(line("a"), line("b"), last())
    assert [event.model for event in told.events if isinstance(event, ModelNamed)] == ["m"]


# The end


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", ""), ("", ""), (None, ""), (5, ""), ("length", "length"), ("load", "load"), ("unload", "unload")],
)
def test_the_reason_is_told_where_it_is_not_the_normal_one(reason: Any, finish: str) -> None:
    told = answer(line("a"), last(reason))
    assert (told.text, told.turn.finish, told.finished) == ("a", finish, True)


@pytest.mark.parametrize("payloads", [[], [line("a")], [line("a"), "[DONE]"], [line("a"), {"done": "true"}]])
@pytest.mark.fault("N19")
def test_without_the_last_line_an_answer_is_not_finished(payloads: list[Any]) -> None:
    told = answer(*payloads)
    assert not told.finished
    assert told.refused is None


def test_the_last_line_ends_the_answer_at_once() -> None:
    reader = OllamaReader()
    assert list(reader.read(last()))[-1] == Finished()
    assert reader.over


@pytest.mark.fault("N46")
def test_what_comes_after_the_end_is_ignored() -> None:
    told = answer(line("a"), last(), line("more"), {"error": "late"}, last("length"))
    assert (told.text, told.turn.finish, told.refused) == ("a", "", None)


def test_an_empty_answer_is_an_answer() -> None:
    told = answer(last("load"))
    assert (told.items, told.turn.finish, told.finished) == ([], "load", True)


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ({"prompt_eval_count": 9, "eval_count": 3}, Usage(9, 3)),
        ({"eval_count": 3}, Usage(None, 3)),
        ({"prompt_eval_count": 0, "eval_count": 0}, None),
        ({"prompt_eval_count": "9", "eval_count": [3]}, None),
        ({"prompt_eval_count": True, "eval_count": -1}, None),
        ({}, None),
    ],
)
def test_usage(payload: dict[str, Any], wanted: Usage | None) -> None:
    assert read_usage(payload) == wanted
    assert answer(line("a"), last(**payload)).turn.usage == wanted


# Reasoning


@pytest.mark.parametrize("name", ["thinking", "reasoning_content"])
def test_reasoning_is_an_item_before_the_answer(name: str) -> None:
    told = answer(line(**{name: "Let me "}), line(**{name: "see."}), line("Warm."), last())
    assert told.items == [("reasoning", "", "Let me see."), ("message", "", "Warm.")]
    assert told.text == "Warm."


def test_reasoning_between_two_messages_keeps_its_place() -> None:
    told = answer(line("a"), line(thinking="b"), line("c"), line("d"), last())
    assert told.items == [("message", "", "a"), ("reasoning", "", "b"), ("message", "", "cd")]


def test_reasoning_within_the_answer_is_an_item() -> None:
    told = answer(line("<thi"), line("nk>Hm.</th"), line("ink>\n\nWarm."), last())
    assert told.items == [("reasoning", "", "Hm."), ("message", "", "Warm.")]


def test_what_was_held_back_is_shown_at_the_end() -> None:
    assert answer(line("<thin"), last()).text == "<thin"


# Tools


def test_calls_come_whole_with_arguments_as_objects() -> None:
    calls = [
        {"id": "call_0a1b2c3d", "function": {"index": 0, "name": "weather", "arguments": {"x": "é"}}},
        {"function": {"name": "wind", "arguments": '{"y":2}'}},
        {"function": {"name": "rain"}},
    ]
    told = answer(line("Let me see."), line(tool_calls=calls[:1]), line(tool_calls=calls[1:]), line("Warm."), last())
    assert told.items == [
        ("message", "", "Let me see."),
        ("tool_call", "weather", '{"x": "é"}'),
        ("tool_call", "wind", '{"y":2}'),
        ("tool_call", "rain", ""),
        ("message", "", "Warm."),
    ]
    assert [item.call_id for item in told.turn.items if item.kind is ItemKind.TOOL_CALL] == ["call_0a1b2c3d", "", ""]


# What is not known


NOTHINGS: list[Any] = [None, 5, "x", [], {}, [None], [5], [[]], {"a": None}, True, float("nan")]


@pytest.mark.fault("N50")
@pytest.mark.parametrize("nothing", NOTHINGS, ids=repr)
def test_fields_of_the_wrong_type_never_raise(nothing: Any) -> None:
    told = answer(
        {"model": nothing, "message": nothing, "created_at": nothing},
        *[line(**{name: nothing}) for name in ("thinking", "tool_calls", "images", "role") if nothing != "x"],
        *[line(tool_calls=[{name: nothing}]) for name in ("id", "function")],
        *[line(tool_calls=[{"function": {name: nothing}}]) for name in ("name", "arguments", "index")],
        line(nothing if nothing != "x" else ""),
        line("Fine"),
        last("stop", eval_count=nothing, prompt_eval_count=nothing),
    )
    assert told.refused is None
    assert told.finished
    assert told.text.endswith("Fine")


@pytest.mark.fault("N51")
def test_lines_of_an_unknown_kind_change_nothing() -> None:
    told = answer({}, {"status": "pulling manifest"}, {"type": "ping"}, {"choices": []}, line("a"), last())
    assert told.items == [("message", "", "a")]


# Errors


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        ({"error": "an error was encountered"}, Reply(0, "an error was encountered", form="json")),
        (
            {"error": {"message": "m", "type": "server_error", "code": None}},
            Reply(0, "m", type="server_error", form="json"),
        ),
        ({**line("x"), "error": "both"}, Reply(0, "both", form="json")),
    ],
)
def test_errors_in_a_stream(payload: dict[str, Any], reply: Reply) -> None:
    told = answer(line("a"), payload, last())
    assert isinstance(told.refused, Rejected)
    assert told.refused.in_stream
    assert told.refused.reply == reply
    assert told.text == "a"


@pytest.mark.parametrize("error", [None, "", [], {}, False])
def test_an_error_field_that_is_empty_is_none(error: Any) -> None:
    assert answer({**line("a"), "error": error}, last()).finished


def lines(*values: dict[str, Any]) -> list[bytes]:
    return [json.dumps(value).encode() + b"\n" for value in values]


NDJSON = {"content-type": "application/x-ndjson"}
PLAIN_JSON = {"content-type": "application/json; charset=utf-8"}


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_lines_are_read_whatever_they_are_declared_as(size: int) -> None:
    said = b"".join(lines(line("Warm "), line("today."), {"done": True, "done_reason": "stop"}))
    server = Bytes([said[at : at + size] for at in range(0, len(said), size)], headers=PLAIN_JSON)
    told = await take(over(server), OLLAMA)
    assert (told.turn.status, told.turn.text) == (TurnStatus.DONE, "Warm today.")
    server = Bytes(lines(line("Warm "), line("today.")), headers=PLAIN_JSON, breaks=httpx.ReadError("reset"))
    told = await take(over(server), OLLAMA)
    assert (told.turn.status, told.turn.text) == (TurnStatus.INTERRUPTED, "Warm today."), "it is read as it comes"


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n \n"])
@pytest.mark.parametrize("indent", [None, 1])
async def test_one_value_is_an_answer_whatever_its_lines(indent: int | None, end: bytes) -> None:
    said = json.dumps({"message": {"content": "Warm."}, "done": True}, indent=indent).encode() + end
    for size in (1, 10_000):
        server = Bytes([said[at : at + size] for at in range(0, len(said), size)], headers=PLAIN_JSON)
        told = await take(over(server), OLLAMA)
        assert (told.turn.status, told.turn.text) == (TurnStatus.DONE, "Warm.")


@pytest.mark.fault("N26")
async def test_a_first_line_without_end_is_refused() -> None:
    server = Bytes([b'{"a": "', *[b"x" * 1_000_000] * 18], headers=PLAIN_JSON)
    told = await take(over(server), OLLAMA)
    assert "sent an answer too large to read (16 MiB)" in told.words


@pytest.mark.fault("N47")
async def test_an_error_after_text_keeps_what_was_said() -> None:
    server = Bytes(lines(line("a"), {"error": "the model failed"}), headers=NDJSON)
    told = await take(over(server), OLLAMA)
    assert (told.turn.status, told.turn.text, server.requests) == (TurnStatus.INTERRUPTED, "a", 1)
    assert told.words.startswith("The server broke off: the model failed")


@pytest.mark.fault("N48")
async def test_an_error_before_text_is_a_refusal() -> None:
    server = Bytes(lines({"error": "the model failed"}), headers=NDJSON)
    told = await take(over(server), OLLAMA)
    assert (told.turn.status, told.exit_status, server.requests) == (TurnStatus.FAILED, 6, 1)
    assert "the model failed" in told.words


NO_MODEL = "server.localhost:1 has no model m — ollama pull m"
ELSEWHERE = "There is no such endpoint or model at http://server.localhost:1: "
REFUSALS = [
    (404, {"error": "model 'm' not found"}, NO_MODEL, 6, 1),
    (404, {"error": 'model "m" not found, try pulling it first'}, NO_MODEL, 6, 1),
    (404, {"error": "page not found"}, f"{ELSEWHERE}page not found.", 6, 1),
    (
        401,
        {"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=here&key=c3No"},
        "server.localhost:1 is not signed in to run m — run ollama signin there, or set api_key_env in profile test",
        4,
        1,
    ),
    (
        401,
        {"error": "no such key"},
        "server.localhost:1 wants a key: no such key — set api_key_env in profile test",
        4,
        1,
    ),
    (403, {"error": "remote model is unavailable"}, "server.localhost:1 does not allow this: remote model is", 4, 1),
    (400, {"error": '"m" does not support thinking'}, 'server.localhost:1 refused the request: "m" does not', 6, 1),
    (500, {"error": "llama runner process has terminated"}, "server.localhost:1 failed: llama runner process", 6, 2),
    (503, {"error": "server busy, please try again."}, "server.localhost:1 is overloaded or down (status 503)", 8, 3),
]


@pytest.mark.parametrize(("status", "value", "words", "exit_status", "requests"), REFUSALS)
async def test_a_refusal(status: int, value: dict[str, Any], words: str, exit_status: int, requests: int) -> None:
    server = Bytes([json.dumps(value).encode()], status=status, headers=PLAIN_JSON)
    told = await take(over(server, Waits()), replace(OLLAMA, key=KeySource()))
    assert told.words.startswith(words)
    assert told.turn.error is not None
    assert (told.exit_status, told.turn.error.status, server.requests) == (exit_status, status, requests)


async def test_with_a_key_it_is_the_key_that_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "not-this-one")
    server = Bytes([b'{"error":"unauthorized"}'], status=401, headers=PLAIN_JSON)
    told = await take(over(server), replace(OLLAMA, key=KeySource("env", ("KEY",))))
    assert told.words == "server.localhost:1 refused the key from environment variable KEY: unauthorized."


# Answers that are not streamed


async def test_an_answer_that_was_not_streamed() -> None:
    value = {**line("Warm.", thinking="Hm."), "done": True, "done_reason": "length", "eval_count": 2}
    told = await take(over(Bytes([json.dumps(value).encode()], headers=PLAIN_JSON)), OLLAMA)
    assert (told.turn.status, told.turn.text, told.turn.finish) == (TurnStatus.DONE, "Warm.", "length")
    assert told.of(ItemKind.REASONING) == [("", "Hm.")]


def test_an_answer_that_was_not_streamed_ends_though_it_does_not_say_so() -> None:
    assert answer({"message": {"content": "Warm."}}, whole=True).finished


def test_one_line_is_no_whole_answer() -> None:
    assert isinstance(answer(line("Warm."), whole=True).refused, Incomplete)


@pytest.mark.parametrize("payload", [{}, {"choices": []}, {"output": []}, {"models": []}, {"message": "x"}])
def test_an_answer_in_another_protocol_is_refused(payload: dict[str, Any]) -> None:
    assert isinstance(answer(payload, whole=True).refused, Refused)


# What is sent


def request(prompt: str = "hi", history: tuple[Message, ...] = (), **profile: Any) -> Request:
    return Request(replace(OLLAMA, **profile), prompt, "session", history=history, conversation_id="x")


PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (request(), {}),
        (
            request(system="Be brief.", history=(Message("user", "one"), Message("assistant", "eins"))),
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "one"},
                    {"role": "assistant", "content": "eins"},
                    {"role": "user", "content": "hi"},
                ]
            },
        ),
        (request(options={"keep_alive": "10m"}), {"keep_alive": "10m"}),
        (request(options={"keep_alive": "-1"}), {"keep_alive": -1}),
        (request(options={"keep_alive": "0"}), {"keep_alive": 0}),
        (request(options={"keep_alive": "1.5"}), {"keep_alive": 1.5}),
        (request(options={"keep_alive": "9" * 5000}), {"keep_alive": "9" * 5000}),
        (request(params={"think": "high", "format": "json"}), {"think": "high", "format": "json"}),
        (request(params={"options": {"temperature": 0}}), {"options": {"temperature": 0}}),
        (request(params={"temperature": 0, "num_ctx": 8192}), {"options": {"temperature": 0, "num_ctx": 8192}}),
        (
            request(params={"temperature": 0, "seed": 1, "options": {"temperature": 1}, "think": True}),
            {"options": {"temperature": 1, "seed": 1}, "think": True},
        ),
    ],
)
def test_a_request(asked: Request, sent: dict[str, Any]) -> None:
    assert body(asked) == PLAIN | sent


def test_a_key_is_sent_as_usual() -> None:
    assert headers(OLLAMA, "sk-1") == {"authorization": "Bearer sk-1"}
    assert headers(OLLAMA, "") == {}


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (ROOT, "/api/chat"),
        (f"{ROOT}/v1", "/api/chat"),
        (f"{ROOT}/api", "/api/chat"),
        (f"{ROOT}/ollama", "/ollama/api/chat"),
        (f"{ROOT}/ollama/v1", "/ollama/api/chat"),
        (f"{ROOT}/v1?team=infra", "/api/chat?team=infra"),
    ],
)
async def test_the_address_may_be_that_of_one_of_its_apis(base_url: str, path: str) -> None:
    server = FakeServer()
    client = client_of(server)
    profile = replace(OLLAMA, base_url=base_url)

    async def serve() -> None:
        exchange = await server.request()
        exchange.respond(content_type="application/x-ndjson").send(b"".join(lines(line("fine"), last()))).end()

    told, _ = await both(take(client, profile), serve())
    assert told.turn.text == "fine"
    assert server.seen[0].request.url.raw_path.decode() == path
    assert server.seen[0].request.headers["accept"] == "application/x-ndjson, application/json"
    assert told.turn.error is None


async def both(*work: Any) -> list[Any]:
    async with asyncio.timeout(20):
        return list(await asyncio.gather(*work))


async def test_without_a_model_the_first_one_listed_is_asked() -> None:
    server = FakeServer()
    profile = replace(OLLAMA, model="")

    async def serve() -> None:
        listing = await server.request()
        assert (listing.request.method, listing.path) == ("GET", "/api/tags")
        listing.answer(200, {"models": [{"size": 1}, {"name": "llama3:latest"}, {"name": "other:7b"}]})
        exchange = await server.request()
        assert exchange.json["model"] == "llama3:latest"
        exchange.answer(404, {"error": "model 'llama3:latest' not found"})

    told, _ = await both(take(client_of(server), profile), serve())
    assert told.words == "server.localhost:1 has no model llama3:latest — ollama pull llama3:latest"


@pytest.mark.parametrize("listed", [{"models": []}, {"models": None}, {}, [], None, {"models": [{"name": ""}]}])
async def test_without_any_model_there_is_nothing_to_ask(listed: Any) -> None:
    server = FakeServer()

    async def serve() -> None:
        (await server.request()).answer(200, listed)

    told, _ = await both(take(client_of(server), replace(OLLAMA, model="")), serve())
    assert told.words == "server.localhost:1 has no models — get one with: ollama pull NAME"
    assert len(server.seen) == 1


@pytest.mark.fault("S13")
def test_nothing_is_ever_stale() -> None:
    assert not OLLAMA.traits.keeps
    for status in (0, 400, 404, 410, 422):
        reply = Reply(status, "Previous response with id 'x' not found.", "previous_response_not_found")
        assert not is_stale(reply, request())
        assert not is_unsupported(reply)
