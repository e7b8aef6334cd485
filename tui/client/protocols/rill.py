"""Conversations of Rill, which answers questions about data: sent to, listed, read, shared, forked."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import field, replace
from typing import Any

from tui.client.http import Http, bearer, segment
from tui.client.protocols import read_events
from tui.client.protocols.fields import Payload, rows, seconds_of, table, text
from tui.client.protocols.ids import check_id
from tui.client.protocols.rill_events import (
    RillReader,
    answer_of,
    is_access_error,
    is_answer,
    is_error,
    is_prompt,
    prompt_of,
    read_message,
)
from tui.client.reply import Rejected, Reply
from tui.client.request import Request
from tui.client.verdict import explain
from tui.config import Profile
from tui.errors import Exit, Incomplete, NotAllowed, Refused, Stale, TurnError
from tui.events import TurnEvent
from tui.model import Conversation, Failure, Item, Turn, TurnStatus, new_id
from tui.values import dataclass

headers = bearer

FORK_HINT = "the conversation was forked, and you may not have the access its first owner had"
NOBODY = "none"
"""The word that ends sharing, where a message's id would be."""

_KEPT_HINT = "the server has kept what you said; sent again, it has it twice"
_UNKNOWN = re.compile(r"(?i)failed to find session .{0,600}\bnot found\b")
_FORBIDDEN = re.compile(r"(?i)access denied to session|action not allowed")
_STATUS_OF_CODE = {
    "InvalidArgument": 400,
    "FailedPrecondition": 400,
    "OutOfRange": 400,
    "Unauthenticated": 401,
    "PermissionDenied": 403,
    "ResourceExhausted": 429,
    "Unknown": 500,
    "Internal": 500,
    "DataLoss": 500,
    "Unavailable": 503,
}


def body(request: Request) -> dict[str, Any]:
    """The JSON to send: what was typed now. The server refuses whatever it has no field for."""
    sent: dict[str, Any] = {"prompt": request.prompt}
    if request.conversation_id:
        sent["conversationId"] = request.conversation_id
    if request.profile.option("agent"):
        sent["agent"] = request.profile.option("agent")
    return sent | dict(request.profile.params)


def is_stale(reply: Reply, request: Request) -> bool:
    """Whether the id `request` carried is one the server does not know. "Not found" alone is said of much else."""
    return bool(request.conversation_id) and _is_unknown(reply)


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One answer. Once the server has taken the prompt it keeps it, so nothing is asked for again from then on."""
    is_forked = request.is_forked and bool(request.conversation_id)
    reader = RillReader(http.host, is_forked=is_forked)
    path = _path(request.profile, "complete", "stream")
    events = read_events(http, path, body(request), reader, accept="text/event-stream")
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    except Rejected as rejected:
        reply = _told(rejected.reply) if rejected.in_stream else rejected.reply
        forbidden = _forbidden(reply, http, is_forked=is_forked)
        if forbidden is not None:
            raise forbidden from None
        if not reader.begun:
            raise Rejected(reply, in_stream=rejected.in_stream) from None
        error = explain(reply, http, shown=reader.shown)
        if is_forked and is_access_error(reply.message):
            error.hint = FORK_HINT
        raise _kept(error, request) from None
    except Incomplete as error:
        raise (_kept(error, request) if reader.begun else error) from None


async def conversations(http: Http) -> list[Conversation]:
    """The user's conversations, the one used last first."""
    found = table(await _call(http, "GET", _path(http.profile, "conversations")))
    listed = [_conversation(row) for row in rows(found.get("conversations")) if text(row.get("id"))]
    return sorted(listed, key=lambda one: one.used_at or 0.0, reverse=True)


async def conversation(http: Http, conversation_id: str) -> Conversation:
    """One conversation. Of someone else's, which is shared, only what is shared can be read, and it has to be forked to
    go on with it: the server does not prevent writing into it."""
    found = await _get(http, conversation_id)
    is_own = found.get("isOwner") is not False
    return replace(
        _conversation(table(found.get("conversation")), conversation_id), is_own=is_own, is_shared=not is_own
    )


async def recall(http: Http, conversation_id: str) -> list[Turn]:
    """What was said in a conversation, as far as the user may see it. A prompt without an answer was interrupted."""
    found = await _get(http, conversation_id)
    messages = rows(found.get("messages")) or rows(table(found.get("conversation")).get("messages"))
    return _turns(messages, http, conversation_id)


async def share(http: Http, conversation_id: str, until: str | None) -> None:
    """Let others read a conversation up to the answer `until`, by its key; None: up to the newest, empty: up to none."""
    sent = {} if until is None else {"untilMessageId": until or NOBODY}
    try:
        await _call(http, "POST", _path(http.profile, "conversations", conversation_id, "share"), sent)
    except Rejected as rejected:
        if rejected.reply.status not in (400, 404):
            raise
        said = http.said(rejected.reply.message).rstrip(".") or f"status {rejected.reply.status}"
        raise Refused(f"It cannot be shared up to there: {said}.", status=rejected.reply.status) from None


async def fork(http: Http, conversation_id: str, turns: int | None) -> str:  # noqa: ARG001 - whole conversations only
    """Make a conversation of all the user may see of another one. Its messages have ids of their own."""
    made = table(await _call(http, "POST", _path(http.profile, "conversations", conversation_id, "fork"), {}))
    return check_id(made.get("conversationId"), http.host)


