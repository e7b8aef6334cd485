"""Answers of real servers, replayed through the whole client: as they came, byte by byte, and cut wherever they can be."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from tests.client.protocols.recordings import Recording, errors, recording, recordings, streamed
from tests.client.turns import Bytes, Told, over, take
from tests.fake_server import CHAT_PROFILE, PROFILE, Waits
from tui.config import Profile
from tui.credentials import KeySource
from tui.model import AttemptKind, ItemKind, TurnStatus

STRIDE = int(os.environ.get("PALAVER_CUT_STRIDE", "37"))
"""Every how many bytes an answer is cut. 1 tries every place there is, which takes minutes."""

LOST = httpx.RemoteProtocolError(
    "peer closed connection without sending complete message body (incomplete chunked read)"
)

HELLO = "Hello! This is the first turn of our conversation."
SECOND = "Second turn: I can see one earlier assistant message."
THIRD = "Third turn: I can see two earlier assistant messages."
SLOW = (
    "Slow answer. Gravity is a fundamental force of nature that attracts objects with mass toward one another. "
    "It keeps planets in orbit around the sun and holds galaxies together."
)
MARKDOWN = (
    "# Title\n\nSome **bold** and `code`.\n\n```python\nprint('hi')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    "Unicode: naïve café 日本語 🎉\u2028line-sep\x85nel."
)
THOUGHT = "The user wants me to think. Let me consider it step by step. Done."
AFTER = "Here is the answer after thinking."
ARGUMENTS = '{"location":"San Francisco","unit":"celsius"}'
SPACED = '{"location": "San Francisco", "unit": "celsius"}'
CUT = "This answer will be cut in the middle be"
CUT_LATER = "This answer will be cut in the middle because the fixture di"

DONE, FAILED, INTERRUPTED = TurnStatus.DONE, TurnStatus.FAILED, TurnStatus.INTERRUPTED


@dataclass(frozen=True)
class Wanted:
    """What a recording has to come to. `keeps` is whether the next turn may go on from its id."""

    text: str = HELLO
    status: TurnStatus = DONE
    exit_status: int = 0
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    results: tuple[str, ...] = ()
    usage: tuple[int, int] | None = None
    model: str = "gpt-4o"
    finish: str = ""
    keeps: bool = False


CHAT, KEPT, UNKEPT = Wanted(), Wanted(keeps=True), Wanted()
LOST_EARLY = Wanted("", FAILED, 5)


CLAUDE = "claude-3-5-sonnet-20241022"


def broken(text: str, **more: Any) -> Wanted:
    return Wanted(text, INTERRUPTED, 7, **more)


WANTED = {
    "aimock/cc-clientdisc": broken(SLOW[:120]),
    "aimock/cc-disconnect": broken(CUT_LATER),
    "aimock/cc-markdown": Wanted(MARKDOWN, usage=(2, 34)),
    "aimock/cc-slow": Wanted(SLOW, usage=(1, 44)),
    "aimock/cc-think": Wanted(AFTER, reasoning=THOUGHT, usage=(3, 9)),
    "aimock/cc-truncate": broken(CUT),
    "aimock/cc-turn1": Wanted(usage=(2, 13)),
    "aimock/cc-turn2": Wanted(SECOND),
    "aimock/cc-weather": Wanted("", calls=(("get_weather", ARGUMENTS),), usage=(2, 14), finish="tool_calls"),
    "aimock/chaos-ratelimit": CHAT,
    "aimock/err-cc-emptycontent": CHAT,
    "aimock/err-cc-emptymessages": CHAT,
    "aimock/err-cc-unknownmodel": Wanted(model="no-such-model"),
    "aimock/err-msg-emptymessages": CHAT,
    "aimock/err-msg-nomaxtokens": CHAT,
    "aimock/err-msg-unknownmodel": Wanted(model="no-such-model"),
    "aimock/err-ollama-emptymessages": CHAT,
    "aimock/err-ollama-unknownmodel": Wanted(model="no-such-model"),
    "aimock/err-resp-emptyinput": KEPT,
    "aimock/err-resp-emptylist": KEPT,
    "aimock/err-resp-staleprev-stream": KEPT,
    "aimock/err-resp-unknownconv-stream": KEPT,
    "aimock/err-resp-unknownmodel": Wanted(model="no-such-model", keeps=True),
    "aimock/msg-disconnect": broken(CUT, model=CLAUDE),
    "aimock/msg-markdown": Wanted(MARKDOWN, model=CLAUDE),
    "aimock/msg-slow": Wanted(SLOW, model=CLAUDE),
    "aimock/msg-think": Wanted(AFTER, reasoning=THOUGHT, model=CLAUDE),
    "aimock/msg-truncate": broken(CUT[:20], model=CLAUDE),
    "aimock/msg-turn1": Wanted(model=CLAUDE),
    "aimock/msg-turn2": Wanted(SECOND, model="c"),
    "aimock/msg-weather": Wanted("", calls=(("get_weather", ARGUMENTS),), model=CLAUDE, finish="tool_use"),
    "aimock/ollama-disconnect": broken(f"{CUT_LATER}sconnects after some", model="llama3"),
    "aimock/ollama-markdown": Wanted(MARKDOWN, model="llama3"),
    "aimock/ollama-slow": Wanted(SLOW, model="llama3"),
    "aimock/ollama-think": Wanted(AFTER, reasoning=THOUGHT, model="llama3"),
    "aimock/ollama-truncate": broken(f"{CUT}cause the fixture tr", model="llama3"),
    "aimock/ollama-turn1": Wanted(model="llama3"),
    "aimock/ollama-turn2": Wanted(SECOND, model="c"),
    "aimock/ollama-weather": Wanted("", calls=(("get_weather", SPACED),), model="llama3"),
    "aimock/resp-disconnect": LOST_EARLY,
    "aimock/resp-markdown": Wanted(MARKDOWN, keeps=True),
    "aimock/resp-slow": Wanted(SLOW, keeps=True),
    "aimock/resp-think": Wanted(AFTER, reasoning=THOUGHT, keeps=True),
    "aimock/resp-truncate": LOST_EARLY,
    "aimock/resp-turn1": KEPT,
    "aimock/resp-weather": Wanted("", calls=(("get_weather", ARGUMENTS),)),
    "llama-cpp-python/cc-ctxoverflow": Wanted("", FAILED, 6, model="m"),
    "llama-cpp-python/cc-interrupt-by-second-a.first16k": broken("?", model="tiny"),
    "llama-cpp-python/cc-interrupt-by-second-b": Wanted(
        " have hadL most% use thanjJ water", model="tiny", finish="length"
    ),
    "llama-cpp-python/cc-long-clientdisc": Wanted("", FAILED, 5, model="m"),
    "llama-cpp-python/cc-turn1": Wanted("?", model="tiny", finish="length"),
    "llama-cpp-python/cc-turn2": Wanted("?", model="tiny", finish="length"),
    "llama-cpp-python/err-cc-unknownmodel.first20k": broken("?", model="no-such-model"),
    "mlflow-agentserver/err-empty": UNKEPT,
    "mlflow-agentserver/err-emptycontent": UNKEPT,
    "mlflow-agentserver/inv-clientdisc": broken(SLOW),
    "mlflow-agentserver/inv-clientdisc-continue": UNKEPT,
    "mlflow-agentserver/inv-disconnect": broken(CUT_LATER),
    "mlflow-agentserver/inv-err429": Wanted("", FAILED, 6, model="m"),
    "mlflow-agentserver/inv-toolcall": Wanted(
        "It is 17C in San Francisco.", calls=(("get_weather", ARGUMENTS),), results=("17 celsius in San Francisco",)
    ),
    "mlflow-agentserver/inv-truncate": broken(CUT),
    "mlflow-agentserver/inv-turn1": UNKEPT,
    "mlflow-agentserver/inv-turn2-session": Wanted(SECOND),
    "mlflow-agentserver/resp-prev2": UNKEPT,
    "mlflow-agentserver/resp-traceid": UNKEPT,
    "mlflow-agentserver/resp-turn2-context": Wanted(THIRD),
    "open-responses-server/cc-turn1": Wanted(SECOND),
    "open-responses-server/err-empty": UNKEPT,
    "open-responses-server/resp-disconnect": UNKEPT,
    "open-responses-server/resp-err429": UNKEPT,
    "open-responses-server/resp-err500": UNKEPT,
    "open-responses-server/resp-stale": UNKEPT,
    "open-responses-server/resp-truncate": UNKEPT,
    "open-responses-server/resp-turn1": UNKEPT,
    "open-responses-server/resp-turn2": Wanted(SECOND),
    "open-responses-server/wrongpath-200-json-as-sse": Wanted("", FAILED, 6, model="m"),
    "smg/cc-turn1": CHAT,
    "smg/err-cc-emptycontent": CHAT,
    "smg/err-resp-nokey": KEPT,
    "smg/err-resp-unknownmodel": Wanted(model="no-such-model", keeps=True),
    "smg/err-resp-wrongkey": KEPT,
    "smg/exp-continue-1": Wanted(SECOND, keeps=True),
    "smg/exp-turn1": KEPT,
    "smg/resp-clientdisc": broken(SLOW[:80]),
    "smg/resp-clientdisc-continue": Wanted(SECOND, keeps=True),
    "smg/resp-conv-turn1": KEPT,
    "smg/resp-conv-turn2": Wanted(SECOND, keeps=True),
    "smg/resp-disconnect": LOST_EARLY,
    "smg/resp-expired": Wanted(SECOND, keeps=True),
    "smg/resp-nostore": UNKEPT,
    "smg/resp-s1": KEPT,
    "smg/resp-think": Wanted(AFTER, reasoning=THOUGHT, keeps=True),
    "smg/resp-truncate": LOST_EARLY,
    "smg/resp-turn1": KEPT,
    "smg/resp-turn2": Wanted(SECOND, keeps=True),
    "smg/resp-weather": Wanted("", calls=(("get_weather", ARGUMENTS),)),
}
"""A text of `?` is random words of a random model, taken from the recording itself."""


def profile_of(one: Recording) -> Profile:
    match one.protocol:
        case "chat":
            return CHAT_PROFILE
        case "responses":
            return PROFILE
        case protocol:
            return replace(PROFILE, protocol=protocol)


def server_of(one: Recording, chunks: list[bytes], *, clean: bool) -> Bytes:
    kept = ("content-type", "retry-after", "x-should-retry")
    headers = {name: value for name, value in one.headers.items() if name in kept}
    return Bytes(chunks, status=one.status, headers=headers, breaks=None if clean else LOST)


async def replay(one: Recording, chunks: list[bytes], *, clean: bool, **request: Any) -> Told:
    """One turn answered with these bytes; nothing stays open, nothing is sent twice, and what was saved is what was told."""
    server = server_of(one, chunks, clean=clean)
    told = await take(over(server), profile_of(one), **request)
    assert server.open == 0
    if one.status == 200:
        assert server.requests == 1
    assert told.saved[-1] == told.shown[-1] == told.turn
    return told


@dataclass(frozen=True)
class Line:
    """One event of a recording: where its value ends, where what marks its end does, and what it says."""

    ends: int
    dispatched: int
    value: dict[str, Any]


def lines(body: bytes) -> Iterator[Line]:
    """The recording's events, read in the simplest way that works on recordings."""
    at = 0
    for line in body.splitlines(keepends=True):
        at += len(line)
        if line.startswith(b"data: {") and line.endswith(b"\n"):
            yield Line(at - 1, at + 1, json.loads(line[6:]))
        elif line.startswith(b"{") and line.endswith(b"\n"):
            yield Line(at - 1, at, json.loads(line))


