"""The models behind the servers: our own stand-ins, which also know how to be busy, and what a tool has found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.servers.base import Answer, Asked, Running, json_answer, serving
from tests.servers.chat import Chat
from tests.servers.responses import Responses


class BusyResponses(Responses):
    """Behind smg, which tells it all that was said."""

    async def answer(self, asked: Asked) -> Answer:
        return _refusal(asked) or await super().answer(asked)


class ToolChat(Chat):
    """Behind an agent, which calls the tools it asks for."""

    async def answer(self, asked: Asked) -> Answer:
        return await super().answer(_with_found(asked))


def _refusal(asked: Asked) -> Answer | None:
    """That there are too many requests, where the newest prompt wants it to be said."""
    said = asked.json.get("input") if isinstance(asked.json, dict) else None
    if not isinstance(said, list) or not said or not words_in(said[-1]).startswith("limit"):
        return None
    error = {"message": "You are asking too often.", "type": "rate_limit_error", "param": None, "code": "slow_down"}
    return json_answer({"error": error}, 429)


def words_in(message: dict[str, Any]) -> str:
    """What a message says, which a gateway gives in parts."""
    content = message.get("content")
    return "".join(part["text"] for part in content) if isinstance(content, list) else str(content)


def _with_found(asked: Asked) -> Asked:
    """A request that ends in what a tool has found, as one in which the user said that."""
    body: Any = asked.json
    said = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(said, list) or not said or said[-1].get("role") != "tool":
        return asked
    last = max(place for place, one in enumerate(said) if one.get("role") == "user")
    messages = [*said[:last], {"role": "user", "content": said[-1].get("content")}]
    return replace(asked, body=json.dumps(body | {"messages": messages}).encode())


def said(prompt: str, known: int = 1) -> str:
    """What the models behind the servers answer, where they know of so many prompts."""
    return f"{known} prompt{'s' if known > 1 else ''} so far. You said: {prompt}"


@contextmanager
def behind_smg(*, pace: float = 0.0) -> Iterator[Running]:
    with serving(BusyResponses(pace=pace)) as model:
        yield model


@contextmanager
def behind_agent(*, pace: float = 0.0) -> Iterator[Running]:
    with serving(ToolChat(pace=pace)) as model:
        yield model
