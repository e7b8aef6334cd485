"""Stands in for Agenta: a service that runs turns, and a control plane that keeps sessions and lets them be watched."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from tests.servers.agenta_runs import Parts, Run, Session, Watcher, go_on, listen, now, work
from tests.servers.base import Answer, Asked, Broken, Service, event, json_answer, manner, stream_answer

SERVICE = "/services/agent"
_SESSION_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_COMMAND = {"main": {"session_id", "data", "force", "detached"}, "pr": {"session_id", "prompt", "force", "detached"}}


def make(*, pace: float = 0.0, key: str = "", **how: Any) -> Agenta:
    return Agenta(pace=pace, key=key, **how)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return (
        f'profile = "{name}"\n[profiles.{name}]\nprotocol = "agenta"\nbase_url = "{url}/api"\n'
        f'service_url = "{url}{SERVICE}"\n' + ('api_key_env = "FAKE_KEY"\n' if key else "")
    )


class Agenta(Service):
    """Keeps sessions, whose runs go on when no one listens.

    `shape` is that of its bodies: "main", or "pr" for the older one, which cannot be watched and lists no sessions.
    `lag` is how many late records can be read more each time, 0 for all at once. With `is_strict` it takes no field that
    it does not know; with `clings` a session is held after its run has ended, and given up only by `force` where
    `forces`. Without `commands` it takes none. `retry` is what watchers are asked to wait, in milliseconds. With
    `canonical` it streams events of its own instead of messages' parts.
    """

    def __init__(
        self, *, pace: float = 0.0, key: str = "", shape: str = "main", lag: int = 0, is_strict: bool = False,
        clings: bool = False, forces: bool = False, commands: bool = True, retry: int = 5000, canonical: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(pace=pace, key=key)
        self.shape = shape
        self.lag = lag
        self.is_strict = is_strict
        self.clings = clings
        self.forces = forces
        self.commands = commands
        self.retry = retry
        self.canonical = canonical
        self.sessions: dict[str, Session] = {}
        self.watchers: dict[str, list[Watcher]] = {}
        self._was_cut: set[str] = set()

    def forget(self) -> None:
        for session in self.sessions.values():
            self._end(session)
        self.sessions.clear()

    def drop_watchers(self) -> None:
        """End every watch stream, as a server that restarts does."""
        for watchers in self.watchers.values():
            for watcher in watchers:
                watcher.put_nowait(None)

    async def answer(self, asked: Asked) -> Answer:
        if self.key and asked.headers.get("authorization") != f"ApiKey {self.key}":
            return json_answer({"detail": "Unauthorized"}, 401)
        if asked.method == "POST" and asked.path in (f"{SERVICE}/invoke", "/api/invoke"):
            return self._invoke(asked)
        where = asked.path.removeprefix("/api/sessions")
        body = asked.json if isinstance(asked.json, dict) else {}
        named = asked.query.get("session_id") or body.get("session_id")
        match asked.method, where:
            case "GET", "/streams/" if named:
                session = self.sessions.get(str(named))
                return json_answer({"stream": session.row() if session else None})
            case "POST", "/streams/" if self.commands:
                return self._command(body)
            case "DELETE", "/streams/" if named:
                return self._kill(str(named))
            case "POST", "/streams/query":
                return self._list("streams")
            case "GET", "/streams/watch" if self.shape == "main":
                return stream_answer(self._watch(str(named)))
            case "POST", "/records/query":
                return self._records(named)
            case "POST", "/interactions/query":
                wanted = (body.get("query") or {}).get("session_id")
                found = [one for session in self.sessions.values() for one in session.interactions]
                found = [one for one in found if wanted in (None, one["session_id"])]
                return json_answer({"count": len(found), "interactions": found})
            case "POST", _ if where.startswith("/interactions/") and where.endswith("/respond"):
                return self._respond(where.split("/")[2], body)
            case "GET", "/mounts/":
                return self._mounts(named)
            case "POST", "/query" if self.shape == "main":
                return self._list("sessions")
            case ("POST", "/streams/") | ("DELETE", "/streams/"):
                return json_answer({"detail": "Method Not Allowed"}, 405)
        return json_answer({"detail": "Not Found"}, 404)

    # The service

    def _invoke(self, asked: Asked) -> Answer:
        body, accept = asked.json, asked.headers.get("accept", "*/*")
        if not isinstance(body, dict):
            return json_answer(
                {"detail": [{"type": "dict_type", "loc": ["body"], "msg": "Input should be a valid dictionary"}]}, 422
            )
        if "text/event-stream" not in accept and "*/*" not in accept:
            return json_answer(
                {"detail": "Not Acceptable", "requested": accept, "supported": ["text/event-stream"]}, 406
            )
        force = asked.headers.get("x-ag-session-control") == "force"
        if force and not self.forces:
            return _status(406, "flags.force is not supported yet")
        owned = not body.get("session_id")
        name = str(body.get("session_id") or f"sess_{uuid.uuid4().hex}")
        if not _SESSION_ID.fullmatch(name):
            return json_answer({"detail": "session_id contains invalid characters or is empty."}, 400)
        said = [
            _text(one)
            for one in body.get("data", {}).get("inputs", {}).get("messages", [])
            if one.get("role") == "user"
        ]
        if not said:
            return _status(400, "no user message")
        known = self.sessions.get(name)
        if known is not None and (known.running or (self.clings and known.is_alive and not force)):
            return _busy(known)
        how = manner(said[-1])
        if how == "fail first":
            return _status(500, "the agent could not be started")
        if said[-1].startswith("downstream"):
            return _status(424, "the model's provider answered 401")
        run = self._begin(name, said[-1], len(said))
        run.task = self._start(run, work(run, self.pause, self.hang))
        is_vercel = asked.headers.get("x-ag-messages-format") == "vercel" and not self.canonical
        told = {"x_ag_session_id": name, "x_ag_trace_id": uuid.uuid4().hex, "x_accel_buffering": "no"}
        if is_vercel:
            told |= {
                "x_vercel_ai_ui_message_stream": "v1",
                "x_ag_messages_format": "vercel",
                "x_ag_messages_version": "v1",
            }
        return stream_answer(self._live(run, is_vercel, owned), **told)

    def _begin(self, name: str, prompt: str, known: int = 0, *, from_user: bool = True) -> Run:
        session = self.sessions.setdefault(name, Session(name, self.shape, self._watchers(name), self.lag, prompt[:60]))
        for one in session.interactions:
            # A turn that goes on without an answer gives the question up.
            one["status"] = "cancelled" if one["status"] == "pending" else one["status"]
        session.used_at, session.is_alive = now(), True
        if from_user:
            session.prompts.append(prompt)
        run = Run(session, prompt, known or len(session.prompts))
        session.runs.append(run)
        if from_user:
            run.write_prompt()
        session.notify("lifecycle", state="running")
        return run

    def _start(self, run: Run, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def to_its_end() -> None:
            await what
            run.session.notify("lifecycle", state="ended")

        return asyncio.get_running_loop().create_task(to_its_end())

    async def _live(self, run: Run, is_vercel: bool, owned: bool) -> AsyncGenerator[bytes, None]:
        """A run's stream. Only a run without a session of its own ends with it."""
        parts, pieces = Parts(run.session.id), 0
        try:
            if is_vercel:
                for part in parts.begin():
                    yield event(part)
            async for one in listen(run):
                if "type" not in one:
                    yield event(one)
                    return
                told = (
                    parts.of(one)
                    if is_vercel
                    else [{"type": one["type"], "data": {k: v for k, v in one.items() if k != "type"}}]
                )
                for part in told:
                    yield event(part)
                if one["type"] == "tool_call":
                    yield b": keepalive\n\n"
                pieces += one["type"] == "message_delta"
                if manner(run.prompt) == "cut" and pieces == 3 and run.session.id not in self._was_cut:
                    self._was_cut.add(run.session.id)
                    raise Broken
            if is_vercel:
                for part in parts.end():
                    yield event(part)
                yield event("[DONE]")
        finally:
            if owned and not run.is_over:
                self._end(run.session)

    # The control plane

    def _command(self, body: dict[str, Any]) -> Answer:
        unknown = sorted(set(body) - _COMMAND[self.shape])
        if unknown and self.is_strict:
            detail = [
                {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
                for name in unknown
            ]
            return json_answer({"detail": detail}, 422)
        name, force = str(body.get("session_id", "")), bool(body.get("force"))
        if not _SESSION_ID.fullmatch(name):
            return json_answer({"detail": f"Session id '{name}' is invalid."}, 422)
        prompt = body.get("prompt") if self.shape == "pr" else _prompt(body.get("data"))
        session = self.sessions.get(name)
        mode = ("steer" if force else "send") if prompt else ("attach" if force else "cancel")
        reply: dict[str, Any] = {"mode": mode, "session_id": name, "detached": bool(body.get("detached"))}
        if mode == "send" and session is not None and session.liveness["alive"]:
            return _busy(session)
        if prompt:
            if session is not None:
                self._end(session)
            run = self._begin(name, prompt)
            run.task = self._start(run, work(run, self.pause, self.hang))
            reply["turn_id"] = run.id
        elif mode == "attach":
            reply["watcher_id"] = str(uuid.uuid4())
            if session is None:
                return json_answer({"detail": f"No stream found for session '{name}'."}, 404)
            self.steal(name, reply["watcher_id"])
        elif session is not None:
            self._end(session)
            session.is_alive = False
        return json_answer(reply)

    def steal(self, name: str, by: str) -> None:
        """Another client watches a session from now on."""
        session = self.sessions[name]
        for run in session.runs:
            run.stolen_by = by
            run.changed.set()
        for watcher in session.watchers:
            watcher.put_nowait(("displaced", {"reason": "stolen", "by": by}))

    def _end(self, session: Session) -> None:
        run = session.running
        if run is not None and run.task is not None:
            run.task.cancel()
            run.end("cancelled")
            session.notify("lifecycle", state="ended")

    def _kill(self, name: str) -> Answer:
        session = self.sessions.get(name)
        if session is not None:
            self._end(session)
            session.is_alive = False
            for one in session.interactions:
                one["status"] = "cancelled" if one["status"] == "pending" else one["status"]
        return json_answer({"ok": True})

    def _list(self, what: str) -> Answer:
        found = [session.row() for session in self.sessions.values()]
        return json_answer({"count": len(found), what: found})

    def _records(self, name: object) -> Answer:
        if self.shape == "pr":
            try:
                uuid.UUID(str(name))
            except ValueError:
                detail = [
                    {"type": "uuid_parsing", "loc": ["body", "session_id"], "msg": "Input should be a valid UUID"}
                ]
                return json_answer({"detail": detail}, 422)
        session = self.sessions.get(str(name))
        found = session.read() if session else []
        return json_answer({"count": len(found), "records": found})

    def _watchers(self, name: str) -> list[Watcher]:
        return self.watchers.setdefault(name, [])

    async def _watch(self, name: str) -> AsyncGenerator[bytes, None]:
        queue: Watcher = asyncio.Queue()
        self._watchers(name).append(queue)
        try:
            yield f"retry: {self.retry}\n\n".encode()
            yield event({}, "ready")
            yield b": heartbeat\n\n"
            while (told := await queue.get()) is not None:
                yield event(json.dumps(told[1]), told[0])
        finally:
            self._watchers(name).remove(queue)

    def _respond(self, name: str, body: dict[str, Any]) -> Answer:
        found = next(
            (one for session in self.sessions.values() for one in session.interactions if one["id"] == name), None
        )
        if found is None:
            return json_answer({"detail": "Interaction not found"}, 404)
        if found["status"] != "pending":
            return json_answer({"detail": "Interaction is no longer pending"}, 409)
        found["status"] = "responded"
        run = self._begin(found["session_id"], "", from_user=False)
        answer = body.get("answer") or {}
        run.task = self._start(run, go_on(run, found, bool(answer.get("approved")), self.pause))
        return json_answer({"count": 1, "interaction": found})

    def _mounts(self, name: object) -> Answer:
        if not name:
            return json_answer(
                {"detail": [{"type": "missing", "loc": ["query", "session_id"], "msg": "Field required"}]}, 422
            )
        found = [{"id": str(uuid.uuid4()), "name": "cwd", "session_id": name}] if name in self.sessions else []
        return json_answer({"count": len(found), "mounts": found})


def _busy(session: Session) -> Answer:
    message = f"Session '{session.id}' already has an active turn."
    return json_answer({"detail": {"message": message, "liveness": session.liveness}}, 409)


def _status(code: int, message: str) -> Answer:
    kind = "https://agenta.ai/docs/errors#v1:sdk:run"
    return json_answer(
        {"status": {"type": kind, "code": code, "message": message, "stacktrace": ["File agent.py"]}}, code
    )


def _text(message: dict[str, Any]) -> str:
    if isinstance(message.get("content"), str):
        return str(message["content"])
    return "".join(str(part.get("text", "")) for part in message.get("parts", []) if part.get("type") == "text")


def _prompt(data: Any) -> str:
    """What a command's input says: nothing, where there is none."""
    inputs = data.get("inputs") if isinstance(data, dict) else None
    messages = inputs.get("messages") if isinstance(inputs, dict) else None
    return _text(messages[-1]) if messages else ""