def text_of(one: Recording) -> str:
    """The text of a chat recording, put together without the client."""
    deltas = [line.value["choices"][0]["delta"].get("content") for line in lines(one.body) if line.value["choices"]]
    return "".join(delta or "" for delta in deltas)


def id_of(one: Recording) -> str:
    ends = [line.value for line in lines(one.body) if line.value["type"] == "response.completed"]
    return str(ends[-1]["response"]["id"])


def ends_within(one: Recording, cut: int, *, clean: bool) -> bool:
    """Whether the protocol's own terminal event came within the first `cut` bytes.

    An event counts once what marks its end came, or, where the body ends cleanly, once its value did.
    """
    ended = False
    for line in lines(one.body):
        if cut < (line.ends if clean else line.dispatched):
            break
        value = line.value
        if one.protocol == "chat":
            ended = ended or any(choice.get("finish_reason") for choice in value["choices"])
        elif one.protocol == "anthropic":
            ended = ended or bool(value.get("delta", {}).get("stop_reason"))
        elif one.protocol == "ollama":
            ended = ended or value["done"]
        elif value.get("type") == "response.created":
            ended = False
        elif value.get("type") == "response.completed":
            # A call nobody has answered yet may be followed by another response: only a clean end says that it is not.
            calls = value["response"]["output"][-1]["type"] == "function_call"
            ended = clean or not calls
            if ended and not calls:
                return True
    return ended


