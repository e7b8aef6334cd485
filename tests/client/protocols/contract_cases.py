"""All protocols, as the contract has to know them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.client.protocols.contract import FAILED, Case
from tests.client.protocols.wire import Sent
from tui.model import ItemKind

_M, _R, _C, _T = map(str, (ItemKind.MESSAGE, ItemKind.REASONING, ItemKind.TOOL_CALL, ItemKind.TOOL_RESULT))
THINK, CALL, TOOL = (_R, _M), (_C,), (_C, _T, _M)


def _typed(*types: str) -> Callable[[Any], bool]:
    return lambda said: isinstance(said, dict) and said.get("type") in types


def _finishes(said: Any) -> bool:
    choices = said.get("choices") if isinstance(said, dict) else None
    return bool(choices and choices[0].get("finish_reason"))


def _is_done(said: Any) -> bool:
    return bool(said == "[DONE]")


def _is_rill_answer(said: Any) -> bool:
    message = said.get("message", {}) if isinstance(said, dict) else {}
    return (message.get("tool"), message.get("type")) == ("router_agent", "result")


def _has_stop_reason(said: Any) -> bool:
    return isinstance(said, dict) and bool((said.get("delta") or {}).get("stop_reason"))


def _is_answering(events: list[Any]) -> bool:
    """Whether a docker agent was saying something, and doing nothing else."""
    acts = [said["type"] for said in events if said and re.match("agent_choice|.*tool_call", said["type"])]
    return acts[-1:] == ["agent_choice"]


def _users(messages: list[dict[str, Any]]) -> list[str]:
    """The prompts before the newest one."""
    found = []
    for message in messages:
        said = message.get("content", message.get("parts"))
        text = said if isinstance(said, str) else " ".join(part.get("text", "") for part in said or [])
        found += [text] if message["role"] == "user" else []
    return found[:-1]


def _nothing(sent: Sent) -> Any:
    return ""


def _field(name: str) -> Callable[[Sent], str]:
    return lambda sent: str(sent.json.get(name, ""))


def _list(name: str) -> Callable[[Sent], list[str]]:
    return lambda sent: _users(sent.json[name])


def _frames(*values: object) -> tuple[bytes, ...]:
    return tuple(f"data: {json.dumps(value)}\n\n".encode() for value in values)


STRANGE = (
    b": a comment\n\n",
    b"id: 7\nretry: 10\n\n",
    b'event: brand.new\ndata: {"type": "brand.new", "payload": {"a": [1, null]}}\n\n',
    *_frames({"type": "brand_new", "id": "b1"}, {"brand": "new"}, {}),
)
"""Events that no protocol knows."""

_STRANGE_ITEM = {"type": "brand_new_item", "id": "bn1", "status": "completed", "brand": {"new": [1]}}
_STRANGE_ITEMS = _frames(
    {"type": "response.output_item.added", "item": _STRANGE_ITEM | {"status": "in_progress"}},
    {"type": "response.output_item.done", "item": _STRANGE_ITEM},
    {"type": "response.output_item.done", "item": {"type": "brand_new_call_output", "id": "bn2", "output": None}},
    {"type": "response.brand_new.delta", "item_id": "bn3", "delta": "not text"},
)

CASES = [
    Case(
        "responses",
        r"/responses$",
        ends=_typed("response.completed"),
        id_in=_field("previous_response_id"),
        told_in=_list("input"),
        no_route=('{"error":{"message":"Invalid URL (POST /v1/responses)","type":"invalid_request_error",'
                          '"param":null,"code":"unknown_url"}}'),
        no_model=(404, {"error": {"message": "The model `fake` does not exist.", "code": "model_not_found"}}),
        failures=("The server had an error", "The server had an error"),
        shows={"think": THINK, "tool": TOOL, "table": TOOL},
        unknown=_STRANGE_ITEMS,
        is_stale_able=True,
        may_move=True,
    ),
    Case(
        "chat",
        r"/chat/completions$",
        ends=_finishes,
        id_in=_nothing,
        told_in=_list("messages"),
        no_route=('{"error":{"message":"Invalid URL (POST /v1/chat/completions)","code":"unknown_url"}}'),
        no_model=(404, {"error": {"message": "The model `fake` does not exist.", "code": "model_not_found"}}),
        failures=("The server had an error", "The server had an error"),
        shows={"think": THINK, "tool": CALL, "table": (_M,)},
        rich="think one",
        unknown=_frames({"object": "brand.new", "choices": []}, {"choices": [{"index": 0, "delta": {"brand": "new"}}]},
                        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]}),
    ),
    Case(
        "anthropic",
        r"/messages$",
        ends=_has_stop_reason,
        id_in=_nothing,
        told_in=_list("messages"),
        no_route=('{"type":"error","error":{"type":"not_found_error","message":"Not Found"}}'),
        no_model=(404, {"type": "error", "error": {"type": "not_found_error", "message": "model: fake"}}),
        failures=("Internal server error", "Overloaded"),
        shows={"think": THINK, "tool": TOOL, "table": TOOL},
        unknown=(b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
                 *_frames({"type": "content_block_start", "index": 90, "content_block": {"type": "brand_new", "x": 1}},
                          {"type": "content_block_delta", "index": 90, "delta": {"type": "brand_new_delta", "x": "y"}},
                          {"type": "content_block_stop", "index": 90})),
        key_header="x-api-key",
        key_prefix="",
    ),
    Case(
        "ollama",
        r"/api/chat$",
        ends=lambda said: isinstance(said, dict) and said.get("done") is True,
        id_in=_nothing,
        told_in=_list("messages"),
        no_route=("404 page not found"),
        no_model=(404, {"error": "model 'fake:latest' not found"}),
        failures=("llama runner process has terminated", "an error was encountered while running the model"),
        shows={"think": THINK, "tool": CALL, "table": (_M,)},
        border=b"\n",
        rich="think one",
        unknown=(b'{"brand": "new"}\n', b'{"model": "fake:latest", "message": {"role": "assistant", "brand": 1}}\n',
                 b"\n", b"{}\n"),
    ),
    Case(
        "genie",
        r"/onechat/responses$",
        ends=_typed("response.completed"),
        id_in=_field("conversationId"),
        told_in=_list("input"),
        no_route=('{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found for \'POST /data-rooms/tools\'"}'),
        no_model=(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Warehouse wh1 does not exist"}),
        failures=("No eligible SQL warehouse found", "The query failed"),
        shows={"think": THINK, "tool": (_C, _M), "table": TOOL},
        rich="table one",
        unknown=(*_STRANGE_ITEMS, *_frames({"type": "response.output_text.delta", "delta": "not shown"})),
        empty=(FAILED, "ended without an answer (received 3 events)"),
        is_stale_able=True,
        may_move=True,
    ),
    Case(
        "agent-server",
        r"/invocations$",
        ends=_is_done,
        id_in=lambda sent: str(sent.json["custom_inputs"]["session_id"]),
        told_in=_list("input"),
        no_route=('{"detail":"Not Found"}'),
        no_model=(500, {"detail": "404: The model 'fake' was not found."}),
        failures=("forced failure", "kaboom"),
        shows={"think": THINK, "tool": TOOL, "table": TOOL},
        unknown=(*_STRANGE_ITEMS, *_frames({"trace_id": "tr-1"})),
        may_move=True,
    ),
    Case(
        "rill",
        r"/complete/stream$",
        ends=_is_rill_answer,
        id_in=_field("conversationId"),
        told_in=lambda sent: [],
        no_route=("404 page not found\n"),
        no_model=(404, {"code": 5, "message": 'metrics view "bridges" not found', "details": []}),
        failures=("failed to load instance config", "context deadline exceeded"),
        shows={"think": THINK, "tool": TOOL, "table": TOOL},
        unknown=_frames({"conversationId": "5f0c"}, {"message": {"type": "brand_new", "role": "brand_new"}},
                        {"message": {"id": "bn1", "type": "call", "role": "system", "tool": "a brand new step"}}),
        is_stale_able=True,
        may_move=True,
    ),
    Case(
        "agenta",
        r"/invoke$",
        ends=_typed("finish"),
        id_in=_field("session_id"),
        told_in=lambda sent: _users(sent.json["data"]["inputs"]["messages"]),
        no_route=('{"detail":"Not Found"}'),
        no_model=(404, {"status": {"type": "error", "code": 404, "message": "no such application"}}),
        failures=("the agent could not be started", "model overloaded"),
        shows={"think": THINK, "tool": TOOL, "table": TOOL},
        unknown=_frames({"type": "data-brand-new", "data": {"a": 1}}, {"type": "brand-new-delta", "delta": "not text"},
                        {"type": "start-step"}),
        empty=(FAILED, "The agent produced no output."),
        may_move=True,
        named_after=0,
        key_prefix="ApiKey ",
        is_idle=lambda service: all(session.running is None for session in service.sessions.values()),
    ),
    Case(
        "docker-chat",
        r"/chat/completions$",
        ends=_is_done,
        id_in=lambda sent: sent.header("x-conversation-id"),
        told_in=_list("messages"),
        no_route=('{"message":"Not Found"}'),
        no_model=(404, {"error": {"message": "model 'root' not found", "type": "invalid_request_error"}}),
        failures=("all models failed", "stream ended early"),
        shows={"tool": (_C, _C, _M), "table": (_C, _M)},
        unknown=_frames({"object": "brand.new", "choices": []}, {"choices": [{"index": 0, "delta": {"brand": "new"}}]}),
        is_idle=lambda service: not service.busy,
    ),
    Case(
        "docker-agent",
        r"/sessions/[^/]+/agent/",
        ends=_typed("stream_stopped"),
        id_in=lambda sent: sent.url.path.split("/")[3],
        told_in=lambda sent: _users(sent.json["messages"]),
        no_route=('{"message":"Not Found"}'),
        no_model=(500, {"message": "failed to run session: agent not found: root"}),
        failures=("the model said no", "the model said no"),
        shows={"think": THINK, "tool": TOOL, "table": TOOL},
        unknown=_frames({"type": "brand_new_event", "session_id": "child-7", "content": "not shown"}),
        is_stale_able=True,
        may_end_after=_is_answering,
        is_idle=lambda service: all(session.run is None for session in service.sessions.values()),
    ),
]  # fmt: skip

BACKGROUND = [
    replace(case, options={"background": True}, named_after=1)
    for case in CASES
    if case.protocol in ("responses", "agent-server")
]
"""Those whose runs can be made to go on without their connection."""

every = pytest.mark.parametrize("case", CASES, ids=str)


def those(holds: Callable[[Case], bool]) -> pytest.MarkDecorator:
    """The protocols for which something holds."""
    return pytest.mark.parametrize("case", [case for case in CASES if holds(case)], ids=str)
