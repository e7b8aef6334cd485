"""Runs of the stand-in for a docker agent: their events, what they ask, what they leave in the session."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.servers.base import Broken, Service, manner, words_of

CODES = ("model_error", "rate_limited", "context_exceeded", "request_too_large", "media_too_large", "tool_failed",
         "hook_blocked", "loop_detected")  # fmt: skip

Event = dict[str, Any]
Events = AsyncGenerator[Event, None]

_NUMBERS = itertools.count()


def time_text() -> str:
    """A time later than all before it, as RFC 3339 has it."""
    return (
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC) + timedelta(seconds=next(_NUMBERS))).isoformat().replace("+00:00", "Z")
    )


@dataclass
class Session:
    """A session. `is_approved` is whether its tools run without asking. `steered` is what was said to it meanwhile; `is_ready`
    whether it ever ran. `inner` are the places of messages that are a sub-agent's."""

    id: str
    title: str = ""
    working_dir: str = ""
    created_at: str = field(default_factory=time_text)
    messages: list[dict[str, Any]] = field(default_factory=list)
    inner: set[int] = field(default_factory=set)
    is_approved: bool = False
    is_ready: bool = False
    run: Run | None = None
    steered: list[str] = field(default_factory=list)

    @property
    def prompts(self) -> list[str]:
        """What the user said in it."""
        return [
            row["message"]["content"]
            for place, row in enumerate(self.messages)
            if row["message"]["role"] == "user" and place not in self.inner
        ]

    def add(self, role: str, content: str, agent: str = "", *, implicit: bool = False, **more: Any) -> None:
        message = {"role": role, "content": content, **more, "created_at": time_text()}
        row: dict[str, Any] = {"agent_name": agent, "message": message}
        self.messages.append(row | ({"implicit": True} if implicit else {}))