def check(one: Recording, told: Told) -> None:
    """What was told is what the table says."""
    wanted = WANTED[one.name]
    turn = told.turn
    text = text_of(one) if wanted.text == "?" else wanted.text
    assert (turn.status, told.exit_status, turn.text) == (wanted.status, wanted.exit_status, text)
    assert "".join(text for _, text in told.of(ItemKind.REASONING)) == wanted.reasoning
    assert tuple(told.of(ItemKind.TOOL_CALL)) == wanted.calls
    assert tuple(text for _, text in told.of(ItemKind.TOOL_RESULT)) == wanted.results
    assert (turn.usage and (turn.usage.input_tokens, turn.usage.output_tokens)) == wanted.usage
    assert (turn.model, turn.finish) == (wanted.model, wanted.finish)
    assert turn.conversation_id == (id_of(one) if wanted.keeps else "")
    calls = [item.call_id for item in turn.items if item.kind in (ItemKind.TOOL_CALL, ItemKind.TOOL_RESULT)]
    assert len(set(calls)) == bool(wanted.calls)


def names(found: list[Recording]) -> list[str]:
    return [one.name for one in found]


def distinct() -> list[str]:
    """Streamed recordings that differ in more than their ids."""
    seen = {(one.name.partition("/")[0], one.protocol, WANTED[one.name]): one.name for one in reversed(streamed())}
    return sorted(seen.values())


