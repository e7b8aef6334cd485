"""Agents behind `docker agent serve chat`: Chat Completions whose conversations are kept under names that we make.

The server never says a conversation's name, nor that it does not know one: it makes a new one of all it is told. So it is
told everything each time, of which it takes the newest prompt where it knows the rest.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from tui.client.http import Http, bearer
from tui.client.protocols import chat_completions, list_models, read_events
from tui.client.protocols.chat_completions import ChatReader
from tui.client.protocols.fields import Payload
from tui.client.reply import Rejected, Reply, read_error
from tui.client.request import Request
from tui.errors import Refused, TurnError
from tui.events import ConversationIssued, Finished, TurnEvent

LIST_PATIENCE = 5.0
"""Seconds a list of agents may take; what it is wanted for goes on without it."""

NAME_HEADER = "x-conversation-id"

headers = bearer
models = list_models


def body(request: Request) -> dict[str, Any]:
    """The JSON to send: everything said so far, each time. The model is the agent."""
    return chat_completions.body(request)


def is_stale(reply: Reply, request: Request) -> bool:  # noqa: ARG001 - the contract's shape
    """Never: of a conversation it does not know the server makes a new one."""
    return False


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One answer. An agent that is not there is refused here: the server would take another one, and not say so."""
    await _check_agent(http, request.profile.model)
    conversation_id = request.conversation_id or str(uuid.uuid4())
    if not (conversation_id.isascii() and conversation_id.isprintable()):
        raise Refused("This conversation's id cannot be sent.", hint="it has characters that no header may have")
    reader = DockerChatReader(http.host, conversation_id)
    events = read_events(http, "/chat/completions", body(request), reader, headers={NAME_HEADER: conversation_id})
    async with aclosing(events):
        async for event in events:
            yield event


async def listed(names: Awaitable[list[str]]) -> list[str]:
    """What a server lists; nothing where that cannot be had soon."""
    try:
        async with asyncio.timeout(LIST_PATIENCE):
            return await names
    except (Rejected, TurnError, TimeoutError):
        return []


async def _check_agent(http: Http, agent: str) -> None:
    agents = await listed(list_models(http)) if agent else []
    if agents and agent not in agents:
        raise Refused(
            f"{http.host} has no agent “{http.said(agent, 100)}”.",
            hint=f"there are: {http.said(', '.join(agents), 300)}",
        )


class DockerChatReader(ChatReader):
    """Reads the chunks of one completion. Only `[DONE]` ends it well: without it the server has not kept the turn.

    Tools run at the server, which tells of their calls and not of what they gave.
    """

    def __init__(self, host: str = "the server", conversation_id: str = "") -> None:
        super().__init__(host)
        self._conversation_id = conversation_id

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        if payload.get("error") and not self.over:
            reply = read_error(payload)
            raise Rejected(replace(reply, status=reply.status or 500), in_stream=True)
        yield from super().read(payload)

    def end(self) -> Iterator[TurnEvent]:
        return iter(())

    def _finished(self) -> Iterator[TurnEvent]:
        for event in super()._finished():
            if isinstance(event, Finished):
                yield ConversationIssued(self._conversation_id)
            yield event
