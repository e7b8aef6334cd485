"""Agent servers: what is sent, what is made of several responses in one turn, and of a run that began anew."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.protocols.recordings import HERE, recording
from tests.client.turns import Bytes, Read, Told, over, read, take
from tests.fake_server import FakeServer, Waits
from tui.client import Request
from tui.client.protocols import load
from tui.client.protocols.agent_server import PRESS_R, TOLD_AS_TEXT, body, headers, is_stale, is_unsupported
from tui.client.protocols.agent_server_events import RESTARTED, AgentServerReader, as_meant
from tui.client.protocols.response_events import NotDone
from tui.client.reply import Rejected, Reply
from tui.config import Profile
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta, Noted, RunNamed
from tui.model import ItemKind, ItemState, Message, TurnStatus, Usage

PROFILE = Profile("agent", "agent-server", "http://server.localhost:1")
BACKGROUND = replace(PROFILE, options={"background": True})
OURS = "0197f2aa-1111-7000-8000-000000000001"
FAKE = "__fake_id__"
RUN = "resp_0123456789abcdef01234567"
CAPTURES = HERE / "agent-server" / "captures"


def answer(*payloads: Any, whole: bool = False, end: bool = True, **reader: Any) -> Read:
    return read(AgentServerReader("host", OURS, **reader), *payloads, whole=whole, end=end)


def created(number: int = 0, response_id: str = FAKE) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": response_id, "model": "m", "status": None}} | numbered(
        number
    )


def numbered(number: int | None) -> dict[str, Any]:
    return {} if number is None else {"sequence_number": number}


def delta(said: str, item_id: str = "i1", number: int | None = None, place: int = 0) -> dict[str, Any]:
    where = {"item_id": item_id, "output_index": place, "content_index": 0}
    return {"type": "response.output_text.delta", "delta": said} | where | numbered(number)


def message(said: str, item_id: str = "i1") -> dict[str, Any]:
    content = [{"type": "output_text", "text": said, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}


def done(item: dict[str, Any], number: int | None = None, place: int | None = 0) -> dict[str, Any]:
    at = {} if place is None else {"output_index": place}
    return {"type": "response.output_item.done", "item": item} | at | numbered(number)


def completed(*output: dict[str, Any], number: int | None = None, **more: Any) -> dict[str, Any]:
    response = {"id": FAKE, "model": "m", "status": None, "output": list(output)} | more
    return {"type": "response.completed", "response": response} | numbered(number)


def call(arguments: str = '{"city":"SF"}', item_id: str = "f1", call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call", "id": item_id, "call_id": call_id, "name": "weather", "arguments": arguments}


def called_with(piece: str, number: int) -> dict[str, Any]:
    where = {"item_id": "f1", "output_index": 0}
    return {"type": "response.function_call_arguments.delta", "delta": piece} | where | numbered(number)


def result(said: str = "sunny in SF", call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": said}


def of_run(*payloads: dict[str, Any], run: str = RUN, first: int = 0) -> list[dict[str, Any]]:
    """Events as a run in the background tells them: numbered throughout, and with its name."""
    return [{**one, "sequence_number": first + at, "response_id": run} for at, one in enumerate(payloads)]


def said(*texts: str) -> list[tuple[str, str, str]]:
    return [("message", "", text) for text in texts]


def capture(name: str) -> tuple[int, str, bytes]:
    """The status, type and body of an answer kept without its framing."""
    head, _, rest = (CAPTURES / f"agentserver-{name}.http").read_bytes().partition(b"\n\n")
    if b"\r\n\r\n" in (CAPTURES / f"agentserver-{name}.http").read_bytes():
        head, _, rest = (CAPTURES / f"agentserver-{name}.http").read_bytes().partition(b"\r\n\r\n")
    kind = re.search(rb"(?im)^content-type: *(.*?)\r?$", head)
    assert kind is not None
    return int(head.split(b" ")[1]), kind[1].decode(), rest


def served(name: str, cut: int | None = None, breaks: Exception | None = None) -> Bytes:
    status, kind, rest = capture(name)
    return Bytes([rest[:cut]], status=status, headers={"content-type": kind}, breaks=breaks)


async def replayed(name: str, **request: Any) -> Told:
    return await take(over(served(name)), PROFILE, **request)


# What is sent


def test_agent_server_1_the_first_turn_carries_an_id_of_ours_and_the_next_the_same() -> None:
    first = body(Request(PROFILE, "Hello"))
    session = first["custom_inputs"]["session_id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", session)
    assert first == {
        "input": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "custom_inputs": {"session_id": session},
    }
    second = body(Request(PROFILE, "And now?", conversation_id=session))
    assert second == {
        "input": [{"role": "user", "content": "And now?"}],
        "stream": True,
        "custom_inputs": {"session_id": session},
    }


def test_every_conversation_has_an_id_of_its_own() -> None:
    assert len({body(Request(PROFILE, "Hello"))["custom_inputs"]["session_id"] for _ in range(50)}) == 50


def test_agent_server_3_what_was_said_before_is_told_where_a_conversation_begins() -> None:
    history = (Message("user", "one"), Message("assistant", "1"))
    sent = body(Request(PROFILE, "two", history=history))
    assert [(one["role"], one["content"]) for one in sent["input"]] == [
        ("user", "one"), ("assistant", "1"), ("user", "two"),
    ]  # fmt: skip


REFUSALS = (
    # As an agent of the OpenAI Agents SDK behind MLflow says it, by the version of the SDK.
    "Unhandled item type or structure: {'status': None, 'content': 'I am, “so”\\n\\n- to', 'role': 'assistant'}",
    "Unknown content: {'type': 'output_text', 'text': 'I am, “so”\\n\\n- to', 'annotations': []}",
)
UNSURE = (
    "string indices must be integers, not 'str'",
    "Unhandled item type or structure: {'type': 'mcp_call', 'name': 'charge', 'output': 'done'}",
)
BEFORE = (Message("user", "who are you"), Message("assistant", "I am, “so”\n\n- to"), Message("user", "go on"))
AS_TEXT = [
    {
        "role": "user",
        "content": "What was said before:\n\nUser: who are you\n\nAssistant: I am, “so”\n\n- to\n\nUser: go on",
    },
    {"role": "user", "content": "two"},
]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learnt of a server in one test is not known in another."""
    monkeypatch.setattr("tui.client.protocols.agent_server._told_as_text", set())