def _path(profile: Profile, *names: str) -> str:
    instance = segment(profile.option("instance") or "default")
    return "/".join((f"/v1/instances/{instance}/ai", *map(segment, names)))


async def _get(http: Http, conversation_id: str) -> Mapping[str, Any]:
    return table(await _call(http, "GET", _path(http.profile, "conversations", conversation_id)))


async def _call(http: Http, method: str, path: str, sent: Payload | None = None) -> Any:
    """What a small request is answered with.

    Raises:
        Stale: The server does not know the conversation.
        NotAllowed: It is not the user's to read, or to share.
        Rejected: Whatever else it refuses.
    """
    try:
        return await http.call(method, path, sent)
    except Rejected as rejected:
        reply = rejected.reply
        if _is_unknown(reply):
            said = http.said(reply.message)
            raise Stale(
                f"{http.host} does not know this conversation: {said}.", hint="start a new one", status=reply.status
            ) from None
        forbidden = _forbidden(reply, http)
        if forbidden is None:
            raise
    raise forbidden


def _is_unknown(reply: Reply) -> bool:
    return reply.status in (0, 400, 404, 500) and reply.form != "html" and _UNKNOWN.search(reply.message) is not None


def _forbidden(reply: Reply, http: Http, *, is_forked: bool = False) -> NotAllowed | None:
    """The error where the user may not do this; the server says 401 then, as if the key were wrong."""
    if reply.status != 403 and not _FORBIDDEN.search(reply.message):
        return None
    hint = "it belongs to someone else, who has not shared it" if "access denied to session" in reply.message else ""
    said = http.said(reply.message).rstrip(".")
    return NotAllowed(
        f"{http.host} does not allow this{f': {said}' if said else ''}.",
        hint=FORK_HINT if is_forked else hint,
        status=reply.status or None,
    )


def _told(reply: Reply) -> Reply:
    """An error from a stream with the status its code stands for, and the code told along with its words."""
    message = f"{reply.message.rstrip('.')} ({reply.code})" if reply.code else reply.message
    return replace(reply, message=message, status=reply.status or _STATUS_OF_CODE.get(reply.code or "Unknown", 0))


def _kept(error: TurnError, request: Request) -> TurnError:
    """The same, saying that the server has the prompt, where the next one would go to the same conversation."""
    if request.conversation_id and not error.hint:
        error.hint = _KEPT_HINT
    return error


def _conversation(row: Payload, conversation_id: str = "") -> Conversation:
    return Conversation(
        conversation_id or text(row.get("id")),
        title=text(row.get("title")),
        used_at=seconds_of(row.get("updatedOn")) or seconds_of(row.get("createdOn")),
    )


@dataclass(slots=True)
class _Told:
    """A turn as messages tell it."""

    prompt: str
    created_at: float
    items: dict[str, Item] = field(default_factory=dict)
    ended_at: float | None = None
    answered: bool = False
    error: str = ""


def _turns(messages: list[Payload], http: Http, conversation_id: str) -> list[Turn]:
    """The turns that messages add up to. A message belongs to the prompt it hangs below, or else to the one before it:
    two answers may have been on their way at once."""
    told: dict[str, _Told] = {}
    root_of: dict[str, str] = {}
    root = ""
    for number, message in enumerate(messages):
        key = text(message.get("id")) or f"#{number}"
        if is_prompt(message):
            root = root_of[key] = key
            told[key] = _Told(prompt_of(message), seconds_of(message.get("createdOn")) or 0.0)
            continue
        own_root = root_of[key] = root_of.get(text(message.get("parentId")), root)
        if own_root in told:
            _add(told[own_root], message, key)
    # The prompt of a rating is empty: it belongs to no talk.
    said = [turn for turn in told.values() if turn.prompt]
    return [_turn(turn, depth, http, conversation_id) for depth, turn in enumerate(said)]


def _add(turn: _Told, message: Payload, key: str) -> None:
    turn.ended_at = seconds_of(message.get("createdOn")) or turn.ended_at
    if is_answer(message) and is_error(message):
        turn.error = answer_of(message) or "an error without words"
        return
    turn.answered = turn.answered or is_answer(message)
    turn.items |= {item.key: item for item in read_message(message, key)}


def _turn(told: _Told, depth: int, http: Http, conversation_id: str) -> Turn:
    profile = http.profile
    shows = any(item.text or item.name for item in told.items.values())
    status, error = TurnStatus.INTERRUPTED, None
    if told.answered:
        status = TurnStatus.DONE
    elif told.error:
        status = TurnStatus.INTERRUPTED if shows else TurnStatus.FAILED
        error = Failure("refused", f"{http.host} failed: {http.said(told.error).rstrip('.')}.")
    else:
        error = Failure("incomplete", "The server has no answer to this.", exit_status=Exit.INCOMPLETE)
    return Turn(
        id=new_id(),
        session_id="",
        depth=depth,
        prompt=told.prompt,
        status=status,
        items=tuple(told.items.values()),
        created_at=told.created_at,
        ended_at=told.ended_at,
        error=error,
        profile=profile.name,
        protocol=profile.protocol,
        model=profile.model,
        origin=profile.origin,
        conversation_id=conversation_id if status is TurnStatus.DONE else "",
    )