def test_every_recording_is_looked_at() -> None:
    assert set(names(streamed())) == set(WANTED)
    assert len(recordings()) > 120
    assert {one.name for one in recordings()} == set(WANTED) | set(REFUSED) | set(PLAIN)


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.fault("N16", "N19", "N47", "N48")
async def test_as_it_came(name: str) -> None:
    one = recording(name)
    check(one, await replay(one, [one.body], clean=one.whole))


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.fault("N21")
async def test_byte_by_byte(name: str) -> None:
    one = recording(name)
    check(one, await replay(one, [one.body[at : at + 1] for at in range(len(one.body))], clean=one.whole))


def assert_cut(one: Recording, whole: Told, told: Told, cut: int, *, clean: bool) -> None:
    """What an answer that ended after `cut` bytes has to be."""
    turn = told.turn
    done = ends_within(one, cut, clean=clean)
    assert (turn.status is DONE) == done, f"cut at {cut}"
    if done:
        assert told.exit_status == 0
        assert turn.items
        if not told.of(ItemKind.TOOL_CALL):
            assert (turn.items, turn.conversation_id) == (whole.turn.items, whole.turn.conversation_id)
            assert (turn.finish, turn.model) == (whole.turn.finish, whole.turn.model)
    else:
        assert turn.status is (INTERRUPTED if turn.has_output else FAILED)
        assert told.exit_status in (5, 6, 7)
        assert turn.conversation_id == ""
    assert whole.turn.text.startswith(turn.text), f"cut at {cut}"
    full = {item.key: item for item in whole.turn.items}
    for item in turn.items:
        assert full[item.key].text.startswith(item.text), f"cut at {cut}"


@pytest.mark.parametrize("name", distinct())
@pytest.mark.fault("N18", "N19")
async def test_cut_at_every_event(name: str) -> None:
    """A body may end cleanly anywhere: only the terminal event makes an answer done."""
    one = recording(name)
    whole = await replay(one, [one.body], clean=one.whole)
    for cut in one.borders():
        told = await replay(one, [one.body[:cut]], clean=True)
        assert_cut(one, whole, told, cut, clean=True)


@pytest.mark.parametrize("clean", [True, False], ids=["clean", "lost"])
@pytest.mark.parametrize("name", distinct())
@pytest.mark.fault("N16", "N18")
async def test_cut_within_events(name: str, clean: bool) -> None:
    one = recording(name)
    whole = await replay(one, [one.body], clean=one.whole)
    first = sum(name.encode()) % STRIDE
    for cut in range(first, len(one.body) + 1, STRIDE):
        told = await replay(one, [one.body[:cut]], clean=clean)
        assert_cut(one, whole, told, cut, clean=clean)


# What was not streamed


PLAIN = {
    "aimock/chaos-malformed": Wanted("", FAILED, 6, model="m"),
    "aimock/err-resp-badprev": KEPT,
    "aimock/err-resp-prev-and-conv": KEPT,
    "aimock/err-resp-staleprev": KEPT,
    "aimock/err-resp-unknownconv": KEPT,
    "mlflow-agentserver/inv-nonstream": Wanted(model="m"),
    "mlflow-agentserver/inv-nonstream-nosession": Wanted(model="m"),
    "open-responses-server/resp-nonstream": Wanted("", FAILED, 6, model="m"),
    "smg/conv-create": Wanted("", FAILED, 6, model="m"),
    "smg/err-conv-create-empty": Wanted("", FAILED, 6, model="m"),
    "smg/resp-bg": Wanted(SLOW, keeps=True),
}


