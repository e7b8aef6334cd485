"""The log that the `llm` program keeps: conversations of older versions, threads of newer ones."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Any

from tui.exchange import strict_json
from tui.exchange.fields import rows, seconds, table, text, words
from tui.exchange.thread import MESSAGE_LIMIT, THREAD_LIMIT, Refusal, Said, Thread, TooLong, turns_of
from tui.model import ItemKind
from tui.store.foreign import ForeignDatabase
from tui.text import one_line

PROGRAM = "llm"

_THREAD_COLUMNS = {"id", "name", "tip_message_hash", "datetime_utc"}
_RESPONSE_COLUMNS = {"id", "model", "prompt", "response", "conversation_id", "datetime_utc"}
_PARENT = "SELECT parent_hash FROM messages WHERE hash = ?"
_PARTS = """
    SELECT m.role, p.type, p.tool_name, p.text, p.payload
    FROM messages m LEFT JOIN parts p ON p.message_hash = m.hash WHERE m.hash = ? ORDER BY p.position
"""
_KINDS = {
    "text": ItemKind.MESSAGE,
    "reasoning": ItemKind.REASONING,
    "tool_call": ItemKind.TOOL_CALL,
    "tool_result": ItemKind.TOOL_RESULT,
}


class LlmLogs:
    """`logs.db`, to be read."""

    def __init__(self, db: ForeignDatabase) -> None:
        self._db = db
        self._has_threads = db.columns("threads") >= _THREAD_COLUMNS
        self._response_columns = db.columns("responses")
        self._has_responses = self._response_columns >= _RESPONSE_COLUMNS
        self._has_names = "name" in db.columns("conversations")
        self._responses: dict[Any, array[int]] = {}
        self._results: dict[Any, array[int]] = {}
        self._calls: dict[Any, array[int]] = {}
        self._has_tools = "response_id" in db.columns("tool_calls")

    @classmethod
    def fits(cls, db: ForeignDatabase) -> bool:
        """Whether a database is one of these."""
        return db.columns("threads") >= _THREAD_COLUMNS or db.columns("responses") >= _RESPONSE_COLUMNS

    def close(self) -> None:
        self._db.close()

    def count(self, go_on: Callable[[], None]) -> int:  # noqa: ARG002 - it is over soon
        return len(self._threads()) + len(self._conversations())

    def threads(self) -> Iterator[Thread | Refusal]:
        known = set()
        for thread_id, name, tip, at in self._threads():
            known.add(thread_id)
            yield self._read(words(thread_id), text(name), at, self._of_thread(words(thread_id), words(tip)))
        # Looked up once: these tables need not have an index for it.
        if self._has_responses:
            self._responses = self._grouped("coalesce(conversation_id, id)", "responses", "datetime_utc, rowid")
        if self._has_tools:
            self._results = self._grouped("response_id", "tool_results", "id")
            self._calls = self._grouped("response_id", "tool_calls", "id")
        for conversation_id, name, at in self._conversations():
            if conversation_id not in known:
                yield self._read(words(conversation_id), text(name), at, self._of_conversation(conversation_id))

    def _grouped(self, by: str, table_name: str, order: str) -> dict[Any, array[int]]:
        """The numbers of a table's rows, in order, by what belongs together."""
        found: dict[Any, array[int]] = {}
        query = f"SELECT {by}, rowid FROM {table_name} ORDER BY {order}"  # noqa: S608 - our own names
        for key, number in self._db.rows(query):
            found.setdefault(key, array("q")).append(number)
        return found

    def _read(self, source: str, name: str, at: Any, said: Iterator[Said]) -> Thread | Refusal:
        try:
            turns = turns_of(_limited(said))
        except TooLong as error:
            return Refusal(one_line(name or source, 80), error.why)
        except strict_json.BadJson as error:
            return Refusal(one_line(name or source, 80), f"a message in it cannot be read: {error.why}")
        return Thread(PROGRAM, source, turns, title=name, created_at=seconds(at) or 0.0)

    def _threads(self) -> list[tuple[Any, ...]]:
        if not self._has_threads:
            return []
        query = "SELECT id, name, tip_message_hash, datetime_utc FROM threads ORDER BY datetime_utc, id"
        return list(self._db.rows(query))

    def _conversations(self) -> list[tuple[Any, ...]]:
        """Conversations by their first response; a response that is in none is one of its own."""
        if not self._has_responses:
            return []
        name = "(SELECT name FROM conversations WHERE id = r.conversation_id)" if self._has_names else "NULL"
        query = (
            f"SELECT coalesce(r.conversation_id, r.id) AS source, {name}, min(r.datetime_utc) "  # noqa: S608 - constants
            "FROM responses r GROUP BY source ORDER BY min(r.datetime_utc), source"
        )
        return list(self._db.rows(query))

    def _of_thread(self, thread_id: str, tip: str) -> Iterator[Said]:
        answers = {
            last: (seconds(at), text(model))
            for last, at, model in self._db.rows(
                "SELECT tip_message_hash, datetime_utc, model FROM turns WHERE thread_id = ?", thread_id
            )
        }
        for last in self._chain(tip):
            at, model = answers.get(last, (None, ""))
            for role, kind, tool, told, payload in self._db.rows(_PARTS, last):
                yield from self._part(text(role) or "unknown", text(kind), text(tool), text(told), payload, at, model)

    def _chain(self, tip: str) -> list[str]:
        """The messages from the first one to `tip`. Where a parent is missing, or comes again, it begins."""
        found: dict[str, None] = {}
        while tip and tip not in found and len(found) < MESSAGE_LIMIT:
            found[tip] = None
            tip = next((words(parent) for (parent,) in self._db.rows(_PARENT, tip)), "")
        return list(found)[::-1]

    def _part(
        self, role: str, kind: str, tool: str, told: str, payload: Any, at: float | None, model: str
    ) -> Iterator[Said]:
        fields = _payload(payload)
        said, found = told or self._referred(fields), _KINDS.get(kind, ItemKind.MESSAGE)
        if kind == "tool_call":
            said = words(fields.get("arguments"))
        elif kind == "tool_result":
            said = words(fields.get("output")) or text(fields.get("exception"))
        elif kind not in _KINDS and kind:
            said = said or f"[{kind}, not in the log]"
        if said or kind == "tool_call":
            call, failed = text(fields.get("tool_call_id")), bool(fields.get("exception"))
            yield Said(role, said, found, tool, call, at, model if role == "assistant" else "", failed)

    def _referred(self, fields: dict[str, Any]) -> str:
        """A text that was made of fragments, which are kept once each."""
        told = []
        for piece in map(table, rows(fields.get("text_ref"))):
            if "literal" in piece:
                told.append(text(piece["literal"]))
            elif isinstance(number := piece.get("fragment"), int):
                for (content,) in self._db.rows("SELECT content FROM fragments WHERE id = ?", number):
                    told.append(text(content))
        return "".join(told)

    def _of_conversation(self, source: Any) -> Iterator[Said]:
        more = [name if name in self._response_columns else "NULL" for name in ("system", "reasoning")]
        query = (
            f"SELECT id, prompt, response, model, datetime_utc, {', '.join(more)} "  # noqa: S608 - our own names
            "FROM responses WHERE rowid = ?"
        )
        told_system = ""
        said = (row for number in self._responses.get(source, ()) for row in self._db.rows(query, number))
        for response_id, prompt, response, model, at, system, reasoning in said:
            moment = seconds(at)
            if text(system) and system != told_system:
                told_system = text(system)
                yield Said("system", told_system, at=moment)
            if text(prompt):
                yield Said("user", text(prompt), at=moment)
            if text(reasoning):
                yield Said("assistant", text(reasoning), ItemKind.REASONING, at=moment)
            yield from self._tools(response_id, moment)
            if text(response):
                yield Said("assistant", text(response), at=moment, model=text(model))

    def _tools(self, response_id: Any, at: float | None) -> Iterator[Said]:
        """The tools a response called, and what those said that the prompt was made of."""
        if not self._has_tools:
            return
        for number in self._results.get(response_id, ()):
            for name, output, call in self._db.rows(
                "SELECT name, output, tool_call_id FROM tool_results WHERE rowid = ?", number
            ):
                yield Said("tool", text(output), ItemKind.TOOL_RESULT, text(name), text(call), at)
        for number in self._calls.get(response_id, ()):
            for name, arguments, call in self._db.rows(
                "SELECT name, arguments, tool_call_id FROM tool_calls WHERE rowid = ?", number
            ):
                yield Said("assistant", text(arguments), ItemKind.TOOL_CALL, text(name), text(call), at)


def _limited(said: Iterator[Said]) -> Iterator[Said]:
    size = 0
    for one in said:
        size += len(one.text) + 64
        if size > THREAD_LIMIT:
            raise TooLong(f"it is longer than {THREAD_LIMIT >> 20} MiB")
        yield one


def _payload(value: Any) -> dict[str, Any]:
    return table(strict_json.read(value)) if isinstance(value, str) else {}
