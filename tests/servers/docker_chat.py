"""Stands in for `docker agent serve chat`: Chat Completions that take the newest prompt where they know the rest.

Conversations are kept under the client's names, if `keeps` is true. A turn is a transaction: one that fails leaves nothing;
one the client lets go of leaves its prompt. Tools run here, and only their calls are told.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from tests.servers.base import Answer, Asked, Broken, Service, manner, stream_answer, words_of
from tests.servers.echo import go_answer, go_event, message, not_found

AGENTS = ("root", "reviewer")
BODY_LIMIT = 1 << 20
_OTHERS = ("system", "assistant", "tool")


def make(*, pace: float = 0.0, key: str = "") -> DockerChat:
    return DockerChat(pace=pace, key=key)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return (
        f'profile = "{name}"\n[profiles.{name}]\nprotocol = "docker-chat"\nbase_url = "{url}/v1"\nmodel = "root"\n'
        + ('api_key_env = "FAKE_KEY"\n' if key else "")
    )


@dataclass
class Talk:
    """A conversation: what was said in it, as role and text."""

    said: list[tuple[str, str]] = field(default_factory=list)

    @property
    def prompts(self) -> list[str]:
        return [text for role, text in self.said if role == "user"]


@dataclass
class _Turn:
    """One request on its way. `failed` is what went wrong, if anything did."""

    name: str
    talk: Talk
    model: str
    id: str
    failed: str = ""


class DockerChat(Service):
    """`keeps` is whether conversations are kept at all, which the real one does not unless it is told to. `busy` are the
    conversations being answered in. `ran` are the agents that answered."""

    def __init__(self, *, pace: float = 0.0, key: str = "", keeps: bool = True) -> None:
        super().__init__(pace=pace, key=key)
        self.keeps = keeps
        self.talks: dict[str, Talk] = {}
        self.busy: set[str] = set()
        self.ran: list[str] = []
        self._numbers = itertools.count(1)
        self._has_cut = False

    def forget(self) -> None:
        self.talks.clear()

    async def answer(self, asked: Asked) -> Answer:
        if len(asked.body) > BODY_LIMIT:
            return message(413, "Request Entity Too Large")
        if asked.path == "/openapi.json":
            return go_answer({"openapi": "3.1.0"})
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "missing or invalid bearer token")
        match asked.method, asked.path:
            case "GET", "/v1/models":
                data = [{"id": name, "created": 0, "object": "model", "owned_by": "docker-agent"} for name in AGENTS]
                return go_answer({"object": "list", "data": data})
            case "POST", "/v1/chat/completions":
                return await self._complete(asked)
            case _, "/v1/models" | "/v1/chat/completions":
                return message(405, "Method Not Allowed")
        return not_found()

    async def _complete(self, asked: Asked) -> Answer:
        sent, wrong = _decode(asked.body)
        if wrong:
            return _error(400, wrong)
        name = asked.headers.get("x-conversation-id", "")
        if name in self.busy:
            return _error(409, "another request is already in flight for this conversation id")
        talk = self._resolve(name, sent["messages"])
        if talk is None:
            return _error(400, "no user message provided")
        model = str(sent.get("model") or "")
        agent = model if model in AGENTS else AGENTS[0]
        self.ran.append(agent)
        turn = _Turn(name, talk, model or agent, f"chatcmpl-{next(self._numbers):08x}")
        if name:
            self.busy.add(name)
        options = sent.get("stream_options") or {}
        if sent.get("stream"):
            return stream_answer(self._stream(turn, bool(options.get("include_usage"))), connection="keep-alive")
        pieces = [piece async for piece in self._work(turn)]
        self._commit(turn)
        return _whole(turn, pieces)

    def _resolve(self, name: str, messages: list[dict[str, Any]]) -> Talk | None:
        """The conversation with the new prompt in it: a copy of the one that is known, or one made of all messages."""
        known = self.talks.get(name) if name and self.keeps else None
        if known is not None:
            prompt = next((one for one in reversed(messages) if _role(one) == "user" and _text(one).strip()), None)
            return Talk([*known.said, ("user", _text(prompt))]) if prompt else None
        talk = Talk([(_role(one), _text(one)) for one in messages if _text(one).strip()])
        return talk if talk.prompts else None

    async def _stream(self, turn: _Turn, include_usage: bool) -> AsyncGenerator[bytes, None]:
        is_over = False
        try:
            yield _chunk(turn, {"role": "assistant"})
            async for delta in self._work(turn):
                yield _chunk(turn, delta)
            if turn.failed:
                yield go_event({"error": {"message": turn.failed, "type": "internal_error"}})
            yield _chunk(turn, {}, "error" if turn.failed else "stop")
            if include_usage:
                yield go_event(_head(turn) | {"choices": [], "usage": _usage(turn)})
            self._commit(turn)
            is_over = True
            yield b"data: [DONE]\n\n"
        finally:
            if not is_over:
                self._commit(turn)

    def _commit(self, turn: _Turn) -> None:
        """The end of a turn, good or let go of by the client: what there is of it is kept, unless it failed."""
        self.busy.discard(turn.name)
        if turn.name and self.keeps and not turn.failed:
            self.talks[turn.name] = turn.talk

    async def _work(self, turn: _Turn) -> AsyncGenerator[dict[str, Any], None]:
        """The deltas of an answer. What it says is noted in the conversation as it ends."""
        prompt = turn.talk.prompts[-1]
        how = manner(prompt)
        if how == "fail first":
            turn.failed = "all models failed: model root: 500 Internal Server Error"
            return
        if how in ("tool", "table", "approve"):
            for call in _calls(how):
                yield {"tool_calls": [call]}
                await self.pause()
        said = ""
        for number, piece in enumerate(words_of(prompt, len(turn.talk.prompts)) if how != "empty" else []):
            said += piece
            yield {"content": piece}
            await self.pause()
            if number != 2:
                continue
            if how == "hang":
                await self.hang()
            if how == "fail later":
                turn.failed = "model root: stream ended early & was not complete"
                return
            if how == "cut" and not self._has_cut:
                self._has_cut = True
                raise Broken
        turn.talk.said.append(("assistant", said))


def _decode(raw: bytes) -> tuple[dict[str, Any], str]:
    """What was sent, and what is wrong with it, in the decoder's words."""
    try:
        sent = json.loads(raw)
    except ValueError:
        first = raw[:1].decode("latin-1")
        return {}, f"invalid character '{first}' looking for beginning of value" if raw else "EOF"
    if not isinstance(sent, dict):
        return {}, "json: cannot unmarshal into Go value of type chatserver.ChatCompletionRequest"
    messages = sent.get("messages") or []
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return {}, "json: cannot unmarshal string into Go struct field ChatCompletionRequest.messages"
    if not messages:
        return {}, "at least one message is required"
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1)):
        value = sent.get(name)
        if isinstance(value, int | float) and not low <= value <= high:
            return {}, f"{name} must be in {'[' if name == 'temperature' else '('}{low}, {high}], got {value:g}"
    if isinstance(sent.get("max_tokens"), int) and sent["max_tokens"] <= 0:
        return {}, f"max_tokens must be > 0, got {sent['max_tokens']}"
    return sent | {"messages": messages}, ""


