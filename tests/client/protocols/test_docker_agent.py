"""Runs of a docker agent: what is sent, what is made of every kind of event, what ends a run well."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.turns import Read, read, take
from tests.fake_server import PROFILE as BASE
from tests.fake_server import FakeServer, client_of
from tui.client import Request
from tui.client.protocols import load
from tui.client.protocols.docker_agent import body, headers, is_stale, is_unsupported
from tui.client.protocols.docker_agent_events import DockerAgentReader
from tui.client.protocols.docker_agent_history import read_kept, turns_of
from tui.client.protocols.fields import seconds_of
from tui.client.reply import Rejected, Reply
from tui.client.retry import Policy
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta, ItemWhole, RunNamed, Used, WindowTold
from tui.model import Item, ItemKind, ItemState, TurnStatus, Usage

PROFILE = replace(BASE, name="docker", protocol="docker-agent", base_url="http://server.localhost:1", model="root")
ID = "0197f2aa-1111-7000-8000-000000000001"
CHILD = {"session_id": "child", "agent_name": "helper"}
APPROVED, DENIED, OPEN, FAILED = ItemState.APPROVED, ItemState.DENIED, ItemState.OPEN, ItemState.FAILED


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "agent_name": "root", "timestamp": "2026-01-02T03:04:05Z"} | more


def ours(kind: str, **more: Any) -> dict[str, Any]:
    return event(kind, session_id=ID, **more)


def said(content: str, **more: Any) -> dict[str, Any]:
    return ours("agent_choice", content=content) | more


def call(kind: str, name: str = "shell", arguments: Any = '{"cmd":"ls"}', call_id: str = "call_1") -> dict[str, Any]:
    function = {"name": name} | ({"arguments": arguments} if arguments else {})
    return event(
        kind, tool_call={"id": call_id, "type": "function", "function": function}, tool_definition={"name": name}
    )


def response(text: str, *, call_id: str = "call_1", name: str = "shell", is_error: bool = False) -> dict[str, Any]:
    result = {"output": text} | ({"isError": True} if is_error else {})
    return event(
        "tool_call_response", tool_call_id=call_id, tool_definition={"name": name}, response=text, result=result
    )


STARTED, STOPPED = ours("stream_started"), ours("stream_stopped", reason="normal")
ASKED = call("tool_call_confirmation", "deploy", '{"to":"production"}')


def run(*payloads: Any, end: bool = True) -> Read:
    return read(DockerAgentReader("host", ID), *payloads, end=end)


def items(told: Read) -> list[tuple[str, str, str, str]]:
    return [(str(item.kind), item.name, item.text, str(item.state)) for item in told.turn.items]


# What is sent


def test_only_what_was_typed_now_is_sent() -> None:
    assert body(Request(PROFILE, "hello", conversation_id=ID)) == {"messages": [{"role": "user", "content": "hello"}]}
    other = replace(PROFILE, params={"model": "openai/gpt-5"})
    assert body(Request(other, "hello"))["model"] == "openai/gpt-5"
    assert headers(PROFILE, "k") == {"authorization": "Bearer k"}
    assert load("docker-agent").body(Request(PROFILE, "hello")) == body(Request(PROFILE, "hello"))


@pytest.mark.fault("S12")
@pytest.mark.parametrize("issued", [".", "..", "\ud800", "\ud800 x"])
async def test_a_session_that_has_no_place_in_an_address_is_refused(issued: str) -> None:
    server = FakeServer()
    turn = asyncio.ensure_future(take(client_of(server), PROFILE))
    (await server.request()).answer(200, {"id": issued})
    told = await turn
    assert (told.exit_status, told.turn.conversation_id, len(server.seen)) == (6, "", 1)


@pytest.mark.fault("S12")
async def test_a_session_is_one_segment_of_the_address_whatever_is_in_it() -> None:
    server = FakeServer()
    turn = asyncio.ensure_future(take(client_of(server), PROFILE))
    (await server.request()).answer(200, {"id": "../a?b#c%2e"})
    exchange = await server.request()
    assert exchange.request.url.raw_path == b"/api/sessions/..%2Fa%3Fb%23c%252e/agent/root"
    exchange.break_off()
    await turn


async def test_a_session_is_made_once_however_often_its_prompt_is_tried() -> None:
    server = FakeServer()
    turn = asyncio.ensure_future(take(client_of(server), PROFILE))
    (await server.request()).answer(200, {"id": ID})
    for _ in range(2):
        (await server.request()).answer(503, {"message": "overloaded"})
    (await server.request()).answer(401, {"message": "no"})
    await turn
    assert [exchange.path for exchange in server.seen] == ["/api/sessions", *[f"/api/sessions/{ID}/agent/root"] * 3]


async def test_a_prompt_whose_session_could_not_be_made_was_not_sent() -> None:
    server = FakeServer()
    turn = asyncio.ensure_future(take(client_of(server), PROFILE))
    (await server.request()).break_off(httpx.ReadError(""))
    told = await turn
    assert [exchange.path for exchange in server.seen] == ["/api/sessions"]
    assert (told.turn.status, told.exit_status) == (TurnStatus.FAILED, 5)
    assert told.words.endswith("— the prompt was not sent yet; press r to send it")


@pytest.mark.fault("S12")
@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
async def test_nothing_is_asked_of_a_session_that_has_no_place_in_an_address(name: str) -> None:
    server = FakeServer()
    with pytest.raises(Refused, match="cannot be part of an address"):
        await client_of(server).ask(PROFILE, lambda wire, http: wire.recall(http, name))
    assert server.seen == []


# Sessions that the server does not know


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, "failed to run session: session not found", form="json"),
        Reply(404, "session not found: session not found", form="json"),
        Reply(404, "session not found", form="json"),
        Reply(404, "no such thing", "unknown_session", form="json"),
        Reply(500, "Failed to run session: Session not found.", form="json"),
    ],
)
def test_docker_16_session_not_found_is_an_unknown_conversation_whatever_the_status(reply: Reply) -> None:
    assert is_stale(reply, Request(PROFILE, "hello", conversation_id=ID))
    assert not is_stale(reply, Request(PROFILE, "hello"))
    assert not is_unsupported(reply)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, "Not Found", form="json"),
        Reply(404, "session not found", form="html"),
        Reply(404, "session not found", form="text"),
        Reply(500, "failed to run session: agent not found: root", form="json"),
        Reply(500, "failed to run session: failed to get tools: session not found", form="json"),
        Reply(500, "failed to run session: mcp: session not found on server", form="json"),
        Reply(500, "", form="empty"),
        Reply(409, "session is already processing a request", form="json"),
        Reply(401, "session not found", form="json"),
        Reply(429, "session not found", form="json"),
        Reply(0, "session not found", form="json"),
        Reply(400, "invalid request body: session not found", form="json"),
    ],
)
def test_docker_16_nothing_else_is(reply: Reply) -> None:
    assert not is_stale(reply, Request(PROFILE, "hello", conversation_id=ID))


# Text


def test_text_is_shown_as_it_comes_and_the_run_has_a_name_from_the_start() -> None:
    reader = DockerAgentReader("host", ID)
    assert list(reader.read(event("team_info"))) == [RunNamed(ID)]
    assert list(reader.read(STARTED)) == []
    assert list(reader.read(said("Hel"))) == [ItemDelta("message/1", ItemKind.MESSAGE, "Hel")]
    assert list(reader.read(said("lo"))) == [ItemDelta("message/1", ItemKind.MESSAGE, "lo")]
    assert (reader.begun, reader.shown, reader.over, reader.asks) == (True, True, False, False)


def test_a_run_ends_well_and_only_then_gives_its_id_out() -> None:
    told = run(STARTED, said("Hello "), said("there"), STOPPED)
    assert items(told) == [("message", "", "Hello there", "")]
    assert told.events[-3:] == [RunNamed(""), ConversationIssued(ID), Finished()]


def test_reasoning_is_an_item_of_its_own() -> None:
    told = run(STARTED, ours("agent_choice_reasoning", content="Hm."), said("Yes."), STOPPED)
    assert items(told) == [("reasoning", "", "Hm.", ""), ("message", "", "Yes.", "")]


def test_another_agent_or_a_tool_between_begins_a_new_message() -> None:
    told = run(STARTED, said("One"), said("Two", agent_name="other"), call("tool_call"), response("ok"),
               said("Three", agent_name="other"), STOPPED)  # fmt: skip
    assert [text for kind, _, text, _ in items(told) if kind == "message"] == ["One", "Two", "Three"]


def test_what_a_sub_agent_does_is_shown_and_is_neither_the_answer_nor_its_end() -> None:
    told = run(
        STARTED,
        call("tool_call", "transfer_task", "{}"),
        event("stream_started") | CHILD,
        event("agent_choice", content="I look it up.") | CHILD,
        event("token_usage", usage={"input_tokens": 99, "output_tokens": 99}) | CHILD,
        event("error", error="it took two tries") | CHILD,
        event("stream_stopped", reason="error") | CHILD,
        response("I look it up."),
        said("It is so."),
        STOPPED,
    )
    assert told.text == "It is so."
    assert items(told)[1:3] == [
        ("reasoning", "helper", "I look it up.", ""),
        ("notice", "", "helper: it took two tries", ""),
    ]
    assert not [one for one in told.events if isinstance(one, Used)]
    assert (told.finished, told.issued) == (True, ID)


def test_what_says_nothing_is_not_shown() -> None:
    told = run(STARTED, said(""), event("warning", message=""), event("model_fallback"), STOPPED)
    assert told.items == []
    assert told.finished


# The end


@pytest.mark.parametrize("reason", ["normal", ""])
def test_the_end_is_good_where_the_reason_is(reason: str) -> None:
    told = run(STARTED, said("Hi"), ours("stream_stopped", **({"reason": reason} if reason else {})))
    assert (told.finished, told.issued) == (True, ID)


@pytest.mark.fault("N19")
def test_the_last_event_is_best_effort_and_the_bodys_end_enough() -> None:
    assert run(STARTED, said("Hi")).issued == ID


def test_before_the_bodys_end_nothing_is_over() -> None:
    told = run(STARTED, said("Hi"), STOPPED, end=False)
    assert (told.finished, told.issued) == (False, "")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("error", "the run ended in an error"),
        ("canceled", "the run was cancelled at the server"),
        ("hook_blocked", "the run ended: hook_blocked"),
        ("continue", "the run ended: continue"),
    ],
)
def test_any_other_reason_is_a_failure(reason: str, words: str) -> None:
    told = run(STARTED, said("Hi"), ours("stream_stopped", reason=reason))
    assert isinstance(told.refused, Rejected)
    assert (told.refused.reply.message, told.issued, told.turn.run) == (words, "", "")


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [{"anything": 1}],
        [STARTED],
        [STARTED, ours("agent_choice_reasoning", content="Hm.")],
        [STARTED, said("Hi"), call("partial_tool_call")],
        [STARTED, call("tool_call")],
        [STARTED, call("tool_call"), response("ok")],
        [STARTED, said("Hi"), ASKED],
        [STARTED, event("elicitation_request", message="How many?", elicitation_id="e")],
        [STARTED, event("max_iterations_reached", max_iterations=20)],
    ],
)
def test_a_body_that_ends_in_the_middle_of_something_is_cut(payloads: list[Any]) -> None:
    told = run(*payloads)
    assert (told.finished, told.refused, told.issued) == (False, None, "")


def test_a_call_the_model_only_began_does_not_make_it_one() -> None:
    """A model that is stopped by a filter leaves one behind."""
    assert run(STARTED, call("partial_tool_call"), STOPPED).finished


def test_nothing_after_the_end_counts() -> None:
    told = run(STARTED, said("Hi"), STOPPED, said(" again"), ours("error", error="late"))
    assert (told.text, told.finished) == ("Hi", True)


def test_a_proxys_sentinel_is_the_end_as_well() -> None:
    assert run(STARTED, said("Hi"), STOPPED, "[DONE]", end=False).issued == ID


def test_an_answer_that_is_no_stream_is_of_another_protocol() -> None:
    with pytest.raises(Refused, match="docker-agent protocol"):
        list(DockerAgentReader("host", ID).whole({}))


# Errors


@pytest.mark.parametrize(
    ("code", "status", "reply_code"),
    [
        ("model_error", 500, "model_error"),
        ("tool_failed", 500, "tool_failed"),
        ("rate_limited", 429, "rate_limited"),
        ("context_exceeded", 400, "context_length_exceeded"),
        ("request_too_large", 413, "request_too_large"),
        ("media_too_large", 413, "media_too_large"),
        ("hook_blocked", 400, "hook_blocked"),
        ("loop_detected", 400, "loop_detected"),
        ("new_code", 500, "new_code"),
        ("", 500, ""),
    ],
)
def test_an_error_has_the_status_its_code_stands_for(code: str, status: int, reply_code: str) -> None:
    told = run(STARTED, ours("error", error="no", code=code), ours("stream_stopped", reason="error"))
    assert isinstance(told.refused, Rejected)
    assert (told.refused.reply.status, told.refused.reply.code, told.refused.reply.message) == (
        status,
        reply_code,
        "no",
    )
    assert told.refused.in_stream
    assert (told.issued, told.turn.run, told.finished) == ("", "", False)


@pytest.mark.parametrize("last", [[STOPPED], [ours("stream_stopped", reason="error")], []])
def test_an_error_is_one_whatever_follows_it(last: list[Any]) -> None:
    told = run(STARTED, said("Half"), event("error", error="no"), event("error", error="again"), said(" more"), *last)
    assert isinstance(told.refused, Rejected)
    assert told.refused.reply.message == "no"
    assert (told.text, told.issued) == ("Half more", "")


def test_an_error_without_a_type_is_one_too() -> None:
    told = run({"error": {"message": "bad gateway"}})
    assert isinstance(told.refused, Rejected)
    assert told.refused.reply.message == "bad gateway"


def test_an_error_without_words_is_told_as_such() -> None:
    told = run(STARTED, ours("error", error={"not": "text"}))
    assert isinstance(told.refused, Rejected)
    assert told.refused.reply.message == "an error without words"


def test_busy_is_waited_for() -> None:
    wait = Policy(keeps=True).after(Rejected(Reply(409, "session is already processing a request", form="json")))
    assert wait is not None
    assert wait.seconds == 1.0


# Tools


def test_a_tool_is_shown_as_it_begins_runs_and_gives_its_result() -> None:
    reader = DockerAgentReader("host", ID)
    list(reader.read(STARTED))
    assert list(reader.read(call("partial_tool_call", arguments=""))) == [
        ItemDelta("call_1", ItemKind.TOOL_CALL, "", "shell", "call_1")
    ]
    assert list(reader.read(call("tool_call"))) == [
        ItemWhole(Item("call_1", ItemKind.TOOL_CALL, '{"cmd":"ls"}', "shell", "call_1"))
    ]
    output = event("tool_call_output", tool_call_id="call_1", tool_definition={"name": "shell"}, output="a\n")
    assert list(reader.read(output)) == [ItemDelta("call_1/result", ItemKind.TOOL_RESULT, "a\n", "shell", "call_1")]
    assert list(reader.read(response("a\nb\n"))) == [
        ItemWhole(Item("call_1/result", ItemKind.TOOL_RESULT, "a\nb\n", "shell", "call_1"))
    ]


def test_arguments_may_be_an_object_and_a_result_may_stand_in_the_result_alone() -> None:
    told = run(
        STARTED,
        call("tool_call", arguments={"cmd": "ls"}),
        event("tool_call_response", tool_call_id="call_1", result={"output": "fine"}),
        STOPPED,
    )
    assert items(told) == [("tool_call", "shell", '{"cmd": "ls"}', ""), ("tool_result", "", "fine", "")]


def test_a_tool_that_fails_is_marked() -> None:
    told = run(STARTED, call("tool_call"), response("Error calling tool: no", is_error=True), STOPPED)
    assert items(told)[1] == ("tool_result", "shell", "Error calling tool: no", "failed")


def test_calls_with_the_same_id_are_told_apart() -> None:
    told = run(STARTED, call("tool_call"), response("one"), call("tool_call"), response("two"), STOPPED)
    assert [(item.key, item.call_id, item.text) for item in told.turn.items] == [
        ("call_1", "call_1", '{"cmd":"ls"}'),
        ("call_1/result", "call_1", "one"),
        ("call_1#2", "call_1#2", '{"cmd":"ls"}'),
        ("call_1#2/result", "call_1#2", "two"),
    ]


def test_calls_without_an_id_go_by_their_tool() -> None:
    told = run(STARTED, call("tool_call", call_id=""), response("one", call_id=""), STOPPED)
    assert [item.key for item in told.turn.items] == ["shell", "shell/result"]


def test_a_table_is_given_on_as_it_is() -> None:
    table = json.dumps({"columns": ["n"], "rows": [[1]]})
    told = run(STARTED, call("tool_call", "query", '{"sql":"SELECT 1"}'), response(table, name="query"), STOPPED)
    assert items(told)[1][2] == table


# Questions


def test_docker_17_a_confirmation_is_a_question_until_the_tool_runs() -> None:
    reader = DockerAgentReader("host", ID)
    list(reader.read(STARTED))
    question = Item("confirmation/call_1", ItemKind.APPROVAL, '{"to":"production"}', "deploy", "call_1", OPEN)
    assert list(reader.read(ASKED)) == [ItemWhole(question)]
    assert reader.asks
    runs = call("tool_call", "deploy", '{"to":"production"}')
    settled, _ = reader.read(runs)
    assert settled == ItemWhole(replace(question, state=APPROVED))
    assert not reader.asks


def test_docker_17_a_refusal_is_told_by_a_result_without_a_call() -> None:
    told = run(STARTED, ASKED, response("The user rejected the tool call.", is_error=True, name="deploy"), STOPPED)
    assert items(told) == [
        ("approval", "deploy", '{"to":"production"}', "denied"),
        ("tool_result", "deploy", "The user rejected the tool call.", "denied"),
    ]


def test_questions_that_the_end_of_the_run_leaves_open_are_closed() -> None:
    told = run(STARTED, said("Hi"), ASKED, STOPPED)
    assert told.turn.open_approvals == ()
    assert told.finished


def test_what_a_tool_wants_to_know_is_a_question_with_its_form() -> None:
    schema = {"type": "object", "properties": {"seats": {"type": "integer"}}}
    asked = event("elicitation_request", message="How many?", mode="form", schema=schema, elicitation_id="e-1")
    told = run(STARTED, call("tool_call", "book", "{}"), asked, end=False)
    item = told.turn.items[1]
    assert (item.key, item.kind, item.name, item.call_id, item.state) == (
        "elicitation/e-1",
        ItemKind.APPROVAL,
        "question",
        "e-1",
        OPEN,
    )
    assert json.loads(item.text) == {"message": "How many?", "schema": schema}


@pytest.mark.parametrize(("is_error", "state"), [(False, "approved"), (True, "denied")])
def test_it_is_over_once_the_tool_has_gone_on(is_error: bool, state: str) -> None:
    asked = event("elicitation_request", message="Sign in", mode="url", url="https://a.example/", elicitation_id="")
    told = run(STARTED, call("tool_call"), asked, response("done", is_error=is_error), STOPPED)
    assert items(told)[1] == ("approval", "question", '{"message": "Sign in", "url": "https://a.example/"}', state)


def test_the_limit_of_steps_is_a_question_whether_to_go_on() -> None:
    reader = DockerAgentReader("host", ID)
    list(reader.read(STARTED))
    (asked,) = reader.read(event("max_iterations_reached", max_iterations=20))
    assert asked == ItemWhole(Item("limit/1", ItemKind.APPROVAL, '{"max_iterations": 20}', "continue", state=OPEN))
    assert reader.asks
    list(reader.read(ours("message_added")))
    assert reader.asks
    gone_on = list(reader.read(said("On I go.")))
    assert gone_on[0] == ItemWhole(
        Item("limit/1", ItemKind.APPROVAL, '{"max_iterations": 20}', "continue", state=APPROVED)
    )


@pytest.mark.parametrize("reason", ["continue", "normal"])
def test_a_run_that_was_not_to_go_on_is_done(reason: str) -> None:
    limit = event("max_iterations_reached", max_iterations=20)
    told = run(STARTED, said("Hi"), limit, ours("stream_stopped", reason=reason))
    assert (told.finished, told.turn.finish, told.issued) == (True, "max_iterations", ID)
    assert items(told)[1][3] == "denied"


def test_a_run_that_was_cancelled_at_its_limit_is_not() -> None:
    limit = event("max_iterations_reached", max_iterations=20)
    assert isinstance(run(STARTED, limit, ours("stream_stopped", reason="canceled")).refused, Rejected)


def test_a_sub_agents_limit_is_no_end_of_the_run() -> None:
    limit = event("max_iterations_reached", max_iterations=20)
    told = run(STARTED, limit, event("stream_stopped", reason="continue") | CHILD, said("Done."), STOPPED)
    assert (told.turn.finish, told.finished) == ("", True)
    assert items(told)[0][3] == "denied"


# What else is told


def test_tokens_are_those_of_the_newest_count() -> None:
    newest = {"input_tokens": 9, "output_tokens": 9, "reasoning_tokens": 4, "cached_input_tokens": 2, "Model": "m"}
    told = run(
        STARTED,
        ours("token_usage", usage={"input_tokens": 1, "output_tokens": 2}),
        ours("token_usage", usage={"input_tokens": 12, "output_tokens": 5, "last_message": newest}),
        ours("token_usage", usage={"input_tokens": "x"}),
        ours("token_usage", usage=None),
        STOPPED,
    )
    assert told.turn.usage == Usage(12, 5, 4, 2)


@pytest.mark.parametrize(("limit", "window"), [(128_000, [128_000]), (0, []), (None, []), (-1, []), ("x", [])])
def test_the_context_window_is_told_along_with_the_tokens(limit: object, window: list[int]) -> None:
    told = run(STARTED, ours("token_usage", usage={"input_tokens": 1, "context_limit": limit}), STOPPED)
    assert [event.tokens for event in told.events if isinstance(event, WindowTold)] == window


def test_warnings_are_shown() -> None:
    told = run(
        STARTED,
        event("warning", message="Some toolsets failed."),
        event("model_fallback", failed_model="a/b", fallback_model="c/d", reason="429."),
        ours("session_compaction", status="started"),
        ours("session_compaction", status="completed", outcome="skipped"),
        ours("session_compaction", status="completed", outcome="applied"),
        STOPPED,
    )
    assert items(told) == [
        ("notice", "", "Some toolsets failed.", ""),
        ("notice", "", "a/b failed (429); c/d answers instead.", ""),
        ("notice", "", "The server shortened the conversation.", ""),
    ]


QUIET = "user_message session_title team_info toolset_info agent_info agent_switching hook_started hook_finished " \
        "hook_blocked message_added mcp_init_started mcp_init_finished authorization_event session_summary shell " \
        "sub_session_completed runtime_paused budget_usage something_new"  # fmt: skip


@pytest.mark.parametrize("kind", QUIET.split())
def test_what_is_no_part_of_the_answer_is_ignored(kind: str) -> None:
    told = run(STARTED, ours(kind, message="x", title="x", content="x", output="x"), said("Hi"), STOPPED)
    assert told.items == [("message", "", "Hi")]


_KINDS = st.sampled_from(
    "stream_started stream_stopped agent_choice agent_choice_reasoning partial_tool_call tool_call tool_call_output "
    "tool_call_confirmation tool_call_response elicitation_request max_iterations_reached error token_usage warning "
    "model_fallback session_compaction unheard_of".split()
)
_NAMES = st.sampled_from(
    "session_id agent_name content tool_call tool_definition tool_call_id function arguments id name output response result "
    "isError error code usage input_tokens message schema url elicitation_id reason status max_iterations".split()
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from([ID, "a", "normal", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)
_EVENTS = st.builds(
    lambda kind, more: {**more, "type": kind}, _KINDS | _VALUES, st.dictionaries(_NAMES, _VALUES, max_size=5)
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_EVENTS, max_size=8))
def test_whatever_comes_it_is_an_answer_or_a_refusal(payloads: list[dict[str, Any]]) -> None:
    told = run(*payloads)
    assert told.finished == (told.issued == ID)
    assert told.refused is None or isinstance(told.refused, Rejected)
    if told.finished:
        assert told.turn.open_approvals == ()
    keys = [item.key for item in told.turn.items]
    assert len(keys) == len(set(keys))


# What the server has kept


def kept(role: str, content: str = "", agent: str = "root", implicit: bool = False, **more: Any) -> dict[str, Any]:
    message = {"role": role, "content": content, "created_at": "2026-01-02T03:04:05Z"} | more
    return {"agent_name": agent, "message": message} | ({"implicit": True} if implicit else {})


def asked_for(name: str, call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


TALK = [
    kept("user", "look it up"),
    kept("assistant", reasoning_content="Hm.", tool_calls=[asked_for("transfer_task", "call_1")]),
    kept("user", "Please proceed.", implicit=True),
    kept("assistant", "I use a tool.", "helper", tool_calls=[asked_for("search", "call_2")]),
    kept("tool", "found", "helper", tool_call_id="call_2"),
    kept("assistant", "It is found.", "helper"),
    kept("tool", "It is found.", tool_call_id="call_1", is_error=True),
    kept("assistant", "It is so.", usage={"input_tokens": 3, "output_tokens": 4}),
    kept(
        "user",
        "",
        multi_content=[{"type": "text", "text": "and"}, {"type": "text", "text": "this?"}, {"type": "image"}],
    ),
]


def test_messages_are_read_as_turns() -> None:
    first, second = turns_of(read_kept(TALK), PROFILE, ID)
    assert (first.prompt, first.status, first.depth, first.text) == ("look it up", TurnStatus.DONE, 0, "It is so.")
    assert [(str(item.kind), item.name, item.text, str(item.state)) for item in first.items] == [
        ("reasoning", "", "Hm.", ""),
        ("tool_call", "transfer_task", "{}", ""),
        ("reasoning", "helper", "I use a tool.", ""),
        ("tool_call", "search", "{}", ""),
        ("tool_result", "", "found", ""),
        ("reasoning", "helper", "It is found.", ""),
        ("tool_result", "", "It is found.", "failed"),
        ("message", "", "It is so.", ""),
    ]
    assert len({item.key for item in first.items}) == 8
    assert (first.usage, first.created_at, first.ended_at) == (Usage(3, 4), 1767323045.0, 1767323045.0)
    assert (first.profile, first.protocol, first.model, first.origin) == (
        "docker",
        "docker-agent",
        "root",
        "http://server.localhost:1",
    )
    assert (first.session_id, first.conversation_id) == ("", ID)
    assert (second.prompt, second.status, second.depth, second.items) == (
        "and\n\nthis?",
        TurnStatus.INTERRUPTED,
        1,
        (),
    )
    assert str(second.error) == "The server has no answer to this."
    assert first.id != second.id


def test_the_servers_count_of_prompts_includes_those_no_one_typed() -> None:
    assert [(one.is_prompt, one.prompts) for one in read_kept(TALK) if one.role == "user"] == [
        (True, 0),
        (False, 1),
        (True, 2),
    ]


@pytest.mark.parametrize("messages", [None, {}, "x", [1, None], [{}], [{"message": "x"}], [{"message": {"role": 5}}]])
def test_messages_may_be_anything(messages: Any) -> None:
    assert turns_of(read_kept(messages), PROFILE, ID) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02T03:04:05+01:00", 1767319445.0),
        ("2026-01-02T03:04:05", 1767323045.0),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        (12, None),
        (None, None),
    ],
)
def test_times_are_read(text: Any, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
