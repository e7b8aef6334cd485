"""The agent server of MLflow and Databricks Apps: an agent behind the Responses API, in a conversation that we name."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from tui.client.http import Http, bearer
from tui.client.protocols import read_events
from tui.client.protocols.agent_server_events import AgentServerReader, as_meant
from tui.client.protocols.background import follow
from tui.client.protocols.fields import table
from tui.client.reply import Rejected, Reply
from tui.client.request import Request
from tui.client.verdict import explain
from tui.errors import Refused
from tui.events import ItemDelta, ItemWhole, Noted, TurnEvent
from tui.model import Message

headers = bearer

TOLD_AS_TEXT = "The agent takes no earlier answers as such; what was said before was sent along as text."

PRESS_R = "press r, and what was said before is told as text"
"""The hint of a turn that failed over earlier answers, it seems, on a server that may have acted on it."""

_NO_ANSWERS = re.compile(r"(?i)unhandled item type|unknown content\b|string indices must be integers")
_QUOTED = 40
_NO_LETTERS = re.compile(r"\W+")

_told_as_text: set[str] = set()
"""Where agents are that took no answers, by the base URLs of their servers."""


def body(request: Request) -> dict[str, Any]:
    """The JSON to send. Where there is no conversation yet, it begins one: the server takes every id for an old one."""
    profile = request.profile
    said = [{"role": message.role, "content": message.text} for message in request.history]
    if profile.system and not request.conversation_id:
        said.insert(0, {"role": "system", "content": profile.system})
    said.append({"role": "user", "content": request.prompt})
    sent: dict[str, Any] = {"input": said, "stream": True}
    if profile.options.get("background"):
        sent["background"] = True
    sent |= profile.params
    session = request.conversation_id or str(uuid.uuid4())
    return sent | {"custom_inputs": {**table(sent.get("custom_inputs")), "session_id": session}}


def is_stale(reply: Reply, request: Request) -> bool:  # noqa: ARG001 - the contract's shape
    """Never: a conversation the server has forgotten is an empty one, and it does not say so."""
    return False


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One answer. An agent that takes no answers which it did not give itself is told them as text.

    Many do not: MLflow leaves out the id of a message, without which the OpenAI Agents SDK knows no answer. Where the
    failure quotes the answer, and is all that came, no model has been asked: what was said is told again. Else the server
    may have acted on it, and the user decides. As its session holds what it could not take, another one is begun.
    """
    server, tells_answers, has_told = http.profile.base_url, _tells_answers(request), False
    if not tells_answers or server not in _told_as_text:
        reader, events = _turn(http, request)
        try:
            async with aclosing(events):
                async for event in events:
                    has_told = has_told or isinstance(event, ItemDelta | ItemWhole)
                    yield event
            return
        except Rejected as rejected:
            reply = rejected.reply
            if has_told or not tells_answers or not _NO_ANSWERS.search(reply.text):
                raise
            _told_as_text.add(server)
            if reader.has_begun or not _quotes(reply, request):
                failure = explain(reply, http)
                raise Refused(failure.message, hint=PRESS_R, status=failure.status) from None
    yield Noted(TOLD_AS_TEXT)
    _, events = _turn(http, replace(request, history=_as_text(request.history)))
    async with aclosing(events):
        async for event in events:
            yield event


def _tells_answers(request: Request) -> bool:
    """Whether a request begins a conversation with answers that were given elsewhere."""
    has_answers = any(message.role == "assistant" for message in request.history)
    return has_answers and not request.conversation_id and not request.run


def _quotes(reply: Reply, request: Request) -> bool:
    """Whether a failure quotes one of the answers in a request, as Python writes it."""
    said = _NO_LETTERS.sub("", reply.text)
    begins = (
        _NO_LETTERS.sub("", message.text.strip().partition("\n")[0][:_QUOTED])
        for message in request.history
        if message.role == "assistant"
    )
    return any(begin and begin in said for begin in begins)


def _as_text(history: tuple[Message, ...]) -> tuple[Message, ...]:
    """What was said before, as one message of the user's."""
    said = [f"{message.role.capitalize()}: {message.text}" for message in history]
    return (Message("user", "\n\n".join(["What was said before:", *said])),)


def _turn(http: Http, request: Request) -> tuple[AgentServerReader, AsyncGenerator[TurnEvent, None]]:
    """A turn. A run in the background is followed through broken connections, by its sequence numbers."""
    if request.run:
        run, _, session = request.run.partition(" ")
        reader = AgentServerReader(http.host, session or request.conversation_id, runs=True, run=run)
        return reader, _as_meant(follow(http, reader))
    sent = body(request)
    session = sent["custom_inputs"]["session_id"]
    reader = AgentServerReader(http.host, session, runs=bool(sent.get("background")))
    begun = read_events(http, "/invocations", sent, reader)
    return reader, _as_meant(follow(http, reader, begun) if reader.runs else begun)


async def _as_meant(events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    except Rejected as rejected:
        reply = as_meant(rejected.reply, in_stream=rejected.in_stream)
        raise Rejected(reply, in_stream=rejected.in_stream) from None
