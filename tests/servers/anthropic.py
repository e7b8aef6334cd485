"""Stands in for a server of the Anthropic Messages API, which keeps nothing and takes nothing it does not know."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from tests.servers.base import Answer, Asked, Broken, Service, event, json_answer, manner, stream_answer, words_of

MODELS = ("fake", "other")
VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
"""What the newest version takes no more."""
KNOWN = frozenset(
    "model messages max_tokens stream system temperature top_p top_k stop_sequences thinking tools tool_choice metadata "
    "service_tier container context_management mcp_servers output_config cache_control".split()
)


def make(*, pace: float = 0.0, key: str = "") -> Anthropic:
    return Anthropic(pace=pace, key=key)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "anthropic"\nbase_url = "{url}/v1"\nmodel = "fake"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


class Anthropic(Service):
    """Answers from what each request tells it, and nothing else."""

    def __init__(self, *, pace: float = 0.0, key: str = "") -> None:
        super().__init__(pace=pace, key=key)
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        """There is nothing to forget."""

    async def answer(self, asked: Asked) -> Answer:
        given = asked.headers.get("x-api-key") or asked.headers.get("authorization", "").removeprefix("Bearer ")
        if self.key and not given:
            return self._error(401, "authentication_error", "x-api-key header is required")
        if self.key and given != self.key:
            return self._error(401, "authentication_error", "invalid x-api-key")
        version = asked.headers.get("anthropic-version", "")
        if version not in VERSIONS:
            wrong = f'"{version}" is not a valid version' if version else "header is required"
            return self._error(400, "invalid_request_error", f"anthropic-version: {wrong}")
        match asked.method, asked.path:
            case "GET", "/v1/models":
                return json_answer(self._models(int(asked.query.get("limit", 20))))
            case "POST", "/v1/messages":
                return self._create(asked)
        return self._error(404, "not_found_error", "Not Found")

    def _models(self, limit: int) -> dict[str, Any]:
        listed = [
            {"type": "model", "id": name, "display_name": name.title(), "created_at": "2026-01-01T00:00:00Z"}
            for name in MODELS[:limit]
        ]
        ends = {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]}
        return {"data": listed, "has_more": limit < len(MODELS), **ends}

    def _create(self, asked: Asked) -> Answer:
        body = asked.json
        if not isinstance(body, dict):
            return self._error(400, "invalid_request_error", "The request body is not valid JSON")
        known = KNOWN - SAMPLING if asked.headers["anthropic-version"] == VERSIONS[-1] else KNOWN
        wrong = next(_faults(body, known), "")
        if wrong:
            return self._error(400, "invalid_request_error", wrong)
        if body["model"] not in MODELS:
            return self._error(404, "not_found_error", f"model: {body['model']}")
        prompts = [_text(one) for one in body["messages"] if one["role"] == "user"]
        prompt = prompts[-1]
        if manner(prompt) == "fail first":
            return self._error(500, "api_error", "Internal server error")
        number = next(self._numbers)
        if not body.get("stream"):
            return json_answer(self._whole(body["model"], prompt, len(prompts), number), request_id=f"req_{number:024}")
        pieces = self._stream(body["model"], prompt, len(prompts), number)
        return stream_answer(pieces, "text/event-stream; charset=utf-8", request_id=f"req_{number:024}")

    def _message(self, model: str, number: int, known: int) -> dict[str, Any]:
        usage = {
            "input_tokens": known,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 10 * (known - 1),
            "output_tokens": 1,
        }
        empty: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
        return {
            "id": f"msg_{number:024}",
            "type": "message",
            "role": "assistant",
            "model": model,
            **empty,
            "usage": usage,
        }

    def _whole(self, model: str, prompt: str, known: int, number: int) -> dict[str, Any]:
        message = self._message(model, number, known)
        text = "".join(words_of(prompt, known))
        message |= {"content": [*_before(manner(prompt)), {"type": "text", "text": text}], "stop_reason": "end_turn"}
        message["usage"]["output_tokens"] = 7
        return message

    async def _stream(self, model: str, prompt: str, known: int, number: int) -> AsyncGenerator[bytes, None]:
        yield _event("message_start", message=self._message(model, number, known))
        yield _event("ping")
        blocks = _before(manner(prompt))
        for index, block in enumerate(blocks):
            for one in _told(index, block):
                yield one
                await self.pause()
        if manner(prompt) != "empty":
            index = len(blocks)
            yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for place, piece in enumerate(words_of(prompt, known)):
                yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
                await self.pause()
                if place == 2:
                    async for one in self._trouble(manner(prompt)):
                        yield one
                    if manner(prompt) == "fail later":
                        return
            yield _event("content_block_stop", index=index)
        yield _event(
            "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 7}
        )
        yield _event("message_stop")

    async def _trouble(self, what: str) -> AsyncGenerator[bytes, None]:
        """What happens in the middle of an answer."""
        if what == "hang":
            await self.hang()
        elif what == "cut":
            raise Broken
        elif what == "fail later":
            yield _event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    def _error(self, status: int, kind: str, message: str) -> Answer:
        request_id = f"req_{next(self._numbers):024}"
        error = {"type": kind, "message": message}
        return json_answer({"type": "error", "error": error, "request_id": request_id}, status, request_id=request_id)


def _faults(body: dict[str, Any], known: frozenset[str]) -> Iterator[str]:
    """What is wrong with a request, in the server's words."""
    yield from (f"{name}: Field required" for name in ("model", "max_tokens", "messages") if name not in body)
    yield from (f"{name}: Extra inputs are not permitted" for name in body if name not in known)
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    messages = body["messages"]
    if not messages:
        yield "messages: at least one message is required"
    elif messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    for place, (one, other) in enumerate(itertools.zip_longest(messages, messages[1:])):
        if one["role"] not in ("user", "assistant"):
            yield f'messages.{place}.role: Input should be "user" or "assistant"'
        if not _text(one).strip():
            yield "messages: text content blocks must contain non-whitespace text"
        if other is not None and one["role"] == other["role"]:
            yield (
                'messages: roles must alternate between "user" and "assistant", but found multiple '
                f'"{one["role"]}" roles in a row'
            )


def _before(what: str) -> list[dict[str, Any]]:
    """The blocks before the text."""
    if what == "think":
        return [{"type": "thinking", "thinking": "It is a simple question.", "signature": "c2lnbmF0dXJl"}]
    if what not in ("tool", "table"):
        return []
    rows = {"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}
    name, given, result = "weather", {"city": "Hamburg"}, "17 degrees"
    if what == "table":
        name, given, result = "query", {"sql": "SELECT city, n FROM bridges"}, json.dumps(rows)
    said = [{"type": "text", "text": result}]
    return [
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": name, "server_name": "town", "input": given},
        {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": said},
    ]


def _told(index: int, block: dict[str, Any]) -> Iterator[bytes]:
    """A block as it streams: thinking and arguments in pieces, results whole."""
    deltas: list[dict[str, Any]] = []
    start = block
    if block["type"] == "thinking":
        start = block | {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _halves(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] == "mcp_tool_use":
        start = block | {"input": {}}
        pieces = ["", *_halves(json.dumps(block["input"]))]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    yield _event("content_block_start", index=index, content_block=start)
    yield from (_event("content_block_delta", index=index, delta=delta) for delta in deltas)
    yield _event("content_block_stop", index=index)


def _halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def _event(kind: str, **fields: Any) -> bytes:
    """An event, whose name is also its type, as compact JSON."""
    return event(json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":")), kind)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")