def failing(server_error: str) -> list[Any]:
    return [{"error": server_error}, "[DONE]"]


async def told(*answers: list[Any], profile: Profile = PROFILE, **request: Any) -> tuple[Told, list[Any]]:
    """A turn whose requests are answered one after the other, and what they said."""
    server = FakeServer()
    turn = asyncio.create_task(take(over(server), profile, "two", **request))
    for events in answers:
        exchange = (await server.request()).respond()
        for event in events:
            exchange.event(event)
        exchange.end()
    return await turn, [exchange.json for exchange in server.seen]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_an_agent_that_takes_no_answers_is_told_them_as_text(refusal: str) -> None:
    well = [done(message("three")), completed(), "[DONE]"]
    became, (first, second) = await told(failing(refusal), well, history=BEFORE)
    assert (became.turn.status, became.turn.text) == (TurnStatus.DONE, "three")
    assert became.turn.notes == (TOLD_AS_TEXT,)
    assert [one["role"] for one in first["input"]] == ["user", "assistant", "user", "user"]
    assert second["input"] == AS_TEXT
    ids = [one["custom_inputs"]["session_id"] for one in (first, second)]
    assert ids[0] != ids[1] == became.turn.conversation_id


@pytest.mark.parametrize(
    "events",
    [
        *(failing(refusal) for refusal in UNSURE),
        [created(), *failing(REFUSALS[0])],
        [{"type": "response.in_progress"}, *failing(REFUSALS[0])],
    ],
)
async def test_an_agent_that_may_have_acted_is_told_again_only_by_the_user(events: list[Any]) -> None:
    became, sent = await told(events, history=BEFORE)
    assert (became.turn.status, len(sent), became.turn.notes) == (TurnStatus.FAILED, 1, ())
    assert became.words.endswith(f" — {PRESS_R}")
    again, (second,) = await told([done(message("three")), completed(), "[DONE]"], history=BEFORE)
    assert (again.turn.text, again.turn.notes, second["input"]) == ("three", (TOLD_AS_TEXT,), AS_TEXT)


async def test_a_run_in_the_background_is_not_begun_twice_over_what_was_said_before() -> None:
    run = of_run(created(), {"type": "error", "message": REFUSALS[0]})
    became, sent = await told([*run, "[DONE]"], history=BEFORE, profile=BACKGROUND)
    assert (became.turn.status, became.turn.run, len(sent)) == (TurnStatus.FAILED, "", 1)
    assert became.words.endswith(f" — {PRESS_R}")


