"""guide's server: the Responses protocol spoken for real, in process.

It accepts only ids it issued, lets them expire, streams, can be stopped, and errs on request. An id carries what the
next turn needs, signed, so that a conversation outlives the process that began it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import field
from typing import Any

from tui.guide.answers import Script, answer
from tui.guide.manual import titled
from tui.values import dataclass

LIFETIME = 30 * 86400.0
"""Seconds an id is good for."""

_SIGNING = b"guide issues its own ids"
_WORDS = re.compile(r"\s*\S+\s*")


@dataclass(slots=True)
class Answer:
    """An HTTP answer. `chunks` are the body's bytes as they come."""

    status: int
    content_type: str
    chunks: AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is read from a request: the newest prompt, whether anything was said before, and the passage shown last."""

    prompt: str
    is_first: bool
    topic: int
    previous: str
    stream: bool
    store: bool


@dataclass(slots=True)
class GuideServer:
    """`speed` divides every pause (0 for none); `now` is the clock ids are dated by, `monotonic` the one pauses go by."""

    speed: float = 1.0
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _count: int = field(default=0)

    async def handle(self, method: str, path: str, body: bytes) -> Answer:
        """The answer to one request."""
        if method == "GET" and path == "/models":
            return _json(200, {"object": "list", "data": [{"id": "guide", "object": "model", "owned_by": "palaver"}]})
        if method != "POST" or path != "/responses":
            return _error(404, "not_found", f"guide has no {method} {path}")
        try:
            asked = _read(body)
        except _Unreadable as error:
            return _error(400, "invalid_request", str(error), error.param)
        topic = self.topic_of(asked.previous) if asked.previous else asked.topic
        if topic is None:
            message = f"Previous response with id '{asked.previous}' not found."
            return _error(400, "previous_response_not_found", message, "previous_response_id")
        script = answer(asked.prompt, topic, is_first=asked.is_first)
        # What is not to be stored cannot be gone on from.
        response_id = self.issue(script.topic, forgotten=script.forget or not asked.store)
        response = {"id": response_id, "object": "response", "created_at": int(self.now()), "model": "guide",
                    "status": "in_progress", "error": None, "store": asked.store, "output": []}  # fmt: skip
        if not asked.stream:
            *_, last = _events(script, response)
            return _json(200, last["response"])
        return Answer(200, "text/event-stream", self._stream(_events(script, response)))

    def issue(self, topic: int, *, forgotten: bool = False) -> str:
        """A new id that remembers the passage shown last."""
        self._count += 1
        when = 0 if forgotten else int(self.now())
        head = f"{when:x}-{topic + 1:x}-{self._count:x}"
        return f"resp_{head}-{_sign(head)}"

    def topic_of(self, response_id: str) -> int | None:
        """The passage an id remembers (-1 for none), or None for an id that is not ours or too old."""
        match = re.fullmatch(r"resp_(([0-9a-f]{1,12})-([0-9a-f]{1,4})-[0-9a-f]{1,8})-([0-9a-f]{16})", response_id)
        if match is None or not hmac.compare_digest(_sign(match[1]), match[4]):
            return None
        if self.now() - int(match[2], 16) > LIFETIME:
            return None
        return int(match[3], 16) - 1

    async def _stream(self, events: Iterator[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
        due = self.monotonic()
        for number, event in enumerate(events):
            # Against the clock, so that an answer takes no longer on a machine that is busy.
            due += event.pop("pause", 0.0) / self.speed if self.speed else 0.0
            if (wait := due - self.monotonic()) > 0:
                await self.sleep(wait)
            event["sequence_number"] = number
            yield f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


class _Unreadable(Exception):
    """A request that makes no sense. `param` is the field that is to blame, if it is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def _read(body: bytes) -> _Asked:
    """What a request's body asks for.

    Raises:
        _Unreadable: It is not what the protocol has.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise _Unreadable("guide could not read the request: it is not JSON") from None
    if not isinstance(asked, dict):
        raise _Unreadable("guide could not read the request: it is not an object")
    previous = asked.get("previous_response_id") or ""
    if not isinstance(previous, str):
        raise _Unreadable("previous_response_id has to be a string", "previous_response_id")
    given = asked.get("input")
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(messages, list) or not messages:
        raise _Unreadable("input has to be a string or a list of messages", "input")
    *earlier, newest = [_message(message) for message in messages]
    if newest[0] != "user":
        raise _Unreadable("the last message of input has to be the user's", "input")
    return _Asked(
        prompt=newest[1],
        is_first=not previous and not earlier,
        topic=_topic_of(earlier),
        previous=previous,
        stream=asked.get("stream") is True,
        store=asked.get("store") is not False,
    )


def _message(message: Any) -> tuple[str, str]:
    """A message's role and text, which comes as a string or in parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        content = " ".join(text for part in content if isinstance(text := part.get("text"), str))
    if not isinstance(content, str):
        raise _Unreadable("a message of input has no text", "input")
    return str(message.get("role", "user")), content


