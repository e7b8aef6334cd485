"""Stands in for a server of the OpenAI Responses API that keeps responses, forgets them, and runs in the background."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from tests.servers.base import Answer, Asked, Broken, Service, event, json_answer, manner, stream_answer, words_of
from tests.servers.openai import refusal, text_in


def make(*, pace: float = 0.0, key: str = "") -> Responses:
    return Responses(pace=pace, key=key)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "responses"\nbase_url = "{url}/v1"\nmodel = "fake"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


@dataclass
class _Run:
    """A response on its way, or done: its events so far, and what it knows."""

    id: str
    prompts: list[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    status: str = "in_progress"
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    breaks: bool = False


class Responses(Service):
    """Keeps every response it completed, until it is told to forget."""

    def __init__(self, *, pace: float = 0.0, key: str = "") -> None:
        super().__init__(pace=pace, key=key)
        self._runs: dict[str, _Run] = {}
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        self._runs.clear()

    async def answer(self, asked: Asked) -> Answer:
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return refusal(401, "Incorrect API key provided.", code="invalid_api_key")
        match asked.method, asked.path.removeprefix("/v1").strip("/").split("/"):
            case "GET", ["models"]:
                return json_answer({"object": "list", "data": [{"id": "fake", "object": "model"}, {"id": "other"}]})
            case "POST", ["responses"]:
                return self._create(asked.json)
            case "GET", ["responses", run_id]:
                return self._get(run_id, asked.query)
            case "POST", ["responses", run_id, "cancel"]:
                return self._cancel(run_id)
        return refusal(404, f"Invalid URL ({asked.method} {asked.path})", code="unknown_url")

    def _create(self, body: Any) -> Answer:
        if not isinstance(body, dict) or not body.get("input"):
            return refusal(400, "Missing required parameter: 'input'.", param="input")
        before: list[str] = []
        known = body.get("previous_response_id")
        if known:
            if known not in self._runs or self._runs[known].status != "completed":
                message = f"Previous response with id '{known}' not found."
                return refusal(400, message, code="previous_response_not_found", param="previous_response_id")
            before = self._runs[known].prompts
        said = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
        prompts = before + [text_in(one) for one in said if one.get("role") == "user"]
        approvals = [one for one in said if one.get("type") == "mcp_approval_response"]
        prompt = prompts[-1] if prompts and said[-1].get("role") == "user" else ""
        if approvals:
            prompt = "yes" if approvals[-1].get("approve") else "no"
        if manner(prompt) == "fail first":
            return refusal(500, "The server had an error.", type_="server_error")
        run = _Run(f"resp_{next(self._numbers):048x}", prompts, breaks=manner(prompt) == "cut")
        self._runs[run.id] = run
        run.task = asyncio.get_running_loop().create_task(self._work(run, prompt, str(body.get("model"))))
        return stream_answer(self._follow(run, 0, owned=not body.get("background")))

    async def _work(self, run: _Run, prompt: str, model: str) -> None:
        numbers = itertools.count()

        def tell(kind: str, **more: Any) -> None:
            run.events.append({"type": f"response.{kind}", "sequence_number": next(numbers), **more})
            run.changed.set()

        def whole(status: str, output: list[Any], **more: Any) -> dict[str, Any]:
            return {"id": run.id, "object": "response", "model": model, "status": status, "output": output, **more}

        output: list[dict[str, Any]] = []
        tell("created", response=whole("in_progress", []))
        if manner(prompt) == "think":
            for piece in ("It is a simple ", "question."):
                tell("reasoning_summary_text.delta", item_id="rs_1", summary_index=0, delta=piece)
                await self.pause()
            output.append({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text",
                           "text": "It is a simple question."}]})  # fmt: skip
        if manner(prompt) in ("tool", "table"):
            for item in _tool(manner(prompt)):
                tell("output_item.done", output_index=len(output), item=item)
                output.append(item)
                await self.pause()
        if manner(prompt) == "approve":
            item = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "deploy", "server_label": "ops",
                    "arguments": json.dumps({"to": "production"})}  # fmt: skip
            tell("output_item.done", output_index=0, item=item)
            output.append(item)
        elif manner(prompt) != "empty":
            text = ""
            for number, piece in enumerate(words_of(prompt, len(run.prompts))):
                text += piece
                tell("output_text.delta", item_id="msg_1", output_index=len(output), content_index=0, delta=piece)
                await self.pause()
                if manner(prompt) == "hang" and number == 2:
                    await self.hang()
                if manner(prompt) == "fail later" and number == 2:
                    run.status = "failed"
                    error = {"code": "server_error", "message": "The server had an error."}
                    tell("failed", response=whole("failed", [], error=error))
                    return
            content = [{"type": "output_text", "text": text, "annotations": []}]
            output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                           "content": content})  # fmt: skip
        run.status = "completed"
        usage = {"input_tokens": len(run.prompts), "output_tokens": 7, "total_tokens": 7 + len(run.prompts)}
        tell("completed", response=whole("completed", output, usage=usage))

    async def _follow(self, run: _Run, after: int, *, owned: bool) -> AsyncGenerator[bytes, None]:
        """The run's events from one on. A run that is owned by this connection ends with it."""
        at = after
        try:
            while True:
                while at < len(run.events):
                    yield event(run.events[at], run.events[at]["type"])
                    at += 1
                    if run.breaks and at == 4:
                        run.breaks = False
                        raise Broken
                if run.status != "in_progress":
                    return
                run.changed.clear()
                await run.changed.wait()
        finally:
            if owned and run.status == "in_progress" and run.task is not None:
                run.task.cancel()
                del self._runs[run.id]

    def _get(self, run_id: str, query: Any) -> Answer:
        run = self._runs.get(run_id)
        if run is None:
            return refusal(404, f"Response with id '{run_id}' not found.")
        if query.get("stream") != "true":
            return json_answer({"id": run.id, "object": "response", "status": run.status})
        after = int(query.get("starting_after", -1)) + 1
        return stream_answer(self._follow(run, after, owned=False))

    def _cancel(self, run_id: str) -> Answer:
        run = self._runs.get(run_id)
        if run is None:
            return refusal(404, f"Response with id '{run_id}' not found.")
        if run.status == "in_progress" and run.task is not None:
            run.task.cancel()
            run.status = "cancelled"
            run.changed.set()
        return json_answer({"id": run.id, "object": "response", "status": run.status})


def _tool(what: str) -> list[dict[str, Any]]:
    arguments = {"sql": "SELECT city, n FROM bridges"} if what == "table" else {"city": "Hamburg"}
    name = "query" if what == "table" else "weather"
    rows = {"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}
    result = json.dumps(rows) if what == "table" else "17 degrees"
    return [
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": json.dumps(arguments)},
        {"type": "function_call_output", "id": "fo_1", "call_id": "call_1", "output": result},
    ]
