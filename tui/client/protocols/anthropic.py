"""The Anthropic Messages API: what is sent. The server keeps nothing, so everything said goes along each time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tui.client.http import Http
from tui.client.protocols import list_models, read_events
from tui.client.protocols.anthropic_events import AnthropicReader
from tui.client.reply import Reply
from tui.client.request import Request
from tui.config import Profile
from tui.events import TurnEvent
from tui.model import Message

VERSION = "2023-06-01"
"""The version of the API that is asked for; a profile's `headers` may name another."""

MAX_TOKENS = 8192
"""The longest answer asked for, in tokens, where `params` does not say. The server wants a number."""


def headers(profile: Profile, key: str) -> dict[str, str]:  # noqa: ARG001 - the contract's shape
    """The headers every request carries."""
    return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})


async def models(http: Http) -> list[str]:
    """The names of the models there are, in the server's order. A page holds twenty unless more are asked for."""
    return await list_models(http, "/models?limit=1000")


def body(request: Request) -> dict[str, Any]:
    """The JSON to send."""
    profile = request.profile
    sent: dict[str, Any] = {
        "model": profile.model,
        "max_tokens": MAX_TOKENS,
        "messages": _messages([*_said(request.history), Message("user", request.prompt, request.pictures)]),
        "stream": True,
    }
    system = [profile.system, *(message.text for message in request.history if message.role == "system")]
    if any(system):
        sent["system"] = "\n\n".join(filter(None, system))
    return sent | dict(profile.params)


def is_stale(reply: Reply, request: Request) -> bool:  # noqa: ARG001 - the contract's shape
    """Never: no id is ever sent."""
    return False


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    events = read_events(http, "/messages", body(request), AnthropicReader(http.host))
    async with aclosing(events):
        async for event in events:
            yield event


def _said(history: tuple[Message, ...]) -> list[Message]:
    """What users and models said: the server knows no other roles."""
    return [message for message in history if message.role != "system"]


def _messages(said: list[Message]) -> list[dict[str, Any]]:
    """What was said, with roles that alternate and no message that is blank: the server takes no others."""
    found: list[Message] = []
    for message in said:
        if not message.text.strip():
            continue
        if found and found[-1].role == message.role:
            last = found.pop()
            text = f"{last.text}\n\n{message.text}"
            message = Message(message.role, text, (*last.pictures, *message.pictures))
        found.append(message)
    return [{"role": message.role, "content": _content(message)} for message in found]


def _content(message: Message) -> str | list[dict[str, Any]]:
    """What is said, as the server takes it: in blocks where a picture is among it, which it wants before the words."""
    if not message.pictures:
        return message.text
    shown = [
        {"type": "image", "source": {"type": "base64", "media_type": picture.kind, "data": picture.base64}}
        for picture in message.pictures
    ]
    return [*shown, {"type": "text", "text": message.text}]