@pytest.mark.parametrize("name", PLAIN)
async def test_an_answer_that_was_not_streamed(name: str) -> None:
    one, wanted = recording(name), PLAIN[name]
    for chunks in ([one.body], [one.body[at : at + 1] for at in range(len(one.body))]):
        told = await replay(one, chunks, clean=True)
        assert (told.turn.status, told.exit_status, told.turn.text) == (wanted.status, wanted.exit_status, wanted.text)
        assert told.turn.conversation_id == (json.loads(one.body)["id"] if wanted.keeps else "")
        assert told.turn.model == wanted.model


@pytest.mark.parametrize("name", PLAIN)
async def test_an_answer_that_was_not_streamed_and_is_cut_is_nothing(name: str) -> None:
    one = recording(name)
    for cut in range(0, len(one.body) - 1, 17):
        for clean in (True, False):
            told = await replay(one, [one.body[:cut]], clean=clean)
            assert told.turn.status is FAILED, f"cut at {cut}"
            assert told.turn.text == ""


# What was refused


@dataclass(frozen=True)
class No:
    """How a refusal has to end: the kind of error, the status `ask` ends with, and words the user reads."""

    kind: str
    exit_status: int
    words: str
    requests: int = 1


def refused(words: str) -> No:
    return No("refused", 6, f"server.localhost:1 refused the request: {words}")


def missing(words: str) -> No:
    return No("refused", 6, f"There is no such endpoint or model at http://server.localhost:1/v1: {words}")


def failed(words: str, requests: int = 1) -> No:
    return No("refused", 6, f"server.localhost:1 failed: {words}", requests)


def no_key(words: str) -> No:
    return No("not-allowed", 4, f"server.localhost:1 wants a key: {words}")


def stale(words: str) -> No:
    """It stays stale without the id too: exactly one more request is made."""
    return No("refused", 6, words, 2)


LIMITED = No("limited", 8, "server.localhost:1 says: too many requests: Rate limit reached for gpt-4o.", 3)
SORRY = "The server had an error while processing your request."

