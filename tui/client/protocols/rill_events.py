"""The messages of a Rill conversation: what each is to the user, read from a stream or from what a server has kept.

A conversation is a tree of calls and results. The user's prompt is a call of the router agent, and the answer is its
result; all between hangs below it. Messages come whole, as proto-JSON: what is zero may be left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tui.client.protocols.fields import Payload, rows, table, text
from tui.client.protocols.ids import check_id
from tui.client.reply import Rejected, Reply, parse_json, read_error
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemWhole, Noted, TurnEvent
from tui.model import Item, ItemKind, ItemState

ROUTER = "router_agent"

FORK_NOTE = "This conversation was forked: you may not have the access its first owner had."
"""What may be behind an access error in a conversation that was made from someone else's."""

_ACCESS = re.compile(
    r"(?i)action not allowed|(access|permission) denied|resource not found|not (allowed|authori[sz]ed|permitted) to"
)


class RillReader:
    """Reads the frames of one completion. The router agent's result is the answer; the body's end ends it.

    `begun` is whether the server has taken the prompt, which it keeps from then on; `shown`, whether the user has been
    shown anything. With `is_forked` the turn notes what an access error may come from.
    """

    def __init__(self, host: str = "the server", *, is_forked: bool = False) -> None:
        self.over = False
        self.begun = False
        self.shown = False
        self._host = host
        self._conversation_id = ""
        self._warns = is_forked
        self._count = 0
        self._is_noted = False

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        if self.over:
            if payload.get("error") and not self._is_noted:
                self._is_noted = True
                yield Noted("The server reported an error after its answer; it may not have kept it.")
            return
        if payload.get("error") and "message" not in payload:
            raise Rejected(read_error(payload), in_stream=True)
        self._begin(payload)
        yield from self._message(table(payload.get("message")))

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        if not isinstance(payload.get("messages"), list):
            raise Refused(f"{self._host} does not speak the rill protocol here.", hint="check base_url")
        self._begin(payload)
        for message in rows(payload.get("messages")):
            if not self.over:
                yield from self._message(message)
        yield from self.end()

    def sentinel(self) -> Iterator[TurnEvent]:
        return self.end()

    def end(self) -> Iterator[TurnEvent]:
        if not self.over:
            return
        if self._conversation_id:
            yield ConversationIssued(self._conversation_id)
        yield Finished()

    def _begin(self, payload: Payload) -> None:
        self.begun = True
        if payload.get("conversationId") and not self._conversation_id:
            self._conversation_id = check_id(payload["conversationId"], self._host)

    def _message(self, message: Payload) -> Iterator[TurnEvent]:
        self._count += 1
        if is_answer(message) and is_error(message):
            raise Rejected(Reply(500, answer_of(message), form="json"), in_stream=True)
        self.over = is_answer(message)
        for item in read_message(message, f"#{self._count}"):
            self.shown = self.shown or bool(item.text or item.name)
            yield ItemWhole(item)
            if self._warns and item.state is ItemState.FAILED and is_access_error(item.text):
                self._warns = False
                yield Noted(FORK_NOTE)


def read_message(message: Payload, place: str = "") -> Iterator[Item]:
    """The items a message amounts to; `place` names it where it has no id. The prompt is none: the user has typed it."""
    key = text(message.get("id")) or place
    said, tool = _said(message), text(message.get("tool"))
    if is_prompt(message) or not message:
        return
    if is_answer(message):
        yield Item(key, ItemKind.MESSAGE, answer_of(message))
        return
    match text(message.get("type")):
        case "call" if not _is_inner(tool):
            yield _call(message, key)
        case "result" if not _is_inner(tool):
            yield from _result(message, key)
        case "call" | "result":
            return
        case "progress" if message.get("role") != "system":
            yield Item(key, ItemKind.REASONING, said or text(message.get("contentData")))
        case kind if said:
            yield Item(key, ItemKind.NOTICE, said, "" if kind == "progress" else kind)


def is_prompt(message: Payload) -> bool:
    """Whether a message is something the user said."""
    return _is_of_router(message, "call") and message.get("role") in (None, "", "user")


def is_answer(message: Payload) -> bool:
    """Whether a message is the answer to what the user said."""
    return _is_of_router(message, "result") and message.get("role") in (None, "", "assistant")


def is_error(message: Payload) -> bool:
    """Whether a result says that it went wrong."""
    return message.get("contentType") == "error" or _block(message, "toolResult").get("isError") is True


def is_access_error(words: str) -> bool:
    """Whether an error is about what the user may see; what one may not see often counts as not there."""
    return _ACCESS.search(words) is not None


def prompt_of(message: Payload) -> str:
    """What the user said."""
    return _said(message) or text(_content(message).get("prompt"))


def answer_of(message: Payload) -> str:
    """What the answer says; of one that went wrong, the error."""
    if is_error(message):
        return text(message.get("contentData")) or _said(message).removeprefix("Error: ")
    said = _said(message) or text(_content(message).get("response"))
    return said or (text(message.get("contentData")) if message.get("contentType") == "text" else "")


def _is_of_router(message: Payload, kind: str) -> bool:
    return message.get("tool") == ROUTER and message.get("type") == kind


def _is_inner(tool: str) -> bool:
    """Whether a call only hands on: to an agent, whose call is the prompt and whose result the answer once more, or to
    the model for a step of the server's own, which has a name in words."""
    return tool.endswith("_agent") or " " in tool


def _call(message: Payload, key: str) -> Item:
    block = _block(message, "toolCall")
    given = text(message.get("contentData")) or _dumped(block.get("input"))
    return Item(key, ItemKind.TOOL_CALL, given, text(message.get("tool")) or text(block.get("name")), key)


def _result(message: Payload, key: str) -> Iterator[Item]:
    block = _block(message, "toolResult")
    given = text(message.get("contentData")) or text(block.get("content")) or _dumped(block.get("content"))
    name = text(message.get("tool"))
    call_id = text(message.get("parentId")) or text(block.get("id"))
    if is_error(message):
        yield Item(key, ItemKind.TOOL_RESULT, given, name, call_id, ItemState.FAILED)
        return
    value = _parsed(given)
    yield Item(key, ItemKind.TOOL_RESULT, _as_table(value) or given, name, call_id)
    warning = text(value.get("truncation_warning"))
    if warning:
        yield Item(f"{key}/notice", ItemKind.NOTICE, warning)


def _as_table(value: Payload) -> str:
    """The rows of a query's result in the form all tables have; empty where there are none."""
    data = value.get("data")
    if not isinstance(data, list):
        return ""
    columns = [text(column.get("name")) for column in rows(value.get("schema"))]
    if columns and all(isinstance(row, list) for row in data):
        return _dumped({"columns": columns, "rows": data})
    if not data or not all(isinstance(row, dict) for row in data):
        return ""
    columns = columns or list(dict.fromkeys(name for row in data for name in row))
    return _dumped({"columns": columns, "rows": [[row.get(name) for name in columns] for row in data]})


def _said(message: Payload) -> str:
    """The text in a message's content."""
    return "\n\n".join(text(block["text"]) for block in rows(message.get("content")) if text(block.get("text")))


def _block(message: Payload, name: str) -> Payload:
    """The first part of a message's content that is a `name`."""
    return next((table(block[name]) for block in rows(message.get("content")) if table(block.get(name))), {})


def _content(message: Payload) -> Payload:
    return _parsed(text(message.get("contentData")))


def _parsed(given: str) -> Payload:
    try:
        return table(parse_json(given))
    except ValueError:
        return {}


def _dumped(value: object) -> str:
    try:
        return "" if value is None else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""