def _topic_of(said: list[tuple[str, str]]) -> int:
    """The passage that was shown last, going by what was said; -1 for none."""
    for role, text in reversed(said):
        headings = re.findall(r"(?m)^## (.+)$", text) if role == "assistant" else []
        if headings and (passage := titled(headings[0])):
            return passage.number
    return -1


def _events(script: Script, response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that is streamed; the last event holds the whole response."""
    output: list[dict[str, Any]] = []
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    if script.reasoning:
        yield from _reasoning(script, output)
    if script.call:
        yield from _call(script.call, output)
    place = len(output)
    message: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress",
                               "content": []}  # fmt: skip
    yield {"type": "response.output_item.added", "output_index": place, "item": message}
    where = {"item_id": "msg_1", "output_index": place, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    yield {"type": "response.content_part.added", "part": part, **where}
    said = ""
    for number, word in enumerate(_WORDS.findall(script.text)):
        if number == script.fail_after:
            message = message | {"status": "incomplete", "content": [part | {"text": said}]}
            error = {"code": "server_error", "message": "guide fails here because it was asked to"}
            failed = response | {"status": "failed", "error": error, "output": [*output, message]}
            yield {"type": "response.failed", "response": failed}
            return
        said += word
        yield {"type": "response.output_text.delta", "pause": script.pace, "delta": word, **where}
    part = part | {"text": script.text}
    yield {"type": "response.output_text.done", "text": script.text, **where}
    yield {"type": "response.content_part.done", "part": part, **where}
    message = message | {"status": "completed", "content": [part]}
    yield {"type": "response.output_item.done", "output_index": place, "item": message}
    yield {"type": "response.completed", "response": response | {"status": "completed", "output": [*output, message]}}


def _reasoning(script: Script, output: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    item: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
    where = {"item_id": "rs_1", "output_index": len(output), "summary_index": 0}
    yield {"type": "response.output_item.added", "output_index": len(output), "item": item}
    for word in _WORDS.findall(script.reasoning):
        yield {"type": "response.reasoning_summary_text.delta", "pause": 2 * script.pace, "delta": word, **where}
    yield {"type": "response.reasoning_summary_text.done", "text": script.reasoning, **where}
    item = item | {"summary": [{"type": "summary_text", "text": script.reasoning}]}
    yield {"type": "response.output_item.done", "output_index": len(output), "item": item}
    output.append(item)


def _call(call: tuple[str, str, str], output: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A tool's call that guide makes, and answers, itself."""
    name, arguments, result = call
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": arguments}
    where = {"item_id": "fc_1", "output_index": len(output)}
    yield {"type": "response.output_item.added", "output_index": len(output), "item": item | {"arguments": ""}}
    yield {"type": "response.function_call_arguments.delta", "delta": arguments, **where}
    yield {"type": "response.function_call_arguments.done", "arguments": arguments, **where}
    yield {"type": "response.output_item.done", "output_index": len(output), "item": item, "pause": 0.4}
    output.append(item)
    given = {"type": "function_call_output", "id": "fo_1", "call_id": "call_1", "output": result}
    yield {"type": "response.output_item.done", "output_index": len(output), "item": given, "pause": 0.6}
    output.append(given)


def _sign(head: str) -> str:
    return hmac.new(_SIGNING, head.encode(), hashlib.sha256).hexdigest()[:16]


async def _once(value: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    yield json.dumps(value).encode()


def _json(status: int, value: dict[str, Any]) -> Answer:
    return Answer(status, "application/json", _once(value))


def _error(status: int, code: str, message: str, param: str | None = None) -> Answer:
    return _json(status, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}})
