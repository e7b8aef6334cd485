"""Databricks Genie, as `databricks genie ask` speaks to it: questions about data, answered with queries and their rows."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tui.client.http import Http, bearer
from tui.client.protocols import read_events
from tui.client.protocols.genie_events import GenieReader
from tui.client.reply import Rejected, Reply
from tui.client.request import Request
from tui.client.retry import is_limited, is_locked, is_quota
from tui.config import Profile
from tui.errors import NotAllowed, Refused, TurnError
from tui.events import TurnEvent

PATH = "/api/2.0/data-rooms/tools/onechat/responses"

_NO_WORKSPACE = re.compile(r"(?i)credential was not sent or was of an unsupported type for this api")
_WAREHOUSE = re.compile(r"(?i)\bwarehouse")
_NO_ROUTE = re.compile(r"(?i)endpoint_not_found|\bno api found")
_ABSENT = re.compile(r"(?i)not_exist|not_found")
_INVALID = re.compile(r"(?i)invalid_parameter")
_CONVERSATION = re.compile(r"(?i)\bconversation")
_ID_WORTH_FINDING = 6
_NEVER = re.compile(
    r"(?i)\bcredential|\bpermission|unauthenticated|\bnot authori[sz]ed|rate.?limit|\bquota|too (long|many|large)|\blimit\b"
    r"|\btokens?\b|\bbusy\b|already (running|in progress)"
)
_OTHER = re.compile(
    r"(?i)\b(workspace|endpoint|table|view|schema|catalog|column|function|space|room|model|user|principal|json|field|body"
    r"|request|parse|malformed|syntax|sql|query|statement|type)s?\b"
)


def headers(profile: Profile, key: str) -> dict[str, str]:
    """The headers of every request. The workspace goes along where it is known: hosts of several need it."""
    workspace = profile.option("workspace_id").strip()
    named = {"x-databricks-workspace-id": workspace} if workspace not in ("", "none") else {}
    return bearer(profile, key) | named


def body(request: Request) -> dict[str, Any]:
    """The JSON to send: the newest question only. Charts have to be declined."""
    asked = [{"type": "input_text", "text": request.prompt}]
    sent: dict[str, Any] = {"input": [{"type": "message", "role": "user", "content": asked}]}
    warehouse = request.profile.option("warehouse_id").strip()
    if warehouse:
        sent["warehouseId"] = warehouse
    if request.conversation_id:
        sent["conversationId"] = request.conversation_id
    return sent | {"enable_viz": False} | dict(request.profile.params)


def is_stale(reply: Reply, request: Request) -> bool:
    """Whether the id `request` carried may be one the server does not know any more.

    How the server says so is not known. What is about something else is not taken for it; the rest may be, as the id is
    replaced only once the question was answered without it.
    """
    if not request.conversation_id or reply.status in (401, 403, 429) or reply.form != "json":
        return False
    if is_locked(reply) or is_limited(reply) or is_quota(reply) or _WAREHOUSE.search(reply.message):
        return False
    if _NO_ROUTE.search(reply.text):
        return False
    id_said = len(request.conversation_id) >= _ID_WORTH_FINDING and request.conversation_id in reply.message
    if id_said or _CONVERSATION.search(reply.message):
        is_other = _NEVER.search(reply.text) is not None and not _ABSENT.search(reply.code)
    else:
        is_other = _NEVER.search(reply.text) is not None or _OTHER.search(reply.message) is not None
    if is_other:
        return False
    if reply.status == 0:
        return _ABSENT.search(reply.code) is not None or _INVALID.search(reply.code) is not None
    about_it = id_said or not reply.message or _CONVERSATION.search(reply.message) is not None
    return reply.status in (400, 404) or (reply.status == 500 and about_it)


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    events = read_events(http, PATH, body(request), GenieReader(http.host), accept="text/event-stream")
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    except Rejected as rejected:
        error = None if rejected.in_stream else _with_hint(rejected.reply, http)
        raise (error or rejected) from None


def _with_hint(reply: Reply, http: Http) -> TurnError | None:
    """The error of a refusal that the profile can mend, naming what in it would."""
    name, status, said = http.profile.name, reply.status, http.said(reply.message).rstrip(".")
    if _NO_WORKSPACE.search(reply.text):
        known = http.profile.option("workspace_id").strip() not in ("", "none")
        hint = f"{'check' if known else 'set'} workspace_id in profile {name}; the key may be fine"
        return NotAllowed(f"{http.host} cannot tell which workspace this is for: {said}.", hint=hint, status=status)
    if status in (400, 404) and _WAREHOUSE.search(reply.message):
        return Refused(f"{http.host} refused the request: {said}.", hint=f"check warehouse_id in profile {name}",
                       status=status)  # fmt: skip
    return None