REFUSED = {
    "aimock/cc-err429": LIMITED,
    "aimock/cc-err500": failed(SORRY, 2),
    "aimock/err-cc-malformed": refused("Malformed JSON: Unexpected end of JSON input."),
    "aimock/err-cc-nomessages": refused("Missing required parameter: 'messages'."),
    "aimock/err-cc-wrongkey": no_key("Invalid API key"),
    "aimock/err-conv-create-empty": missing("Not found."),
    "aimock/err-msg-malformed": refused("Malformed JSON: Unexpected end of JSON input."),
    "aimock/err-msg-wrongkey": no_key("Invalid API key"),
    "aimock/err-ollama-malformed": refused("Malformed JSON body: Unexpected end of JSON input."),
    "aimock/err-ollama-nomessages": refused("Invalid request: messages array is required."),
    "aimock/err-ollama-wrongkey": no_key("Invalid API key"),
    "aimock/err-resp-malformed": refused("Malformed JSON: Unexpected end of JSON input."),
    "aimock/err-resp-noinput": failed("req.input is not iterable."),
    "aimock/err-resp-nokey": no_key("Invalid API key"),
    "aimock/msg-err429": LIMITED,
    "aimock/msg-err500": failed(SORRY, 2),
    "aimock/ollama-err429": LIMITED,
    "aimock/ollama-err500": failed(SORRY, 2),
    "aimock/resp-err429": LIMITED,
    "aimock/resp-err500": failed(SORRY),
    "llama-cpp-python/err-cc-malformed": failed("Internal Server Error.", 2),
    "llama-cpp-python/err-cc-nokey": no_key("Invalid API key"),
    "llama-cpp-python/err-cc-wrongkey": no_key("Invalid API key"),
    "llama-cpp-python/err-resp-nokey": missing("Not Found."),
    "llama-cpp-python/err-resp-staleprev-stream": missing("Not Found."),
    "llama-cpp-python/err-resp-unknownconv-stream": missing("Not Found."),
    "mlflow-agentserver/err-chatstyle": refused("Invalid parameters for ResponsesAgent: "),
    "mlflow-agentserver/err-malformed": refused("Invalid JSON in request body: Expecting value: line 1 column 11 (char 10)."),
    "mlflow-agentserver/err-noinput": refused("Invalid parameters for ResponsesAgent: "),
    "mlflow-agentserver/inv-err429-nonstream": failed("Error code: 429 - Rate limit reached for gpt-4o."),
    "mlflow-agentserver/resp-prev": refused("Invalid parameters for ResponsesAgent: "),
    "open-responses-server/err-malformed": failed("Error processing request: Expecting ':' delimiter: "),
    "smg/auth-nokey": no_key("Missing API key: send it as `Authorization: Bearer <key>`"),
    "smg/auth-wrongkey": no_key("Invalid API key"),
    "smg/cap-continue": stale("Previous response with id 'resp-Ho_d_m7FuYzul65q' not found."),
    "smg/conv-after-delete": stale("No conversation found with id 'conv_734034a423055b70f9e520c2cfc5959d2881617c658a31430a'."),
    "smg/err-cc-emptymessages": refused("messages: Invalid 'messages': empty array. "),
    "smg/err-cc-malformed": refused("JSON syntax error: Failed to parse the request body as JSON: "),
    "smg/err-cc-nokey": no_key("Missing API key: send it as `Authorization: Bearer <key>`"),
    "smg/err-cc-nomessages": refused("Invalid JSON data: Failed to deserialize the JSON body into the target type: "),
    "smg/err-cc-unknownmodel": missing("No worker available for model 'no-such-model'."),
    "smg/err-cc-wrongkey": no_key("Invalid API key"),
    "smg/err-resp-badprev": stale("Previous response with id 'not a valid id!' not found."),
    "smg/err-resp-emptyinput": refused("input: Input text cannot be empty."),
    "smg/err-resp-emptylist": refused("input: Input items cannot be empty."),
    "smg/err-resp-malformed": refused("JSON syntax error: Failed to parse the request body as JSON: "),
    "smg/err-resp-noinput": refused("Invalid JSON data: "),
    "smg/err-resp-prev-and-conv": refused("__all__: Mutually exclusive parameters. "),
    "smg/err-resp-staleprev": stale("Previous response with id 'resp_0123456789abcdef0123456789abcdef' not found."),
    "smg/err-resp-staleprev-stream": stale("Previous response with id 'resp_0123456789abcdef0123456789abcdef' not found."),
    "smg/err-resp-unknownconv": stale("No conversation found with id 'conv_0123456789abcdef0123456789abcdef0123456789abcdef'."),
    "smg/err-resp-unknownconv-stream": stale("No conversation found with id 'conv_0123456789abcdef0123456789abcdef"),
    "smg/exp-continue-6": stale("Previous response with id 'resp-M6l2nYjDtnnF6Fg9' not found."),
    "smg/msg-turn1": failed("Messages API not yet implemented for this router."),
    "smg/resp-after-delete": stale("Previous response with id 'resp-o3P565NxdP71_Hcw' not found."),
    "smg/resp-err429": LIMITED,
    "smg/resp-err500": failed(SORRY),
    "smg/resp-nostore-continue": stale("Previous response with id 'resp-3I0Uym_0_mux6kpy' not found."),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.fault("S03", "H01", "H06", "H08", "H16", "H19")
async def test_a_refusal(name: str) -> None:
    """Each is asked with the id that it was asked with when it was recorded."""
    one, wanted = recording(name), REFUSED[name]
    sent = one.sent if isinstance(one.sent, dict) else {}
    conversation_id = sent.get("previous_response_id") or sent.get("conversation") or ""
    server, waits = server_of(one, [one.body], clean=True), Waits()
    profile = replace(profile_of(one), key=KeySource())
    told = await take(over(server, waits), profile, conversation_id=conversation_id)
    assert told.turn.error is not None
    assert (told.turn.error.kind, told.exit_status) == (wanted.kind, wanted.exit_status)
    assert wanted.words in told.words
    assert (server.requests, server.open) == (wanted.requests, 0)
    assert told.turn.status is FAILED
    assert told.turn.conversation_id == ""
    assert told.saved == [told.turn]
    if "stale" in told.turn.attempts[0].outcome:
        assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
    if "Retry-After" in one.raw.decode("latin-1"):
        assert waits.seconds == [1.0, 1.0]


def test_every_refusal_is_looked_at() -> None:
    assert set(names(errors())) == set(REFUSED)
