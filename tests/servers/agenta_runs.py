"""The runs of the Agenta stand-in: what they say, what they write down of it, and how that is told in a stream."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.servers.base import manner, words_of

PROJECT = "0197f2aa-0000-7000-8000-00000000000f"
_CLOCK = itertools.count(1_780_000_000)
_FINISH = {"end_turn": "stop", "paused": "other", "cancelled": "other", "error": "error"}

Event = dict[str, Any]
Watcher = asyncio.Queue[tuple[str, dict[str, Any]] | None]


def now() -> str:
    return datetime.fromtimestamp(next(_CLOCK), UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Run:
    """One execution. `events` are what it said, in Agenta's own words."""

    session: Session
    prompt: str
    known: int
    says: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    events: list[Event] = field(default_factory=list)
    is_over: bool = False
    stolen_by: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    index: int = 0
    _open: dict[str, str] = field(default_factory=dict)
    _call: tuple[int, Event] | None = None

    def tell(self, kind: str, /, **data: Any) -> None:
        """Say something, to whoever listens and for the records."""
        event = {"type": kind, **data}
        self.events.append(event)
        self._write(event)
        self.changed.set()

    def end(self, stop: str) -> None:
        if not self.is_over:
            self.is_over = True
            self.tell("done", stopReason=stop)

    def write_prompt(self) -> None:
        self._record({"type": "message", "text": self.prompt}, "user")

    def _write(self, event: Event) -> None:
        """Write a record of what is whole: pieces of a text become one, and of a call the last arguments count."""
        kind, own = event["type"], event.get("id", "")
        if kind == "tool_call":
            if self._call is not None and self._call[1]["id"] == own:
                self._call = self._call[0], event
                return
            self._flush()
            self._call = self._next(), event
            return
        self._flush()
        begin, _, step = kind.partition("_")
        if begin in ("message", "thought") and step:
            block = f"{begin}:{own}"
            self._open[block] = self._open.get(block, "") + event.get("delta", "")
            if step == "end":
                self._record({"type": begin, "text": self._open.pop(block)})
            return
        self._record(event)

    def _flush(self) -> None:
        if self._call is not None:
            index, event = self._call
            self._call = None
            self.session.write(self, event, "agent", index)

    def _next(self) -> int:
        self.index += 1
        return self.index - 1

    def _record(self, event: Event, source: str = "agent") -> None:
        self.session.write(self, event, source, self._next())


@dataclass
class Session:
    """What the server knows of one session. `late` records are written, but cannot be read yet."""

    id: str
    shape: str
    watchers: list[Watcher]
    lag: int = 0
    name: str = ""
    is_alive: bool = True
    used_at: str = field(default_factory=now)
    prompts: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    late: list[dict[str, Any]] = field(default_factory=list)
    interactions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def running(self) -> Run | None:
        return next((run for run in self.runs if not run.is_over), None)

    @property
    def liveness(self) -> dict[str, bool]:
        running = self.running is not None
        return {"alive": self.is_alive or running, "running": running, "attached": False}

    def write(self, run: Run, event: Event, source: str, index: int) -> None:
        if self.shape == "main":
            row = {
                "record_id": str(uuid.uuid4()), "session_id": self.id, "project_id": PROJECT, "record_index": index,
                "timestamp": now(), "record_type": event["type"], "record_source": source, "attributes": event,
                "turn_id": run.id,
            }  # fmt: skip
        elif source == "user":
            return
        else:
            row = {
                "id": str(uuid.uuid4()), "session_id": self.id, "project_id": PROJECT, "event_index": index,
                "sender": source, "session_update": event["type"], "payload": event, "created_at": now(),
            }  # fmt: skip
        (self.late if self.lag else self.records).append(row)
        self.notify("records-changed")

    def read(self) -> list[dict[str, Any]]:
        """The records that can be read. Late ones come a few at a time, the newest first."""
        for _ in range(min(self.lag, len(self.late))):
            self.records.append(self.late.pop())
        if self.late:
            asyncio.get_running_loop().call_soon(self.notify, "records-changed")
        return self.records

    def notify(self, kind: str, /, **more: Any) -> None:
        for watcher in self.watchers:
            watcher.put_nowait((kind, {"type": kind, "session_id": self.id, **more}))

    def row(self) -> dict[str, Any]:
        """The session as a list, or liveness, tells of it."""
        flags = {f"is_{name}": value for name, value in self.liveness.items()}
        newest = self.runs[-1].id if self.runs else None
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, self.id)), "name": self.name, "created_at": self.used_at,
            "updated_at": self.used_at, "project_id": PROJECT, "session_id": self.id, "flags": flags, "turn_id": newest,
        }  # fmt: skip


