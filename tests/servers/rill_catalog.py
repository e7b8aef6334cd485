"""What a stand-in Rill runtime keeps: conversations, and the messages of an answer as it is being made."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Conversation:
    """A conversation as the catalog has it."""

    id: str
    owner: str
    title: str = ""
    shared_until: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    created_on: str = ""
    updated_on: str = ""
    is_foreign: bool = False


class Talk:
    """Adds messages to a conversation, each with its place in what its user sees of it."""

    def __init__(self, conversation: Conversation, seen: list[dict[str, Any]], now: Callable[[], str]) -> None:
        self.conversation = conversation
        self.seen = seen
        self._now = now

    def call(
        self, tool: str, given: Any, parent: dict[str, Any] | None = None, role: str = "assistant"
    ) -> dict[str, Any]:
        own_id = str(uuid.uuid4())
        content: dict[str, Any] = {"toolCall": {"id": own_id, "name": tool, "input": given or {}}}
        if tool == "router_agent":
            content = {"text": given["prompt"]}
        return self._add(own_id, parent, role, "call", tool, "json", json.dumps(given), content)

    def result(self, call: dict[str, Any], given: Any, *, failed: bool = False) -> dict[str, Any]:
        tool, data = call["tool"], given if failed else json.dumps(given)
        content: dict[str, Any] = {"toolResult": {"id": call["id"], "content": data, "isError": failed}}
        if tool == "router_agent":
            content = {"text": f"Error: {given}" if failed else given["response"]}
        role = "assistant" if tool == "router_agent" else "tool"
        return self._add(str(uuid.uuid4()), call, role, "result", tool, "error" if failed else "json", data, content)

    def progress(self, words: str, parent: dict[str, Any]) -> dict[str, Any]:
        return self._add(str(uuid.uuid4()), parent, "assistant", "progress", "", "text", words, {"text": words})

    def _add(
        self,
        own_id: str,
        parent: dict[str, Any] | None,
        role: str,
        kind: str,
        tool: str,
        content_type: str,
        data: str,
        content: dict[str, Any],
    ) -> dict[str, Any]:
        now = self._now()
        message = {
            "id": own_id,
            "parentId": parent["id"] if parent else "",
            "createdOn": now,
            "updatedOn": now,
            "index": len(self.seen),
            "role": role,
            "type": kind,
            "tool": tool,
            "contentType": content_type,
            "contentData": data,
            "content": [content],
        }
        self.seen.append(message)
        self.conversation.messages.append(message)
        self.conversation.messages.sort(key=lambda one: one["index"])
        self.conversation.updated_on = now
        return message


def loose(value: Any, dice: random.Random) -> str:
    """JSON with keys in any order, and blanks wherever they may be."""

    def shuffled(one: Any) -> Any:
        if isinstance(one, dict):
            names = list(one)
            dice.shuffle(names)
            return {name: shuffled(one[name]) for name in names}
        return [shuffled(each) for each in one] if isinstance(one, list) else one

    separators = dice.choice((",", ", ", " ,  ")), dice.choice((":", ": ", " :  "))
    return json.dumps(shuffled(value), separators=separators, ensure_ascii=False)


def sparse(message: dict[str, Any]) -> dict[str, Any]:
    """A message as a stream has it: what is zero is left out, but for the one part of its content that is set."""
    found = {name: value for name, value in message.items() if value not in ("", 0)}
    result = message["content"][0].get("toolResult")
    if result is not None:
        found["content"] = [{"toolResult": {name: value for name, value in result.items() if value}}]
    return found


def described(one: Conversation, messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": one.id,
        "ownerId": one.owner,
        "title": one.title,
        "userAgent": "rill/unknown",
        "createdOn": one.created_on,
        "updatedOn": one.updated_on,
        "messages": messages,
    }


def renamed(message: dict[str, Any], new_ids: Mapping[str, str]) -> dict[str, Any]:
    """A copy under new ids."""
    content = json.loads(json.dumps(message["content"]))
    for block in content:
        for part in block.values():
            if isinstance(part, dict):
                part["id"] = new_ids[part["id"]]
    return message | {"id": new_ids[message["id"]], "parentId": new_ids[message["parentId"]], "content": content}


def is_prompt(message: Mapping[str, Any]) -> bool:
    return (message["tool"], message["type"]) == ("router_agent", "call")


def is_answer(message: Mapping[str, Any]) -> bool:
    return (message["tool"], message["type"]) == ("router_agent", "result")
