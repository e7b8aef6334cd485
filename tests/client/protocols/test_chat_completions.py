"""Chat Completions: what is sent, and what is made of every kind of chunk."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.turns import Read, read
from tests.fake_server import CHAT_PROFILE
from tui.client import Request
from tui.client.protocols.chat_completions import (
    ChatReader,
    InlineReasoning,
    body,
    is_stale,
    is_unsupported,
    read_usage,
)
from tui.client.reply import Rejected, Reply
from tui.errors import Refused
from tui.events import Finished, ItemDelta, ModelNamed, Used
from tui.model import ItemKind, Message, Usage


def answer(*payloads: Any, whole: bool = False) -> Read:
    return read(ChatReader("host"), *payloads, whole=whole)


def chunk(finish: str | None = None, /, *, index: Any = 0, **delta: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"delta": delta, "finish_reason": finish}
    if index is not None:
        choice["index"] = index
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def tool(arguments: Any = None, **more: Any) -> dict[str, Any]:
    """A piece of a tool call, for `tool_calls`."""
    name = more.pop("name", None)
    function = ({"name": name} if name is not None else {}) | ({} if arguments is None else {"arguments": arguments})
    return more | {"function": function}


STOP = chunk("stop")


# Text


@pytest.mark.parametrize(
    "payloads",
    [
        [chunk(role="assistant", content=""), chunk(content="Hello "), chunk(content="there"), STOP, "[DONE]"],
        [chunk(role="assistant", content=None), chunk(content="Hello there"), STOP],
        [chunk(content="Hello "), chunk("stop", content="there")],
        [chunk(index=None, content="Hello there"), chunk("stop", index=None)],
        [chunk(content=[{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]), STOP],
        [chunk(content="Hello there"), chunk(content=""), chunk(), STOP, {"choices": []}, "[DONE]"],
    ],
)
def test_the_same_text_from_every_kind_of_server(payloads: list[Any]) -> None:
    told = answer(*payloads)
    assert told.items == [("message", "", "Hello there")]
    assert told.events[-1] == Finished()
    assert told.turn.model == "m"


def test_text_is_shown_as_it_comes() -> None:
    assert list(ChatReader().read({"choices": [{"delta": {"content": "Hel"}}]})) == [
        ItemDelta("message/1", ItemKind.MESSAGE, "Hel")
    ]


def test_only_the_first_choice_is_read() -> None:
    other = chunk("length", index=1, content="other")
    told = answer(chunk(content="one"), other, STOP)
    assert told.items == [("message", "", "one")]
    assert told.turn.finish == ""


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls", "function_call", "eos_token"])
def test_the_servers_reason_is_kept(reason: str) -> None:
    assert answer(chunk(content="a"), chunk(reason), "[DONE]").turn.finish == reason


def test_the_model_is_told_once_and_again_when_it_changes() -> None:
    told = answer({**chunk(content="a"), "model": "one"}, {**chunk(content="b"), "model": "two"}, chunk("stop"))
    assert [event.model for event in told.events if isinstance(event, ModelNamed)] == ["one", "two", "m"]


# The end


@pytest.mark.parametrize(
    "payloads",
    [[], [chunk(content="a")], [chunk(content="a"), "[DONE]"], [chunk(content="a"), {"choices": []}, "[DONE]"]],
)
def test_without_a_finish_reason_an_answer_is_not_finished(payloads: list[Any]) -> None:
    assert not answer(*payloads).finished


def test_a_finish_reason_ends_the_answer_and_leaves_room_for_usage() -> None:
    reader = ChatReader()
    assert not reader.over
    assert Finished() not in list(reader.read(chunk("stop", content="a")))
    assert reader.over
    assert list(reader.read({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})) == [
        Used(Usage(1, 2))
    ]
    assert list(reader.sentinel()) == [Finished()]


@pytest.mark.fault("N46")
def test_what_comes_after_the_end_is_ignored() -> None:
    second = [chunk(role="assistant", content="And "), chunk(content="more"), chunk("length")]
    told = answer(chunk(content="a"), STOP, *second, {"error": {"message": "late"}}, "[DONE]")
    assert told.text == "a"
    assert told.turn.finish == ""
    assert told.refused is None


def test_an_answer_goes_on_after_a_tool_call_where_the_server_runs_its_tools_itself() -> None:
    told = answer(
        chunk(content="Let me see."),
        chunk(tool_calls=[tool("{}", index=0, id="a", name="weather")]),
        chunk("tool_calls"),
        chunk(tool_calls=[tool("[]", index=0, id="b", name="wind")]),
        chunk("tool_calls"),
        chunk(content="Warm."),
        STOP,
        "[DONE]",
    )
    assert told.items == [
        ("message", "", "Let me see."),
        ("tool_call", "weather", "{}"),
        ("tool_call", "wind", "[]"),
        ("message", "", "Warm."),
    ]
    assert told.turn.finish == ""


def test_an_answer_that_was_filtered_away_is_refused() -> None:
    told = answer(chunk(role="assistant", content=""), chunk("content_filter"), "[DONE]")
    assert isinstance(told.refused, Refused)
    assert "content_filter" in told.refused.message


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}, Usage(9, 3)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "completion_tokens_details": {"reasoning_tokens": 2},
                "prompt_tokens_details": {"cached_tokens": 8},
            },
            Usage(9, 3, 2, 8),
        ),
        ({"completion_tokens": 3}, Usage(None, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": "9", "completion_tokens": [3]}, None),
        ({"prompt_tokens": True}, None),
        ({"prompt_tokens": 2**60}, None),
        ({}, None),
    ],
)
def test_usage(usage: dict[str, Any], wanted: Usage | None) -> None:
    assert read_usage(usage) == wanted


@pytest.mark.parametrize(
    "chunks",
    [
        [STOP, {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}],
        [STOP, {"choices": [{"index": 0, "delta": {}}], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}],
        [{**STOP, "usage": {"prompt_tokens": 9, "completion_tokens": 3}}],
        [{**STOP, "usage": None}, {"usage": {"prompt_tokens": 9, "completion_tokens": 3}, "timings": {"n": 1}}],
        [{**chunk(), "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
         {**STOP, "usage": {"prompt_tokens": 9, "completion_tokens": 3}}],
    ],
)  # fmt: skip
def test_usage_comes_with_the_last_chunk_or_after_it(chunks: list[Any]) -> None:
    told = answer(chunk(content="a"), *chunks, "[DONE]")
    assert told.turn.usage == Usage(9, 3)
    assert told.finished


# Reasoning


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_an_item_before_the_answer(name: str) -> None:
    told = answer(chunk(**{name: "Let me "}), chunk(**{name: "see."}), chunk(content="Warm."), STOP)
    assert told.items == [("reasoning", "", "Let me see."), ("message", "", "Warm.")]
    assert told.text == "Warm."


def test_reasoning_between_two_messages_keeps_its_place() -> None:
    told = answer(chunk(content="a"), chunk(reasoning="b"), chunk(content="c"), chunk(content="d"), STOP)
    assert told.items == [("message", "", "a"), ("reasoning", "", "b"), ("message", "", "cd")]


INLINE = [
    ("<think>Let me see.</think>Warm.", "Let me see.", "Warm."),
    ("<think>\nLet me\n\nsee.\n</think>\n\nWarm.\n", "Let me\n\nsee.", "Warm.\n"),
    (" \n<think>a</think>\nb", "a", "b"),
    ("<think></think>Warm.", "", "Warm."),
    ("<think>\n\n</think>\n\nWarm.", "", "Warm."),
    ("<think>a < b </thin k></think>c</think>", "a < b </thin k>", "c</think>"),
    ("<think>never closed", "never closed", ""),
    ("<think>nearly closed</think", "nearly closed</think", ""),
    ("<think>", "", ""),
    ("Say <think>this</think>", "", "Say <think>this</think>"),
    ("<thinking>no</thinking>", "", "<thinking>no</thinking>"),
    ("<thin", "", "<thin"),
    ("  indented", "", "  indented"),
    ("", "", ""),
]


def inline(*pieces: str) -> tuple[str, str]:
    """Reasoning and answer in a text that comes in pieces."""
    reader = InlineReasoning()
    found = [one for piece in pieces for one in reader.feed(piece)] + reader.flush()
    assert all(text for _, text in found)
    return tuple(
        "".join(text for kind, text in found if kind is wanted) for wanted in (ItemKind.REASONING, ItemKind.MESSAGE)
    )


@pytest.mark.parametrize(("said", "reasoning", "message"), INLINE)
def test_reasoning_within_the_answer_wherever_it_is_cut(said: str, reasoning: str, message: str) -> None:
    assert inline(said) == (reasoning, message)
    assert inline(*said) == (reasoning, message)
    for at in range(len(said) + 1):
        assert inline(said[:at], said[at:]) == (reasoning, message), f"cut at {at}"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "</", "think", ">", "\n", " ", "a", "é"]), max_size=12),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_reasoning_within_any_text_is_found_however_it_is_cut(parts: list[str], places: list[int]) -> None:
    said = "".join(parts)
    at = [0, *sorted(min(place, len(said)) for place in places), len(said)]
    pieces = [said[start:stop] for start, stop in pairwise(at)]
    assert inline(*pieces) == inline(said)


@pytest.mark.parametrize("begun", ["", "<think>", "<think>a", "<think>a</think>", "a"])
def test_a_flood_of_blanks_takes_a_time_that_grows_with_it_only(begun: str) -> None:
    inline = InlineReasoning()
    inline.feed(begun)
    start = time.thread_time()
    for _ in range(100_000):
        inline.feed("\n")
    assert time.thread_time() - start < 5


def test_reasoning_within_the_answer_is_an_item() -> None:
    told = answer(chunk(content="<thi"), chunk(content="nk>Hm.</th"), chunk(content="ink>\n\nWarm."), STOP, "[DONE]")
    assert told.items == [("reasoning", "", "Hm."), ("message", "", "Warm.")]


def test_what_was_held_back_is_shown_at_the_end() -> None:
    assert answer(chunk(content="<thin"), STOP, "[DONE]").text == "<thin"


# Refusals and tools


def test_a_refusal_is_a_message_of_its_own_name() -> None:
    told = answer(chunk(refusal="I will "), chunk(refusal="not"), STOP)
    assert told.items == [("message", "refusal", "I will not")]


CALL_STREAMS = [
    pytest.param(
        [
            [tool("", index=0, id="a", type="function", name="weather")],
            [tool('{"x"', index=0)],
            [tool(":1}", index=0)],
            [tool("", index=1, id="b", name="wind")],
            [tool('{"y":2}', index=1)],
        ],
        id="as documented",
    ),
    pytest.param(
        [
            [tool('{"x"', index=0, id="a", name="weather")],
            [tool('{"y"', index=1, id="b", name="wind")],
            [tool(":1}", index=0), tool(":2}", index=1)],
        ],
        id="interleaved",
    ),
    pytest.param(
        [
            [tool('{"x"', id="a", name="weather")],
            [tool(":1}")],
            [tool('{"y"', id="b", name="wind")],
            [tool(":2}")],
        ],
        id="no index",
    ),
    pytest.param(
        [
            [tool('{"x"', index=0, id="a", name="weather")],
            [tool(":1}")],
            [tool('{"y":2}', index=1, id="b", name="wind")],
        ],
        id="no index later",
    ),
    pytest.param(
        [[tool('{"x":1}', index=0, id="a", name="weather")], [tool('{"y":2}', index=0, id="b", name="wind")]],
        id="the same index for all",
    ),
    pytest.param(
        [
            [tool('{"x"', index=0, id="a", name="weather")],
            [tool(":1}", index=0, id="a")],
            [tool('{"y"', index=1, id="b", name="wind")],
            [tool(":2}", index=1, id="b")],
        ],
        id="the id every time",
    ),
    pytest.param(
        [
            [tool('{"x"', index=0, id="a", name="weather")],
            [tool(":1}", index=0, id="", name="")],
            [tool('{"y":2}', index=1, id="b", name="wind")],
        ],
        id="an empty id later",
    ),
    pytest.param(
        [[tool('{"x":1}', id="a", name="weather"), tool('{"y":2}', id="b", name="wind")]], id="all in one chunk"
    ),
    pytest.param(
        [[tool({"x": 1}, index=0, id="a", name="weather"), tool({"y": 2}, index=1, id="b", name="wind")]], id="objects"
    ),
]


@pytest.mark.parametrize("stream", CALL_STREAMS)
def test_tool_calls_from_every_kind_of_server(stream: list[list[dict[str, Any]]]) -> None:
    told = answer(*[chunk(tool_calls=calls) for calls in stream], chunk("tool_calls"), "[DONE]")
    found = [(item.name, item.text.replace(" ", ""), item.call_id) for item in told.turn.items]
    assert found == [("weather", '{"x":1}', "a"), ("wind", '{"y":2}', "b")]
    assert told.turn.finish == "tool_calls"


@pytest.mark.parametrize("call_id", [{}, {"id": ""}, {"id": None}])
@pytest.mark.parametrize("names", [("weather", "wind"), ("weather", "weather")])
@pytest.mark.parametrize("cut", [True, False])
def test_calls_without_ids_at_one_index_are_told_apart(
    call_id: dict[str, Any], names: tuple[str, str], cut: bool
) -> None:
    """The name may come with every piece."""
    both = [(name, part) for name, at in zip(names, "xy", strict=True) for part in _cut(f'{{"{at}":{{"a":1}}}}', cut)]
    pieces = [chunk(tool_calls=[tool(part, index=0, name=name, **call_id)]) for name, part in both]
    told = answer(*pieces, chunk("tool_calls"))
    assert told.items == [("tool_call", names[0], '{"x":{"a":1}}'), ("tool_call", names[1], '{"y":{"a":1}}')]


def _cut(arguments: str, cut: bool) -> list[str]:
    return [arguments[:3], arguments[3:12], arguments[12:]] if cut else [arguments]


def test_calls_without_ids_or_index_are_told_apart_by_their_names() -> None:
    told = answer(chunk(tool_calls=[tool("{}", name="weather"), tool("[]", name="wind")]), chunk("tool_calls"))
    assert told.items == [("tool_call", "weather", "{}"), ("tool_call", "wind", "[]")]


def test_the_older_kind_of_call() -> None:
    pieces = [{"name": "weather", "arguments": ""}, {"arguments": '{"x":'}, {"arguments": "1}"}]
    told = answer(*[chunk(function_call=piece) for piece in pieces], chunk("function_call"), "[DONE]")
    assert told.items == [("tool_call", "weather", '{"x":1}')]


def test_text_after_a_call_is_a_message_of_its_own() -> None:
    told = answer(
        chunk(content="a"), chunk(tool_calls=[tool("{}", index=0, id="x", name="t")]), chunk(content="b"), STOP
    )
    assert told.items == [("message", "", "a"), ("tool_call", "t", "{}"), ("message", "", "b")]


# Errors, and what is not known


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (
            {"error": {"message": "m", "type": "server_error", "param": None, "code": 500}},
            Reply(0, "m", "500", "server_error", form="json"),
        ),
        ({"error": "text"}, Reply(0, "text", form="json")),
        ({**chunk(content="x"), "error": {"message": "m"}}, Reply(0, "m", form="json")),
        (chunk("error"), Reply(0, "the server ended the answer with an error")),
    ],
)
def test_errors_in_a_stream(payload: dict[str, Any], reply: Reply) -> None:
    told = answer(chunk(content="a"), payload, "[DONE]")
    assert isinstance(told.refused, Rejected)
    assert told.refused.in_stream
    assert told.refused.reply == reply
    assert told.text == "a"


@pytest.mark.parametrize("error", [None, {}, "", [], False])
def test_an_error_field_that_is_empty_is_none(error: Any) -> None:
    assert answer({**chunk(content="a"), "error": error}, STOP).finished


NOTHINGS: list[Any] = [None, 5, "x", [], {}, [None], [5], [[]], {"a": None}, True, float("nan")]


@pytest.mark.fault("N50")
@pytest.mark.parametrize("nothing", NOTHINGS, ids=repr)
def test_fields_of_the_wrong_type_never_raise(nothing: Any) -> None:
    fields = ["content", "reasoning", "reasoning_content", "refusal", "tool_calls", "function_call", "role"]
    told = answer(
        *[{"choices": nothing}, {"choices": [{"delta": nothing}]}, {"choices": [nothing]}, {"usage": nothing, "model": nothing}],
        *[chunk(**{field: nothing}) for field in fields if nothing != "x"],
        *[chunk(tool_calls=[{field: nothing}]) for field in ("index", "id", "function")],
        *[chunk(tool_calls=[{"index": 0, "function": {field: nothing}}]) for field in ("name", "arguments")],
        chunk(content="Fine"),
        {"choices": [{"delta": {}, "finish_reason": nothing if nothing != "x" else None}]},
        STOP,
    )  # fmt: skip
    assert told.refused is None
    assert told.text == "Fine"


@pytest.mark.fault("N51")
def test_chunks_of_an_unknown_kind_change_nothing() -> None:
    told = answer({"object": "ping"}, {"prompt_filter_results": [{"x": 1}], "choices": []}, chunk(dance="x"), STOP)
    assert told.items == []
    assert told.finished


# Answers that are not streamed


def test_an_answer_that_was_not_streamed() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    message = {"role": "assistant", "reasoning_content": "Hm.", "content": "Warm.", "tool_calls": calls}
    told = answer(
        {
            "model": "big",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        },
        whole=True,
    )
    assert told.items == [("reasoning", "", "Hm."), ("message", "", "Warm."), ("tool_call", "weather", "{}")]
    assert (told.turn.usage, told.turn.model, told.turn.finish) == (Usage(1, 2), "big", "tool_calls")


def test_an_answer_that_was_not_streamed_ends_though_it_does_not_say_so() -> None:
    told = answer({"choices": [{"message": {"content": "<think>Hm.</think>Warm."}}]}, whole=True)
    assert told.items == [("reasoning", "", "Hm."), ("message", "", "Warm.")]
    assert told.finished


@pytest.mark.parametrize(
    "payload", [{}, {"choices": []}, {"choices": None}, {"output": []}, {"object": "list", "data": []}]
)
def test_an_answer_in_another_protocol_is_refused(payload: dict[str, Any]) -> None:
    assert isinstance(answer(payload, whole=True).refused, Refused)


# What is sent


def request(
    prompt: str = "hi", history: tuple[Message, ...] = (), conversation_id: str = "", **profile: Any
) -> Request:
    changed = replace(CHAT_PROFILE, **profile)
    return Request(changed, prompt, "session", history=history, conversation_id=conversation_id)


PLAIN = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (request(), {}),
        (request(conversation_id="resp_1"), {}),
        (
            request(system="Be brief."),
            {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]},
        ),
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
        (request(params={"temperature": 0, "stream_options": None}), {"temperature": 0, "stream_options": None}),
    ],
)
def test_a_request(asked: Request, sent: dict[str, Any]) -> None:
    assert body(asked) == PLAIN | sent


@pytest.mark.fault("S13")
def test_nothing_is_ever_stale() -> None:
    assert not CHAT_PROFILE.traits.keeps
    asked = request(conversation_id="resp_0123456789")
    for status in (0, 400, 404, 410, 422):
        reply = Reply(status, "Previous response with id 'resp_0123456789' not found.", "previous_response_not_found")
        assert not is_stale(reply, asked)
        assert not is_unsupported(reply)