@dataclass
class Run:
    """One run. `resume` and `elicitations` are the questions that wait for an answer; `reason` is why it stopped."""

    session: Session
    agent: str
    service: Service
    may_cut: Callable[[], bool]
    reason: str = "normal"
    resume: asyncio.Future[dict[str, Any]] | None = None
    elicitations: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    def event(self, kind: str, **more: Any) -> Event:
        return {"type": kind, **more, "agent_name": self.agent, "timestamp": time_text()}

    def mine(self, kind: str, **more: Any) -> Event:
        return self.event(kind, session_id=self.session.id, **more)

    async def events(self, prompt: str) -> Events:
        """All events of the run, from its first to its last."""
        session = self.session
        if session.title:
            yield {"type": "session_title", "session_id": session.id, "title": session.title}
        yield self.event("team_info", available_agents=[{"name": self.agent}], current_agent=self.agent)
        yield self.event("toolset_info", available_tools=3, loading=False)
        yield self.mine("user_message", message=prompt, session_position=len(session.messages) - 1)
        yield self.mine("stream_started")
        yield self.event("agent_info", model="dmr/ai/qwen3", description="")
        async for event in self._answer(prompt):
            yield event
        while session.steered and self.reason == "normal":
            said = session.steered.pop(0)
            session.add("user", said)
            yield self.mine("user_message", message=said, session_position=len(session.messages) - 1)
            async for event in self._say(said):
                yield event
        yield self.mine("stream_stopped", reason=self.reason)

    async def _answer(self, prompt: str) -> Events:
        how = manner(prompt) or prompt.partition(" ")[0]
        steps: dict[str, Callable[[], Events]] = {
            "tool": lambda: self._tool("weather", {"city": "Hamburg"}, "17 degrees & dry"),
            "table": lambda: self._tool("query", {"sql": "SELECT city, n FROM bridges"}, _table()),
            "approve": lambda: self._asks("deploy", {"to": "production"}, "deployed"),
            "question": self._question,
            "limit": self._limit,
            "delegate": self._delegate,
            "think": self._think,
        }
        if how == "fail first":
            yield self._error(prompt)
            return
        if how in steps:
            async for event in steps[how]():
                yield event
        if self.reason != "normal":
            return
        if how == "empty":
            yield self.event("warning", message="Model dmr/ai/qwen3 returned an empty response (stop reason: stop).")
            return
        async for event in self._say(prompt):
            yield event

    async def _say(self, prompt: str) -> Events:
        how, said = manner(prompt), ""
        for number, piece in enumerate(words_of(prompt, len(self.session.prompts))):
            said += piece
            yield self.mine("agent_choice", content=piece)
            await self.service.pause()
            if number != 2:
                continue
            if how == "hang":
                await self.service.hang()
            if how == "fail later":
                yield self._error(prompt)
                return
            if how == "cut" and self.may_cut():
                raise Broken
        counted = {"input_tokens": len(self.session.prompts), "output_tokens": 7, "cached_input_tokens": 0}
        self.session.add("assistant", said, self.agent, usage=counted | {"reasoning_tokens": 3}, model="dmr/ai/qwen3")
        yield self.mine("message_added")
        newest = counted | {"cached_write_tokens": 0, "reasoning_tokens": 3, "Cost": 0, "Model": "dmr/ai/qwen3"}
        usage = {
            "input_tokens": counted["input_tokens"],
            "output_tokens": 7,
            "context_length": 0,
            "last_message": newest,
        }
        yield self.mine("token_usage", usage=usage | {"context_limit": 0, "cost": 0})

    def _error(self, prompt: str) -> Event:
        """An error, with the code that the prompt ends in."""
        code = prompt.rpartition(" ")[2]
        code = code if code in CODES else "model_error"
        self.reason = "error"
        return {"type": "error", "session_id": self.session.id, "error": "the model said no", "code": code,
                "timestamp": "0001-01-01T00:00:00Z"}  # fmt: skip

    async def _think(self) -> Events:
        for piece in ("It is a simple ", "question."):
            yield self.mine("agent_choice_reasoning", content=piece)
            await self.service.pause()

    async def _tool(self, name: str, arguments: dict[str, Any], result: str, agent: str = "") -> Events:
        """A tool that asks no one."""
        call, tool = self._begin(name, arguments)
        async for event in self._ran(call, tool, result):
            yield event

    def _begin(self, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """A call the model makes, noted in the session."""
        given = json.dumps(arguments, separators=(",", ":"))
        call = {
            "id": f"call_{len(self.session.messages)}",
            "type": "function",
            "function": {"name": name, "arguments": given},
        }
        self.session.add("assistant", "", self.agent, tool_calls=[call])
        return call, {"name": name, "category": "test", "parameters": None, "annotations": {}, "outputSchema": None}

    async def _ran(self, call: dict[str, Any], tool: dict[str, Any], result: str) -> Events:
        yield self.event("tool_call", tool_call=call, tool_definition=tool)
        await self.service.pause()
        yield self.event("tool_call_output", tool_call_id=call["id"], tool_definition=tool, output=result[:4])
        await self.service.pause()
        yield self._response(call, tool, result)

    def _response(self, call: dict[str, Any], tool: dict[str, Any], result: str, *, is_error: bool = False) -> Event:
        self.session.add(
            "tool", result, self.agent, tool_call_id=call["id"], **({"is_error": True} if is_error else {})
        )
        whole = {"output": result} | ({"isError": True} if is_error else {})
        return self.event(
            "tool_call_response", tool_call_id=call["id"], tool_definition=tool, response=result, result=whole
        )

    async def _asks(self, name: str, arguments: dict[str, Any], result: str) -> Events:
        """A tool that runs only if the user lets it."""
        call, tool = self._begin(name, arguments)
        partial = call | {"function": {"name": name}}
        yield self.event("partial_tool_call", tool_call=partial)
        if not self.session.is_approved:
            waits = self._wait()
            yield self.event("tool_call_confirmation", tool_call=call, tool_definition=tool)
            told = await waits
            if told["confirmation"] == "reject":
                reason = str(told.get("reason") or "").strip()
                said = "The user rejected the tool call." + (f" Reason: {reason}" if reason else "")
                yield self._response(call, tool, said, is_error=True)
                return
            self.session.is_approved = told["confirmation"] == "approve-session"
        async for event in self._ran(call, tool, result):
            yield event

    async def _question(self) -> Events:
        """A tool that wants to know something."""
        call, tool = self._begin("book", {})
        yield self.event("tool_call", tool_call=call, tool_definition=tool)
        waits = self.elicitations["elicit-1"] = asyncio.get_running_loop().create_future()
        schema = {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]}
        yield self.event(
            "elicitation_request", message="How many seats?", mode="form", schema=schema, elicitation_id="elicit-1"
        )
        told = await waits
        accepted = told["action"] == "accept"
        said = f"booked {told['content'].get('seats')}" if accepted else f"The user said {told['action']}."
        yield self._response(call, tool, said, is_error=not accepted)

    async def _limit(self) -> Events:
        """The most steps there may be are made: on only if the user says so."""
        waits = self._wait()
        yield {"type": "max_iterations_reached", "max_iterations": 20, "timestamp": "0001-01-01T00:00:00Z"}
        told = await waits
        if told["confirmation"] != "approve":
            self.session.add("assistant", "Execution stopped after reaching the configured limit (20).", self.agent)
            self.reason = "continue"
            yield self.mine("message_added")
            return
        yield self.event("agent_info", model="dmr/ai/qwen3", description="")

    async def _delegate(self) -> Events:
        """A sub-agent does something, in a session of its own."""
        call, tool = self._begin("transfer_task", {"agent": "helper", "task": "look it up"})
        yield self.event("tool_call", tool_call=call, tool_definition=tool)
        start = len(self.session.messages)
        self.session.add("user", "Please proceed.", implicit=True)
        inner = {"session_id": "child-1", "agent_name": "helper", "timestamp": time_text()}
        yield {"type": "stream_started", **inner}
        for piece in ("I look ", "it up."):
            yield {"type": "agent_choice", "content": piece, **inner}
            await self.service.pause()
        self.session.add("assistant", "I look it up.", "helper")
        yield {"type": "error", "error": "it took two tries", "code": "model_error", **inner}
        yield {"type": "stream_stopped", "reason": "error", **inner}
        self.session.inner |= set(range(start, len(self.session.messages)))
        yield self.event("sub_session_completed", parent_session_id=self.session.id, sub_session={"id": "child-1"})
        yield self._response(call, tool, "I look it up.")

    def _wait(self) -> asyncio.Future[dict[str, Any]]:
        self.resume = asyncio.get_running_loop().create_future()
        return self.resume


def _table() -> str:
    return json.dumps({"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]})
