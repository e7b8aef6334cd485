"""The makers' own clients read the same recordings and stand-in servers, over loopback, and hear what ours hears."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.client.fault_server import FaultServer, Request, Send
from tests.client.protocols.recordings import Recording, recording
from tests.client.protocols.test_recordings import WANTED, profile_of
from tests.client.turns import Told, take
from tests.fake_server import PROFILE, Waits
from tests.servers.base import serving
from tui.client import Client
from tui.model import ItemKind, TurnStatus

MODEL = "fake"
LINES_CUT = ("aimock/ollama-markdown",)
"""What Ollama's client cannot read: it ends a line at U+2028 too, which is in the text of this one."""


@dataclass
class Heard:
    """What a client made of an answer. `calls` are the tools that were called: id, name and arguments."""

    text: str = ""
    reasoning: str = ""
    id: str = ""
    finish: str = ""
    usage: tuple[int | None, int | None] | None = None
    calls: list[tuple[str, str, Any]] = field(default_factory=list)

    def count(self, sent: int | None, received: int | None) -> None:
        self.usage = (sent, received) if sent or received else None


def said(prompt: str) -> Any:
    return [{"role": "user", "content": prompt}]


async def responses(url: str, prompt: str, heard: Heard) -> None:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
        stream = await client.responses.create(model=MODEL, input=said(prompt), stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                heard.text += event.delta
            elif event.type == "response.reasoning_summary_text.delta":
                heard.reasoning += event.delta
            elif event.type == "response.completed":
                heard.id = event.response.id
                usage = event.response.usage
                heard.count(*(usage.input_tokens, usage.output_tokens) if usage else (None, None))
                calls = [item for item in event.response.output if item.type == "function_call"]
                heard.calls += [(call.call_id, call.name, json.loads(call.arguments)) for call in calls]
                whole = event.response.output_text
                assert not whole or heard.text.endswith(whole)


async def chat(url: str, prompt: str, heard: Heard) -> None:
    import openai

    called: dict[int, list[str]] = {}
    async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=said(prompt), stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            if chunk.usage:
                heard.count(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            for choice in chunk.choices:
                heard.text += choice.delta.content or ""
                heard.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                heard.finish = choice.finish_reason or heard.finish
                for call in choice.delta.tool_calls or []:
                    one = called.setdefault(call.index, ["", "", ""])
                    pieces = (call.id, call.function and call.function.name, call.function and call.function.arguments)
                    for place, piece in enumerate(pieces):
                        one[place] += piece or ""
    heard.calls = [(call_id, name, json.loads(arguments)) for call_id, name, arguments in called.values()]


async def anthropic(url: str, prompt: str, heard: Heard) -> None:
    import anthropic as sdk

    root = url.removesuffix("/v1")
    async with (
        sdk.AsyncAnthropic(base_url=root, api_key="k", max_retries=0) as client,
        client.messages.stream(model=MODEL, messages=said(prompt), max_tokens=9) as stream,
    ):
        try:
            await stream.until_done()
        finally:
            message = stream.current_message_snapshot
            heard.finish = message.stop_reason or ""
            usage = message.usage
            cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
            heard.count(usage.input_tokens + cached, usage.output_tokens)
            for block in message.content:
                if block.type == "text":
                    heard.text += block.text
                elif block.type == "thinking":
                    heard.reasoning += block.thinking
                elif block.type == "tool_use":
                    heard.calls.append((block.id, block.name, block.input))


async def ollama(url: str, prompt: str, heard: Heard) -> None:
    import ollama as sdk

    client = sdk.AsyncClient(host=url.removesuffix("/v1"))
    try:
        async for part in await client.chat(model=MODEL, messages=said(prompt), stream=True):
            heard.text += part.message.content or ""
            for call in part.message.tool_calls or []:
                heard.calls.append(("", call.function.name, dict(call.function.arguments)))
            if part.done:
                heard.finish = part.done_reason or ""
                heard.count(part.prompt_eval_count, part.eval_count)
    finally:
        await client.close()


SDKS: dict[str, Callable[[str, str, Heard], Coroutine[Any, Any, None]]] = {
    "responses": responses,
    "chat": chat,
    "anthropic": anthropic,
    "ollama": ollama,
}
NORMAL = ("", "stop", "end_turn")
DONE = [name for name, wanted in WANTED.items() if wanted.status is TurnStatus.DONE and name not in LINES_CUT]
CUT = [name for name, wanted in WANTED.items() if wanted.status is not TurnStatus.DONE]


async def both(one: Recording) -> tuple[Heard, Told]:
    """What the maker's client and ours make of the same bytes, which come as they were recorded."""
    heard = Heard()
    async with FaultServer([Request(), Send(one.raw)]) as server:
        may_break = _broken() if one.name in CUT else ()
        with suppress(*may_break):
            await SDKS[one.protocol](server.url, "hello", heard)
        told = await take(Client(sleep=Waits()), replace(profile_of(one), base_url=server.url))
    return heard, told


def _broken() -> tuple[type[Exception], ...]:
    """How the clients say that an answer did not come to its end."""
    import anthropic as anthropic_sdk
    import httpx
    import httpx2
    import ollama as ollama_sdk
    import openai

    return (
        openai.OpenAIError,
        anthropic_sdk.AnthropicError,
        ollama_sdk.ResponseError,
        httpx.HTTPError,
        httpx2.HTTPError,
    )


@pytest.mark.parametrize("name", DONE)
async def test_the_makers_client_hears_the_same(name: str) -> None:
    one = recording(name)
    heard, told = await both(one)
    turn = told.turn
    assert (turn.status, turn.text) == (TurnStatus.DONE, heard.text)
    assert (turn.usage and (turn.usage.input_tokens, turn.usage.output_tokens)) == heard.usage
    calls = [(item.call_id, item.name, json.loads(item.text)) for item in turn.items if item.kind is ItemKind.TOOL_CALL]
    assert calls == heard.calls
    if one.protocol != "responses":
        assert turn.finish == ("" if heard.finish in NORMAL else heard.finish)
    if one.protocol != "ollama":
        assert "".join(text for _, text in told.of(ItemKind.REASONING)) == heard.reasoning
    if WANTED[name].keeps:
        assert turn.conversation_id == heard.id


@pytest.mark.parametrize("name", CUT)
async def test_the_makers_client_hears_the_same_beginning(name: str) -> None:
    heard, told = await both(recording(name))
    assert told.turn.text == heard.text
    assert heard.usage is None


@pytest.mark.parametrize("name", LINES_CUT)
async def test_what_the_makers_client_cannot_read(name: str) -> None:
    one = recording(name)
    async with FaultServer([Request(), Send(one.raw)]) as server:
        with pytest.raises(json.JSONDecodeError):
            await SDKS[one.protocol](server.url, "hello", Heard())


@pytest.mark.parametrize("prompt", ["hello", "think", "tool", "table", "empty", "long"])
@pytest.mark.parametrize("protocol", SDKS)
async def test_the_makers_client_hears_a_stand_in_the_same(protocol: str, prompt: str) -> None:
    heard = Heard()
    module = importlib.import_module(f"tests.servers.{protocol}")
    with serving(module.make()) as server:
        await SDKS[protocol](f"{server.url}/v1", prompt, heard)
        told = await take(
            Client(), replace(PROFILE, protocol=protocol, base_url=f"{server.url}/v1", model=MODEL), prompt
        )
    turn = told.turn
    assert (turn.status, turn.text) == (TurnStatus.DONE, heard.text)
    assert (turn.usage and (turn.usage.input_tokens, turn.usage.output_tokens)) == heard.usage
    if protocol != "ollama":
        assert "".join(text for _, text in told.of(ItemKind.REASONING)) == heard.reasoning
    if protocol != "responses":
        assert turn.finish == ("" if heard.finish in NORMAL else heard.finish)
    if protocol == "chat":
        calls = [
            (item.call_id, item.name, json.loads(item.text)) for item in turn.items if item.kind is ItemKind.TOOL_CALL
        ]
        assert calls == heard.calls
