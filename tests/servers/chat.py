"""Stands in for a server of Chat Completions, which keeps nothing and takes nothing it does not know."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from typing import Any

from tests.servers.base import Answer, Asked, Broken, Service, event, json_answer, manner, stream_answer, words_of
from tests.servers.openai import refusal, text_in

MODELS = ("fake", "other")
TABLE = "\n\n| city | n |\n|---|---|\n| Hamburg | 2496 |\n| Berlin | 960 |"
KNOWN = frozenset(
    "model messages stream stream_options temperature top_p n stop max_tokens max_completion_tokens presence_penalty "
    "frequency_penalty logit_bias logprobs top_logprobs user seed tools tool_choice parallel_tool_calls response_format "
    "reasoning_effort verbosity metadata store service_tier modalities prediction safety_identifier "
    "prompt_cache_key".split()
)


def make(*, pace: float = 0.0, key: str = "") -> Chat:
    return Chat(pace=pace, key=key)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "chat"\nbase_url = "{url}/v1"\nmodel = "fake"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


class Chat(Service):
    """Answers from what each request tells it, and nothing else."""

    def __init__(self, *, pace: float = 0.0, key: str = "") -> None:
        super().__init__(pace=pace, key=key)
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        """There is nothing to forget."""

    async def answer(self, asked: Asked) -> Answer:
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return refusal(401, "Incorrect API key provided.", code="invalid_api_key")
        match asked.method, asked.path:
            case "GET", "/v1/models":
                return json_answer({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})
            case "POST", "/v1/chat/completions":
                return self._create(asked.json)
        return refusal(404, f"Invalid URL ({asked.method} {asked.path})", code="unknown_url")

    def _create(self, body: Any) -> Answer:
        if not isinstance(body, dict):
            return refusal(400, "We could not parse the JSON body of your request.")
        strange = next((name for name in body if name not in KNOWN), "")
        if strange:
            return refusal(400, f"Unrecognized request argument supplied: {strange}")
        if not body.get("messages"):
            return refusal(
                400, "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
            )
        if body.get("model") not in MODELS:
            message = f"The model `{body.get('model')}` does not exist or you do not have access to it."
            return refusal(404, message, code="model_not_found")
        prompts = [text_in(one) for one in body["messages"] if one.get("role") == "user"]
        prompt = prompts[-1] if prompts else ""
        if manner(prompt) == "fail first":
            return refusal(500, "The server had an error.", type_="server_error")
        number = next(self._numbers)
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(words_of(prompt, len(prompts))), "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            whole = _head(number, body["model"], "chat.completion")
            return json_answer(whole | {"choices": [choice], "usage": _usage(len(prompts))})
        return stream_answer(self._stream(body, prompt, len(prompts), number), "text/event-stream; charset=utf-8")

    async def _stream(self, body: dict[str, Any], prompt: str, known: int, number: int) -> AsyncGenerator[bytes, None]:
        what = manner(prompt)
        with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        head = _head(number, body["model"], "chat.completion.chunk")

        def chunk(finish: str | None = None, **delta: Any) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return event(_compact(head | {"choices": [choice]} | ({"usage": None} if with_usage else {})))

        yield chunk(role="assistant", content="", refusal=None)
        if what == "think":
            for piece in ("It is a simple ", "question."):
                yield chunk(reasoning_content=piece)
                await self.pause()
        if what == "tool":
            called = {"name": "weather", "arguments": ""}
            yield chunk(tool_calls=[{"index": 0, "id": "call_1", "type": "function", "function": called}])
            for piece in ('{"city":', '"Hamburg"}'):
                yield chunk(tool_calls=[{"index": 0, "function": {"arguments": piece}}])
                await self.pause()
        elif what != "empty":
            for place, piece in enumerate(words_of(prompt, known) + ([TABLE] if what == "table" else [])):
                yield chunk(content=piece)
                await self.pause()
                if place == 2 and what == "hang":
                    await self.hang()
                elif place == 2 and what == "cut":
                    raise Broken
                elif place == 2 and what == "fail later":
                    error = {"message": "The server had an error.", "type": "server_error", "param": None, "code": None}
                    yield event(_compact({"error": error}))
                    return
        yield chunk("tool_calls" if what == "tool" else "stop")
        if with_usage:
            yield event(_compact(head | {"choices": [], "usage": _usage(known)}))
        yield event("[DONE]")


def _head(number: int, model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number:029}", "object": kind, "created": 1_790_000_000, "model": model}


def _usage(known: int) -> dict[str, Any]:
    return {"prompt_tokens": known, "completion_tokens": 7, "total_tokens": known + 7}


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
