"""Agenta's own events, as the parts that a message stream has for them: servers tell a turn in either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tui.client.protocols.fields import Payload, plain, table, text

EVENTS = frozenset(
    "message message_start message_delta message_end thought thought_start thought_delta thought_end tool_call tool_result "
    "interaction_request interaction_response data file usage error done".split()
)
"""The types of the events."""

_STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool-calls",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
    "refusal": "content-filter",
    "content_filter": "content-filter",
    "paused": "other",
    "cancelled": "other",
}


def parts_of(kind: str, data: Payload, name: str) -> Iterator[dict[str, Any]]:
    """One of Agenta's own events as the parts that a message stream has for it. `name` is for what has no id."""
    own = text(data.get("id"))
    match kind:
        case "message" | "thought":
            block = {"id": own or name}
            of = "text" if kind == "message" else "reasoning"
            yield {"type": f"{of}-start", **block}
            yield {"type": f"{of}-delta", **block, "delta": text(data.get("text"))}
            yield {"type": f"{of}-end", **block}
        case "message_start" | "message_delta" | "message_end" | "thought_start" | "thought_delta" | "thought_end":
            begin, _, step = kind.partition("_")
            of = "text" if begin == "message" else "reasoning"
            yield {"type": f"{of}-{step}", "id": own, "delta": data.get("delta")}
        case "tool_call":
            raw = data.get("rawInput") if data.get("rawInput") is not None else data.get("input")
            yield {"type": "tool-input-available", "toolCallId": own, "toolName": data.get("name"), "input": raw}
        case "tool_result":
            yield _result_part(own, data)
        case "interaction_request":
            yield from _interaction(own or name, data)
        case "interaction_response":
            payload = table(data.get("payload"))
            yield {"type": "tool-approval-response", "approvalId": own, "approved": _approved(payload)}
        case "data":
            yield {"type": f"data-{text(data.get('name'))}", "id": own or name, "data": data.get("data")}
        case "file" | "usage":
            yield {**data, "type": kind, "id": own or name}
        case "error":
            yield {"type": "error", "errorText": data.get("message"), "code": data.get("code")}
        case "done":
            yield {"type": "finish", "finishReason": finish_word(data.get("stopReason"))}


def _result_part(call: str, data: Payload) -> dict[str, Any]:
    if data.get("denied"):
        return {"type": "tool-output-denied", "toolCallId": call, "output": data.get("output")}
    if data.get("isError"):
        return {"type": "tool-output-error", "toolCallId": call, "errorText": plain(data.get("output"))}
    output = data.get("data") if data.get("data") is not None else data.get("output")
    return {"type": "tool-output-available", "toolCallId": call, "output": output}


def _interaction(own: str, data: Payload) -> Iterator[dict[str, Any]]:
    """What an agent wants of someone: leave to run a tool, words, or a tool that a browser has."""
    kind, payload = data.get("kind"), table(data.get("payload"))
    tool = table(payload.get("toolCall"))
    call = text(payload.get("toolCallId")) or text(tool.get("id")) or text(tool.get("toolCallId"))
    if kind in ("user_approval", "client_tool"):
        names = ("resolvedName", "name", "title", "kind")
        name = next((text(tool.get(one)) for one in names if text(tool.get(one))), text(payload.get("toolName")))
        asked = (tool.get("rawInput"), tool.get("input"), payload.get("input"))
        arguments = next((one for one in asked if one is not None), None)
        if call and (name or arguments):
            yield {"type": "tool-input-available", "toolCallId": call, "toolName": name, "input": arguments}
    if kind == "user_approval":
        if payload.get("manifest") is not None:
            yield {"type": "data-approval-manifest", "id": call or own, "data": payload["manifest"]}
        yield {"type": "tool-approval-request", "approvalId": own, "toolCallId": call}
    elif kind != "client_tool":
        asks = "data-input-request" if kind == "user_input" else "data-interaction"
        yield {"type": asks, "id": own, "data": payload}


def _approved(said: Payload) -> bool | None:
    """What an answer to an approval was, which is spelt in three ways."""
    if isinstance(said.get("approved"), bool):
        return bool(said["approved"])
    word = said.get("verdict") or said.get("outcome")
    return {"approved": True, "denied": False}.get(text(word))


def finish_word(stop: object) -> str:
    """The message stream's word for why a model stopped."""
    word = text(stop).strip().lower()
    return _STOPS.get(word, word)
