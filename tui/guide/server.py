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
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tui.guide.manual import Passage, passages, search

LIFETIME = 30 * 86400.0
"""Seconds an id is good for."""

_SIGNING = b"guide issues its own ids"
_WORDS = re.compile(r"\s*\S+\s*")


@dataclass(slots=True)
class Answer:
    """An HTTP answer. `chunks` are the body's bytes as they come."""

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class _Script:
    """What guide is going to say. `pace` is seconds per word; `forget` makes the id one that is already too old."""

    text: str
    reasoning: str = ""
    call: tuple[str, str, str] | None = None
    pace: float = 0.012
    fail_after: int | None = None
    forget: bool = False
    topic: int = -1


@dataclass(slots=True)
class GuideServer:
    """`speed` divides every pause (0 for none); `now` is the clock ids are dated by."""

    speed: float = 1.0
    now: Callable[[], float] = time.time
    sleep: Callable[[float], Any] = asyncio.sleep
    _count: int = field(default=0)

    async def handle(self, method: str, path: str, body: bytes) -> Answer:
        """The answer to one request."""
        if method == "GET" and path == "/models":
            return _json(200, {"object": "list", "data": [{"id": "guide", "object": "model", "owned_by": "palaver"}]})
        if method != "POST" or path != "/responses":
            return _error(404, "not_found", f"guide has no {method} {path}")
        try:
            asked = json.loads(body)
            prompt, earlier = _prompt(asked)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            return _error(400, "invalid_request", "guide could not read the request")
        previous = asked.get("previous_response_id")
        topic = -1
        if previous:
            known = self.topic_of(str(previous))
            if known is None:
                message = f"Previous response with id '{previous}' not found."
                return _error(400, "previous_response_not_found", message, "previous_response_id")
            topic = known
        is_first = not previous and not earlier
        script = self._script(prompt, topic, is_first=is_first)
        return Answer(200, "text/event-stream", self._stream(script))

    def issue(self, topic: int, *, forgotten: bool = False) -> str:
        """A new id that remembers the passage shown last."""
        self._count += 1
        when = 0 if forgotten else int(self.now())
        head = f"{when:x}-{topic + 1:x}-{self._count:x}"
        return f"resp_{head}-{_sign(head)}"

    def topic_of(self, response_id: str) -> int | None:
        """The passage an id remembers (-1 for none), or None for an id that is not ours or too old."""
        match = re.fullmatch(r"resp_(([0-9a-f]+)-([0-9a-f]+)-[0-9a-f]+)-([0-9a-f]{16})", response_id)
        if match is None or not hmac.compare_digest(_sign(match[1]), match[4]):
            return None
        if self.now() - int(match[2], 16) > LIFETIME:
            return None
        return int(match[3], 16) - 1

    def _script(self, prompt: str, topic: int, *, is_first: bool) -> _Script:
        words = prompt.lower().split()
        if words[:1] == ["/demo"]:
            return _demo(words[1] if len(words) > 1 else "")
        if words in (["more"], ["next"], ["go", "on"]) and topic >= 0:
            found = [passages()[(topic + 1) % len(passages())]]
        else:
            found = search(prompt)
        text = _answer(found, prompt)
        if is_first:
            text = f"{_HELLO}\n\n{text}"
        return _Script(text, topic=found[0].number if found else -1)

    async def _stream(self, script: _Script) -> AsyncIterator[bytes]:
        response_id = self.issue(script.topic, forgotten=script.forget)
        response = {"id": response_id, "object": "response", "model": "guide", "status": "in_progress", "output": []}
        for number, event in enumerate(_events(script, response)):
            pause = event.pop("pause", 0.0)
            if pause and self.speed:
                await self.sleep(pause / self.speed)
            event["sequence_number"] = number
            yield f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _events(script: _Script, response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    output: list[dict[str, Any]] = []
    yield {"type": "response.created", "response": response}
    if script.reasoning:
        item: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
        yield {"type": "response.output_item.added", "output_index": len(output), "item": item}
        for word in _WORDS.findall(script.reasoning):
            delta = {"item_id": "rs_1", "output_index": len(output), "summary_index": 0, "delta": word}
            yield {"type": "response.reasoning_summary_text.delta", "pause": script.pace, **delta}
        item = item | {"summary": [{"type": "summary_text", "text": script.reasoning}]}
        yield {"type": "response.output_item.done", "output_index": len(output), "item": item}
        output.append(item)
    if script.call:
        name, arguments, result = script.call
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": arguments}
        yield {"type": "response.output_item.added", "output_index": len(output), "item": call | {"arguments": ""}}
        yield {"type": "response.output_item.done", "output_index": len(output), "item": call, "pause": 0.4}
        output.append(call)
        given = {"type": "function_call_output", "id": "fo_1", "call_id": "call_1", "output": result}
        yield {"type": "response.output_item.done", "output_index": len(output), "item": given, "pause": 0.6}
        output.append(given)
    place = len(output)
    message: dict[str, Any] = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    yield {"type": "response.output_item.added", "output_index": place, "item": message}
    where = {"item_id": "msg_1", "output_index": place, "content_index": 0}
    for said, word in enumerate(_WORDS.findall(script.text)):
        if said == script.fail_after:
            error = {"code": "server_error", "message": "guide fails here because it was asked to"}
            yield {"type": "response.failed", "response": response | {"status": "failed", "error": error}}
            return
        yield {"type": "response.output_text.delta", "pause": script.pace, "delta": word, **where}
    content = [{"type": "output_text", "text": script.text, "annotations": []}]
    message = message | {"status": "completed", "content": content}
    yield {"type": "response.output_item.done", "output_index": place, "item": message}
    yield {"type": "response.completed", "response": response | {"status": "completed", "output": [*output, message]}}


_HELLO = (
    "*I am **guide**, the manual inside Palaver. I am no language model: I find the passage of the manual that fits your "
    "question. To talk to a model, name its server in the configuration (ask me “how do I add a server?”).*"
)

_TRY = """\
To try things out, say

| | |
| --- | --- |
| `/demo long` | a long answer, to scroll and to stop with Esc |
| `/demo slow` | a slow one, to switch sessions meanwhile |
| `/demo tools` | reasoning and a tool's call, folded to one line |
| `/demo fail` | an answer that breaks off |
| `/demo forget` | then say anything: a conversation the server has forgotten |"""


def _answer(found: list[Passage], prompt: str) -> str:
    if not found:
        topics = "\n".join(f"- {passage.title}" for passage in passages()[:12])
        begin = "Ask me anything about Palaver" if not prompt.strip("?! .") or _is_greeting(prompt) else _NOTHING
        return f"{begin}. The manual covers, among others:\n\n{topics}\n\n{_TRY}"
    best = found[0]
    text = f"## {best.title}\n\n{best.text}"
    others = [f"*{passage.title}*" for passage in found[1:]]
    return f"{text}\n\nSee also: {', '.join(others)}." if others else text


_NOTHING = "The manual has no passage with these words"


def _is_greeting(prompt: str) -> bool:
    return (
        re.fullmatch(r"(?i)\W*(hi|hello|hey|hallo|help|good \w+|who are you|what are you)\b.*", prompt.strip())
        is not None
    )


def _demo(name: str) -> _Script:
    match name:
        case "long":
            text = "\n\n".join(f"## {passage.title}\n\n{passage.text}" for passage in passages())
            return _Script(f"The whole manual, from its first line.\n\n{text}", topic=0)
        case "slow":
            text = "This answer takes its time. Press Alt+Down or Ctrl+O to look at another session meanwhile: it goes on, "
            text += "and its row in the sidebar shows that it does. Come back, and nothing is missing. "
            return _Script(text + "One word follows the other, slowly, " * 12 + "until the end.", pace=0.25)
        case "tools":
            return _Script(
                "The manual has these passages:\n\n"
                + "\n".join(f"{number}. {passage.title}" for number, passage in enumerate(passages()[:5], 1))
                + "\n\nThe call above is folded: press Tab, go to it with Up, and Enter unfolds it.",
                reasoning="I could answer from memory, but looking into the manual is safer.",
                call=("search_manual", '{"words": ["sessions", "servers"], "limit": 5}', f"{len(passages())} passages"),
            )
        case "fail":
            return _Script("This answer was going well until, quite without warning, it broke off. " * 3, fail_after=12)
        case "forget":
            return _Script("I have forgotten this conversation. Say anything now and watch what happens.", forget=True)
        case _:
            return _Script(_TRY)


def _prompt(asked: dict[str, Any]) -> tuple[str, int]:
    """The newest user message, and how many messages came before it."""
    given = asked["input"]
    if isinstance(given, str):
        return given, 0
    content = given[-1]["content"]
    if not isinstance(content, str):
        content = " ".join(part.get("text", "") for part in content)
    return content, len(given) - 1


def _sign(head: str) -> str:
    return hmac.new(_SIGNING, head.encode(), hashlib.sha256).hexdigest()[:16]


def _json(status: int, value: dict[str, Any]) -> Answer:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps(value).encode()

    return Answer(status, "application/json", chunks())


def _error(status: int, code: str, message: str, param: str | None = None) -> Answer:
    return _json(status, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}})
