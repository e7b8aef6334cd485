"""The OpenAI Responses API, as the many servers that offer it really speak it: what is sent, and what is stale."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from tui.client.http import Http, bearer
from tui.client.protocols import list_models, read_events
from tui.client.protocols.background import follow
from tui.client.protocols.fields import table
from tui.client.protocols.ids import check_id
from tui.client.protocols.making import made_once
from tui.client.protocols.open_calls import CLOSED, closing
from tui.client.protocols.response_events import ResponsesReader
from tui.client.reply import Rejected, Reply
from tui.client.request import Request
from tui.client.retry import is_locked
from tui.events import Noted, TurnEvent
from tui.model import Item, Message, Verdict

headers = bearer
models = list_models

_ID_WORTH_FINDING = 6
_GONE = re.compile(r"(?i)previous_response_not_found|previous response with id .{1,600} not found")
_STALE_WORDS = re.compile(
    r"(?i)previous_response|conversation\b.*\b(not found|not exist|expired|unknown|no longer|must match format)"
    r"|\b(no|unknown) (such )?(conversation|response|session|thread)\b"
    r"|\b(response|session|thread)\b.*\b(not found|not exist|no longer)"
)
_UNSUPPORTED = re.compile(r"(?i)(not support(ed)?|unsupported|unknown|unrecognized|extra)\b.*(previous_response_id|conversation)"
                          r"|(previous_response_id|conversation)\b.*\b(not supported|unsupported|extra)"
                          r"|previous.response\b.*\bzero data retention")  # fmt: skip
_OTHER_TROUBLE = re.compile(
    r"(?i)mutually_exclusive|\bboth\b|item with id|tool output|context.?(length|window)|maximum context"
    r"|api.?key|authenticat|unauthori[sz]ed|\blog.?in\b|\bsign.?in\b|rate.?limit|\bquota\b"
    r"|model_not_found|unknown_url|\bmodels?\b.{0,100}\b(not found|not exist|not available|unavailable)"
)
_OTHER_THING = re.compile(r"(?i)\bmodel\b|\bendpoint\b|\broute\b|\burl\b|\bpath\b|\bfile\b|\bvector store\b")


def path() -> str:
    return "/responses"


def body(request: Request) -> dict[str, Any]:
    """The JSON to send. `instructions` go along every time: a server does not carry them over."""
    profile = request.profile
    sent: dict[str, Any] = {"model": profile.model, "input": [*map(_message, request.history)], "stream": True}
    for item, verdict in request.answers:
        sent["input"] += _answer(item, verdict, known=bool(request.conversation_id))
    if not request.answers:
        sent["input"].append(_message(Message("user", request.prompt, request.pictures)))
    if profile.options.get("background"):
        # Without `store` said so, a run is forgotten ten minutes after its end.
        sent |= {"background": True, "store": True}
    if profile.system:
        sent["instructions"] = profile.system
    if request.conversation_id:
        name = "conversation" if profile.continue_by == "conversation" else "previous_response_id"
        sent[name] = request.conversation_id
    return sent | dict(profile.params)


def is_stale(reply: Reply, request: Request) -> bool:
    """Whether the id `request` carried is one the server does not know."""
    if not request.conversation_id or reply.status in (401, 403, 409, 429) or reply.form in ("html", "empty"):
        return False
    if is_locked(reply):
        return False
    if _GONE.search(reply.text):
        return True
    if reply.status not in (0, 400, 404, 410, 422, 501) or _OTHER_TROUBLE.search(reply.text):
        return False
    if reply.param in ("previous_response_id", "conversation", "conversation_id"):
        return True
    if len(request.conversation_id) >= _ID_WORTH_FINDING and request.conversation_id in reply.message:
        return True
    if reply.status == 404 and reply.param == "response_id":
        return True
    if _STALE_WORDS.search(reply.text):
        return True
    return is_unsupported(reply) and not _OTHER_THING.search(reply.text)


def is_unsupported(reply: Reply) -> bool:
    """Whether the server keeps no responses at all, and says so."""
    return reply.status in (0, 400, 404, 422, 501) and _UNSUPPORTED.search(reply.text) is not None


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One answer. With `continue_by = "conversation"` the first turn makes the conversation before it speaks in it.

    A run in the background is followed through broken connections, by its sequence numbers. Where the conversation cannot
    go on because a call in it has no answer, that is given one which says so.
    """
    closed: list[dict[str, Any]] = []
    is_noted = False
    while True:
        events = await _events(http, request, closed)
        try:
            async with aclosing(events):
                async for event in events:
                    if closed and not is_noted:
                        is_noted = True
                        yield Noted(CLOSED)
                    yield event
            return
        except Rejected as rejected:
            item = closing(rejected, closed) if request.conversation_id else None
            if item is None:
                raise
        closed.append(item)


async def stop(http: Http, run: str) -> None:
    """Stop a run in the background. Stopping one that has ended changes nothing."""
    await http.call("POST", f"/responses/{quote(run, safe='')}/cancel")


async def _events(http: Http, request: Request, closed: list[dict[str, Any]]) -> AsyncGenerator[TurnEvent, None]:
    if request.run:
        conversation = request.conversation_id if request.profile.continue_by == "conversation" else ""
        return follow(http, ResponsesReader(http.host, conversation, runs=True, run=request.run))
    reader, begun = await _begin(http, request, closed)
    return follow(http, reader, begun) if reader.runs else begun


async def _begin(
    http: Http, request: Request, closed: list[dict[str, Any]]
) -> tuple[ResponsesReader, AsyncGenerator[TurnEvent, None]]:
    issued = request.conversation_id
    by_conversation = request.profile.continue_by == "conversation"
    if by_conversation and not issued:
        issued = await made_once(http, lambda: _make(http))
    sent = body(request)
    if closed:
        sent["input"] = [*closed, *sent["input"]]
    if by_conversation:
        sent["conversation"] = issued
    elif request.profile.continue_by == "nothing":
        sent["store"] = False
    reader = ResponsesReader(
        http.host,
        issued if by_conversation else "",
        request.profile.continue_by != "nothing",
        runs=bool(sent.get("background")),
    )
    return reader, read_events(http, path(), sent, reader)


async def _make(http: Http) -> str:
    """Make a conversation."""
    made = await http.call("POST", "/conversations", {})
    return check_id(table(made).get("id"), http.host)


def _answer(item: Item, verdict: Verdict, *, known: bool) -> list[dict[str, Any]]:
    """The user's word to an approval; with the question before it, where the server does not know that."""
    said: dict[str, Any] = {
        "type": "mcp_approval_response",
        "approval_request_id": item.call_id,
        "approve": verdict.approved,
    }
    if verdict.reason:
        said["reason"] = verdict.reason
    if known:
        return [said]
    server, _, name = item.name.partition(".")
    asked = {"type": "mcp_approval_request", "id": item.call_id, "name": name or server, "arguments": item.text}
    return [asked | ({"server_label": server} if name else {}), said]


def _message(message: Message) -> dict[str, Any]:
    if not message.pictures:
        return {"role": message.role, "content": message.text}
    shown = [{"type": "input_image", "image_url": picture.url} for picture in message.pictures]
    return {"role": message.role, "content": [{"type": "input_text", "text": message.text}, *shown]}
