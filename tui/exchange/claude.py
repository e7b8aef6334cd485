"""Conversations as Claude exports them: messages in order, which may hang on branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tui.exchange.fields import rows, seconds, table, text, words
from tui.exchange.thread import Said, Thread, turns_of
from tui.model import ItemKind

PROGRAM = "Claude"

_ROLES = {"human": "user", "user": "user", "assistant": "assistant"}


def read(conversation: dict[str, Any]) -> Thread:
    """The thread of a conversation."""
    messages = [table(one) for one in rows(conversation.get("chat_messages"))]
    shown = _branch(messages, text(conversation.get("current_leaf_message_uuid")))
    model = text(conversation.get("model"))
    return Thread(
        PROGRAM,
        text(conversation.get("uuid")),
        turns_of(one for message in shown for one in _said(message, model)),
        title=text(conversation.get("name")),
        created_at=seconds(conversation.get("created_at")) or 0.0,
        left_out=len(messages) - len(shown),
    )


def _branch(messages: list[dict[str, Any]], leaf: str) -> list[dict[str, Any]]:
    """The messages up to the one shown last. Where they do not say what they answer, that is all of them."""
    named = {text(message.get("uuid")): message for message in messages if text(message.get("uuid"))}
    if not messages or not any(text(message.get("parent_message_uuid")) in named for message in messages):
        return messages
    name = leaf if leaf in named else text(messages[-1].get("uuid"))
    found: dict[str, dict[str, Any]] = {}
    while name in named and name not in found:
        found[name] = named[name]
        name = text(named[name].get("parent_message_uuid"))
    return list(found.values())[::-1]


def _said(message: dict[str, Any], model: str) -> Iterator[Said]:
    sender = text(message.get("sender")) or "unknown"
    role, at = _ROLES.get(sender, sender), seconds(message.get("created_at"))
    blocks = [table(block) for block in rows(message.get("content"))]
    if role == "user":
        told = _typed(blocks) or text(message.get("text"))
        yield Said(role, "\n\n".join(filter(None, [told, *_attached(message)])), at=at)
        return
    if not any(map(_of_block, blocks)):
        blocks = [{"type": "text", "text": text(message.get("text"))}]
    for block in blocks:
        kind, told = _of_block(block) or (ItemKind.NOTICE, "")
        if told or kind is ItemKind.TOOL_CALL:
            call = text(block.get("id")) or text(block.get("tool_use_id"))
            failed = block.get("is_error") is True
            yield Said(
                role, told, kind, text(block.get("name")), call, at, model if kind is ItemKind.MESSAGE else "", failed
            )


def _typed(blocks: list[dict[str, Any]]) -> str:
    return "\n\n".join(filter(None, (text(block.get("text")) for block in blocks)))


def _of_block(block: dict[str, Any]) -> tuple[ItemKind, str] | None:
    match text(block.get("type")):
        case "text" | "voice_note":
            return ItemKind.MESSAGE, text(block.get("text"))
        case "thinking":
            return ItemKind.REASONING, text(block.get("thinking"))
        case "tool_use":
            return ItemKind.TOOL_CALL, words(block.get("input"))
        case "tool_result":
            return ItemKind.TOOL_RESULT, _result(block.get("content"))
        case _:
            return None


def _result(content: Any) -> str:
    parts = [table(part) for part in rows(content)]
    return "\n\n".join(filter(None, (text(part.get("text")) for part in parts))) or words(content)


def _attached(message: dict[str, Any]) -> Iterator[str]:
    """What was sent along with a prompt: the text of files, the names of others."""
    for one in map(table, rows(message.get("attachments"))):
        name, told = text(one.get("file_name")) or "a file", text(one.get("extracted_content"))
        fence = "`" * 3
        while fence in told:
            fence += "`"
        yield f"{name}:\n\n{fence}\n{told}\n{fence}" if told else f"[{name}, not in the export]"
    for one in map(table, rows(message.get("files"))):
        yield f"[{text(one.get('file_name')) or 'a file'}, not in the export]"
