"""Conversations as ChatGPT exports them: a tree of messages, of which one branch is the one that was shown."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator
from typing import Any

from tui.exchange.fields import Fields, fields_of, placed, rows, seconds, text, words
from tui.exchange.large_json import LargeArray, LargeObject, SmallObject
from tui.exchange.thread import Said, Thread, turns_of
from tui.model import ItemKind

PROGRAM = "ChatGPT"


def read(conversation: Fields) -> Thread:
    """The thread of a conversation. A tree that is broken is read as far as it hangs together.

    Raises:
        TooLong: It is longer than is taken in.
    """
    nodes = placed(conversation.get("mapping"))
    shown = _branch(nodes, _leaf(nodes, text(conversation.get("current_node"))))
    is_shown = bytearray(len(nodes))
    for place in shown:
        is_shown[place] = True
    source = text(conversation.get("conversation_id")) or text(conversation.get("id")) or _fingerprint(nodes)
    return Thread(
        PROGRAM,
        source,
        turns_of(one for place in shown for one in _said(_message(nodes[place]))),
        title=text(conversation.get("title")),
        created_at=seconds(conversation.get("create_time")) or 0.0,
        left_out=sum(any(_said(_message(nodes[place]))) for place in range(len(nodes)) if not is_shown[place]),
    )


def _message(node: Any) -> Fields:
    return fields_of(fields_of(node).get("message"))


def _leaf(nodes: SmallObject | LargeObject, current: str) -> int | None:
    """The place of the last message shown: the one that is named, or the newest one where there is none of that name."""
    place = nodes.place(current)
    if place is not None:
        return place
    newest, at = None, -1.0
    for place, node in enumerate(nodes):
        moment = seconds(_message(node).get("create_time")) or 0.0
        if moment > at:
            newest, at = place, moment
    return newest


def _branch(nodes: SmallObject | LargeObject, leaf: int | None) -> array[int]:
    """The places of the messages from the first one to `leaf`. Where a parent is missing, or comes again, it begins."""
    found, is_found = array("I"), bytearray(len(nodes))
    place = leaf
    while place is not None and not is_found[place]:
        found.append(place)
        is_found[place] = True
        place = nodes.place(text(fields_of(nodes[place]).get("parent")))
    found.reverse()
    return found


def _said(message: Fields) -> Iterator[Said]:
    metadata, content, author = (
        fields_of(message.get("metadata")),
        fields_of(message.get("content")),
        fields_of(message.get("author")),
    )
    if metadata.get("is_visually_hidden_from_conversation") is True:
        return
    role, recipient = text(author.get("role")) or "unknown", text(message.get("recipient")) or "all"
    at, model = seconds(message.get("create_time")), text(metadata.get("model_slug"))
    told = _text(content)
    match text(content.get("content_type")):
        case "thoughts":
            thoughts = [fields_of(one) for one in rows(content.get("thoughts"))]
            told = "\n\n".join(filter(None, (_thought(one) for one in thoughts)))
            kind = ItemKind.REASONING
        case "reasoning_recap" | "model_editable_context" | "user_editable_context":
            return
        case _ if role == "assistant" and recipient != "all":
            yield Said(role, told, ItemKind.TOOL_CALL, recipient, at=at, model=model)
            return
        case "system_error":
            kind, role = ItemKind.NOTICE, "error"
        case _ if role == "tool":
            kind = ItemKind.TOOL_RESULT
        case _:
            kind = ItemKind.MESSAGE
    if told.strip():
        name = text(author.get("name")) if role == "tool" else ""
        yield Said(role, told, kind, name, at=at, model=model)


def _text(content: Fields) -> str:
    parts = content.get("parts")
    if isinstance(parts, list | LargeArray):
        return "\n\n".join(filter(None, map(_part, parts)))
    if text(content.get("content_type")) == "code":
        return text(content.get("text"))
    return text(content.get("text")) or text(content.get("result")) or text(content.get("content"))


def _part(part: Any) -> str:
    """A part of a message: text, or something that is only named here."""
    if isinstance(part, str):
        return part
    fields = fields_of(part)
    if told := text(fields.get("text")):
        return told
    kind = text(fields.get("content_type")).removesuffix("_asset_pointer").replace("_", " ")
    return f"[{kind or 'something'} that is not in the export]" if fields else words(part)


def _thought(thought: Fields) -> str:
    summary, told = text(thought.get("summary")), text(thought.get("content"))
    return f"**{summary}**\n\n{told}" if summary and told else summary or told


def _fingerprint(nodes: SmallObject | LargeObject) -> str:
    """A name for a conversation that has none."""
    names = sorted(map(nodes.name, range(len(nodes))))
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()
