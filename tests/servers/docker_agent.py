"""Stands in for `docker agent serve api`: sessions kept here, whose runs end with their connection.

Beside the words all servers know, a prompt may begin with "question" (a tool wants to know something), "limit" (the most
steps there may be are made) or "delegate" (a sub-agent works). One that fails may end in the code of its error.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncGenerator
from typing import Any

from tests.servers.base import Answer, Asked, Service, stream_answer
from tests.servers.docker_agent_runs import Run, Session
from tests.servers.echo import go_answer, go_event, message, not_found

AGENTS = {"root": "An agent for everything.", "reviewer": "Reads code."}
CONFIRMATIONS = ("approve", "approve-session", "approve-tool", "approve-safe", "approve-safer", "reject")
STEER_LIMIT = 5
UNKNOWN = "session not found"
BUSY = "session is already processing a request"


def make(*, pace: float = 0.0, key: str = "") -> DockerAgent:
    return DockerAgent(pace=pace, key=key)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "docker-agent"\nbase_url = "{url}"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


class DockerAgent(Service):
    """Keeps sessions until it is told to forget. A prompt is kept however its run goes."""

    def __init__(self, *, pace: float = 0.0, key: str = "") -> None:
        super().__init__(pace=pace, key=key)
        self.sessions: dict[str, Session] = {}
        self.ran: list[str] = []
        self._has_cut = False

    def forget(self) -> None:
        self.sessions.clear()

    async def answer(self, asked: Asked) -> Answer:
        if asked.path in ("/health", "/ready"):
            return go_answer({"status": "ok", "version": "test"})
        wrong = self._wrong_key(asked.headers.get("authorization", ""))
        if wrong:
            return message(401, wrong)
        match asked.method, asked.path.removeprefix("/api/").split("/") if asked.path.startswith("/api/") else []:
            case "GET", ["agents"]:
                found = [{"name": name, "description": said, "multi": False} for name, said in AGENTS.items()]
                return go_answer(sorted(found, key=lambda one: str(one["name"])))
            case "GET", ["sessions"]:
                return go_answer([_summary(session) for session in self.sessions.values()])
            case "POST", ["sessions"]:
                return self._create(asked.json)
            case "GET", ["sessions", session_id]:
                session = self.sessions.get(session_id)
                return go_answer(_whole(session)) if session else message(404, f"{UNKNOWN}: {UNKNOWN}")
            case "GET", ["sessions", session_id, "snapshot"]:
                session = self.sessions.get(session_id)
                gone = go_answer({"code": "unknown_session", "message": f"{UNKNOWN}: {UNKNOWN}"}, 404)
                return go_answer(_whole(session)) if session else gone
            case "DELETE", ["sessions", session_id]:
                if self.sessions.pop(session_id, None) is None:
                    return message(500, f"failed to delete session: {UNKNOWN}")
                return go_answer({"message": "session deleted"})
            case "POST", ["sessions", session_id, "agent", *agent] if agent:
                return self._run(session_id, "/".join(agent), asked.json)
            case "POST", ["sessions", session_id, "resume" | "elicitation" | "steer" | "fork" | "messages" as what]:
                if not isinstance(asked.json, dict):
                    return message(400, "invalid request body: code=400, message=Syntax error")
                acts = {
                    "resume": self._resume,
                    "elicitation": self._elicitation,
                    "steer": self._steer,
                    "fork": self._fork,
                    "messages": self._messages,
                }
                return acts[what](session_id, asked.json)
        return not_found()

    def _wrong_key(self, given: str) -> str:
        if not self.key:
            return ""
        if not given:
            return "missing Authorization header"
        if not given.startswith("Bearer "):
            return "invalid Authorization header format"
        return "" if given == f"Bearer {self.key}" else "invalid token"

    def _create(self, sent: Any) -> Answer:
        if not isinstance(sent, dict):
            return message(400, "invalid request body: code=400, message=Syntax error")
        folder = str(sent.get("working_dir") or "").strip()
        if folder.startswith("/nowhere"):
            return message(500, f"failed to create session: stat {folder}: no such file or directory")
        session = Session(str(uuid.uuid4()), str(sent.get("title") or "").strip(), folder)
        session.is_approved = sent.get("tools_approved") is True
        self.sessions[session.id] = session
        return go_answer(_whole(session) | {"messages": [], "starred": False, "SendUserMessage": True})

    def _run(self, session_id: str, agent: str, sent: Any) -> Answer:
        if not isinstance(sent, dict):
            return message(400, "invalid request body: EOF")
        session = self.sessions.get(session_id)
        if session is None:
            return message(500, f"failed to run session: {UNKNOWN}")
        if agent not in AGENTS:
            return message(500, f"failed to run session: agent not found: {agent}")
        if session.run is not None:
            return message(409, BUSY)
        prompts = [str(one.get("content", "")) for one in sent.get("messages") or []]
        for prompt in prompts:
            session.add("user", prompt)
        self.ran.append(agent)
        session.is_ready = True
        session.run = Run(session, agent, self, self._may_cut)
        return stream_answer(self._stream(session, session.run, prompts[-1] if prompts else ""))

    async def _stream(self, session: Session, run: Run, prompt: str) -> AsyncGenerator[bytes, None]:
        try:
            async for event in run.events(prompt):
                if event["type"] == "stream_stopped" and event.get("session_id") == session.id:
                    session.run = None
                yield go_event(event)
        finally:
            if session.run is run:
                session.run = None

    def _may_cut(self) -> bool:
        """Whether a connection may break: once."""
        may, self._has_cut = not self._has_cut, True
        return may

    def _resume(self, session_id: str, sent: dict[str, Any]) -> Answer:
        session = self.sessions.get(session_id)
        if session is None or not session.is_ready:
            return message(500, f"failed to resume session: {UNKNOWN}")
        waits = session.run.resume if session.run else None
        if waits is not None and not waits.done() and sent.get("confirmation") in CONFIRMATIONS:
            waits.set_result(sent)
        return go_answer({"message": "session resumed"})

    def _elicitation(self, session_id: str, sent: dict[str, Any]) -> Answer:
        session = self.sessions.get(session_id)
        if session is None or not session.is_ready:
            return message(500, f"failed to resume elicitation: {UNKNOWN}")
        waiting = session.run.elicitations if session.run else {}
        named = sent.get("elicitation_id") or (next(iter(waiting)) if len(waiting) == 1 else "")
        waits = waiting.pop(named, None)
        if waits is None:
            return message(500, "failed to resume elicitation: no elicitation request in progress")
        waits.set_result(sent)
        return go_answer(None)

    def _steer(self, session_id: str, sent: dict[str, Any]) -> Answer:
        session = self.sessions.get(session_id)
        if not sent.get("messages"):
            return message(400, "at least one message is required")
        if session is None or not session.is_ready:
            return message(409, "failed to steer session: session not found or not running")
        if len(session.steered) >= STEER_LIMIT:
            return message(429, "steer queue full", retry_after="1")
        session.steered += [str(one.get("content", "")) for one in sent["messages"]]
        return go_answer({"status": "queued"}, 202)

    def _fork(self, session_id: str, sent: dict[str, Any]) -> Answer:
        session = self.sessions.get(session_id)
        if session is None:
            return message(500, f"failed to fork session: {UNKNOWN}")
        wanted = sent.get("user_message_index", 0)
        said = [place for place, row in enumerate(session.messages) if row["message"]["role"] == "user"]
        if not 0 <= wanted < len(said):
            return message(400, f"fork user-message index out of range: {wanted}")
        if said[wanted] in session.inner:
            return message(400, f"fork user-message index falls inside a sub-session at ordinal {wanted}")
        number = 1 + sum(one.title.startswith(f"{session.title} (fork ") for one in self.sessions.values())
        forked = Session(str(uuid.uuid4()), f"{session.title} (fork {number})", session.working_dir)
        forked.messages = copy.deepcopy(session.messages[: said[wanted]])
        forked.inner = {place for place in session.inner if place < said[wanted]}
        self.sessions[forked.id] = forked
        return go_answer(_whole(forked))

    def _messages(self, session_id: str, sent: dict[str, Any]) -> Answer:
        session = self.sessions.get(session_id)
        if not isinstance(sent.get("message"), dict):
            return message(400, "message is required")
        if session is None or session.run is not None:
            return message(500, f"failed to add message: {UNKNOWN if session is None else BUSY}")
        session.messages.append(sent["message"])
        return go_answer({"status": "added"}, 201)


def _summary(session: Session) -> dict[str, Any]:
    folder = {"working_dir": session.working_dir} if session.working_dir else {}
    return {
        "id": session.id,
        "title": session.title,
        "created_at": session.created_at,
        "num_messages": len(session.messages),
        "input_tokens": 0,
        "output_tokens": 0,
    } | folder


def _whole(session: Session) -> dict[str, Any]:
    told = _summary(session) | {"tools_approved": session.is_approved}
    del told["num_messages"]
    return told | ({"messages": session.messages} if session.messages else {})
