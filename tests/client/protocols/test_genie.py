"""Genie: what is sent, what is made of every kind of item, and what is taken for a conversation that is gone."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.turns import Bytes, Read, Told, over, read, take
from tui.client import Request
from tui.client.protocols import load
from tui.client.protocols.genie import PATH, body, headers, is_stale, is_unsupported
from tui.client.protocols.genie_events import GenieReader, clean
from tui.client.reply import Rejected, Reply, parse_json, read_error, read_reply
from tui.config import Profile
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta
from tui.model import AttemptKind, ItemKind, ItemState, Message, TurnStatus

PROFILE = Profile("genie", "genie", "http://server.localhost:1", options={"warehouse_id": "wh1"})
ID = "conv_0123456789abcdef"
SQL = "SELECT franchise, SUM(total) AS total FROM sales GROUP BY franchise"


def answer(*payloads: Any, whole: bool = False, end: bool = True) -> Read:
    return read(GenieReader("host"), *payloads, whole=whole, end=end)


def added(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def message(said: str, item_id: str = "m1", shown_as: str = "FINAL_RESPONSE", **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": said, "annotations": []}]
    metadata = {"ui_type": shown_as, "source_internal_ids": ["x1"], "flags": {"a": True}} if shown_as else {}
    head = {"type": "message", "id": item_id, "role": "assistant", "status": "completed"}
    return head | {"content": content, "metadata": metadata} | more


def call(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    said = arguments if isinstance(arguments, str) else json.dumps(arguments)
    head = {"type": "function_call", "id": "f1", "call_id": "c1", "status": "completed"}
    return head | {"name": name, "arguments": said} | more


def output(item_id: str = "o1", call_id: str = "c1", **metadata: Any) -> dict[str, Any]:
    head = {"type": "function_call_output", "id": item_id, "call_id": call_id, "status": "completed"}
    return head | {"metadata": metadata}


def queried(columns: Any, preview_rows: Any) -> dict[str, Any]:
    data = {"columns": columns, "preview_rows": preview_rows}
    return output(ui_type="QUERY_EXECUTION", statement_id="stmt1", result_data=data)


def completed(kind: str = "response.completed", **more: Any) -> dict[str, Any]:
    return {"type": kind, "response": {"id": "resp_1", "status": "completed", "conversation_id": ID} | more}


VIZ = {
    "renderSpec": {
        "widgetType": "bar",
        "frame": {"title": "Total by Franchise"},
        "encodings": {"x": {"fieldName": "franchise"}, "y": {"fieldName": "total"}},
    }
}

WHOLE = [
    added({"type": "reasoning", "id": "r1", "status": "in_progress"}, 0),
    added(message("Looking at the sales data...", "t1", "THOUGHT"), 1),
    added({"type": "function_call", "id": "f1", "call_id": "c1", "name": "execute_sql", "arguments": ""}, 2),
    done(call("execute_sql", {"sql": SQL, "title": "Total by Franchise"}), 2),
    done(queried([{"name": "franchise"}, {"name": "total"}], [["Alpha", 1250], ["Beta", 640]]), 3),
    done(output("o2", "c2", ui_type="VIZ", sql_id="stmt1", embed_id="viz_1", viz_definition=json.dumps(VIZ)), 4),
    added(message("Alpha leads with 1,250 total sales.\n\n![Total by Franchise](#viz_1)"), 5),
    completed(),
]
"""An answer with one of everything, as it is documented."""


def replied(*payloads: Any) -> list[bytes]:
    return [f"data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode() for payload in payloads]


async def asked(*payloads: Any, status: int = 200, profile: Profile = PROFILE, **request: Any) -> tuple[Told, Bytes]:
    """A turn that is answered with these events, or with a status and the JSON of the only one."""
    chunks, kind = replied(*payloads), "text/event-stream"
    if status != 200:
        chunks, kind = [json.dumps(payloads[0]).encode()], "application/json"
    server = Bytes(chunks, status=status, headers={"content-type": kind})
    return await take(over(server), profile, **request), server


# What is sent


def test_genie_1_the_id_goes_along_in_camel_case_and_is_left_out_at_first() -> None:
    question = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "how many?"}]}]
    assert body(Request(PROFILE, "how many?")) == {"input": question, "warehouseId": "wh1", "enable_viz": False}
    assert body(Request(PROFILE, "how many?", conversation_id="conv_1")) == {
        "input": question,
        "warehouseId": "wh1",
        "conversationId": "conv_1",
        "enable_viz": False,
    }


def test_genie_3_only_the_newest_question_is_in_the_input() -> None:
    history = (Message("user", "before"), Message("assistant", "yes"))
    for conversation_id in ("", ID):
        sent = body(Request(PROFILE, "now", history=history, conversation_id=conversation_id))
        assert [one["content"][0]["text"] for one in sent["input"]] == ["now"]


def test_what_is_not_configured_is_not_sent() -> None:
    sent = body(Request(replace(PROFILE, options={}), "hello"))
    assert set(sent) == {"input", "enable_viz"}
    assert set(body(Request(replace(PROFILE, options={"warehouse_id": " "}), "hello"))) == {"input", "enable_viz"}


def test_params_are_merged_into_the_body() -> None:
    sent = body(Request(replace(PROFILE, params={"enable_viz": True, "source": "mine"}), "hello"))
    assert (sent["enable_viz"], sent["source"]) == (True, "mine")


@pytest.mark.parametrize(
    ("workspace", "sent"),
    [
        pytest.param("6051921418418893", {"x-databricks-workspace-id": "6051921418418893"}, id="known"),
        pytest.param(" 17 ", {"x-databricks-workspace-id": "17"}, id="with blanks around"),
        pytest.param("", {}, id="empty"),
        pytest.param("  ", {}, id="blank"),
        pytest.param("none", {}, id="none"),
        pytest.param(None, {}, id="not configured"),
    ],
)
def test_genie_4_the_workspace_header_is_there_when_configured_and_never_empty(
    workspace: str | None, sent: dict[str, str]
) -> None:
    profile = replace(PROFILE, options={} if workspace is None else {"workspace_id": workspace})
    assert headers(profile, "") == sent
    assert headers(profile, "k") == {"authorization": "Bearer k"} | sent


def test_it_is_found_by_its_name_and_keeps_conversations() -> None:
    assert load("genie").body(Request(PROFILE, "hello"))["enable_viz"] is False
    assert PROFILE.traits.keeps
    assert PROFILE.traits.idle_timeout == 600.0
    assert not is_unsupported(Reply(404))


# Items


def test_a_whole_answer() -> None:
    told = answer(*WHOLE)
    assert told.items == [
        ("reasoning", "", "Looking at the sales data..."),
        ("tool_call", "execute_sql", json.dumps({"sql": SQL, "title": "Total by Franchise"})),
        ("tool_result", "", '{"columns": ["franchise", "total"], "rows": [["Alpha", 1250], ["Beta", 640]]}'),
        ("notice", "", "A chart is not drawn here: “Total by Franchise” (bar: total by franchise)."),
        ("message", "", "Alpha leads with 1,250 total sales."),
    ]
    assert (told.finished, told.issued) == (True, ID)
    assert told.events[-2:] == [ConversationIssued(ID), Finished()]


@pytest.mark.parametrize("ui_type", ["FINAL_RESPONSE", "", "SOMETHING_NEW"])
def test_genie_15_a_message_sent_twice_is_shown_once(ui_type: str) -> None:
    told = answer(added(message("Alpha leads.", shown_as=ui_type)), done(message("Alpha leads.", shown_as=ui_type)),
                  completed())  # fmt: skip
    assert told.items == [("message", "", "Alpha leads.")]


def test_genie_15_a_thought_is_never_the_answer() -> None:
    told = answer(added(message("Hm.", "t1", "THOUGHT")), done(message("Hm.", "t1", "THOUGHT")), completed())
    assert told.items == [("reasoning", "", "Hm.")]
    assert told.text == ""
    assert isinstance(told.refused, Refused)


def test_a_message_that_is_in_progress_waits_for_its_end() -> None:
    begun = answer(added(message("Alpha le", status="in_progress")), end=False)
    assert begun.items == []
    told = answer(added(message("Alpha le", status="in_progress")), done(message("Alpha leads.")), completed())
    assert told.items == [("message", "", "Alpha leads.")]


def test_messages_without_ids_are_told_apart_by_their_place() -> None:
    told = answer(
        added(message("One.", ""), 1), done(message("One.", ""), 1), added(message("Two.", ""), 2), completed()
    )
    assert told.items == [("message", "", "One."), ("message", "", "Two.")]


def test_messages_without_ids_and_places_are_all_shown() -> None:
    items = [{"type": "response.output_item.done", "item": message(text, "")} for text in ("One.", "Two.")]
    assert answer(*items, completed()).items == [("message", "", "One."), ("message", "", "Two.")]


def test_what_others_say_is_not_shown() -> None:
    told = answer(added(message("my question", "u1", role="user")), added(message("Alpha leads.")), completed())
    assert told.items == [("message", "", "Alpha leads.")]


def test_only_the_text_parts_of_a_message_are_its_text() -> None:
    parts = [
        {"type": "output_text", "text": "one"},
        {"type": "chart", "text": "no"},
        {"type": "output_text", "text": "two"},
    ]
    assert answer(added(message("", content=parts)), completed()).text == "one\n\ntwo"


def test_thinking_opens_the_turn_and_shows_nothing() -> None:
    reader = GenieReader()
    assert list(reader.read(WHOLE[0])) == [ItemDelta("r1", ItemKind.REASONING)]
    assert not reader.over


def test_reasoning_that_says_something_is_shown() -> None:
    item = {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "Let me see."}]}
    assert answer(done(item), added(message("Yes.")), completed()).items[0] == ("reasoning", "", "Let me see.")


# Queries


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("execute_sql", {"sql": SQL, "title": "Total"}), ("execute_sql_query", {"query": SQL, "thought": "Counting"})],
)
def test_genie_16_a_query_that_comes_empty_and_then_whole_is_one_call(name: str, arguments: dict[str, str]) -> None:
    begun = call(name, "", status="in_progress")
    reader = GenieReader()
    assert list(reader.read(added(begun))) == [ItemDelta("f1", ItemKind.TOOL_CALL, "", name, "c1")]
    told = answer(added(begun), done(call(name, arguments)), completed())
    assert told.items == [("tool_call", name, json.dumps(arguments))]
    assert told.finished


def test_half_of_a_query_is_not_shown() -> None:
    told = answer(added(call("execute_sql", '{"sql": "SEL', status="in_progress")), end=False)
    assert told.items == [("tool_call", "execute_sql", "")]


def test_arguments_that_are_an_object_are_kept_as_json() -> None:
    item = call("execute_sql", "") | {"arguments": {"sql": SQL}}
    assert answer(done(item), completed()).items == [("tool_call", "execute_sql", json.dumps({"sql": SQL}))]


@pytest.mark.parametrize(
    ("columns", "rows", "wanted"),
    [
        pytest.param([{"name": "a"}, {"name": "b"}], [[1, 2]], {"columns": ["a", "b"], "rows": [[1, 2]]}, id="plain"),
        pytest.param(
            [{"name": "a"}, {"name": "b"}],
            [[None, True], ["x", 1.5], [{"k": 1}, [2]]],
            {"columns": ["a", "b"], "rows": [[None, True], ["x", 1.5], [{"k": 1}, [2]]]},
            id="cells of any type",
        ),
        pytest.param(
            [{"name": "a"}, {"name": "b"}], [[1], []], {"columns": ["a", "b"], "rows": [[1, ""], ["", ""]]}, id="short"
        ),
        pytest.param([{"name": "a"}], [[1], [1, 2, 3]], {"columns": ["a", "", ""], "rows": [[1, "", ""], [1, 2, 3]]},
                     id="long"),
        pytest.param([{"name": "a"}], [], {"columns": ["a"], "rows": []}, id="no rows"),
        pytest.param([{"name": "a"}], None, {"columns": ["a"], "rows": []}, id="rows left out"),
        pytest.param([{"name": "a"}], [7, "x"], {"columns": ["a"], "rows": [[7], ["x"]]}, id="rows that are cells"),
        pytest.param(["a", {"title": "b"}, 3], [[1, 2, 3]], {"columns": ["a", "", ""], "rows": [[1, 2, 3]]},
                     id="columns of any type"),
    ],
)  # fmt: skip
def test_genie_17_rows_of_any_shape_become_a_table(columns: Any, rows: Any, wanted: dict[str, Any]) -> None:
    told = answer(done(queried(columns, rows)), completed())
    (kind, _, text) = told.items[0]
    assert (kind, json.loads(text)) == ("tool_result", wanted)
    assert told.turn.items[0].call_id == "c1"


@pytest.mark.parametrize("data", [None, {}, [], "x", {"columns": None}, {"columns": []}, {"columns": {"a": 1}}])
def test_a_query_without_rows_shows_what_text_there_is(data: Any) -> None:
    item = output(ui_type="QUERY_EXECUTION", result_data=data)
    assert answer(done(item), added(message("Nothing.")), completed()).items == [("message", "", "Nothing.")]
    told = answer(done(item | {"output": "0 rows"}), completed())
    assert told.items == [("tool_result", "", "0 rows")]


def test_a_query_that_failed_says_so() -> None:
    told = answer(done(output(ui_type="QUERY_EXECUTION") | {"output": "syntax error", "status": "failed"}), completed())
    assert [(item.text, item.state) for item in told.turn.items] == [("syntax error", ItemState.FAILED)]


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        (json.dumps(VIZ), "A chart is not drawn here: “Total by Franchise” (bar: total by franchise)."),
        (VIZ, "A chart is not drawn here: “Total by Franchise” (bar: total by franchise)."),
        (json.dumps({"renderSpec": {"widgetType": "line"}}), "A chart is not drawn here (line)."),
        (
            json.dumps({"renderSpec": {"encodings": {"y": {"fields": [{"fieldName": "a"}, {"fieldName": "b"}]}}}}),
            "A chart is not drawn here (a, b).",
        ),
        ("not JSON", "A chart is not drawn here."),
        (7, "A chart is not drawn here."),
        (None, "A chart is not drawn here."),
    ],
)
def test_a_chart_is_a_notice(definition: Any, says: str) -> None:
    told = answer(done(output("o2", "c2", ui_type="VIZ", viz_definition=definition)), completed())
    assert told.items == [("notice", "", says)]
    assert told.finished


# Tools that say something


def final(said: Any, **more: Any) -> dict[str, Any]:
    return call("output_final_response", {"response": said}, id="f9", call_id="c9") | more


def test_genie_18_an_answer_that_was_shown_is_not_repeated_by_the_tool() -> None:
    told = answer(added(message("Alpha leads.")), done(final("Alpha leads.")), completed())
    assert told.items == [("message", "", "Alpha leads.")]


def test_genie_18_nor_where_only_a_chart_makes_them_differ() -> None:
    told = answer(added(message("Alpha leads.\n\n![x](#viz_1)")), done(final("Alpha leads.")), completed())
    assert told.items == [("message", "", "Alpha leads.")]


def test_genie_18_nor_where_the_tool_comes_first() -> None:
    told = answer(done(final("Alpha leads.")), added(message("Alpha leads. \n\nBy far.")), completed())
    assert told.items == [("message", "", "Alpha leads. \n\nBy far.")]


@pytest.mark.parametrize(
    ("said", "short"), [("Checked 15 tables.", "5"), ("There were 42 orders in 2024.", "42"), ("No, none.", "No")]
)
@pytest.mark.parametrize("tool_first", [True, False])
def test_genie_18_a_short_answer_that_only_stands_within_other_words_is_shown(
    said: str, short: str, tool_first: bool
) -> None:
    both = [done(final(short)), added(message(said))]
    told = answer(*(both if tool_first else both[::-1]), completed())
    assert sorted(text for _, _, text in told.items) == sorted([said, short])


def test_genie_18_an_answer_only_the_tool_gives_is_shown() -> None:
    told = answer(added(message("Let me check.")), added(final("", arguments="")), done(final("Alpha leads.")),
                  done(final("Alpha leads.")), completed())  # fmt: skip
    assert told.items == [("message", "", "Let me check."), ("message", "", "Alpha leads.")]


DEEP: dict[str, list[dict[str, Any]]] = {
    "error": [{"type": "error", "x": "@"}],
    "rows": [done(queried(["a"], [["@"]])), added(message("Yes.")), completed()],
}


@pytest.mark.parametrize("place", DEEP)
def test_json_that_is_nested_as_deeply_as_can_be_read_breaks_nothing(place: str) -> None:
    """Writing it takes more room than reading it."""
    for depth in range(sys.getrecursionlimit() - 250, sys.getrecursionlimit()):
        nested = "[" * depth + "]" * depth
        with suppress(ValueError):
            told = answer(*(parse_json(json.dumps(one).replace('"@"', nested)) for one in DEEP[place]))
            assert told.finished == (place == "rows")


@pytest.mark.parametrize("arguments", ["", "{", "[]", '{"response": 7}', '{"other": "x"}'])
def test_a_final_answer_that_cannot_be_read_is_not_taken_for_one(arguments: str) -> None:
    told = answer(done(final("", arguments=arguments)), added(message("Yes.")), completed())
    assert told.text == "Yes."
    assert told.finished


def test_what_comes_of_a_tool_that_speaks_is_not_shown() -> None:
    result = output("o9", "c9") | {"output": "ok"}
    assert answer(done(final("Yes.")), done(result), completed()).items == [("message", "", "Yes.")]


def test_questions_are_a_numbered_list() -> None:
    questions = [
        {
            "question": "Which year?",
            "type": "choice",
            "choices": [{"label": "2025", "description": "whole"}, {"label": "2026", "description": ""}],
        },
        {"question": "Also closed ones?", "type": "confirmation", "choices": []},
        {"question": "Anything else?"},
    ]
    told = answer(done(call("ask_user_questions", {"questions": questions})), completed())
    assert told.text == (
        "1. Which year?\n   - 2025: whole\n   - 2026\n2. Also closed ones? (yes / no)\n3. Anything else?"
    )
    assert (told.finished, told.issued) == (True, ID)


def test_questions_that_cannot_be_read_are_shown_as_they_are() -> None:
    told = answer(done(call("ask_user_questions", '{"questions": 7}')), completed())
    assert told.items == [("tool_call", "ask_user_questions", '{"questions": 7}')]


# Text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("a\n\n![Total](#viz_1)", "a"),
        ("a\n\n![Total](#viz_1)\n\nb", "a\n\n\nb"),
        ("![not a chart](https://x.example/viz_1.png)", "![not a chart](https://x.example/viz_1.png)"),
        ("a\n<!-- begin-embedded:viz_1 -->\nspec\n<!-- end-embedded:viz_1 -->\nb", "a\nb"),
        ("a\n<!-- begin-embedded:query_1 -->\n| x |\n<!-- end-embedded:query_1 -->\nb", "a\n| x |\n\nb"),
        ("<!-- begin-embedded:viz_1 -->\nx <!-- begin-embedded:q --> y<!-- end-embedded:q --><!-- end-embedded:viz_1 -->z",
         "z"),
        ("a <!-- begin-embedded:viz_1 -->the rest, for ever", "a the rest, for ever"),
        ("a<!-- end-embedded:viz_1 -->b", "ab"),
        ("<!-- an ordinary comment --> x", "<!-- an ordinary comment --> x"),
        ("![x](#viz_1)\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_what_only_their_page_can_show_is_left_out(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@pytest.mark.parametrize("piece", ["![", "<!-- begin-embedded:viz_1 -->", "<!--", "![a](#viz_", "<!-- end-embedded:x"])
def test_cleaning_takes_a_time_that_grows_with_the_text_only(piece: str) -> None:
    assert len(clean(piece * 100_000)) <= len(piece) * 100_000


def test_a_message_that_is_nothing_but_a_chart_is_no_answer() -> None:
    told = answer(added(message("![x](#viz_1)")), completed())
    assert told.items == []
    assert isinstance(told.refused, Refused)


# The end


@pytest.mark.parametrize("kind", ["response.completed", "response.done"])
@pytest.mark.parametrize("status", ["completed", "", None])
def test_either_event_completes_an_answer(kind: str, status: Any) -> None:
    told = answer(added(message("Yes.")), completed(kind, status=status))
    assert (told.finished, told.issued) == (True, ID)


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled", "in_progress"])
def test_any_other_status_is_a_failure(status: str) -> None:
    told = answer(added(message("Yes.")), completed(status=status))
    assert isinstance(told.refused, Rejected)
    assert told.refused.reply.message == f"the answer ended as {status}"
    assert (told.finished, told.issued, told.text) == (False, "", "Yes.")


def test_a_failure_that_says_why() -> None:
    told = answer(completed(status="failed", error={"code": "X", "message": "The query failed"}))
    assert isinstance(told.refused, Rejected)
    assert told.refused.reply.message == "The query failed"


def test_a_completed_answer_without_an_id_leaves_the_conversation_as_it_was() -> None:
    for value in (None, ""):
        told = answer(added(message("Yes.")), completed(conversation_id=value))
        assert (told.finished, told.issued) == (True, "")


@pytest.mark.parametrize("value", ["a b", "x" * 5000, 7, ["conv"]])
def test_an_id_that_cannot_be_sent_again_is_refused(value: Any) -> None:
    told = answer(added(message("Yes.")), completed(conversation_id=value))
    assert isinstance(told.refused, Refused)
    assert told.issued == ""


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([], id="nothing at all"),
        pytest.param([done({"type": "agent_step_v2", "id": "s1", "status": "completed"})], id="items of a new type"),
        pytest.param([added(message("Hm.", "t1", "THOUGHT"))], id="only thoughts"),
        pytest.param([added(call("execute_sql", "", status="in_progress"))], id="a call that never came"),
    ],
)
def test_an_answer_with_nothing_to_show_is_an_error(items: list[dict[str, Any]]) -> None:
    told = answer(*items, completed())
    assert isinstance(told.refused, Refused)
    received = len(items) + 1
    assert told.refused.message == f"host ended without an answer (received {received} event{'s' * (received > 1)})."
    assert told.issued == ""


def test_genie_19_an_answer_without_its_end_is_incomplete() -> None:
    for cut in range(1, len(WHOLE)):
        told = answer(*WHOLE[:cut])
        assert (told.finished, told.issued) == (False, "")


@pytest.mark.parametrize("clean_end", [True, False])
async def test_genie_19_cut_anywhere_nothing_is_done_and_nothing_kept(clean_end: bool) -> None:
    raw = b"".join(replied(*WHOLE))
    for cut in range(0, len(raw), 61):
        lost = None if clean_end else httpx.ReadError("gone")
        told = await take(over(Bytes([raw[:cut]], breaks=lost)), PROFILE)
        assert told.turn.status in (TurnStatus.FAILED, TurnStatus.INTERRUPTED)
        assert told.exit_status != 0
        assert told.turn.conversation_id == ""
    told = await take(over(Bytes([raw])), PROFILE)
    assert told.turn.status is TurnStatus.DONE


async def test_cut_at_every_byte_the_answer_is_the_same() -> None:
    raw = b"".join(replied(*WHOLE))
    whole = (await take(over(Bytes([raw])), PROFILE)).turn
    bytewise = (await take(over(Bytes([raw[at : at + 1] for at in range(len(raw))])), PROFILE)).turn
    assert bytewise.items == whole.items
    assert (bytewise.status, bytewise.conversation_id) == (TurnStatus.DONE, ID)


async def test_a_sentinel_is_not_the_end() -> None:
    told, _ = await asked(added(message("Yes.")))
    assert told.turn.status is TurnStatus.INTERRUPTED
    assert answer(added(message("Yes.")), "[DONE]").finished is False


# Errors


ERRORS = [
    ({"type": "error", "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No eligible SQL warehouse found"},
     "No eligible SQL warehouse found"),
    ({"type": "error", "code": "INTERNAL_ERROR", "message": "The query failed"}, "The query failed"),
    ({"type": "error", "error": {"message": "nested"}}, "nested"),
    ({"type": "error", "error": "a string"}, "a string"),
    ({"type": "error", "reason": "new"}, '{"type": "error", "reason": "new"}'),
    ({"type": "error", "error_code": "X"}, "X"),
    ({"type": "error"}, '{"type": "error"}'),
    ({"error_code": "X", "message": "without a type"}, "without a type"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "says"), ERRORS)
def test_an_error_frame_ends_the_answer(frame: dict[str, Any], says: str) -> None:
    for before in ([], [added(message("Yes."))]):
        told = answer(*before, frame, completed())
        assert isinstance(told.refused, Rejected)
        assert told.refused.in_stream
        assert told.refused.reply.message == says
        assert not told.finished


async def test_genie_6_after_text_was_shown_there_is_no_retry_and_the_error_stands_beneath() -> None:
    frame = {"type": "error", "error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Conversation {ID} does not exist"}
    told, server = await asked(added(message("Alpha")), frame, conversation_id=ID)
    assert server.requests == 1
    assert (told.turn.status, told.turn.text, told.exit_status) == (TurnStatus.INTERRUPTED, "Alpha", 7)
    assert "does not exist" in told.words


async def test_genie_8_there_is_one_fresh_retry_and_a_second_failure_is_told_as_that() -> None:
    told, server = await asked(
        {"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}, status=400, conversation_id=ID
    )
    assert server.requests == 2
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
    assert (told.turn.status, told.words) == (TurnStatus.FAILED, "server.localhost:1 refused the request: no.")


@pytest.mark.parametrize(("known", "verb"), [("", "set"), ("none", "set"), ("17", "check")])
@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_missing_workspace_is_said_to_be_one(known: str, verb: str, status: int) -> None:
    message = "Credential was not sent or was of an unsupported type for this API. [ReqId: 1]"
    profile = replace(PROFILE, options={"workspace_id": known})
    told, server = await asked({"message": message}, status=status, profile=profile, conversation_id=ID)
    assert (server.requests, told.exit_status) == (1, 4)
    assert f"{verb} workspace_id in profile genie" in told.words
    assert "Credential was not sent" in told.words


async def test_a_missing_warehouse_names_the_setting() -> None:
    reply = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Warehouse wh1 does not exist"}
    told, _ = await asked(reply, status=404)
    assert told.words == (
        "server.localhost:1 refused the request: Warehouse wh1 does not exist — check warehouse_id in profile genie"
    )


async def test_a_route_that_is_gone_is_named() -> None:
    route = f"POST {PATH.removeprefix('/api/2.0')}"
    reply = {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for '{route}'"}
    told, server = await asked(reply, status=404, conversation_id=ID)
    assert (server.requests, told.exit_status) == (1, 6)
    assert "No API found for" in told.words


async def test_an_answer_in_another_format_is_refused() -> None:
    told, _ = await asked(*[{"type": "x"}], status=200)
    assert told.turn.status is TurnStatus.FAILED
    server = Bytes([b'{"output": []}'], headers={"content-type": "application/json"})
    told = await take(over(server), PROFILE)
    assert "does not speak the genie protocol here" in told.words
    server = Bytes([b'{"error_code": "X", "message": "not today"}'], headers={"content-type": "application/json"})
    told = await take(over(server), PROFILE)
    assert "not today" in told.words


# A conversation that is gone, and what only looks like it


def refusal(status: int, code: str = "", message: str = "") -> Reply:
    return read_reply(status, json.dumps({"error_code": code, "message": message}).encode())


def frame(code: str, message: str = "") -> Reply:
    told = answer({"type": "error", "error_code": code, "message": message})
    assert isinstance(told.refused, Rejected)
    return told.refused.reply


STALE = {
    "404": refusal(404, "RESOURCE_DOES_NOT_EXIST", f"Conversation {ID} does not exist"),
    "404, without the word": refusal(404, "RESOURCE_DOES_NOT_EXIST", f"{ID} does not exist"),
    "404, saying nothing": refusal(404, "RESOURCE_DOES_NOT_EXIST"),
    "404, or not allowed": refusal(
        404, "RESOURCE_DOES_NOT_EXIST", f"Conversation {ID} does not exist or no permission"
    ),
    "400": refusal(400, "INVALID_PARAMETER_VALUE", "Invalid conversation id"),
    "400, saying nothing": refusal(400, "INVALID_PARAMETER_VALUE"),
    "500, saying nothing": refusal(500, "INTERNAL_ERROR"),
    "500, of the conversation": refusal(500, "INTERNAL_ERROR", f"Could not load conversation {ID}"),
    "frame": frame("RESOURCE_DOES_NOT_EXIST", "No such conversation"),
    "frame, saying nothing": frame("NOT_FOUND"),
    "frame, invalid": frame("INVALID_PARAMETER_VALUE", "conversationId"),
}

NOT_STALE = {
    "401": refusal(401, "UNAUTHENTICATED", "Invalid access token."),
    "403": refusal(403, "PERMISSION_DENIED", f"Conversation {ID} is not yours"),
    "429": refusal(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests"),
    "409": refusal(409, "ABORTED", f"Conversation {ID} is in use"),
    "503": refusal(503, "TEMPORARILY_UNAVAILABLE", ""),
    "502, a page": read_reply(502, b"<html><title>Bad gateway</title></html>"),
    "404, a page": read_reply(404, b"<html><title>Not found</title></html>"),
    "404, plain": read_reply(404, b"Not Found"),
    "500, empty": read_reply(500, b""),
    "no route": refusal(404, "ENDPOINT_NOT_FOUND", "No API found for 'POST /data-rooms/tools/onechat/responses'"),
    "warehouse": refusal(404, "RESOURCE_DOES_NOT_EXIST", "Warehouse wh-missing does not exist"),
    "warehouse, of the conversation": refusal(404, "RESOURCE_DOES_NOT_EXIST", f"The warehouse of conversation {ID} is gone"),
    "workspace": refusal(404, "RESOURCE_DOES_NOT_EXIST", "Workspace 17 does not exist"),
    "no workspace": refusal(400, "", "Credential was not sent or was of an unsupported type for this API"),
    "body": refusal(400, "MALFORMED_REQUEST", "Could not parse request object: Expected 'START_OBJECT'"),
    "table": refusal(400, "INVALID_PARAMETER_VALUE", "The table samples.x does not exist"),
    "too long": refusal(400, "INVALID_PARAMETER_VALUE", f"Conversation {ID} is too long"),
    "busy": refusal(400, "INVALID_STATE", f"Conversation {ID} is busy"),
    "500, of a query": refusal(500, "INTERNAL_ERROR", "The query failed"),
    "frame, warehouse": frame("RESOURCE_DOES_NOT_EXIST", "No eligible SQL warehouse found"),
    "frame, of a query": frame("INTERNAL_ERROR", "The query failed"),
    "frame, saying nothing": frame("INTERNAL_ERROR"),
    "frame, limited": frame("RESOURCE_EXHAUSTED", "Conversation limit reached"),
    "frame without a code": frame("", "No such conversation"),
}  # fmt: skip


@pytest.mark.parametrize("name", STALE)
def test_a_conversation_that_is_gone(name: str) -> None:
    assert is_stale(STALE[name], Request(PROFILE, "hello", conversation_id=ID))


@pytest.mark.parametrize("name", STALE)
def test_without_an_id_nothing_is_stale(name: str) -> None:
    assert not is_stale(STALE[name], Request(PROFILE, "hello"))


@pytest.mark.parametrize("name", NOT_STALE)
def test_genie_7_what_only_looks_like_it(name: str) -> None:
    assert not is_stale(NOT_STALE[name], Request(PROFILE, "hello", conversation_id=ID))


def test_a_short_id_is_not_found_by_chance() -> None:
    reply = refusal(404, "RESOURCE_DOES_NOT_EXIST", "The table abc does not exist")
    assert not is_stale(reply, Request(PROFILE, "hello", conversation_id="abc"))


def test_the_end_of_an_answer_is_no_staleness() -> None:
    told = answer(completed(status="failed"))
    assert isinstance(told.refused, Rejected)
    assert not is_stale(told.refused.reply, Request(PROFILE, "hello", conversation_id=ID))
    assert not is_stale(read_error({"type": "error"}), Request(PROFILE, "hello", conversation_id=ID))


# Anything


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([
    "id", "type", "role", "status", "content", "metadata", "arguments", "name", "call_id", "output", "summary", "ui_type",
    "result_data", "viz_definition", "conversation_id", "error",
])  # fmt: skip
KINDS = st.sampled_from(["reasoning", "message", "function_call", "function_call_output", "new"])
ITEMS = st.dictionaries(FIELDS, JUNK, max_size=6).flatmap(lambda item: KINDS.map(lambda kind: item | {"type": kind}))
EVENTS = st.sampled_from([
    "response.output_item.added", "response.output_item.done", "response.completed", "response.done", "error", "x", "",
])  # fmt: skip


@given(st.lists(st.tuples(EVENTS, ITEMS | JUNK, JUNK), max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_is_read_or_refused(events: list[tuple[str, Any, Any]]) -> None:
    payloads = [{"type": kind, "item": item, "response": item, "output_index": place} for kind, item, place in events]
    told = answer(*payloads)
    assert told.refused is None or isinstance(told.refused, Rejected | Refused)
    answer(*payloads, whole=True)


@pytest.mark.parametrize("at", range(len(WHOLE)))
@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, True])
def test_a_field_of_the_wrong_type_breaks_nothing(at: int, junk: Any) -> None:
    event = WHOLE[at]
    for name in event:
        told = answer(*WHOLE[:at], event | {name: junk}, *WHOLE[at + 1 :])
        assert told.refused is None or isinstance(told.refused, Rejected | Refused)
    for name in event.get("item", {}):
        told = answer(*WHOLE[:at], event | {"item": event["item"] | {name: junk}}, *WHOLE[at + 1 :])
        assert told.finished
