"""Stands in for Ollama, which keeps models but no conversations."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from tests.servers.base import Answer, Asked, Broken, Service, manner, stream_answer, text_answer, words_of
from tests.servers.echo import go_json

TABLE = "\n\n| city | n |\n|---|---|\n| Hamburg | 2496 |\n| Berlin | 960 |"
NOW = "2026-11-20T23:10:07.289Z"


def make(*, pace: float = 0.0, key: str = "") -> Ollama:
    return Ollama(pace=pace, key=key)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml. It names no model: the server's first one is taken."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "ollama"\nbase_url = "{url}"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


class Ollama(Service):
    """Answers from what each request tells it, with one of its `models`. `loaded` says how long each is kept."""

    def __init__(self, *, pace: float = 0.0, key: str = "") -> None:
        super().__init__(pace=pace, key=key)
        self.models = ["fake:latest", "other:7b"]
        self.loaded: dict[str, Any] = {}

    def forget(self) -> None:
        """There is nothing to forget."""

    async def answer(self, asked: Asked) -> Answer:
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            signin = "https://ollama.com/connect?name=here&key=c3NoLWVkMjU1MTk"
            return _json({"error": "unauthorized", "signin_url": signin}, 401)
        match asked.method, asked.path:
            case "GET", "/":
                return text_answer("Ollama is running")
            case "GET", "/api/version":
                return _json({"version": "0.13.0"})
            case "GET", "/api/tags":
                return _json({"models": [_listed(name) for name in self.models]})
            case "POST", "/api/chat":
                return self._chat(asked)
        return text_answer("404 page not found", 404, "text/plain")

    def _chat(self, asked: Asked) -> Answer:
        if not asked.body:
            return _json({"error": "missing request body"}, 400)
        body = asked.json
        if not isinstance(body, dict):
            return _json({"error": "unexpected EOF"}, 400)
        model = str(body.get("model", ""))
        if not model:
            return _json({"error": "model is required"}, 400)
        if (model if ":" in model else f"{model}:latest") not in self.models:
            return _json({"error": f"model '{model}' not found"}, 404)
        keep_alive = body.get("keep_alive", "5m")
        if isinstance(keep_alive, str) and keep_alive.lstrip("-").isdigit():
            return _json({"error": f'time: missing unit in duration "{keep_alive}"'}, 400)
        self.loaded[model] = keep_alive
        messages = body.get("messages") or []
        if not messages:
            return _json(_line(model, done=True, done_reason="load"))
        prompts = [str(one["content"]) for one in messages if one["role"] == "user"]
        if manner(prompts[-1]) == "fail first":
            return _json({"error": "llama runner process has terminated: exit status 2"}, 500)
        if body.get("stream") is False:
            words = "".join(words_of(prompts[-1], len(prompts)))
            return _json(_line(model, words, **_last(len(prompts))))
        return stream_answer(self._stream(model, prompts), "application/x-ndjson")

    async def _stream(self, model: str, prompts: list[str]) -> AsyncGenerator[bytes, None]:
        what = manner(prompts[-1])
        if what == "think":
            for piece in ("It is a simple ", "question."):
                yield _bytes(_line(model, thinking=piece))
                await self.pause()
        if what == "tool":
            call = {
                "function": {"index": 0, "name": "weather", "arguments": {"city": "Hamburg"}},
                "id": "call_0a1b2c3d",
            }
            yield _bytes(_line(model, tool_calls=[call]))
        elif what != "empty":
            words = words_of(prompts[-1], len(prompts)) + ([TABLE] if what == "table" else [])
            for place, piece in enumerate(words):
                yield _bytes(_line(model, piece))
                await self.pause()
                if place == 2 and what == "hang":
                    await self.hang()
                elif place == 2 and what == "cut":
                    raise Broken
                elif place == 2 and what == "fail later":
                    yield _bytes({"error": "an error was encountered while running the model: unexpected EOF"})
                    return
        yield _bytes(_line(model, **_last(len(prompts))))


def _line(model: str, content: str = "", **more: Any) -> dict[str, Any]:
    """One object of an answer. What belongs into its message goes there."""
    message = {"role": "assistant", "content": content}
    message |= {name: more.pop(name) for name in ("thinking", "tool_calls") if name in more}
    return {"model": model, "created_at": NOW, "message": message} | ({"done": False} | more)


def _last(known: int) -> dict[str, Any]:
    """What only the last object says. A prompt that was in the cache is not counted."""
    durations = {"total_duration": 883583458, "load_duration": 1334875, "eval_duration": 557000000}
    counted = {"prompt_eval_count": 10 * known, "prompt_eval_duration": 342546000} if known < 3 else {}
    return {"done": True, "done_reason": "stop", **durations, **counted, "eval_count": 7}


def _listed(name: str) -> dict[str, Any]:
    details = {"parent_model": "", "format": "gguf", "family": "llama", "parameter_size": "7B"}
    return {
        "name": name,
        "model": name,
        "modified_at": NOW,
        "size": 3825819519,
        "digest": "fe938a13",
        "details": details,
    }


def _json(value: object, status: int = 200) -> Answer:
    return text_answer(go_json(value), status, "application/json; charset=utf-8")


def _bytes(value: object) -> bytes:
    return f"{go_json(value)}\n".encode()
