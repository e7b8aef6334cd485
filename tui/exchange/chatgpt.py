"""Conversations as ChatGPT exports them: a tree of messages, of which one branch is the one that was shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from tui.exchange.fields import rows, seconds, table, text, words
from tui.exchange.thread import Said, Thread, turns_of
from tui.model import ItemKind

PROGRAM = "ChatGPT"


def read(conversation: dict[str, Any]) -> Thread:
    """The thread of a conversation. A tree that is broken is read as far as it hangs together."""
    nodes = {name: table(node) for name, node in table(conversation.get("mapping")).items()}
    shown = _branch(nodes, _leaf(nodes, text(conversation.get("current_node"))))
    said = [one for name in shown for one in _said(table(nodes[name].get("message")))]
    told = sum(any(_said(table(node.get("message")))) for node in nodes.values())
    source = text(conversation.get("conversation_id")) or text(conversation.get("id")) or _fingerprint(nodes)
    return Thread(
        PROGRAM,
        source,
        turns_of(said),
        title=text(conversation.get("title")),
        created_at=seconds(conversation.get("create_time")) or 0.0,
        left_out=told - sum(any(_said(table(nodes[name].get("message")))) for name in shown),
    )


def _leaf(nodes: dict[str, dict[str, Any]], current: str) -> str:
    """The last message shown: the one that is named, or the newest one where there is none of that name."""
    if current in nodes:
        return current
    newest, at = "", -1.0
    for name, node in nodes.items():
        moment = seconds(table(node.get("message")).get("create_time")) or 0.0
        if moment > at:
            newest, at = name, moment
    return newest


def _branch(nodes: dict[str, dict[str, Any]], leaf: str) -> list[str]:
    """The names of the messages from the first one to `leaf`. Where a parent is missing, or comes again, it begins."""
    found: dict[str, None] = {}
    name = leaf
    while name in nodes and name not in found:
        found[name] = None
        name = text(nodes[name].get("parent"))
    return list(found)[::-1]


def _said(message: dict[str, Any]) -> Iterator[Said]:
    metadata, content, author = (
        table(message.get("metadata")),
        table(message.get("content")),
        table(message.get("author")),
    )
    if metadata.get("is_visually_hidden_from_conversation") is True:
        return
    role, recipient = text(author.get("role")) or "unknown", text(message.get("recipient")) or "all"
    at, model = seconds(message.get("create_time")), text(metadata.get("model_slug"))
    told = _text(content)
    match text(content.get("content_type")):
        case "thoughts":
            thoughts = [table(one) for one in rows(content.get("thoughts"))]
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


def _text(content: dict[str, Any]) -> str:
    if isinstance(content.get("parts"), list):
        return "\n\n".join(filter(None, map(_part, content["parts"])))
    if text(content.get("content_type")) == "code":
        return text(content.get("text"))
    return text(content.get("text")) or text(content.get("result")) or text(content.get("content"))


def _part(part: Any) -> str:
    """A part of a message: text, or something that is only named here."""
    if isinstance(part, str):
        return part
    fields = table(part)
    if told := text(fields.get("text")):
        return told
    kind = text(fields.get("content_type")).removesuffix("_asset_pointer").replace("_", " ")
    return f"[{kind or 'something'} that is not in the export]" if fields else words(part)


def _thought(thought: dict[str, Any]) -> str:
    summary, told = text(thought.get("summary")), text(thought.get("content"))
    return f"**{summary}**\n\n{told}" if summary and told else summary or told


def _fingerprint(nodes: dict[str, Any]) -> str:
    """A name for a conversation that has none."""
    return hashlib.sha256(json.dumps(sorted(nodes)).encode()).hexdigest()