async def test_an_agent_is_not_told_a_third_time() -> None:
    became, sent = await told(failing(REFUSALS[0]), failing(REFUSALS[0]), history=BEFORE)
    assert (became.turn.status, len(sent)) == (TurnStatus.FAILED, 2)
    assert "Unhandled item type" in became.words


@pytest.mark.parametrize(
    ("events", "request_fields"),
    [
        (failing("The model is gone"), {"history": BEFORE}),
        (failing(REFUSALS[0]), {"history": BEFORE[:1]}),
        (failing(REFUSALS[0]), {"history": BEFORE, "conversation_id": OURS}),
        ([delta("some"), *failing(REFUSALS[0])], {"history": BEFORE}),
    ],
)
async def test_other_failures_are_told_only_once(events: list[Any], request_fields: dict[str, Any]) -> None:
    became, sent = await told(events, **request_fields)
    assert (became.turn.status is TurnStatus.DONE, len(sent), became.turn.notes) == (False, 1, ())


def test_a_system_prompt_is_said_once() -> None:
    profile = replace(PROFILE, system="Be brief.")
    assert body(Request(profile, "hi"))["input"][0] == {"role": "system", "content": "Be brief."}
    assert body(Request(profile, "hi", conversation_id=OURS))["input"] == [{"role": "user", "content": "hi"}]


def test_params_are_merged_with_what_has_to_be_sent() -> None:
    profile = replace(PROFILE, params={"custom_inputs": {"user": "ada", "session_id": "x"}, "temperature": 0})
    sent = body(Request(profile, "hi", conversation_id=OURS))
    assert sent["custom_inputs"] == {"user": "ada", "session_id": OURS}
    assert sent["temperature"] == 0
    odd = replace(PROFILE, params={"custom_inputs": "x"})
    assert body(Request(odd, "hi", conversation_id=OURS))["custom_inputs"] == {"session_id": OURS}


def test_a_run_in_the_background_is_asked_for() -> None:
    assert body(Request(BACKGROUND, "hi"))["background"] is True
    assert body(Request(BACKGROUND, "hi"))["stream"] is True
    assert "background" not in body(Request(replace(PROFILE, options={"background": False}), "hi"))


def test_it_is_found_by_its_name_and_never_stale() -> None:
    assert load("agent-server").headers(PROFILE, "k") == headers(PROFILE, "k") == {"authorization": "Bearer k"}
    assert headers(PROFILE, "") == {}
    request = Request(PROFILE, "hi", conversation_id=OURS)
    for reply in (Reply(404, f"Session {OURS} not found"), Reply(400, "conversation not found"), Reply(0), Reply(500)):
        assert not is_stale(reply, request)
        assert not is_unsupported(reply)


# One turn, several responses


TOOL = [
    created(),
    {"type": "response.output_item.added", "item": call(""), "output_index": 0, "sequence_number": 1},
    called_with('{"city":', 2),
    called_with('"SF"}', 3),
    done(call(), 4),
    completed(call(item_id=FAKE), number=5),
    {"type": "response.output_item.done", "item": result()},
    created(),
    delta("It is ", number=1),
    delta("sunny.", number=2),
    done(message("It is sunny."), 3),
    completed(message("It is sunny.", FAKE), number=4, usage={"input_tokens": 3, "output_tokens": 2}),
    "[DONE]",
]  # fmt: skip
ITEMS = [
    ("tool_call", "weather", '{"city":"SF"}'),
    ("tool_result", "", "sunny in SF"),
    ("message", "", "It is sunny."),
]


def test_agent_server_4_the_first_completed_response_does_not_end_a_turn_with_a_tool() -> None:
    told = answer(*TOOL)
    assert told.items == ITEMS
    assert told.turn.usage == Usage(3, 2)
    assert told.events[-2:] == [ConversationIssued(OURS), Finished()]


def test_agent_server_4_also_when_replayed_as_it_came() -> None:
    for name, wanted in {
        "inv-toolcall": "It is 17C in San Francisco.",
        "inv-turn1": "Hello! This is the first turn of our conversation.",
    }.items():
        lines = recording(name := f"mlflow-agentserver/{name}").body.decode().splitlines()
        payloads = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        told = answer(*payloads, "[DONE]")
        assert (told.text, told.finished, told.issued) == (wanted, True, OURS), name


