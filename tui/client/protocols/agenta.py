"""Agenta sessions: a turn runs at a service, and goes on there when no one listens.

A session's id is ours to make. The whole talk is told each time. What was said comes in a stream, or, where that breaks
off, from the records the server keeps.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from tui.addresses import check_base_url, origin_of
from tui.client.http import Http
from tui.client.protocols import agenta_sessions, read_events
from tui.client.protocols.agenta_events import AgentaReader
from tui.client.protocols.agenta_records import Wanted, runs_of
from tui.client.protocols.agenta_runs import Liveness, follow, look, records_of
from tui.client.protocols.background import LOST
from tui.client.reply import Rejected, Reply
from tui.client.request import Request
from tui.config import Profile
from tui.errors import ConfigError, Incomplete, Refused, TurnError, UsageError
from tui.events import (
    AttemptStarted,
    ConversationIssued,
    Finished,
    ItemDelta,
    ItemWhole,
    Noted,
    RunNamed,
    TurnEvent,
    Waiting,
)
from tui.model import AttemptKind, Message

stop = agenta_sessions.stop
steer = agenta_sessions.steer
conversations = agenta_sessions.conversations
recall = agenta_sessions.recall
mounts = agenta_sessions.mounts

_STREAM = {"x-ag-messages-format": "vercel"}
_TAKE_OVER = {**_STREAM, "x-ag-session-control": "force"}
_BEFORE_TAKING_UP = 0.5
_REFERENCES = {
    "application": "application_id",
    "application_variant": "variant_id",
    "application_revision": "revision_id",
}


def headers(profile: Profile, key: str) -> dict[str, str]:  # noqa: ARG001 - the contract's shape
    return {"authorization": f"ApiKey {key}"} if key else {}


def body(request: Request) -> dict[str, Any]:
    """The JSON to send: everything said so far, each time.

    `params` are the agent's own parameters. Without any, the server takes those of what is referred to.
    """
    profile = request.profile
    sent: dict[str, Any] = {"session_id": request.conversation_id} if request.conversation_id else {}
    named = {kind: {"id": profile.option(option)} for kind, option in _REFERENCES.items() if profile.option(option)}
    if named:
        sent["references"] = named
    said = [*request.history, Message("user", request.prompt)]
    if profile.system:
        said.insert(0, Message("system", profile.system))
    messages = [_message(number, message) for number, message in enumerate(said) if message.text.strip()]
    sent["data"] = {"inputs": {"messages": messages}}
    if profile.params or not named:
        sent["data"]["parameters"] = {"agent": {}} | dict(profile.params)
    return sent


def _message(number: int, message: Message) -> dict[str, Any]:
    part = {"type": "text", "text": message.text}
    return {"id": f"{message.role[:1]}{number + 1}", "role": message.role, "parts": [part]}


def is_stale(reply: Reply, request: Request) -> bool:  # noqa: ARG001 - the contract's shape
    """Never: a session that the server does not know is one it makes."""
    return False


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One turn: asked and read as it comes; or answered, or taken up again, and then read from what the server keeps."""
    session = agenta_sessions.checked(request.run or request.conversation_id or str(uuid.uuid4()))
    if request.run:
        yield RunNamed(session)
        events = follow(http, session, Wanted(request.prompt))
    elif request.answers:
        events = _answered(http, session, request)
    elif request.prompt.strip():
        events = _asked(http, replace(request, conversation_id=session))
    else:
        raise UsageError("The prompt is empty.", hint="say something")
    async with aclosing(events):
        async for event in events:
            yield event


