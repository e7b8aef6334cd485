"""Sessions that the OpenAI Agents SDK keeps in SQLite: the items that went to a model, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tui.exchange import strict_json
from tui.exchange.fields import rows, seconds, table, text, words
from tui.exchange.thread import THREAD_LIMIT, Refusal, Said, Thread, TooLong, turns_of
from tui.model import ItemKind
from tui.store.foreign import ForeignDatabase
from tui.text import one_line

PROGRAM = "the Agents SDK"

_NAMES = {"file_search_call": "file search", "web_search_call": "web search", "computer_call": "computer"}


class AgentsSessions:
    """A database of sessions, to be read."""

    def __init__(self, db: ForeignDatabase) -> None:
        self._db = db

    @classmethod
    def fits(cls, db: ForeignDatabase) -> bool:
        """Whether a database is one of these."""
        return "session_id" in db.columns("agent_sessions") and db.columns("agent_messages") >= {"id", "message_data"}

    def close(self) -> None:
        self._db.close()

    def count(self, go_on: Callable[[], None]) -> int:  # noqa: ARG002 - it is over soon
        # Not counted by SQLite: in a damaged file an index may know of fewer than there are.
        return len(self._names())

    def threads(self) -> Iterator[Thread | Refusal]:
        for name, at in self._names():
            yield self._read(words(name), at)

    def _names(self) -> list[tuple[Any, ...]]:
        return list(self._db.rows("SELECT session_id, created_at FROM agent_sessions ORDER BY created_at, session_id"))

    def _read(self, name: str, at: Any) -> Thread | Refusal:
        try:
            turns = turns_of(self._said(name))
        except TooLong as error:
            return Refusal(one_line(name, 80), error.why)
        except strict_json.BadJson as error:
            return Refusal(one_line(name, 80), f"a message in it cannot be read: {error.why}")
        # A session's name is only unique in its own file, so when it was begun is part of where it comes from.
        return Thread(PROGRAM, f"{name} {words(at)}", turns, label=name, created_at=seconds(at) or 0.0)

    def _said(self, name: str) -> Iterator[Said]:
        size = 0
        query = "SELECT message_data, created_at FROM agent_messages WHERE session_id = ? ORDER BY id"
        for data, moment in self._db.rows(query, name):
            size += len(text(data))
            if size > THREAD_LIMIT:
                raise TooLong(f"it is longer than {THREAD_LIMIT >> 20} MiB")
            yield from said_in(table(strict_json.read(text(data))), seconds(moment))


def said_in(item: dict[str, Any], at: float | None, aside: str = ", not taken along") -> Iterator[Said]:
    """What people read of an item; nothing where there is nothing in it to read. `aside` is said of what is no text."""
    role, kind, call = text(item.get("role")), text(item.get("type")), text(item.get("call_id"))
    told = _content(item.get("content"), aside)
    if role:
        if told or role == "user":
            yield Said(role, told, at=at)
    elif kind == "reasoning":
        summary = _content(item.get("summary"), aside) or told
        if summary:
            yield Said("assistant", summary, ItemKind.REASONING, at=at)
    elif kind.endswith("_output"):
        yield Said(
            "tool", _content(item.get("output"), aside) or words(item.get("output")), ItemKind.TOOL_RESULT, "", call, at
        )
    elif kind.endswith("_call"):
        name = text(item.get("name")) or _NAMES.get(kind, kind.removesuffix("_call").replace("_", " "))
        asked = next(
            (item[field] for field in ("arguments", "input", "action", "queries", "code") if item.get(field)), ""
        )
        yield Said("assistant", words(asked), ItemKind.TOOL_CALL, name, call, at)
        if text(item.get("output")):
            yield Said("tool", text(item.get("output")), ItemKind.TOOL_RESULT, name, call, at)
    elif kind:
        yield Said(kind.replace("_", " "), told or words(item), at=at)


def _content(content: Any, aside: str) -> str:
    if isinstance(content, str):
        return content
    told = []
    for part in map(table, rows(content)):
        said = text(part.get("text")) or text(part.get("refusal"))
        kind = text(part.get("type")).removeprefix("input_").replace("_", " ")
        told.append(said or (f"[{kind}{aside}]" if kind else ""))
    return "\n\n".join(filter(None, told))
