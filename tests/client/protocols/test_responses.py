"""The Responses API: what is sent, what is made of every kind of event, and what is a stale conversation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.client.turns import Read, read
from tests.fake_server import PROFILE, completed, delta
from tui.client import Request
from tui.client.protocols import load
from tui.client.protocols.ids import check_id
from tui.client.protocols.response_events import ResponsesReader
from tui.client.protocols.responses import body, is_stale, is_unsupported
from tui.client.reply import Rejected, Reply, read_error, read_reply
from tui.errors import Incomplete, Refused
from tui.events import ConversationIssued, ConversationUnsupported, Finished, ItemDelta, ItemWhole, ModelNamed, Used
from tui.model import Item, ItemKind, Message, Usage

ID = "resp_0123456789abcdef"
LONG = "x" * 469 + "="


def answer(*payloads: Any, keeps: bool = True, conversation: str = "", whole: bool = False) -> Read:
    return read(ResponsesReader("host", conversation, keeps), *payloads, whole=whole)


def message(text: str, item_id: str = "msg_1", **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "content": content} | more


def call(arguments: str, item_id: str = "fc_1", call_id: str = "call_1", name: str = "weather") -> dict[str, Any]:
    return {"type": "function_call", "id": item_id, "call_id": call_id, "name": name, "arguments": arguments}


def added(item: dict[str, Any], index: int | None = 0) -> dict[str, Any]:
    return {"type": "response.output_item.added", "item": item} | ({} if index is None else {"output_index": index})


def done(item: dict[str, Any], index: int | None = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": item} | ({} if index is None else {"output_index": index})


def finished(*items: dict[str, Any], response_id: Any = "resp_1", **more: Any) -> dict[str, Any]:
    response = {"id": response_id, "object": "response", "status": "completed", "output": list(items)}
    return {"type": "response.completed", "response": response | more}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def said(*texts: str) -> list[tuple[str, str, str]]:
    return [("message", "", text) for text in texts]


# Text, with as little around it as servers get away with


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param(
            [
                event("created", response={"id": "resp_1", "status": "in_progress"}, sequence_number=0),
                added(message("", status="in_progress")),
                event("content_part.added", item_id="msg_1", output_index=0, content_index=0, part={"text": ""}),
                delta("Hello "),
                delta("there"),
                event("output_text.done", item_id="msg_1", output_index=0, content_index=0, text="Hello there"),
                event("content_part.done", item_id="msg_1", part={"type": "output_text", "text": "Hello there"}),
                done(message("Hello there")),
                finished(message("Hello there")),
            ],
            id="every event",
        ),
        pytest.param(
            [event("output_text.delta", delta="Hello "), event("output_text.delta", delta="there"), finished()],
            id="only type and delta",
        ),
        pytest.param(
            [
                event("output_text.delta", output_index=0, delta="Hello "),
                event("output_text.delta", output_index=0, delta="there"),
                finished(),
            ],
            id="only an index",
        ),
        pytest.param([added(message("")), delta("Hello "), delta("there"), finished()], id="no done"),
        pytest.param([delta("Hello "), delta("there"), finished(message("Hello there"))], id="no added"),
        pytest.param([done(message("Hello there")), finished()], id="only the item"),
        pytest.param([done(message("Hello there"), None), finished()], id="only the item, nowhere"),
        pytest.param([event("output_text.done", item_id="msg_1", text="Hello there"), finished()], id="only the part"),
        pytest.param([event("output_text.done", text="Hello there"), finished()], id="only the part, nowhere"),
        pytest.param([finished(message("Hello there"))], id="only the end"),
        pytest.param([finished(message("Hello there", item_id=""))], id="only the end, without ids"),
        pytest.param([delta("Hello "), delta("the"), finished(message("Hello there"))], id="a delta missing"),
        pytest.param([delta("Hello "), delta("Hello "), finished(message("Hello there"))], id="a delta twice"),
        pytest.param([delta("Helo ther"), done(message("Hello there")), finished()], id="the item knows better"),
        pytest.param(
            [delta("Hello there"), finished(message("Hello there", item_id="__fake_id__"))], id="another id at the end"
        ),
        pytest.param([delta(""), delta("Hello there"), delta(""), finished()], id="empty deltas"),
    ],
)
@pytest.mark.fault("N53")
def test_the_same_text_from_every_kind_of_server(payloads: list[dict[str, Any]]) -> None:
    told = answer(*payloads)
    assert told.items == said("Hello there")
    assert told.finished
    assert told.issued == "resp_1"


def test_deltas_are_shown_as_they_come() -> None:
    reader = ResponsesReader()
    assert list(reader.read(delta("Hel"))) == [ItemDelta("msg_1", ItemKind.MESSAGE, "Hel")]
    assert not reader.over


def test_two_messages_keep_their_places() -> None:
    told = answer(
        delta("one", "a"), {**delta("two", "b"), "output_index": 1}, finished(message("One", "a"), message("Two", "b"))
    )
    assert told.items == said("One", "Two")


def test_two_messages_without_ids_are_told_apart_by_their_index() -> None:
    deltas = [event("output_text.delta", output_index=index, delta=text) for index, text in [(0, "one"), (1, "two")]]
    assert answer(*deltas, finished()).items == said("one", "two")


def without_id(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"} | more


TELLINGS = {
    "whole": lambda text: [done(without_id(message(text)), None)],
    "opened": lambda text: [added(without_id(message("")), None), done(without_id(message(text)), None)],
    "in pieces": lambda text: [
        event("output_text.delta", delta=text[:2]),
        event("output_text.delta", delta=text[2:]),
        event("output_text.done", text=text),
        done(without_id(message(text)), None),
    ],
    "by a part": lambda text: [event("output_text.done", text=text), done(without_id(message(text)), None)],
    "opened, in pieces": lambda text: [
        added(without_id(message("")), None),
        event("output_text.delta", delta=text),
        done(without_id(message(text)), None),
    ],
}


@pytest.mark.parametrize("first", TELLINGS)
@pytest.mark.parametrize("second", TELLINGS)
def test_messages_without_id_and_index_are_all_shown(first: str, second: str) -> None:
    payloads = [*TELLINGS[first]("one"), *TELLINGS[second]("two"), *TELLINGS[first]("three")]
    for last in (finished(), finished(*(without_id(message(text)) for text in ("one", "two", "three")))):
        assert answer(*payloads, last).items == said("one", "two", "three")


def test_reasoning_without_id_and_index_is_shown_each_time() -> None:
    thoughts = [{"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]} for text in ("a", "b")]
    told = answer(*(done(thought, None) for thought in thoughts), finished())
    assert told.items == [("reasoning", "", "a"), ("reasoning", "", "b")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_calls_without_id_and_index_go_by_what_they_are_called(order: tuple[int, int]) -> None:
    calls = [without_id(call(f'{{"a":{at}}}', call_id=f"call_{at}", name=f"tool_{at}")) for at in (0, 1)]
    results = [{"type": "function_call_output", "call_id": f"call_{at}", "output": str(at)} for at in (0, 1)]
    opened = [added({**one, "arguments": ""}, None) for one in calls]
    told = answer(*opened, *(done(calls[at], None) for at in order), *(done(one, None) for one in results), finished())
    assert told.items == [
        ("tool_call", "tool_0", '{"a":0}'),
        ("tool_call", "tool_1", '{"a":1}'),
        ("tool_result", "", "0"),
        ("tool_result", "", "1"),
    ]


def test_results_that_name_no_call_are_all_shown() -> None:
    results = [done({"type": "function_call_output", "output": text}, None) for text in ("a", "b")]
    assert answer(*results, finished()).items == [("tool_result", "", "a"), ("tool_result", "", "b")]


def test_what_a_second_response_says_is_not_added_to_the_first() -> None:
    asks = done(without_id(call("{}")), None)
    again = [event("created", response={"id": "resp_2"}), event("output_text.delta", delta="two")]
    payloads = [event("output_text.delta", delta="one"), asks, finished(), *again, finished(response_id="resp_2")]
    assert [item for item in answer(*payloads).items if item[0] == "message"] == said("one", "two")


def test_a_list_at_the_end_that_has_only_the_last_message() -> None:
    """Under an id that did not come before."""
    deltas = [delta("First.", "a"), {**delta("The ans", "b"), "output_index": 1}]
    assert answer(*deltas, finished(message("The answer", "new"))).items == said("First.", "The answer")


def test_a_list_at_the_end_that_has_only_the_last_items_of_each_kind() -> None:
    deltas = [{**delta(text, key), "output_index": at} for at, (key, text) in enumerate(["aA", "bB", "cC"])]
    calls = [done(call("{}", f"fc_{at}", f"call_{at}", f"tool_{at}"), 3 + at) for at in (0, 1)]
    last = finished(message("b", "new_1"), message("c", "new_2"), call("{}", "new_3", "call_1", "tool_1"))
    assert answer(*deltas, *calls, last).items == [
        *said("A", "b", "c"), ("tool_call", "tool_0", "{}"), ("tool_call", "tool_1", "{}")
    ]  # fmt: skip


def test_a_list_at_the_end_that_has_some_under_their_ids() -> None:
    deltas = [{**delta(text, key), "output_index": at} for at, (key, text) in enumerate(["aA", "bB", "cC"])]
    assert answer(*deltas, finished(message("a", "a"), message("c", "new"))).items == said("a", "B", "c")


def test_two_messages_under_one_id_at_the_end_only() -> None:
    told = answer(finished(message("one", "__fake_id__"), message("two", "__fake_id__")))
    assert told.items == said("one", "two")


def test_the_parts_of_a_message_are_paragraphs() -> None:
    deltas = [{**delta(text), "content_index": index} for index, text in [(0, "on"), (0, "e"), (1, "tw"), (1, "o")]]
    assert answer(*deltas, finished()).text == "one\n\ntwo"
    parts = [{"type": "output_text", "text": "one"}, {"type": "output_text", "text": "two"}]
    assert answer(*deltas, finished(message("") | {"content": parts})).text == "one\n\ntwo"


def test_a_part_that_came_whole_follows_one_that_came_in_pieces() -> None:
    second = event("output_text.done", item_id="msg_1", content_index=1, text="two")
    assert answer({**delta("one"), "content_index": 0}, second, finished()).text == "one\n\ntwo"


@pytest.mark.fault("N52")
def test_a_delta_that_comes_twice_is_dropped_by_its_number() -> None:
    deltas = [{**delta(text), "sequence_number": number} for number, text in [(4, "a"), (5, "b"), (5, "b"), (6, "c")]]
    assert answer(*deltas, finished()).text == "abc"


@pytest.mark.fault("N52")
def test_the_first_delta_that_comes_twice_is_dropped_too() -> None:
    created = event("created", response={"id": "resp_1"}, sequence_number=0)
    deltas = [{**delta(text), "sequence_number": number} for number, text in [(4, "a"), (4, "a"), (5, "b")]]
    assert answer(created, *deltas).text == "ab"


@pytest.mark.parametrize("number", [0, 1, 7])
def test_deltas_without_numbers_of_their_own_are_not_repeats(number: int) -> None:
    """Although other events have one."""
    begun = [event("created", response={}, sequence_number=0), event("in_progress", response={}, sequence_number=1)]
    deltas = [{**delta(text), "sequence_number": number} for text in "aba"]
    assert answer(*begun, *deltas).text == "aba"


@pytest.mark.fault("N52")
def test_deltas_out_of_order_end_up_as_the_server_says_in_the_end() -> None:
    deltas = [{**delta(text), "sequence_number": number} for number, text in [(1, "a"), (3, "c"), (2, "b")]]
    assert answer(*deltas, finished(message("abc"))).text == "abc"


@pytest.mark.parametrize("number", [0, 7, None, "3", 1.5, True])
def test_a_number_that_never_moves_is_not_believed(number: object) -> None:
    deltas = [{**delta(text), "sequence_number": number} for text in "abc"]
    assert answer(*deltas, finished()).text == "abc"


def test_numbers_that_begin_again_with_a_new_response_are_not_repeats() -> None:
    created = event("created", response={"id": "resp_1"})
    once = [{**delta(text, "a"), "sequence_number": number} for number, text in [(1, "a"), (2, "b")]]
    again = [{**delta(text, "b"), "sequence_number": number} for number, text in [(1, "c"), (2, "d")]]
    assert answer(created, *once, created, *again, finished()).items == said("ab", "cd")


@pytest.mark.parametrize("names", [("item_id",), ("output_index",), ("item_id", "output_index", "content_index")])
def test_numbers_that_begin_again_with_every_item_are_not_repeats(names: tuple[str, ...]) -> None:
    created = event("created", response={"id": "resp_1"}, sequence_number=0)
    place = [{"item_id": f"msg_{at}", "output_index": at, "content_index": 0} for at in (0, 1)]
    deltas = [
        event("output_text.delta", delta=text, sequence_number=number, **{name: place[at][name] for name in names})
        for at, number, text in [(0, 1, "one "), (0, 2, "item"), (1, 1, "one "), (1, 2, "more")]
    ]
    assert answer(created, *deltas, finished()).items == said("one item", "one more")


def test_a_random_field_against_eavesdroppers_is_ignored() -> None:
    assert answer({**delta("a"), "obfuscation": "Zk3xQ", "logprobs": []}, finished()).text == "a"


# Refusals and reasoning


def test_a_refusal_is_a_message_of_its_own_name() -> None:
    deltas = [event("refusal.delta", item_id="msg_1", content_index=0, delta=text) for text in ("I ", "will not")]
    refused = message("") | {"content": [{"type": "refusal", "refusal": "I will not"}]}
    wanted = [("message", "refusal", "I will not")]
    assert answer(*deltas, finished()).items == wanted
    assert answer(event("refusal.done", item_id="msg_1", refusal="I will not"), finished()).items == wanted
    assert answer(finished(refused)).items == wanted
    assert answer(*deltas, finished(refused)).items == wanted


def reasoning(*summary: str, content: tuple[str, ...] = (), item_id: str = "rs_1") -> dict[str, Any]:
    return {
        "type": "reasoning",
        "id": item_id,
        "summary": [{"type": "summary_text", "text": text} for text in summary],
        "content": [{"type": "reasoning_text", "text": text} for text in content],
    }


@pytest.mark.parametrize(
    "payloads",
    [
        [
            added(reasoning()),
            event("reasoning_summary_part.added", item_id="rs_1", summary_index=0, part={"text": ""}),
            event("reasoning_summary_text.delta", item_id="rs_1", summary_index=0, delta="First "),
            event("reasoning_summary_text.delta", item_id="rs_1", summary_index=0, delta="this"),
            event("reasoning_summary_text.done", item_id="rs_1", summary_index=0, text="First this"),
            event("reasoning_summary_text.delta", item_id="rs_1", summary_index=1, delta="Then that"),
            event("reasoning_summary_part.done", item_id="rs_1", summary_index=1, part={"text": "Then that"}),
            done(reasoning("First this", "Then that")),
        ],
        [
            event("reasoning_summary_text.done", item_id="rs_1", summary_index=0, text="First this"),
            event("reasoning_summary_text.done", item_id="rs_1", summary_index=1, text="Then that"),
        ],
        [done(reasoning("First this", "Then that"))],
        [done(reasoning(content=("First this", "Then that")))],
        [
            event("reasoning_text.delta", item_id="rs_1", content_index=0, delta="First this"),
            event("reasoning_text.delta", item_id="rs_1", content_index=1, delta="Then that"),
        ],
        [event("reasoning_text.done", content_index=0, text="First this\n\nThen that")],
        [event("reasoning_text.delta", delta="First this\n\n"), event("reasoning_text.delta", delta="Then that")],
    ],
)
def test_reasoning_is_an_item_before_the_answer(payloads: list[dict[str, Any]]) -> None:
    told = answer(*payloads, {**delta("Fine"), "output_index": 1}, finished(message("Fine")))
    assert told.items == [("reasoning", "", "First this\n\nThen that"), ("message", "", "Fine")]
    assert told.text == "Fine"


def test_reasoning_that_is_kept_secret_is_not_shown() -> None:
    secret = reasoning() | {"encrypted_content": "gAAAA"}
    told = answer(added(secret), done(secret), delta("Fine"), finished(secret, message("Fine")))
    assert told.items == said("Fine")


# Tools


CALLS = [
    pytest.param(call('{"a":1}'), ("weather", '{"a":1}', "call_1"), id="function"),
    pytest.param(
        {"type": "custom_tool_call", "id": "c", "call_id": "call_1", "name": "sql", "input": "select 1"},
        ("sql", "select 1", "call_1"),
        id="custom",
    ),
    pytest.param(
        {"type": "mcp_call", "id": "mcp_1", "name": "find", "server_label": "docs", "arguments": '{"q":"x"}'},
        ("docs.find", '{"q":"x"}', "mcp_1"),
        id="mcp",
    ),
    pytest.param(
        {"type": "code_interpreter_call", "id": "ci_1", "code": "print(1)", "outputs": None},
        ("code_interpreter", "print(1)", "ci_1"),
        id="code",
    ),
    pytest.param(
        {"type": "local_shell_call", "id": "l", "call_id": "call_1", "action": {"command": ["ls", "-l"]}},
        ("local_shell", '["ls", "-l"]', "call_1"),
        id="local shell",
    ),
    pytest.param(
        {"type": "shell_call", "id": "s", "call_id": "call_1", "action": {"commands": ["ls", "pwd"]}},
        ("shell", '["ls", "pwd"]', "call_1"),
        id="shell",
    ),
    pytest.param(
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "terminals"}},
        ("web_search", "terminals", "ws_1"),
        id="web search",
    ),
    pytest.param(
        {"type": "file_search_call", "id": "fs_1", "queries": ["a", "b"]},
        ("file_search", '["a", "b"]', "fs_1"),
        id="file search",
    ),
    pytest.param(
        {"type": "image_generation_call", "id": "ig_1", "result": "aGVsbG8="},
        ("image_generation", "", "ig_1"),
        id="image",
    ),
]


@pytest.mark.parametrize(("item", "wanted"), CALLS)
def test_a_tool_call_is_an_item(item: dict[str, Any], wanted: tuple[str, str, str]) -> None:
    name, text, call_id = wanted
    for payloads in ([done(item)], [added({**item, "arguments": "", "input": "", "code": ""}), done(item)], []):
        told = answer(*payloads, finished(item, message("Fine")))
        first = told.turn.items[0]
        assert (first.kind, first.name, first.text, first.call_id) == (ItemKind.TOOL_CALL, name, text, call_id)
        assert told.text == "Fine"
        assert len(told.items) == 2


@pytest.mark.parametrize(
    ("kind", "field", "item"),
    [
        ("function_call_arguments", "arguments", call("")),
        ("custom_tool_call_input", "input", {"type": "custom_tool_call", "id": "fc_1", "name": "weather"}),
        ("mcp_call_arguments", "arguments", {"type": "mcp_call", "id": "fc_1", "name": "weather"}),
        ("code_interpreter_call_code", "code", {"type": "code_interpreter_call", "id": "fc_1", "name": "weather"}),
        ("shell_call_command", "command", {"type": "shell_call", "id": "fc_1", "name": "weather"}),
    ],
)
def test_what_a_tool_is_called_with_comes_in_pieces_or_whole(kind: str, field: str, item: dict[str, Any]) -> None:
    pieces = [event(f"{kind}.delta", item_id="fc_1", delta=text) for text in ('{"a":', "1}")]
    whole = event(f"{kind}.done", item_id="fc_1", **{field: '{"a":1}'})
    for payloads in ([*pieces, whole], pieces, [whole]):
        told = answer(added(item), *payloads, finished())
        assert told.items == [("tool_call", "weather", '{"a":1}')]


@pytest.mark.parametrize(
    ("item", "result"),
    [
        ({"type": "mcp_call", "id": "m", "name": "find", "arguments": "{}", "output": "found"}, "found"),
        ({"type": "mcp_call", "id": "m", "name": "find", "arguments": "{}", "error": "no such page"}, "no such page"),
        ({"type": "code_interpreter_call", "id": "c", "code": "1", "outputs": [{"logs": "1"}]}, '[{"logs": "1"}]'),
    ],
)
def test_a_call_and_its_result_may_come_as_one(item: dict[str, Any], result: str) -> None:
    told = answer(done(item), finished(item, message("Fine")))
    assert [kind for kind, _, _ in told.items] == ["tool_call", "tool_result", "message"]
    assert told.items[1][2] == result


@pytest.mark.parametrize("item_id", ["out_1", None])
def test_a_result_that_comes_by_itself_belongs_to_its_call(item_id: str | None) -> None:
    output = {"type": "function_call_output", "call_id": "call_1", "output": "17 °C"}
    if item_id:
        output["id"] = item_id
    told = answer(done(call("{}")), done(output, None), delta("Warm"), finished(message("Warm")))
    assert told.items == [("tool_call", "weather", "{}"), ("tool_result", "", "17 °C"), ("message", "", "Warm")]
    assert told.turn.items[1].call_id == "call_1"


@pytest.mark.parametrize("item", [CALLS[0].values[0], CALLS[1].values[0], CALLS[4].values[0], CALLS[5].values[0]])
def test_a_call_that_nobody_answered_ends_the_turn_but_is_not_gone_on_from(item: dict[str, Any]) -> None:
    """Servers refuse a conversation whose last call is unanswered ("No tool output found"): its id is never sent."""
    told = answer(done(item), finished(item))
    assert told.finished
    assert told.issued == ""


def test_a_call_the_server_answers_itself_is_gone_on_from() -> None:
    item = CALLS[2].values[0]
    told = answer(done(item), finished(item, message("Fine")))
    assert told.issued == "resp_1"


def test_an_agents_loop_is_one_answer() -> None:
    """Each of its model calls ends with `response.completed`; every item at the end goes by the same id."""
    output = {"type": "function_call_output", "call_id": "call_1", "output": "17"}
    more = {"type": "function_call_output", "call_id": "call_2", "output": "18"}
    created = event("created", response={"id": "__fake_id__", "output": []}, sequence_number=0)
    told = answer(
        created,
        added(call("")),
        event("function_call_arguments.delta", item_id="fc_1", delta='{"a":1}', sequence_number=2),
        finished(call('{"a":1}', "__fake_id__"), response_id="__fake_id__"),
        done(output, None),
        created,
        added(call("", "fc_2", "call_2")),
        event("function_call_arguments.delta", item_id="fc_2", delta='{"b":2}', sequence_number=2),
        finished(call('{"b":2}', "__fake_id__", "call_2"), response_id="__fake_id__"),
        done(more, None),
        created,
        {**delta("It is "), "sequence_number": 2},
        {**delta("warm."), "sequence_number": 3},
        finished(message("It is warm.", "__fake_id__"), response_id="__fake_id__"),
        "[DONE]",
    )
    assert told.items == [
        ("tool_call", "weather", '{"a":1}'),
        ("tool_result", "", "17"),
        ("tool_call", "weather", '{"b":2}'),
        ("tool_result", "", "18"),
        ("message", "", "It is warm."),
    ]
    assert told.finished


def test_an_agents_loop_without_any_ids_is_one_answer() -> None:
    def bare(item: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in item.items() if name != "id"}

    created = event("created", response={})
    text = [event("output_text.delta", output_index=0, delta="Warm.")]
    first = [event("output_text.delta", output_index=0, delta="Let me see."), done(bare(call("{}")), 1)]
    told = answer(created, *first, finished(), created, *text, finished())
    assert [text for _, _, text in told.items] == ["Let me see.", "{}", "Warm."]


def test_an_agents_loop_that_breaks_off_in_its_second_response_is_not_finished() -> None:
    told = answer(done(call("{}")), finished(call("{}")), event("created", response={"id": "resp_2"}))
    assert not told.finished


def test_what_follows_the_end_is_not_waited_for_unless_a_call_is_unanswered() -> None:
    reader = ResponsesReader()
    assert list(reader.read(finished(message("Fine"))))[-1] == Finished()
    assert reader.over
    reader = ResponsesReader()
    assert Finished() not in list(reader.read(finished(call("{}"))))
    assert list(reader.sentinel()) == [Finished()]


def test_an_approval_is_an_item_to_answer() -> None:
    item = {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "name": "drop",
        "arguments": '{"t":1}',
        "server_label": "db",
    }
    for payloads in ([added(item), done(item)], []):
        told = answer(*payloads, finished(item))
        assert told.items == [("approval", "db.drop", '{"t":1}')]
        assert told.turn.items[0].call_id == "mcpr_1"
        assert told.issued == "resp_1"


# What is not known


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ({"type": "compaction", "id": "cmp_1"}, [("notice", "", "The server shortened the conversation.")]),
        ({"type": "mcp_list_tools", "id": "l", "tools": [{"name": "a"}]}, []),
        ({"type": "dance", "id": "d", "status": "completed", "steps": 3}, [("notice", "dance", '{"steps": 3}')]),
        ({"type": "dance", "id": "d"}, [("notice", "dance", "")]),
        ({"type": "", "id": "d", "text": "x"}, []),
        ({"id": "d"}, []),
        ({"type": "message", "role": "user", "content": [{"text": "mine"}]}, []),
        ({"type": "dance_call", "id": "d"}, [("tool_call", "dance", "")]),
        ({"type": "dance_call_output", "call_id": "d", "output": {"a": 1}}, [("tool_result", "", '{"a": 1}')]),
    ],
)
@pytest.mark.fault("N51")
def test_items_of_an_unknown_type_are_shown_as_they_are(
    item: dict[str, Any], wanted: list[tuple[str, str, str]]
) -> None:
    assert answer(done(item), finished(message("Fine"))).items == [*wanted, ("message", "", "Fine")]


LIFELESS = [
    event("queued", response={}),
    event("in_progress", response=None),
    event("content_part.added", part=None),
    event("output_text.annotation.added", annotation={"url": "x"}, annotation_index=0),
    event("web_search_call.searching", item_id="ws_1"),
    event("image_generation_call.partial_image", partial_image_b64="aGVsbG8="),
    event("mcp_list_tools.failed", item_id="m"),
    event("shell_call_output_content.delta", delta="x"),
    event("audio.transcript.delta", delta="x"),
    event("compaction.compacting"),
    event("invented.yesterday", delta="x"),
    {"type": "keepalive"},
    {"type": None},
    {"type": ["response.completed"]},
    {"type": 5, "error": None},
    {},
    {"text": "no type"},
]


@pytest.mark.fault("N51")
@pytest.mark.parametrize("payload", LIFELESS)
def test_events_that_show_nothing_change_nothing(payload: dict[str, Any]) -> None:
    told = answer(payload, delta("Fine"), payload, finished(), "[DONE]")
    assert told.items == said("Fine")
    assert told.refused is None


NOTHINGS: list[Any] = [None, 5, "x", [], {}, [None], [5], [[]], {"a": None}, True, float("nan")]


@pytest.mark.fault("N50")
@pytest.mark.parametrize("nothing", NOTHINGS, ids=repr)
def test_fields_of_the_wrong_type_never_raise(nothing: Any) -> None:
    kinds = ["output_text.delta", "output_text.done", "refusal.delta", "refusal.done", "reasoning_text.delta"]
    kinds += ["reasoning_summary_text.done", "function_call_arguments.delta", "function_call_arguments.done"]
    fields = ["delta", "text", "refusal", "arguments", "item_id", "output_index", "content_index", "summary_index"]
    told = answer(
        *[event(kind, **{field: nothing}) for kind in kinds for field in [*fields, "sequence_number"]],
        *[event(kind, item=nothing) for kind in ("output_item.added", "output_item.done")],
        *[done({"type": kind, field: nothing}) for kind in ("message", "reasoning", "function_call", "mcp_call", "shell_call")
          for field in ("id", "content", "summary", "arguments", "action", "call_id", "name", "output", "role")],
        *[event(kind, response=nothing) for kind in ("created", "in_progress", "queued")],
        *[done(message("") | {"content": [{"type": "output_text", "text": nothing}]})],
        finished(message("Fine"), usage=nothing, model=nothing, incomplete_details=nothing),
    )  # fmt: skip
    assert told.refused is None
    assert told.text.endswith("Fine")


# The end


def test_what_the_end_tells() -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }
    told = answer(event("created", response={"model": "big-1"}), delta("a"), finished(usage=usage, model="big-1-2026"))
    assert told.turn.usage == Usage(9, 3, 2, 4)
    assert told.turn.model == "big-1-2026"
    assert told.events[-1] == Finished()
    assert ConversationIssued("resp_1") in told.events
    assert ModelNamed("big-1") in told.events


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": "9"},
        {"input_tokens": -1},
        {"input_tokens": True},
        7,
    ],
)
def test_usage_that_says_nothing_is_not_shown(usage: Any) -> None:
    assert not any(isinstance(one, Used) for one in answer(finished(usage=usage)).events)


@pytest.mark.parametrize("kind", ["response.completed", "response.done", "response.incomplete"])
def test_events_that_end_an_answer(kind: str) -> None:
    assert answer(delta("a"), {**finished(), "type": kind}).finished


@pytest.mark.parametrize(
    ("details", "reason"),
    [({"reason": "max_output_tokens"}, "max_output_tokens"), ({}, "incomplete"), (None, "incomplete")],
)
def test_an_incomplete_answer_is_done_for_the_reason_it_gives(details: Any, reason: str) -> None:
    end = finished(message("So far"), status="incomplete", incomplete_details=details)
    for payload in (end, {**end, "type": "response.incomplete"}):
        told = answer(payload)
        assert told.finished
        assert told.turn.finish == reason
        assert told.issued == "resp_1"


def test_an_incomplete_answer_with_nothing_in_it_is_refused() -> None:
    end = finished(status="incomplete", incomplete_details={"reason": "content_filter"})
    told = answer(end)
    assert isinstance(told.refused, Refused)
    assert "content_filter" in told.refused.message
    assert told.issued == ""


@pytest.mark.parametrize(
    "payloads",
    [[], [delta("a")], [delta("a"), "[DONE]"], [event("created", response={}), added(message("")), "[DONE]"]],
)
def test_without_its_terminal_event_an_answer_is_not_finished(payloads: list[Any]) -> None:
    told = answer(*payloads)
    assert not told.finished
    assert told.issued == ""


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (
            {"type": "error", "code": "server_error", "message": "m", "param": None, "sequence_number": 3},
            Reply(0, "m", "server_error", form="json"),
        ),
        ({"type": "error", "message": "m"}, Reply(0, "m", form="json")),
        ({"type": "error", "error": {"code": "c", "message": "m"}, "status": 400}, Reply(400, "m", "c", form="json")),
        ({"type": "error", "error": "text"}, Reply(0, "text", type="error", form="json")),
        ({"error": {"message": "m", "type": "t"}}, Reply(0, "m", type="t", form="json")),
        ({"error": "Connection error."}, Reply(0, "Connection error.", form="json")),
        (
            event("failed", response={"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}),
            Reply(0, "m", "invalid_prompt", form="json"),
        ),
        (finished(status="failed", error={"code": "c", "message": "m"}), Reply(0, "m", "c", form="json")),
        (finished(status="cancelled"), Reply(0, "the response is cancelled", form="json")),
    ],
)
def test_errors_in_a_stream(payload: dict[str, Any], reply: Reply) -> None:
    told = answer(delta("a"), payload)
    assert isinstance(told.refused, Rejected)
    assert told.refused.in_stream
    assert told.refused.reply == reply
    assert told.text == "a"
    assert told.issued == ""


@pytest.mark.parametrize("payload", [{"type": "error"}, event("failed"), event("failed", response={"error": None})])
def test_errors_without_words_are_errors(payload: dict[str, Any]) -> None:
    assert isinstance(answer(payload).refused, Rejected)


# What the next turn goes on from


@pytest.mark.parametrize("response_id", ["resp_1", "resp-xq7", LONG, "resp_" + "a" * 48, "ü_1", "...", "..a"])
def test_an_id_is_kept_as_it_is(response_id: str) -> None:
    assert answer(finished(response_id=response_id)).issued == response_id


@pytest.mark.parametrize(
    "response_id",
    ["", "x" * 10_000, "a\r\nb", "a\x1b[31m", "a b", "a\x00", "a\x85", "\ud800 x", "\udfff", ".", "..", 5, ["x"], {}],
)
def test_an_id_that_cannot_be_sent_again_is_refused(response_id: Any) -> None:
    told = answer(delta("a"), finished(response_id=response_id))
    assert isinstance(told.refused, Refused)
    assert told.refused.exit_status == 6
    assert "\x1b" not in told.refused.message
    assert len(told.refused.message) < 300
    assert told.issued == ""
    with pytest.raises(Refused):
        check_id(response_id, "host")


@pytest.mark.parametrize("response_id", [None, "__fake_id__"])
def test_a_server_that_gives_no_id_is_told_everything_from_now_on(response_id: str | None) -> None:
    told = answer(finished(response_id=response_id))
    assert told.finished
    assert told.issued == ""
    assert ConversationUnsupported() in told.events


def test_a_conversations_own_id_is_what_to_go_on_from() -> None:
    assert answer(finished(store=False), conversation="conv_1").issued == "conv_1"
    assert answer(delta("a"), conversation="conv_1").issued == ""


def test_a_server_that_says_it_stores_nothing_is_told_everything_from_now_on() -> None:
    told = answer(finished(store=False))
    assert told.issued == ""
    assert ConversationUnsupported() in told.events
    assert told.finished


def test_a_profile_that_continues_by_nothing_keeps_no_id() -> None:
    told = answer(finished(store=False), keeps=False)
    assert told.events == [Finished()]


def test_the_id_is_not_given_out_before_the_end() -> None:
    told = answer(
        event("created", response={"id": "resp_1"}), event("in_progress", response={"id": "resp_1"}), delta("a")
    )
    assert told.issued == ""


# Answers that are not streamed


def test_an_answer_that_was_not_streamed() -> None:
    response = completed("Fine", usage={"input_tokens": 1, "output_tokens": 2})["response"]
    told = answer(response, whole=True)
    assert told.items == said("Fine")
    assert told.issued == "resp_1"
    assert told.turn.usage == Usage(1, 2)
    assert told.finished


def test_an_answer_that_was_not_streamed_may_lack_all_but_its_output() -> None:
    told = answer({"object": "response", "output": [message("Fine", "__fake_id__")], "custom_outputs": {}}, whole=True)
    assert told.items == said("Fine")
    assert told.finished
    assert told.issued == ""


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}, "output": []}, Rejected),
        ({"status": "cancelled", "output": []}, Rejected),
        ({"status": "queued", "output": [], "id": "resp_1"}, Incomplete),
        ({"status": "in_progress", "output": [], "id": "resp_1"}, Incomplete),
        ({"choices": []}, Refused),
        ({"output": "text"}, Refused),
        ({}, Refused),
    ],
)
def test_answers_that_were_not_streamed_and_are_none(payload: dict[str, Any], error: type[Exception]) -> None:
    told = answer(payload, whole=True)
    assert isinstance(told.refused, error)
    assert not told.finished
    assert told.issued == ""


# What is sent


def request(**fields: Any) -> Request:
    profile = {name: fields.pop(name) for name in ("system", "params", "continue_by", "model") if name in fields}
    return Request(replace(PROFILE, **profile), fields.pop("prompt", "hi"), "session", **fields)


HISTORY = (Message("user", "one"), Message("assistant", "eins"))


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (request(), {}),
        (request(conversation_id=ID), {"previous_response_id": ID}),
        (request(conversation_id="conv_1", continue_by="conversation"), {"conversation": "conv_1"}),
        (request(system="Be brief."), {"instructions": "Be brief."}),
        (request(conversation_id=ID, system="Be brief."), {"instructions": "Be brief.", "previous_response_id": ID}),
        (request(params={"temperature": 0.5, "model": "other"}), {"temperature": 0.5, "model": "other"}),
        (request(params={"stream": False}), {"stream": False}),
    ],
)
def test_a_request(asked: Request, sent: dict[str, Any]) -> None:
    assert body(asked) == {"model": "m", "input": [{"role": "user", "content": "hi"}], "stream": True} | sent


def test_a_request_tells_what_was_said_before_the_prompt() -> None:
    assert body(request(history=HISTORY))["input"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "eins"},
        {"role": "user", "content": "hi"},
    ]


def test_a_request_can_be_put_on_the_wire_whatever_was_typed() -> None:
    sent = body(request(prompt="\ud800 \x00 \u2028 \U0001f600"))
    assert json.loads(json.dumps(sent)) == sent


def test_guide_speaks_it() -> None:
    assert load("responses") is load("guide")


# Stale or not


def said_by(text: str, status: int = 400, **more: Any) -> Reply:
    """A reply as most servers shape it."""
    return read_reply(status, json.dumps({"error": {"message": text} | more}).encode())


def detail(text: Any, status: int = 404) -> Reply:
    return read_reply(status, json.dumps({"detail": text}).encode())


STALE = {
    "OpenAI, smg": said_by(
        f"Previous response with id '{ID}' not found.",
        type="invalid_request_error",
        param="previous_response_id",
        code="previous_response_not_found",
    ),
    "smg, without param": said_by(f"Previous response with id '{ID}' not found.", code="previous_response_not_found"),
    "code alone": said_by("no", code="previous_response_not_found"),
    "bridged event": read_error(
        {"type": "error", "status": 400, "error": {"code": "previous_response_not_found", "message": "gone"}}
    ),
    "flat event": Reply(0, f"Previous response with id '{ID}' not found.", form="json"),
    "Codex": said_by("Invalid `previous_response_id`.", type="invalid_request_error", code="invalid_request_error"),
    "vLLM": said_by(
        f"Response with id '{ID}' not found.", 404, type="invalid_request_error", param="response_id", code=404
    ),
    "vLLM, another wording": said_by("gone", 404, param="response_id"),
    "ill-formed": said_by(
        f"Invalid 'previous_response_id': '{ID}'. Expected an ID that contains letters, numbers, underscores, or dashes"
    ),
    "LiteLLM": said_by(
        'litellm.BadRequestError: OpenAIException - {"error": {"message": "Previous response with id '
        f'\'{ID}\' not found.", "code": "previous_response_not_found"}}}}',
        400,
        code="400",
    ),
    "LiteLLM, as a 500": said_by(
        f"litellm.APIError: APIError: OpenAIException - Previous response with id '{ID}' not found.", 500, code="500"
    ),
    "DigitalOcean": said_by("response not found", 404, type="not_found_error"),
    "smg conversation": said_by("No conversation found with id 'conv_1'", 404, code="not_found"),
    "OpenAI conversation": said_by("Conversation with id 'conv_1' not found.", 404, param="conversation"),
    "ogx conversation": detail("Conversation 'conv_1' not found."),
    "ogx, as an event": read_error({"error": {"message": "Conversation 'conv_1' not found."}}),
    "ogx, ill-formed": detail(
        "Invalid value for 'conversation': Conversation ID must match format 'conv_' followed by 48 hex characters.",
        400,
    ),
    "ogx response": detail(f"Response with ID {ID} not found"),
    "gone for good": said_by("The conversation has expired.", 410),
    "does not exist": said_by("This conversation does not exist.", 404),
    "session": said_by("Session not found", 404),
    "thread": said_by("No thread found with id 'thread_1'.", 404),
    "unknown session": said_by("unknown session abc", 400),
    "no such response": said_by("no such response", 404),
    "only the id": said_by(f"{ID}: gone", 404),
    "only the parameter": said_by("no", 422, param="previous_response_id"),
    "FastAPI": detail([{"loc": ["body", "previous_response_id"], "msg": "unknown id"}], 422),
    "stored nowhere": said_by(
        "Previous response cannot be used for this organization due to Zero Data Retention.",
        param="previous_response_id",
    ),
    "Codex over HTTP": detail("Unsupported parameter: previous_response_id", 400),
    "llama-server": said_by(
        "llama.cpp does not support 'previous_response_id'.", code=400, type="invalid_request_error"
    ),
    "not supported": said_by("Not supported parameter: previous_response_id"),
    "unknown parameter": said_by("Unknown parameter: 'conversation'.", param="conversation", code="unknown_parameter"),
    "extra field": detail([{"loc": ["body", "previous_response_id"], "msg": "Extra inputs are not permitted"}], 422),
    "not implemented": said_by("previous_response_id is not supported yet", 501),
}

NOT_STALE = {
    "401": said_by("Previous response not found for this key", 401, code="previous_response_not_found"),
    "403": said_by("Conversation not found or not yours", 403),
    "429": said_by("Rate limit reached for conversation, not found", 429),
    "409": said_by("conversation not found in a usable state", 409),
    "locked": said_by(
        "Another process is currently operating on this conversation. Please retry in a few seconds.",
        type="invalid_request_error",
        param="conversation",
        code="conversation_locked",
    ),
    "locked, words only": said_by("Another process is currently operating on this conversation.", param="conversation"),
    "locked, other words": said_by("Conversation is already processing a request", param="conversation"),
    "locked event": read_error({"type": "error", "error": {"code": "conversation_locked", "message": "conversation busy"}}),
    "missing model": said_by("The model `m` does not exist or you do not have access to it.", 404, code="model_not_found"),
    "a model by a telling name": said_by("model 'session-large' not found", 404),
    "no worker": said_by("No worker available for model 'm'", 404, code="model_not_found"),
    "HTML 404": read_reply(404, b"<html><title>Conversation not found</title></html>"),
    "empty 404": read_reply(404, b""),
    "empty 410": read_reply(410, b""),
    "route missing": detail("Not Found"),
    "plain 404": read_reply(404, b"404 page not found"),
    "wrong URL": said_by("Invalid URL (POST /v1/responses)", 404, code="unknown_url"),
    "replayed item": said_by(
        "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", 404, param="input"
    ),
    "unanswered tool call": said_by("No tool output found for function call call_1.", param="input"),
    "vector store": said_by("Vector store with id 'vs_1' not found.", 404),
    "file": said_by("File 'file-1' not found", 404, param="input"),
    "prompt": said_by("Prompt with id 'pmpt_1' not found.", 404, param="prompt"),
    "container": said_by("Container is expired.", 400),
    "both given": said_by(
        "Mutually exclusive parameters. Ensure you are only providing one of: 'previous_response_id' or 'conversation'.",
        code="mutually_exclusive_parameters",
    ),
    "too long": said_by(
        f"Your input and previous_response_id {ID} exceed the context window of this model.", code="context_length_exceeded"
    ),
    "500": said_by("Conversation not found", 500),
    "502": said_by("conversation not found upstream", 502),
    "503": said_by("no response found", 503),
    "ordinary 400": said_by("input: Input text cannot be empty", param="input"),
    "temperature": said_by("Unsupported parameter: 'temperature' is not supported with this model.", param="temperature"),
    "server error event": Reply(0, "The server had an error while processing your request.", "server_error", form="json"),
    "rate limit event": Reply(0, "Rate limit reached for session", "rate_limit_exceeded", form="json"),
    "key in an event": Reply(0, "Incorrect API key provided; session not found", "invalid_api_key", form="json"),
    "login": said_by("Session expired, no session found: please log in again", 400),
    "quota": said_by("You exceeded your current quota; no such response", 400),
    "no words": said_by("", 400),
}  # fmt: skip


@pytest.mark.parametrize("name", STALE)
def test_a_stale_conversation(name: str) -> None:
    assert is_stale(STALE[name], request(conversation_id=ID))
    assert not is_stale(STALE[name], request()), "nothing is stale that was not sent"


@pytest.mark.parametrize("name", NOT_STALE)
def test_other_trouble_is_not_stale(name: str) -> None:
    assert not is_stale(NOT_STALE[name], request(conversation_id=ID))


@pytest.mark.parametrize(
    "name",
    [
        "Codex over HTTP",
        "llama-server",
        "not supported",
        "unknown parameter",
        "extra field",
        "not implemented",
        "stored nowhere",
    ],
)
def test_a_server_that_keeps_no_conversations_is_told_from_one_that_forgot(name: str) -> None:
    assert is_unsupported(STALE[name])


@pytest.mark.parametrize(
    "name", ["OpenAI, smg", "Codex", "vLLM", "ill-formed", "LiteLLM", "ogx conversation", "session"]
)
def test_a_server_that_forgot_is_told_from_one_that_keeps_no_conversations(name: str) -> None:
    assert not is_unsupported(STALE[name])


def test_a_short_id_is_not_found_in_everything_that_is_said() -> None:
    assert not is_stale(said_by("at most 1 image"), request(conversation_id="1"))


def test_items_compare_as_values() -> None:
    told = list(ResponsesReader().read(done(message("a"))))
    assert told == [ItemWhole(Item("msg_1", ItemKind.MESSAGE, "a"))]
