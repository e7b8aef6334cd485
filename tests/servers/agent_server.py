"""Stands in for MLflow's agent server with an agent that keeps sessions, and for the one that also runs in the background.

A session holds what was said in it, as the real one's rows do: the user's message as soon as it comes, the answer once it
is whole. So a turn that failed or was left leaves a message without an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from tests.servers.base import Answer, Asked, Broken, Service, json_answer, manner, stream_answer, text_answer, words_of

FAKE = "__fake_id__"

Item = dict[str, Any]


def make(*, pace: float = 0.0, key: str = "", database: bool = True) -> AgentServer:
    return AgentServer(pace=pace, key=key, database=database)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "agent-server"\nbase_url = "{url}"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


class Raised(Exception):
    """What the agent raises."""


@dataclass
class _Run:
    """A run in the background: what it was asked, its events so far, and the session it speaks in."""

    id: str
    asked: list[Item]
    session: str
    events: list[dict[str, Any]] = field(default_factory=list)
    status: str = "in_progress"
    attempt: int = 1
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    breaks: bool = False


class AgentServer(Service):
    """`sessions` are all there are; any id is one. With a `database` it runs in the background, too.

    `plain` answers whole, as if it had not been asked to stream. That many of the next questions after a run as `down` says
    come no further than a gateway.
    """

    def __init__(self, *, pace: float = 0.0, key: str = "", database: bool = True) -> None:
        super().__init__(pace=pace, key=key)
        self.sessions: dict[str, list[Item]] = {}
        self.database = database
        self.plain = False
        self.down = 0
        self._runs: dict[str, _Run] = {}
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        self.sessions.clear()

    async def answer(self, asked: Asked) -> Answer:
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return json_answer({"error_code": 401, "message": "Credential was not sent or is not valid."}, 401)
        match asked.method, asked.path.strip("/").split("/"):
            case "GET", ["health"]:
                return json_answer({"status": "healthy"})
            case "GET", ["agent", "info"]:
                return json_answer({"name": "mlflow_agent_server", "use_case": "agent", "mlflow_version": "3.17.2",
                                    "agent_api": "responses"})  # fmt: skip
            case "POST", ["invocations"] | ["responses"]:
                return await self._invoke(asked)
            case "GET", ["responses", run_id]:
                return self._retrieve(run_id, asked.query)
            case "POST", ["responses", _, "cancel"] if self.database:
                return _detail(501, "Cancellation is not yet implemented.")
        return _detail(404, "Not Found")

    def crash(self) -> None:
        """The worker of the run that is going dies; another one takes the run up, in a session of its own."""
        run = next(run for run in self._runs.values() if run.status == "in_progress")
        assert run.task is not None
        run.task.cancel()
        run.attempt += 1
        run.session = f"{run.session.partition('::')[0]}::attempt-{run.attempt}"
        run.events.append({"type": "response.resumed", "attempt": run.attempt, "from_seq": len(run.events),
                           "conversation_id": run.session})  # fmt: skip
        run.task = asyncio.get_running_loop().create_task(self._work(run))
        run.changed.set()

    async def _invoke(self, asked: Asked) -> Answer:
        body = asked.json
        if body is None:
            where = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
            return _detail(400, f"Invalid JSON in request body: {where}")
        if not isinstance(body, dict):
            return text_answer("Internal Server Error", 500)
        if not isinstance(body.get("input"), list):
            return _detail(400, "Invalid parameters for ResponsesAgent: Invalid data for ResponsesAgentRequest: 1 validation"
                                " error for ResponsesAgentRequest\ninput\n  Input should be a valid list")  # fmt: skip
        said = body["input"]
        session = str((body.get("custom_inputs") or {}).get("session_id")
                      or (body.get("context") or {}).get("conversation_id") or uuid.uuid4())  # fmt: skip
        if body.get("background") and self.database:
            run = _Run(f"resp_{next(self._numbers):024x}", said, session)
            run.breaks = manner(_prompt(said)) == "cut"
            self._runs[run.id] = run
            run.task = asyncio.get_running_loop().create_task(self._work(run))
            if self.plain:
                return json_answer({"id": run.id, "object": "response", "created_at": 1, "status": "in_progress",
                                    "error": None, "incomplete_details": None, "output": [], "metadata": {}})  # fmt: skip
            return stream_answer(self._follow(run, 0), "text/event-stream; charset=utf-8")
        traced = asked.headers.get("x-mlflow-return-trace-id") == "true"
        if body.get("stream") and not self.plain:
            return stream_answer(self._stream(said, session, traced=traced), "text/event-stream; charset=utf-8")
        return await self._whole(said, session)

    async def _whole(self, said: list[Item], session: str) -> Answer:
        try:
            told = [one async for one in self._agent(said, session)]
        except Raised as raised:
            return _detail(500, str(raised))
        output = [{**one["item"], "id": FAKE} for one in told if one["type"] == "response.output_item.done"]
        return json_answer({"object": "response", "output": output, "custom_outputs": {"session_id": session}})

    async def _stream(self, said: list[Item], session: str, *, traced: bool) -> AsyncGenerator[bytes, None]:
        count = 0
        agent = self._agent(said, session)
        try:
            async for one in agent:
                yield _frame(one)
                count += 1
                if manner(_prompt(said)) == "cut" and count == 5:
                    raise Broken
            if traced:
                yield _frame({"trace_id": "tr-1"})
        except Raised as raised:
            yield _frame({"error": str(raised)})
        finally:
            # The agent ends with its connection.
            await agent.aclose()
        yield b"data: [DONE]\n\n"

    async def _work(self, run: _Run) -> None:
        """A run in the background: its events are kept, whoever listens."""

        def tell(one: dict[str, Any]) -> None:
            run.events.append(one)
            run.changed.set()

        try:
            async for one in self._agent(run.asked, run.session):
                tell(one)
            run.status = "completed"
        except Raised as raised:
            error = {"message": str(raised), "type": "server_error", "code": "task_failed"}
            tell({"type": "error", "error": error})
            run.status = "failed"
        run.changed.set()

    async def _follow(self, run: _Run, after: int) -> AsyncGenerator[bytes, None]:
        """The events after a number; all where that is 0, also the first one again as long as it is the only one."""
        last = after
        while True:
            run.changed.clear()
            status, count = run.status, len(run.events)
            for number in range(last + 1 if last else 0, count):
                yield _frame({**run.events[number], "sequence_number": number, "response_id": run.id})
                last = number
                if run.breaks and number == 4:
                    run.breaks = False
                    raise Broken
            if status == "completed":
                yield b"data: [DONE]\n\n"
            if status != "in_progress":
                return
            # While it was told, another one who follows may have heard of a change, and awaits the next.
            if (status, count) == (run.status, len(run.events)):
                await run.changed.wait()

    def _retrieve(self, run_id: str, query: Any) -> Answer:
        if self.down:
            self.down -= 1
            return _detail(502, "upstream connect error")
        if not self.database:
            return _detail(501, "Response retrieval requires a database configuration.")
        after, streams = int(query.get("starting_after", 0)), query.get("stream") == "true"
        if after and not streams:
            return _detail(400, "starting_after is only supported when stream=true.")
        run = self._runs.get(run_id)
        if run is None:
            return _detail(404, "Response not found")
        if streams and not self.plain:
            return stream_answer(self._follow(run, after), "text/event-stream; charset=utf-8")
        told: Item = {"id": run.id, "status": run.status, "attempt_number": run.attempt}
        if run.status == "completed":
            told["output"] = [one["item"] for one in run.events if one["type"] == "response.output_item.done"]
        if run.status == "failed":
            told["error"] = next(one["error"] for one in run.events if one["type"] == "error")
        return json_answer(told)

    async def _agent(self, said: list[Item], session: str) -> AsyncGenerator[dict[str, Any], None]:
        """What the agent says to a request, event by event."""
        kept = self.sessions.setdefault(session, [])
        if not said:
            raise Raised("list index out of range")
        prompt = _prompt(said)
        if prompt.startswith("503"):
            raise Raised("503: Failed to connect to Lakebase instance 'x'.")
        # A client that tells everything is believed only where the session holds less than that.
        kept.extend(said[-1:] if len(kept) >= len(said) - 1 else said)
        if manner(prompt) == "fail first":
            raise Raised("Error code: 500 - forced failure")
        telling = _Telling()
        yield telling.created()
        if manner(prompt) == "think":
            for one in telling.reasoning("It is a simple question."):
                yield one
                await self.pause()
        if manner(prompt) in ("tool", "table"):
            call, result = _tool(manner(prompt))
            for one in telling.call(call):
                yield one
            kept += [{**call, "id": FAKE}, result]
            yield telling.completed()
            await self.pause()
            yield {"type": "response.output_item.done", "item": result}
            yield telling.created()
        if manner(prompt) != "empty":
            async for one in self._message(telling, prompt, kept):
                yield one
        yield telling.completed()

    async def _message(self, telling: _Telling, prompt: str, kept: list[Item]) -> AsyncGenerator[dict[str, Any], None]:
        known = sum(item.get("role") == "user" for item in kept)
        words = words_of(prompt, known)
        item_id, place = str(uuid.uuid4()), len(telling.output)
        where = {"content_index": 0, "item_id": item_id, "output_index": place}
        for one in telling.opened(_message(item_id, ""), where):
            yield one
        for number, word in enumerate(words):
            yield telling.numbered("response.output_text.delta", **where, delta=word, logprobs=[])
            await self.pause()
            if manner(prompt) == "hang" and number == 2:
                await self.hang()
            if manner(prompt) == "fail later" and number == 2:
                raise Raised("kaboom")
        said = "".join(words)
        for one in telling.closed(_message(item_id, said), where):
            yield one
        kept.append({**_message(FAKE, said)})


class _Telling:
    """The events of one response after another; numbers and places begin anew with each."""

    def __init__(self) -> None:
        self.output: list[Item] = []
        self._number = 0

    def numbered(self, kind: str, **more: Any) -> dict[str, Any]:
        self._number += 1
        return {**more, "sequence_number": self._number - 1, "type": kind}

    def created(self) -> dict[str, Any]:
        self.output, self._number = [], 0
        return self.numbered("response.created", response=self._response())

    def completed(self) -> dict[str, Any]:
        counted = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        return self.numbered("response.completed", response=self._response(usage=counted))

    def opened(self, item: Item, where: dict[str, Any]) -> list[dict[str, Any]]:
        part = {"annotations": [], "text": "", "type": "output_text", "logprobs": []}
        begun = {**item, "content": [], "status": "in_progress"}
        return [self.numbered("response.output_item.added", item=begun, output_index=where["output_index"]),
                self.numbered("response.content_part.added", **where, part=part)]  # fmt: skip

    def closed(self, item: Item, where: dict[str, Any]) -> list[dict[str, Any]]:
        self.output.append({**item, "id": FAKE})
        return [self.numbered("response.content_part.done", **where, part=item["content"][0]),
                self.numbered("response.output_item.done", item=item, output_index=where["output_index"])]  # fmt: skip

    def call(self, item: Item) -> list[dict[str, Any]]:
        where = {"item_id": item["id"], "output_index": len(self.output)}
        half = len(item["arguments"]) // 2
        pieces = (item["arguments"][:half], item["arguments"][half:])
        place = {"output_index": len(self.output)}
        self.output.append({**item, "id": FAKE})
        return [self.numbered("response.output_item.added", item={**item, "arguments": ""}, **place),
                *(self.numbered("response.function_call_arguments.delta", **where, delta=piece) for piece in pieces),
                self.numbered("response.output_item.done", item=item, **place)]  # fmt: skip

    def reasoning(self, thought: str) -> list[dict[str, Any]]:
        place = {"output_index": len(self.output)}
        item = {"id": FAKE, "summary": [{"text": thought, "type": "summary_text"}], "type": "reasoning"}
        self.output.append(item)
        return [self.numbered("response.output_item.added", item={**item, "summary": []}, **place),
                self.numbered("response.reasoning_summary_text.delta", item_id=FAKE, summary_index=0, delta=thought, **place),
                self.numbered("response.output_item.done", item=item, **place)]  # fmt: skip

    def _response(self, **more: Any) -> Item:
        return {"id": FAKE, "created_at": 1795216572.1154258, "error": None, "incomplete_details": None, "metadata": None,
                "model": "m", "object": "response", "output": list(self.output), "status": None, "usage": None,
                **more}  # fmt: skip


def _frame(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _detail(status: int, text: str) -> Answer:
    return json_answer({"detail": text}, status)


def _prompt(said: list[Item]) -> str:
    content = said[-1].get("content") if said else ""
    return content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content or [])


def _message(item_id: str, said: str) -> Item:
    content = [{"annotations": [], "text": said, "type": "output_text", "logprobs": []}]
    return {"id": item_id, "content": content, "role": "assistant", "status": "completed", "type": "message",
            "phase": None, "provider_data": {"model": "m", "response_id": "cc-1"}}  # fmt: skip


def _tool(what: str) -> tuple[Item, Item]:
    arguments = {"sql": "SELECT city, n FROM bridges"} if what == "table" else {"city": "Hamburg"}
    table = {"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}
    call = {"arguments": json.dumps(arguments), "call_id": "call_1", "name": "query" if what == "table" else "weather",
            "type": "function_call", "id": str(uuid.uuid4()), "status": None}  # fmt: skip
    result = json.dumps(table) if what == "table" else "17 degrees"
    return call, {"call_id": "call_1", "output": result, "type": "function_call_output"}