def test_agent_server_5_numbers_that_begin_again_drop_and_reorder_nothing() -> None:
    once = answer(created(), delta("one", "a", 1), completed(number=2), created(), delta("two", "b", 1), "[DONE]")
    assert once.items == said("one", "two")
    same = answer(delta("a", number=0), delta("b", number=0), delta("a", number=0), "[DONE]")
    assert same.text == "aba"
    without_created = answer(
        delta("a", number=0), delta("b", number=1), delta("c", number=0), delta("d", number=1), "[DONE]"
    )
    assert without_created.text == "abcd"


def test_agent_server_6_a_status_of_null_is_success_once_the_sentinel_came() -> None:
    assert answer(delta("hi"), completed(message("hi")), "[DONE]").finished
    assert answer("[DONE]").finished


def test_agent_server_8_an_end_without_the_sentinel_is_no_end() -> None:
    for cut in range(len(TOOL)):
        told = answer(*TOOL[:cut])
        assert (told.finished, told.issued) == (False, "")


def test_agent_server_9_a_frame_with_only_a_trace_id_is_ignored() -> None:
    told = answer(delta("hi"), completed(), {"trace_id": "tr-1"}, "[DONE]")
    assert (told.items, told.finished) == (said("hi"), True)


def test_agent_server_12_a_whole_text_without_pieces_is_shown_once_and_pieces_are_not_repeated() -> None:
    assert answer(done(message("hi")), "[DONE]").items == said("hi")
    assert answer(done(message("hi")), completed(message("hi", FAKE)), "[DONE]").items == said("hi")
    assert answer(delta("h"), delta("i"), done(message("hi")), completed(message("hi", FAKE)), "[DONE]").items == said(
        "hi"
    )
    assert answer(completed(message("hi", FAKE)), "[DONE]").items == said("hi")


def test_agent_server_13_a_result_is_attached_to_its_call() -> None:
    second = call('{"city":"LA"}', "f2", "call_2")
    told = answer(done(call()), done(second, place=1), completed(), done(result("cloudy", "call_2"), place=None),
                  done(result(), place=None), "[DONE]")  # fmt: skip
    found = {(item.kind, item.call_id): item.text for item in told.turn.items}
    assert found == {
        (ItemKind.TOOL_CALL, "call_1"): '{"city":"SF"}',
        (ItemKind.TOOL_CALL, "call_2"): '{"city":"LA"}',
        (ItemKind.TOOL_RESULT, "call_1"): "sunny in SF",
        (ItemKind.TOOL_RESULT, "call_2"): "cloudy",
    }


async def test_agent_server_14_escapes_decode_right_wherever_the_bytes_are_cut() -> None:
    text = "h\u00e9 \U0001f389 \u65e5"
    raw = f"data: {json.dumps(delta(text))}\n\ndata: [DONE]\n\n".encode()
    assert b"\\ud83c\\udf89" in raw
    for chunks in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        assert (await take(over(Bytes(chunks)), PROFILE)).turn.text == text


@pytest.mark.parametrize("place", [0, None], ids=["with places", "without"])
def test_items_that_all_have_the_same_id_are_told_apart(place: int | None) -> None:
    """What an agent says that hands on the ids of its library as they are."""
    first, second = message("one", FAKE), message("two", FAKE)
    whole = answer(
        created(),
        done(first, place=place),
        completed(first),
        created(),
        done(second, place=place),
        completed(second),
        "[DONE]",
    )
    assert whole.items == said("one", "two")
    if place is not None:
        both = answer(created(), delta("on", FAKE), delta("e", FAKE), completed(first), created(), delta("two", FAKE),
                      done(second), completed(second), "[DONE]")  # fmt: skip
        assert both.items == said("one", "two")
    mixed = answer(
        done(call(item_id=FAKE), place=place), done(message("two", FAKE), place=None if place is None else 1), "[DONE]"
    )
    assert mixed.items == [ITEMS[0], ("message", "", "two")]


def test_two_whole_messages_without_any_name_are_two() -> None:
    told = answer(done(message("one", FAKE), place=None), done(message("two", FAKE), place=None), "[DONE]")
    assert told.items == said("one", "two")


def test_pieces_and_their_whole_without_any_name_are_one() -> None:
    pieces = [{"type": "response.output_text.delta", "item_id": FAKE, "delta": text} for text in ("o", "ne")]
    told = answer(*pieces, done(message("one", FAKE), place=None), done(message("two", FAKE), place=None), "[DONE]")
    assert told.items == said("one", "two")


def test_an_empty_answer_is_one() -> None:
    told = answer(created(), completed(), "[DONE]")
    assert (told.items, told.finished, told.issued) == ([], True, OURS)


