"""Conversations as Claude exports them: messages in order, which may hang on branches."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from tui.exchange.fields import Fields, fields_of, rows, seconds, text, words
from tui.exchange.large_json import LargeArray
from tui.exchange.places import Places
from tui.exchange.thread import Said, Thread, turns_of
from tui.fences import fenced
from tui.model import ItemKind

PROGRAM = "Claude"

_ROLES = {"human": "user", "user": "user", "assistant": "assistant"}


def read(conversation: Fields) -> Thread:
    """The thread of a conversation.

    Raises:
        TooLong: It is longer than is taken in.
    """
    messages = rows(conversation.get("chat_messages"))
    shown = _branch(messages, text(conversation.get("current_leaf_message_uuid")))
    model = text(conversation.get("model"))
    return Thread(
        PROGRAM,
        text(conversation.get("uuid")),
        turns_of(one for place in shown for one in _said(fields_of(messages[place]), model)),
        title=text(conversation.get("name")),
        created_at=seconds(conversation.get("created_at")) or 0.0,
        left_out=len(messages) - len(shown),
    )


def _branch(messages: list[Any] | LargeArray, leaf: str) -> Sequence[int]:
    """The places of the messages up to the one shown last. Where they do not say what they answer, that is all of them."""
    named = Places()
    last = ""
    for place, message in enumerate(messages):
        last = text(fields_of(message).get("uuid"))
        if last:
            named.put(last, place)
    if all(named.get(_parent(message)) is None for message in messages):
        return range(len(messages))
    at = named.get(leaf)
    found, is_found = array("I"), bytearray(len(messages))
    at = named.get(last) if at is None else at
    while at is not None and not is_found[at]:
        found.append(at)
        is_found[at] = True
        at = named.get(_parent(messages[at]))
    found.reverse()
    return found


def _parent(message: Any) -> str:
    return text(fields_of(message).get("parent_message_uuid"))


def _said(message: Fields, model: str) -> Iterator[Said]:
    sender = text(message.get("sender")) or "unknown"
    role, at = _ROLES.get(sender, sender), seconds(message.get("created_at"))
    blocks: list[Fields] = [fields_of(block) for block in rows(message.get("content"))]
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


def _typed(blocks: list[Fields]) -> str:
    return "\n\n".join(filter(None, (text(block.get("text")) for block in blocks)))


def _of_block(block: Fields) -> tuple[ItemKind, str] | None:
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
    parts = [fields_of(part) for part in rows(content)]
    return "\n\n".join(filter(None, (text(part.get("text")) for part in parts))) or words(content)


def _attached(message: Fields) -> Iterator[str]:
    """What was sent along with a prompt: the text of files, the names of others."""
    for one in map(fields_of, rows(message.get("attachments"))):
        name, told = text(one.get("file_name")) or "a file", text(one.get("extracted_content"))
        yield f"{name}:\n\n{fenced(told)}" if told else f"[{name}, not in the export]"
    for one in map(fields_of, rows(message.get("files"))):
        yield f"[{text(one.get('file_name')) or 'a file'}, not in the export]"