async def _asked(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """A prompt's answer. Where its stream breaks off, or the run is steered, the rest comes from the records."""
    reader, sizes = AgentaReader(http.host, request.conversation_id), dict[str, int]()
    agenta_sessions.was_steered(request.conversation_id)
    last: list[TurnEvent] = []
    trouble: Incomplete | None = None
    try:
        async with aclosing(_run(http, request, reader)) as events:
            async for event in events:
                if last or isinstance(event, ConversationIssued):
                    last.append(event)
                    continue
                _measure(event, sizes)
                yield event
    except Incomplete as error:
        if not reader.has_begun:
            raise
        trouble = error
    wanted = Wanted(request.prompt, reader.turn, is_steered=trouble is None)
    if trouble is not None:
        yield Waiting(_BEFORE_TAKING_UP, LOST)
        await http.sleep(_BEFORE_TAKING_UP)
        yield AttemptStarted(AttemptKind.RESUMED, reader.session)
    elif not await _goes_on(http, reader.session, wanted, last):
        for event in last:
            yield event
        return
    rest = follow(http, reader.session, wanted, shown=sum(sizes.values()) if trouble else 0, trouble=trouble)
    async with aclosing(rest) as events:
        async for event in events:
            yield event


def _measure(event: TurnEvent, sizes: dict[str, int]) -> None:
    """Note how much each item has to read."""
    if isinstance(event, ItemDelta):
        sizes[event.key] = sizes.get(event.key, 0) + len(event.text)
    elif isinstance(event, ItemWhole):
        sizes[event.item.key] = len(event.item.text)


async def _run(http: Http, request: Request, reader: AgentaReader) -> AsyncGenerator[TurnEvent, None]:
    """The stream of a new run. A session that is held although nothing runs in it any more is taken over; one in which
    something runs is busy."""
    try:
        async with aclosing(_invoke(http, request, reader, _STREAM)) as events:
            async for event in events:
                yield event
        return
    except Rejected as refused:
        busy = refused
    if busy.in_stream or busy.reply.status != 409:
        raise _worded(busy, http)
    live = await _liveness(http, request.conversation_id)
    if live.is_running or not live.is_alive:
        raise busy
    try:
        async with aclosing(_invoke(http, request, reader, _TAKE_OVER)) as events:
            async for event in events:
                yield event
    except Rejected as refused:
        if refused.in_stream or refused.reply.status != 406:
            raise _worded(refused, http) from None
        # Not every service can take over; it is tried again after a while.
        raise busy from None


def _invoke(
    http: Http, request: Request, reader: AgentaReader, fields: Mapping[str, str]
) -> AsyncGenerator[TurnEvent, None]:
    return read_events(
        http,
        address(http.profile),
        body(request),
        reader,
        accept="text/event-stream",
        headers=fields,
        opened=reader.opened,
    )


async def _answered(http: Http, session: str, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """What comes of the user's answers: the run that goes on with them tells it by its records alone."""
    if not request.conversation_id:
        raise Refused("The session of this question is not known any more.", hint="ask again")
    before = await records_of(http, session)
    for item, verdict in request.answers:
        is_first = await agenta_sessions.respond(http, session, item, verdict)
        yield RunNamed(session)
        if not is_first:
            yield Noted(f"This was already answered, or is not waited for any more: {item.name}.")
    wanted = Wanted(
        request.prompt,
        asked=frozenset(item.call_id for item, _ in request.answers),
        known=frozenset(record.id for record in before),
    )
    async with aclosing(follow(http, session, wanted)) as events:
        async for event in events:
            yield event


async def _goes_on(http: Http, session: str, wanted: Wanted, last: list[TurnEvent]) -> bool:
    """Whether a run that ended with `last` goes on as another one, with what was said to it meanwhile."""
    if agenta_sessions.was_steered(session) and (Finished() in last or Finished("other") in last):
        return True
    if Finished("other") not in last:
        return False
    if (await _liveness(http, session)).is_running:
        return True
    try:
        return bool(wanted.among(runs_of(await records_of(http, session)), is_running=False))
    except (Rejected, TurnError):
        return False


async def _liveness(http: Http, session: str) -> Liveness:
    """How a session stands, as far as the server tells."""
    try:
        return await look(http, session)
    except (Rejected, TurnError):
        return Liveness()


def _worded(refused: Rejected, http: Http) -> Exception:
    """A refusal in this server's way, as the error it is."""
    said = http.said(refused.reply.message).rstrip(".") or "no reason given"
    if refused.in_stream:
        return refused
    if refused.reply.status == 424:
        return Refused(f"Something that {http.host} relies on refused or failed: {said}.", status=424)
    if refused.reply.status == 406:
        return Refused(f"{http.host} does not answer this as a stream: {said}.", hint="check service_url", status=406)
    return refused


def address(profile: Profile) -> str:
    """Where turns run: at the service the profile names, else right below its base URL.

    Raises:
        ConfigError: The service is none, or not on the profile's own origin, so that the key must not go there.
    """
    service = profile.option("service_url")
    try:
        parts = urlsplit(check_base_url(service) if service else "/invoke")
    except ConfigError as error:
        raise ConfigError(f"service_url: {error.message}", hint=error.hint) from None
    if service and origin_of(service) != profile.origin:
        raise ConfigError(
            f"service_url is not on {profile.origin}, and the key is for that alone.",
            hint="name a service behind the same host and port as base_url",
        )
    path = parts.path if parts.path.endswith("/invoke") else f"{parts.path}/invoke"
    named = {name: profile.option(name) for name in ("application_id", "project_id") if profile.option(name)}
    query = "&".join(filter(None, (parts.query, urlencode(named))))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))