def test_a_reason_to_stop_early_is_kept() -> None:
    cut = completed(message("hi"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert answer(cut, "[DONE]").events[-1] == Finished("max_output_tokens")


def test_a_response_that_failed_is_a_failure() -> None:
    for status in ("failed", "cancelled"):
        told = answer(delta("hi"), completed(status=status, error={"message": "no"}), "[DONE]")
        assert isinstance(told.refused, Rejected)
        assert told.refused.reply.message == "no"


def test_a_question_for_approval_is_shown_and_waits_for_no_call() -> None:
    item = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "deploy", "arguments": "{}"}
    told = answer(done(item), completed(item), "[DONE]")
    assert [(one.kind, one.name, one.state) for one in told.turn.items] == [
        (ItemKind.APPROVAL, "deploy", ItemState.NONE)
    ]
    assert told.turn.open_approvals == ()


# Answers that were not streamed


def test_agent_server_2_a_session_of_the_servers_own_is_adopted() -> None:
    payload = {"object": "response", "output": [message("hi", FAKE)], "custom_outputs": {"session_id": "theirs"}}
    told = answer(payload, whole=True)
    assert (told.items, told.issued, told.finished) == (said("hi"), "theirs", True)


@pytest.mark.parametrize("outputs", [None, {}, {"session_id": ""}, {"session_id": None}, "x", []])
def test_agent_server_2_ours_stays_where_it_names_none(outputs: Any) -> None:
    payload = {"object": "response", "output": [message("hi", FAKE)], "custom_outputs": outputs}
    assert answer(payload, whole=True).issued == OURS


@pytest.mark.parametrize("session", ["a b", "x" * 5000, 7, ["x"], "a\nb"])
def test_a_session_that_cannot_be_sent_again_is_refused(session: Any) -> None:
    payload = {"object": "response", "output": [message("hi", FAKE)], "custom_outputs": {"session_id": session}}
    told = answer(payload, whole=True)
    assert isinstance(told.refused, Refused)
    assert told.issued == ""


def test_several_messages_of_an_answer_that_was_not_streamed() -> None:
    output = [call(item_id=FAKE), result(), message("one", FAKE), message("two", FAKE)]
    told = answer({"object": "response", "output": output}, whole=True)
    assert told.items == [*ITEMS[:2], *said("one", "two")]


def test_something_else_is_not_this_protocol() -> None:
    for payload in ({}, {"output": "x"}, {"choices": []}):
        told = answer(payload, whole=True)
        assert isinstance(told.refused, Refused)
        assert "does not speak the agent-server protocol here" in told.refused.message


def test_a_run_that_is_not_done_is_asked_for_again() -> None:
    reader = AgentServerReader("host", OURS, runs=True)
    events = reader.whole({"id": RUN, "object": "response", "status": "in_progress", "output": []})
    assert next(events) == RunNamed(f"{RUN} {OURS}")
    with pytest.raises(NotDone):
        next(events)


# Errors


FAILURES = [
    ({"error": "kaboom"}, "kaboom"),
    ({"error": {"message": "kaboom", "code": "x"}}, "kaboom"),
    ({"error": {"reason": "new"}}, '{"error": {"reason": "new"}}'),
    ({"error": ["kaboom"]}, '{"error": ["kaboom"]}'),
    ({"error": ""}, "the agent failed without a word"),
    ({"error": "kaboom", "type": None}, "kaboom"),
    ({"type": "error", "error": {"message": "kaboom", "type": "server_error", "code": "task_failed"}}, "kaboom"),
    ({"type": "error", "error": {"message": "Task timed out", "code": "task_timeout"}}, "Task timed out"),
]


@pytest.mark.parametrize(("failure", "says"), FAILURES)
@pytest.mark.parametrize("before", [[], [created(), delta("h\u00e9")]], ids=["first", "midway"])
def test_agent_server_7_an_error_is_a_failure_wherever_it_comes(
    before: list[dict[str, Any]], failure: dict[str, Any], says: str
) -> None:
    told = answer(*before, failure, "[DONE]")
    assert isinstance(told.refused, Rejected)
    assert (told.refused.reply.message, told.refused.in_stream) == (says, True)
    assert (told.finished, told.issued) == (False, "")
    assert told.text == ("h\u00e9" if before else "")


def test_an_error_of_null_is_none() -> None:
    assert answer(delta("hi"), {"error": None}, "[DONE]").finished


@pytest.mark.parametrize(("name", "status", "text", "words", "exit_status"), [
    ("stream-fail-first", TurnStatus.FAILED, "", "server.localhost:1 failed: Error code: 500 - forced failure.", 6),
    ("stream-fail-mid", TurnStatus.INTERRUPTED, "h\u00e9", "The server broke off: kaboom", 7),
    ("500", TurnStatus.FAILED, "", "server.localhost:1 failed: kaboom.", 6),
    ("400-json", TurnStatus.FAILED, "", "refused the request: Invalid JSON in request body", 6),
    ("400-params", TurnStatus.FAILED, "", "refused the request: Invalid parameters for ResponsesAgent", 6),
    ("404", TurnStatus.FAILED, "", "There is no such endpoint or model", 6),
])  # fmt: skip
async def test_agent_server_7_failures_as_they_came(
    name: str, status: TurnStatus, text: str, words: str, exit_status: int
) -> None:
    server = served(name)
    told = await take(over(server), PROFILE, conversation_id=OURS)
    assert (told.turn.status, told.turn.text, told.exit_status) == (status, text, exit_status)
    assert words in told.words
    assert (server.requests, told.turn.conversation_id) == (1, "")


async def test_agent_server_10_a_status_told_in_words_is_the_status() -> None:
    server, waits = served("503as500"), Waits()
    told = await take(over(server, waits), PROFILE)
    assert (told.exit_status, server.requests, len(waits.seconds)) == (8, 3, 2)
    assert told.turn.error is not None
    assert told.turn.error.status == 503
    assert told.turn.error.message == (
        "server.localhost:1 is overloaded or down (status 503): Failed to connect to Lakebase instance 'x'."
    )


@pytest.mark.parametrize(
    ("reply", "in_stream", "status", "message"),
    [
        (Reply(500, "503: no database"), False, 503, "no database"),
        (Reply(0, "503: no database"), True, 503, "no database"),
        (Reply(500, "401: who are you"), False, 401, "who are you"),
        (Reply(500, "kaboom"), False, 500, "kaboom"),
        (Reply(0, "kaboom"), True, 500, "kaboom"),
        (Reply(500, "503 bottles"), False, 500, "503 bottles"),
        (Reply(500, "200: fine"), False, 500, "200: fine"),
        (Reply(500, "not 503: really"), False, 500, "not 503: really"),
        (Reply(404, "503: no"), False, 404, "503: no"),
        (Reply(502, ""), False, 502, ""),
    ],
)
def test_agent_server_10_only_a_status_at_the_start_of_a_failure_counts(
    reply: Reply, in_stream: bool, status: int, message: str
) -> None:
    meant = as_meant(reply, in_stream=in_stream)
    assert (meant.status, meant.message) == (status, message)


async def test_agent_server_11_an_error_that_is_plain_text_is_told_as_that() -> None:
    server = Bytes([b"Internal Server Error"], status=500, headers={"content-type": "text/plain; charset=utf-8"})
    told = await take(over(server), PROFILE)
    assert (told.words, told.exit_status) == ("server.localhost:1 failed: Internal Server Error.", 6)


async def test_an_answer_without_a_stream_as_it_came() -> None:
    told = await replayed("nonstream")
    assert (told.turn.status, told.turn.text) == (TurnStatus.DONE, "ok: Hello I live in SF!")
    assert told.turn.conversation_id == OURS


@pytest.mark.parametrize(
    ("name", "text", "calls"),
    [
        ("stream", "ok: What city, \u00e9? ", []),
        ("stream-tool", "ok: use tool ", [("weather", '{"city":"SF"}')]),
    ],
)
async def test_answers_as_they_came(name: str, text: str, calls: list[tuple[str, str]]) -> None:
    told = await replayed(name, conversation_id=OURS)
    assert (told.turn.status, told.turn.text, told.turn.conversation_id) == (TurnStatus.DONE, text, OURS)
    assert told.of(ItemKind.TOOL_CALL) == calls
    assert [text for _, text in told.of(ItemKind.TOOL_RESULT)] == ["sunny in SF"] * len(calls)


@pytest.mark.parametrize("name", ["stream", "stream-tool", "stream-fail-mid"])
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "lost"])
async def test_agent_server_8_cut_anywhere_it_is_not_done(name: str, clean: bool) -> None:
    rest = capture(name)[2]
    end = rest.index(b"[DONE]") + len(b"[DONE]")
    whole = (await replayed(name, conversation_id=OURS)).turn
    for cut in [*range(0, end, 97), end]:
        breaks = None if clean else httpx.ReadError("gone")
        told = await take(over(served(name, cut, breaks)), PROFILE, conversation_id=OURS)
        is_done = cut == end and clean and whole.status is TurnStatus.DONE
        assert (told.turn.status is TurnStatus.DONE) == is_done, cut
        assert told.turn.conversation_id == (OURS if is_done else "")
        assert whole.text.startswith(told.turn.text)