def _role(sent: dict[str, Any]) -> str:
    """Who said something: whoever is no one else is the user."""
    role = str(sent.get("role", "")).strip().lower()
    return role if role in _OTHERS else "user"


def _text(sent: dict[str, Any]) -> str:
    content = sent.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _calls(how: str) -> list[dict[str, Any]]:
    """Tool calls as they are told: each whole, the first one without its number."""
    if how == "tool":
        return [_call(0, "weather", {"city": "Hamburg"}), _call(1, "shell", {"cmd": "ls > /tmp/out"})]
    if how == "table":
        return [_call(0, "query", {"sql": "SELECT city, n FROM bridges"})]
    return [_call(0, "deploy", {"to": "production"})]


def _call(number: int, name: str, arguments: object) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments, separators=(",", ":"))}
    call: dict[str, Any] = {"id": f"call_{number + 1}", "type": "function", "function": function}
    return {"index": number, **call} if number else call


def _head(turn: _Turn) -> dict[str, Any]:
    return {"id": turn.id, "object": "chat.completion.chunk", "created": 1780300000, "model": turn.model}


def _chunk(turn: _Turn, delta: dict[str, Any], finish: str = "") -> bytes:
    choice = {"index": 0, "delta": delta} | ({"finish_reason": finish} if finish else {})
    return go_event(_head(turn) | {"choices": [choice]})


def _usage(turn: _Turn) -> dict[str, int]:
    prompts = len(turn.talk.prompts)
    return {"prompt_tokens": prompts, "completion_tokens": 7, "total_tokens": prompts + 7}


def _whole(turn: _Turn, deltas: list[dict[str, Any]]) -> Answer:
    """The answer of one that did not ask for a stream."""
    if turn.failed:
        return _error(500, f"agent execution failed: {turn.failed}", "internal_error")
    said = "".join(delta.get("content", "") for delta in deltas)
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    told: dict[str, Any] = {"role": "assistant"} | ({"content": said} if said else {})
    told |= {"tool_calls": calls} if calls else {}
    choice = {"index": 0, "message": told, "finish_reason": "stop"}
    return go_answer(_head(turn) | {"object": "chat.completion", "choices": [choice], "usage": _usage(turn)})


def _error(status: int, text: str, kind: str = "invalid_request_error") -> Answer:
    return go_answer({"error": {"message": text, "type": kind}}, status)
