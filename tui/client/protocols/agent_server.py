"""The agent server of MLflow and Databricks Apps: an agent behind the Responses API, in a conversation that we name."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from tui.client.http import Http, bearer
from tui.client.protocols import read_events
from tui.client.protocols.agent_server_events import AgentServerReader, as_meant
from tui.client.protocols.background import follow
from tui.client.protocols.fields import table
from tui.client.protocols.response_events import NotDone
from tui.client.reply import Rejected, Reply
from tui.client.request import Request
from tui.client.retry import is_limited
from tui.errors import Incomplete, Refused
from tui.events import ItemDelta, ItemWhole, Noted, RunNamed, TurnEvent
from tui.model import Message

headers = bearer

TOLD_AS_TEXT = "The agent takes no earlier answers as such; what was said before was sent along as text."

_LONGEST_POLL = 8.0
_NO_ANSWERS = re.compile(r"(?i)unhandled item type|unknown content\b|string indices must be integers")


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

    Many do not: MLflow leaves out the id of a message, without which the OpenAI Agents SDK knows no answer. They say so
    before their model is asked. As their session holds what they could not take, another one is begun.
    """
    has_told = False
    events = _turn(http, request)
    try:
        async with aclosing(events):
            async for event in events:
                has_told = has_told or isinstance(event, ItemDelta | ItemWhole)
                yield event
        return
    except Rejected as rejected:
        if has_told or not _takes_no_answers(rejected.reply, request):
            raise
    yield Noted(TOLD_AS_TEXT)
    events = _turn(http, replace(request, history=_as_text(request.history)))
    async with aclosing(events):
        async for event in events:
            yield event


def _takes_no_answers(reply: Reply, request: Request) -> bool:
    """Whether a failure is about the answers there are in what was said before."""
    has_answers = any(message.role == "assistant" for message in request.history)
    return has_answers and not request.conversation_id and _NO_ANSWERS.search(reply.text) is not None


def _as_text(history: tuple[Message, ...]) -> tuple[Message, ...]:
    """What was said before, as one message of the user's."""
    said = [f"{message.role.capitalize()}: {message.text}" for message in history]
    return (Message("user", "\n\n".join(["What was said before:", *said])),)


async def _turn(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """A turn. A run in the background is followed through broken connections, by its sequence numbers."""
    if request.run:
        run, _, session = request.run.partition(" ")
        reader = AgentServerReader(http.host, session or request.conversation_id, runs=True, run=run)
        events = _rest(http, reader)
    else:
        sent = body(request)
        session = sent["custom_inputs"]["session_id"]
        reader = AgentServerReader(http.host, session, runs=bool(sent.get("background")))
        events = _begin(http, sent, reader)

    def again() -> AsyncGenerator[TurnEvent, None] | None:
        return _rest(http, reader) if reader.run else None

    followed = follow(http, events, again) if reader.runs else events
    try:
        async with aclosing(followed):
            async for event in followed:
                yield event
    except Rejected as rejected:
        if reader.run and rejected.in_stream:
            # It has failed: there is nothing to take up again.
            yield RunNamed("")
        reply = as_meant(rejected.reply, in_stream=rejected.in_stream)
        raise Rejected(reply, in_stream=rejected.in_stream) from None


async def _begin(http: Http, sent: dict[str, Any], reader: AgentServerReader) -> AsyncGenerator[TurnEvent, None]:
    """The turn from its beginning. A server may begin a run in the background and stream nothing of it."""
    events = read_events(http, "/invocations", sent, reader)
    try:
        async with aclosing(events):
            async for event in events:
                yield event
        return
    except NotDone:
        if not reader.run:
            raise Incomplete("the server answered before it was done, and did not say where to ask again") from None
    rest = _rest(http, reader)
    async with aclosing(rest):
        async for event in rest:
            yield event


async def _rest(http: Http, reader: AgentServerReader) -> AsyncGenerator[TurnEvent, None]:
    """What a run says after what `reader` has read of it; all, where that is nothing.

    Raises:
        Refused: The server does not know the run.
        Incomplete: It cannot tell of it at this moment.
    """
    after = f"&starting_after={reader.last_number}" if reader.last_number >= 0 else ""
    where = f"/responses/{quote(reader.run, safe='')}?stream=true{after}"
    wait = 0.5
    while True:
        events = read_events(http, where, None, reader, method="GET")
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
            return
        except NotDone:
            await http.sleep(wait)
            wait = min(_LONGEST_POLL, wait * 2)
        except Rejected as rejected:
            reply = rejected.reply
            if not rejected.in_stream and is_limited(reply):
                said = http.said(reply.message) or f"status {reply.status}"
                raise Incomplete(f"the server could not go on telling: {said}", status=reply.status) from None
            if (reply.status, rejected.in_stream) == (404, False) or reply.code == "response_not_found":
                yield RunNamed("")
                raise Refused(f"{http.host} does not know the run any more.", status=404) from None
            raise