# Runs in the background


def test_a_run_is_named_with_its_conversation_and_forgotten_at_the_end() -> None:
    told = answer(*of_run(created(), delta("hi"), completed()), "[DONE]", runs=True)
    named = [event.run for event in told.events if isinstance(event, RunNamed)]
    assert named == [f"{RUN} {OURS}", ""]
    assert told.events[-3:] == [ConversationIssued(OURS), RunNamed(""), Finished()]
    assert told.items == said("hi")


def test_a_run_can_be_named_by_its_response_where_the_server_says_it_so() -> None:
    told = answer(created(response_id=RUN), delta("hi"), completed(), "[DONE]", runs=True)
    assert told.events[1] == RunNamed(f"{RUN} {OURS}")


@pytest.mark.parametrize("response_id", [FAKE, "resp_" + "0" * 50, "resp_x", ""])
def test_a_models_own_response_is_no_run(response_id: str) -> None:
    told = answer(created(response_id=response_id), delta("hi"), "[DONE]", runs=True)
    assert [event for event in told.events if isinstance(event, RunNamed)] == []


def test_without_runs_none_is_named() -> None:
    told = answer(*of_run(created(), delta("hi")), "[DONE]")
    assert [event for event in told.events if isinstance(event, RunNamed)] == []


@pytest.mark.parametrize("whole", [[done(message("one two three"))], []], ids=["told whole, too", "in pieces only"])
def test_agent_server_17_what_is_told_again_is_not_doubled(whole: list[dict[str, Any]]) -> None:
    events = of_run(created(), delta("one "), delta("two "), delta("three"), *whole, completed())
    for cut in range(1, len(events)):
        for again in range(cut + 1):
            told = answer(*events[:cut], *events[again:], "[DONE]", runs=True)
            assert told.items == said("one two three"), (cut, again)