async def work(run: Run, pause: Any, hang: Any) -> None:
    """What a run says to its prompt."""
    how, numbers = manner(run.prompt), itertools.count(1)
    if how == "think":
        run.tell("thought_start", id="r1")
        for piece in ("It is a simple ", "question."):
            run.tell("thought_delta", id="r1", delta=piece)
            await pause()
        run.tell("thought_end", id="r1")
    if how in ("tool", "table"):
        for kind, data in _tool(how, run.id[:8]):
            run.tell(kind, **data)
            await pause()
    if how == "approve":
        call, token = f"call_{run.id[:8]}", f"int_{run.id[:8]}"
        asked = {"toolCallId": call, "toolCall": {"name": "deploy", "input": {"to": "production"}}}
        run.tell("tool_call", id=call, name="deploy", input={})
        run.tell("interaction_request", id=token, kind="user_approval", payload=asked)
        run.session.interactions.append(
            {"id": str(uuid.uuid4()), "session_id": run.session.id, "turn_id": run.id, "token": token,
             "kind": "user_approval", "status": "pending",
             "data": {"request": {"tool": "deploy", "args": {"to": "production"}, "tool_call_id": call}}}
        )  # fmt: skip
        run.session.notify("interaction")
        run.end("paused")
        return
    if how != "empty":
        run.tell("message_start", id="m1")
        for number, piece in zip(numbers, words_of(run.says or run.prompt, run.known), strict=False):
            run.tell("message_delta", id="m1", delta=piece)
            await pause()
            if how == "hang" and number == 3:
                await hang()
            if how == "fail later" and number == 3:
                run.tell("error", message="model overloaded", code="runner_error")
                run.end("error")
                return
        run.tell("message_end", id="m1")
        run.tell("usage", input=run.known, output=7, total=run.known + 7, cost=0.001)
    run.end("end_turn")


async def go_on(run: Run, asked: dict[str, Any], approved: bool, pause: Any) -> None:
    """What a run says once its question is answered."""
    request = asked["data"]["request"]
    run.tell("tool_call", id=request["tool_call_id"], name=request["tool"], input=request["args"])
    run.tell("interaction_response", id=asked["token"], kind="user_approval", payload={"approved": approved})
    if approved:
        run.tell("tool_result", id=request["tool_call_id"], output="deployed")
    else:
        run.tell("tool_result", id=request["tool_call_id"], output="declined", isError=True, denied=True)
    await pause()
    run.tell("message", text="".join(words_of("yes" if approved else "no", run.known)))
    run.end("end_turn")


def _tool(what: str, name: str) -> Iterator[tuple[str, Event]]:
    table = {"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}
    arguments = {"sql": "SELECT city, n FROM bridges"} if what == "table" else {"city": "Hamburg"}
    call = {"id": f"call_{name}", "name": "query" if what == "table" else "weather"}
    yield "tool_call", {**call, "input": {}}
    yield "tool_call", {**call, "input": arguments}
    result = {"data": table} if what == "table" else {"output": "17 degrees"}
    yield "tool_result", {"id": call["id"], **result}


async def listen(run: Run) -> AsyncGenerator[Event, None]:
    """What a run says, from its beginning, as it says it; the last is what displaced the listener, if something did."""
    at = 0
    while True:
        while at < len(run.events):
            yield run.events[at]
            at += 1
        if run.stolen_by:
            yield {"reason": "stolen", "by": run.stolen_by}
            return
        if run.is_over:
            return
        run.changed.clear()
        await run.changed.wait()


class Parts:
    """Agenta's own events as the parts of a message stream."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._calls: set[str] = set()
        self._usage: Event = {}
        self._stop = ""
        self._count = 0
        self._failed = False

    def begin(self) -> Iterator[Event]:
        yield {"type": "start", "messageId": f"msg-{uuid.uuid4().hex}", "messageMetadata": {"sessionId": self._session}}
        yield {"type": "start-step"}

    def of(self, event: Event) -> Iterator[Event]:
        kind, own = event["type"], event.get("id")
        self._count += kind not in ("usage", "done", "error")
        begin, _, step = kind.partition("_")
        name = {"message": "text", "thought": "reasoning"}.get(begin)
        if name and not step:
            self._count += 1
            yield {"type": f"{name}-start", "id": f"{name}-{self._count}"}
            yield {"type": f"{name}-delta", "id": f"{name}-{self._count}", "delta": event["text"]}
            yield {"type": f"{name}-end", "id": f"{name}-{self._count}"}
        elif name:
            yield {"type": f"{name}-{step}", "id": own} | ({"delta": event["delta"]} if step == "delta" else {})
        elif kind == "tool_call":
            yield from self._call(own, event["name"], event["input"])
        elif kind == "tool_result":
            part = {"type": "tool-output-available", "toolCallId": own}
            yield {**part, "output": event.get("data", event.get("output"))}
        elif kind == "interaction_request":
            call = event["payload"]["toolCallId"]
            yield from self._call(call, event["payload"]["toolCall"]["name"], event["payload"]["toolCall"]["input"])
            yield {"type": "tool-approval-request", "approvalId": own, "toolCallId": call}
        elif kind == "error":
            yield from self._error(event["code"], event["message"])
        elif kind == "usage":
            self._usage = {name: value for name, value in event.items() if name != "type"}
        elif kind == "done":
            self._stop = event["stopReason"]

    def end(self) -> Iterator[Event]:
        yield {"type": "finish-step"}
        if not self._count and not self._failed:
            yield from self._error("no_output", "The agent produced no output.")
        last: Event = {"type": "finish", "finishReason": _FINISH.get(self._stop, "unknown")}
        yield last | ({"messageMetadata": {"usage": self._usage}} if self._usage else {})

    def _call(self, call: str, name: str, arguments: Any) -> Iterator[Event]:
        if call not in self._calls:
            self._calls.add(call)
            yield {"type": "tool-input-start", "toolCallId": call, "toolName": name}
        yield {"type": "tool-input-available", "toolCallId": call, "toolName": name, "input": arguments}

    def _error(self, code: str, said: str) -> Iterator[Event]:
        self._failed = True
        yield {"type": "data-agent-error", "data": {"code": code, "errorText": said}}
        yield {"type": "error", "errorText": said}
