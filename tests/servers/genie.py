"""Stands in for Databricks Genie: whole items, conversations it names only once an answer is complete."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from typing import Any

from tests.servers.base import Answer, Asked, Broken, Service, event, json_answer, manner, stream_answer, words_of

PATH = "/api/2.0/data-rooms/tools/onechat/responses"

ANSWERED_GONE = ("404", "400", "500", "frame")
"""The ways to say that there is no such conversation; which one the real one uses is not known."""


def make(*, pace: float = 0.0, key: str = "", workspace: str = "", gone: str = "404") -> Genie:
    return Genie(pace=pace, key=key, workspace=workspace, gone=gone)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "genie"\nbase_url = "{url}"\nwarehouse_id = "wh1"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


class Genie(Service):
    """Keeps the questions of every conversation that had an answer. `workspace` is the one its requests have to name."""

    def __init__(self, *, pace: float = 0.0, key: str = "", workspace: str = "", gone: str = "404") -> None:
        super().__init__(pace=pace, key=key)
        self.workspace = workspace
        self.gone = gone
        self._conversations: dict[str, list[str]] = {}
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        self._conversations.clear()

    async def answer(self, asked: Asked) -> Answer:
        if (asked.method, asked.path) != ("POST", PATH):
            route = f"{asked.method} {asked.path.removeprefix('/api/2.0')}"
            return _error(404, "ENDPOINT_NOT_FOUND", f"No API found for '{route}'")
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "UNAUTHENTICATED", "Invalid access token.")
        if asked.headers.get("x-databricks-workspace-id", "") != self.workspace and self.workspace:
            return _error(401, "", "Credential was not sent or was of an unsupported type for this API")
        question = _question(asked.json)
        if question is None:
            return _error(500, "INTERNAL_ERROR", "")
        body = asked.json
        if body.get("warehouseId") == "wh-missing":
            return _error(404, "RESOURCE_DOES_NOT_EXIST", "Warehouse wh-missing does not exist")
        # A conversation_id in snake case is not looked at.
        conversation = body.get("conversationId", "")
        if conversation and conversation not in self._conversations:
            return self._unknown(conversation)
        return stream_answer(self._stream(question, conversation, charts=body.get("enable_viz") is not False))

    def _unknown(self, conversation: str) -> Answer:
        message = f"Conversation {conversation} does not exist"
        if self.gone == "frame":
            frame = {"type": "error", "error_code": "RESOURCE_DOES_NOT_EXIST", "message": message}
            return stream_answer(_only(frame))
        code = {"404": "RESOURCE_DOES_NOT_EXIST", "400": "INVALID_PARAMETER_VALUE", "500": "INTERNAL_ERROR"}[self.gone]
        return _error(int(self.gone), code, "" if self.gone == "500" else message)

    async def _stream(self, question: str, conversation: str, *, charts: bool) -> AsyncGenerator[bytes, None]:
        questions = [*self._conversations.get(conversation, []), question]
        places = itertools.count()

        def added(item: dict[str, Any]) -> bytes:
            return _frame({"type": "response.output_item.added", "output_index": next(places), "item": item})

        def done(item: dict[str, Any]) -> bytes:
            return _frame({"type": "response.output_item.done", "output_index": next(places), "item": item})

        what, said = manner(question), "".join(words_of(question, len(questions)))
        if what == "fail first":
            yield _frame({"type": "error", "error_code": "RESOURCE_DOES_NOT_EXIST",
                          "message": "No eligible SQL warehouse found"})  # fmt: skip
            return
        yield added({"type": "reasoning", "id": "r1", "status": "in_progress"})
        if what == "empty":
            yield done({"type": "agent_step_v2", "id": "s1", "status": "completed"})
        if what == "think":
            yield added(_message("t1", "Looking at the bridges...", "THOUGHT"))
        if what in ("tool", "table"):
            for frame in _query(what, charts=charts):
                yield added(frame) if frame.get("arguments") == "" else done(frame)
                await self.pause()
        if what in ("hang", "cut", "fail later"):
            yield added(_message("m0", " ".join(said.split(" ")[:3]), "FINAL_RESPONSE"))
        if what == "hang":
            await self.hang()
        if what == "cut":
            raise Broken
        if what == "fail later":
            yield _frame({"type": "error", "code": "INTERNAL_ERROR", "message": "The query failed"})
            return
        if what == "approve":
            asks = {"question": "Shall I count the closed ones?", "type": "confirmation", "choices": []}
            yield done(_call("ask_user_questions", {"questions": [asks]}))
        elif what != "empty":
            chart = "\n\n![Bridges](#viz_1)" if charts and what == "table" else ""
            yield added(_message("m1", said + chart, "FINAL_RESPONSE"))
            yield done(_message("m1", said + chart, "FINAL_RESPONSE"))
            yield done(_call("output_final_response", {"response": said}))
        conversation = conversation or f"conv_{next(self._numbers):032x}"
        self._conversations[conversation] = questions
        response = {"id": "resp_1", "status": "completed", "conversation_id": conversation}
        yield _frame({"type": "response.completed", "response": response})


def _question(body: Any) -> str | None:
    """The one question in a body, where that has the shape that is understood."""
    match body:
        case {
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": str() as question}]}
            ]
        }:
            return question
    return None


def _query(what: str, *, charts: bool) -> list[dict[str, Any]]:
    """A query that is run: its call, filled in by and by, and what comes of it."""
    if what == "tool":
        called = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "execute_sql_query"}
        arguments = {"query": "SELECT COUNT(*) FROM bridges", "thought": "Counting"}
    else:
        called = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "execute_sql"}
        arguments = {"sql": "SELECT city, n FROM bridges", "title": "Bridges"}
    columns = [{"name": "city"}, {"name": "n"}]
    data = {"columns": columns, "preview_rows": [["Hamburg", 2496], ["Berlin", 960]]}
    executed = {"ui_type": "QUERY_EXECUTION", "statement_id": "stmt1", "result_data": data}
    frames: list[dict[str, Any]] = [
        {**called, "arguments": ""},
        {**called, "status": "completed", "arguments": json.dumps(arguments, separators=(",", ":"))},
    ]
    if what == "table":
        frames.append(_output("o1", "c1", executed))
        if charts:
            spec = {"widgetType": "bar", "frame": {"title": "Bridges"},
                    "encodings": {"x": {"fieldName": "city"}, "y": {"fieldName": "n"}}}  # fmt: skip
            drawn = {"ui_type": "VIZ", "sql_id": "stmt1", "embed_id": "viz_1"}
            frames.append(_output("o2", "c2", {**drawn, "viz_definition": json.dumps({"renderSpec": spec})}))
    return frames


def _output(item_id: str, call_id: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function_call_output", "id": item_id, "call_id": call_id, "status": "completed",
            "metadata": metadata}  # fmt: skip


def _message(item_id: str, said: str, shown_as: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": said, "annotations": []}]
    metadata = {"ui_type": shown_as, "source_internal_ids": ["x1"]}
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content,
            "metadata": metadata}  # fmt: skip


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function_call", "id": f"f_{name}", "call_id": f"c_{name}", "status": "completed", "name": name,
            "arguments": json.dumps(arguments, separators=(",", ":"))}  # fmt: skip


def _frame(value: object) -> bytes:
    return event(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


async def _only(frame: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    yield _frame(frame)


def _error(status: int, code: str, message: str) -> Answer:
    body = {"error_code": code, "message": message} if code else {"message": message}
    return json_answer(body, status)