def test_agent_server_17_the_first_event_is_told_again_where_it_was_the_only_one() -> None:
    """Servers do, as they take the number 0 for none."""
    first, second = of_run(delta("one "), delta("two"))
    assert answer(first, first, second, "[DONE]", runs=True).text == "one two"


def test_agent_server_17_the_reader_knows_the_number_to_go_on_from() -> None:
    reader = AgentServerReader("host", OURS, runs=True)
    assert reader.last_number == -1
    for event in of_run(created(), delta("one"), {"trace_id": "tr-1"}):
        list(reader.read(event))
    assert (reader.run, reader.last_number) == (RUN, 2)


def test_a_server_that_runs_nothing_in_the_background_is_read_as_ever() -> None:
    assert answer(*TOOL, runs=True).items == ITEMS


def resumed(from_seq: Any, session: Any = f"{OURS}::attempt-2") -> dict[str, Any]:
    return {"type": "response.resumed", "attempt": 2, "from_seq": from_seq, "conversation_id": session}


def test_agent_server_18_what_was_not_finished_is_dropped_and_the_session_is_another_one() -> None:
    events = of_run(
        created(), delta("old wor"), resumed(2), created(), delta("new ", "i2"), delta("words", "i2"),
        done(message("new words", "i2")), completed(message("new words", FAKE)),
    )  # fmt: skip
    told = answer(*events, "[DONE]", runs=True)
    assert told.items == said("new words")
    assert told.issued == f"{OURS}::attempt-2"
    assert Noted(RESTARTED) in told.events


def test_agent_server_18_also_where_the_new_words_have_the_same_id() -> None:
    events = of_run(created(), delta("old"), resumed(2), created(), delta("new"), done(message("new")), completed())
    assert answer(*events, "[DONE]", runs=True).items == said("new")
    parts = of_run(delta("old"), resumed(1), {"type": "response.output_text.done", "item_id": "i1", "text": "new"})
    assert answer(*parts, "[DONE]", runs=True).items == said("new")


def test_agent_server_18_what_was_finished_before_stays() -> None:
    events = of_run(
        created(), done(call()), completed(call(item_id=FAKE)), done(result(), place=None), created(), delta("It i", "i1"),
        resumed(6), created(), delta("It is sunny.", "i2"), done(message("It is sunny.", "i2")), completed(),
    )  # fmt: skip
    told = answer(*events, "[DONE]", runs=True)
    assert told.items == ITEMS


