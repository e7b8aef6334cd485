"""A server of docker agent's protocol with payloads in the names it gives: of conversations, of the fields of a form."""

from __future__ import annotations

import threading
from typing import Any

from tests.loopback import Call
from tests.untrusted.server import framed


def profile_text(port: int) -> str:
    """A configuration whose default profile is the server at a port of this machine."""
    return f'profile = "here"\n[profiles.here]\nprotocol = "docker-agent"\nbase_url = "http://127.0.0.1:{port}"\n'


class NamingAgent:
    """Answers requests. Every prompt has a tool ask for a form to be filled in; `filled` is what came of that."""

    def __init__(self, some: list[str]) -> None:
        self.titles = [f"V{framed(number, one)}" for number, one in enumerate(some)]
        self.ids = [f"I{framed(number, one)}" for number, one in enumerate(some)]
        self.fields = [f"F{framed(number, one)}" for number, one in enumerate(some)]
        self.filled: dict[str, Any] = {}
        self._is_filled = threading.Event()

    def __call__(self, call: Call) -> None:
        match call.path.partition("/api/")[2].split("/"):
            case ["agents"]:
                call.answer(200, [{"name": "root", "description": "An agent.", "multi": False}])
            case ["sessions"] if call.body:
                call.answer(200, _session("s0", ""))
            case ["sessions"]:
                named = [_session(f"s{number}", title) for number, title in enumerate(self.titles)]
                call.answer(200, named + [_session(one, "") for one in self.ids])
            case ["sessions", _, "agent", *_]:
                self._run(call)
            case ["sessions", _, "elicitation"]:
                self.filled = call.json["content"]
                self._is_filled.set()
                call.answer(200, {"message": "resumed"})
            case ["sessions", number, *_]:
                place = int(number[1:]) if number[1:].isdigit() else 0
                call.answer(200, _session(number, self.titles[place]))
            case _:
                call.answer(404, {"message": "Not Found"})

    def _run(self, call: Call) -> None:
        mine = {"session_id": "s0", "agent_name": "root"}
        schema = {"type": "object", "properties": {one: {"type": "string"} for one in self.fields}}
        question = {"message": " ".join(self.fields), "mode": "form", "schema": schema, "elicitation_id": "e1"}
        tool = {"name": "book", "description": ""}
        called = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": "{}"}}
        call.head()
        call.event({"type": "stream_started", **mine})
        call.event({"type": "tool_call", "tool_call": called, "tool_definition": tool, **mine})
        call.event({"type": "elicitation_request", **question, **mine})
        self._is_filled.wait(60)
        call.event({"type": "agent_choice", "content": "That was all of it.", **mine})
        call.event({"type": "stream_stopped", "reason": "normal", **mine})


def _session(session_id: str, title: str) -> dict[str, Any]:
    return {"id": session_id, "title": title, "created_at": "2026-11-05T10:00:00Z"}