def test_agent_server_18_text_from_the_number_on_is_dropped() -> None:
    """The number may lie before the event itself: then that is where what is void begins."""
    events = of_run(created(), delta("keep "), delta("drop"), done(message("keep drop")), resumed(2), delta("this"))
    assert answer(*events, "[DONE]", runs=True).text == "keep this"
    events = of_run(created(), done(message("keep", "a")), done(message("drop", "b"), place=1), resumed(2))
    assert answer(*events, "[DONE]", runs=True).items == said("keep")


def test_agent_server_18_nothing_dropped_is_nothing_to_note() -> None:
    events = of_run(created(), done(message("one")), completed(), resumed(3), created(), delta("two", "i2"))
    told = answer(*events, "[DONE]", runs=True)
    assert told.items == said("one", "two")
    assert not any(isinstance(event, Noted) for event in told.events)


@pytest.mark.parametrize("from_seq", [None, "2", 99, -1, True, {}])
def test_agent_server_18_a_number_that_makes_no_sense_breaks_nothing(from_seq: Any) -> None:
    events = of_run(created(), delta("old"), resumed(from_seq, None), created(), delta("new", "i2"))
    told = answer(*events, "[DONE]", runs=True)
    assert (told.items, told.issued) == (said("new"), OURS)


@pytest.mark.parametrize("session", ["a b", 7, "x" * 5000])
def test_agent_server_18_a_session_that_cannot_be_sent_again_is_refused(session: Any) -> None:
    told = answer(*of_run(created(), delta("old"), resumed(2, session)), "[DONE]", runs=True)
    assert isinstance(told.refused, Refused)


def test_agent_server_18_it_can_happen_twice() -> None:
    events = of_run(created(), delta("a"), resumed(2), created(), delta("b"), resumed(5, f"{OURS}::attempt-3"), created(),
                    delta("c"), done(message("c")))  # fmt: skip
    told = answer(*events, "[DONE]", runs=True)
    assert (told.items, told.issued) == (said("c"), f"{OURS}::attempt-3")


@pytest.mark.parametrize("code", ["task_failed", "task_timeout"])
def test_a_run_that_fails_is_a_failure(code: str) -> None:
    error = {"type": "error", "error": {"message": "no", "type": "server_error", "code": code}}
    told = answer(*of_run(created(), delta("hi"), error), runs=True)
    assert isinstance(told.refused, Rejected)
    assert (told.text, told.refused.reply.code) == ("hi", code)


# Anything


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = [str(event["type"]) for event in TOOL if isinstance(event, dict)]
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from([*KINDS, "response.resumed", "error", "new", ""])},
    optional={
        "item": JUNK, "response": JUNK, "delta": JUNK, "item_id": JUNK, "output_index": JUNK, "sequence_number": JUNK,
        "response_id": st.sampled_from([RUN, "", 7, "other"]), "from_seq": JUNK, "conversation_id": JUNK, "custom_outputs": JUNK,
        "error": JUNK,
    },
)  # fmt: skip


@given(st.lists(EVENTS, max_size=6), st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_read_or_refused(events: list[dict[str, Any]], runs: bool) -> None:
    told = answer(*events, "[DONE]", runs=runs)
    assert told.refused is None or isinstance(told.refused, Rejected | Refused)


@pytest.mark.parametrize("at", range(len(TOOL) - 1))
@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, True])
def test_a_field_of_the_wrong_type_breaks_nothing(at: int, junk: Any) -> None:
    event = TOOL[at]
    assert isinstance(event, dict)
    for name in event:
        told = answer(*TOOL[:at], event | {name: junk}, *TOOL[at + 1 :])
        assert told.refused is None or isinstance(told.refused, Rejected | Refused)


def test_a_delta_is_shown_as_it_comes() -> None:
    reader = AgentServerReader()
    assert list(reader.read(delta("Hel"))) == [ItemDelta("i1", ItemKind.MESSAGE, "Hel")]


def test_the_captures_are_all_looked_at() -> None:
    assert {Path(file).stem.removeprefix("agentserver-") for file in CAPTURES.glob("*.http")} == {
        "400-json", "400-params", "404", "500", "503as500", "nonstream", "stream", "stream-tool", "stream-fail-first",
        "stream-fail-mid",
    }  # fmt: skip
