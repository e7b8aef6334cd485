"""Agents behind `docker agent serve api`: sessions the server keeps, whose runs ask before they act.

A session takes the prompt, and keeps it however the run goes. A closed connection ends the run.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import urlsplit

from tui.client.http import Http, bearer, segment
from tui.client.protocols import read_events
from tui.client.protocols.docker_agent_events import ELICITATION, LIMIT, DockerAgentReader
from tui.client.protocols.docker_agent_history import Kept, read_kept, turns_of
from tui.client.protocols.docker_chat import listed
from tui.client.protocols.fields import Payload, rows, seconds_of, table, text
from tui.client.protocols.ids import check_id
from tui.client.protocols.making import made_once
from tui.client.reply import Rejected, Reply
from tui.client.request import Request
from tui.client.verdict import explain
from tui.errors import Incomplete, Limited, Refused, Stale, TurnError
from tui.events import RunNamed, TurnEvent
from tui.model import Conversation, Item, Turn, Verdict, title_from

headers = bearer

DEFAULT_AGENT = "root"

_UNKNOWN = re.compile(r"(?i)([\w ]{1,60}: )?session not found\.?")
_NOT_WAITING = re.compile(r"(?i)session not found|no elicitation request|not running")
_KEPT_HINT = "the server has kept what you said; sent again, it has it twice"


def body(request: Request) -> dict[str, Any]:
    """The JSON to send: what was typed now. The session has the rest."""
    return {"messages": [{"role": "user", "content": request.prompt}]} | dict(request.profile.params)


def is_stale(reply: Reply, request: Request) -> bool:
    """Whether the session `request` named is one the server does not know. Its words say so, under more than one status;
    a tool's session that was not found is another matter."""
    return bool(request.conversation_id) and _is_unknown(reply)


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One run, in a session made for it where there is none. Once the server has taken the prompt it keeps it, so
    nothing is asked for again from then on."""
    agent = request.profile.model or await _default_agent(http)
    session_id = request.conversation_id or await made_once(http, lambda: _create(http, request))
    reader = DockerAgentReader(http.host, session_id)
    path = _path(http, "sessions", session_id, "agent", agent)
    events = read_events(http, path, body(request), reader, accept="text/event-stream", waits=lambda: reader.asks)
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    except Rejected as rejected:
        if not reader.begun:
            raise
        yield RunNamed("")
        raise _kept(explain(rejected.reply, http, shown=reader.shown), request) from None
    except Incomplete as cut:
        # The run has ended with its connection: no one can take it up again.
        yield RunNamed("")
        error = explain(reader.error, http, shown=reader.shown) if reader.error is not None else cut
        raise (_kept(error, request) if reader.begun else error) from None


async def models(http: Http) -> list[str]:
    """The agents there are."""
    found = await http.call("GET", _path(http, "agents"))
    return [text(row.get("name")) for row in rows(found) if text(row.get("name"))]


async def answer(http: Http, run: str, item: Item, verdict: Verdict) -> None:
    """Answer what a run asks: whether a tool may run, what a tool wants to know, or whether to go on.

    Raises:
        Refused: The run does not wait for it any more.
    """
    if item.key.startswith(ELICITATION):
        where = "elicitation"
        sent: dict[str, Any] = {"action": "accept" if verdict.approved else "decline"}
        sent["content"] = dict(verdict.content) if verdict.approved else {}
        if item.call_id:
            sent["elicitation_id"] = item.call_id
    else:
        where = "resume"
        # Whether to go on is asked each time: the server would take a word for all times as a no.
        for_all = verdict.for_all and not item.key.startswith(LIMIT)
        yes = "approve-session" if for_all else "approve"
        sent = {"confirmation": yes if verdict.approved else "reject", "reason": verdict.reason}
        sent["tool_name"] = "" if item.key.startswith(LIMIT) else item.name
    try:
        await http.call("POST", _path(http, "sessions", run, where), sent)
    except Rejected as rejected:
        if not _NOT_WAITING.search(rejected.reply.message):
            raise
        raise Refused(
            "The run that asked is over; the answer came too late.", status=rejected.reply.status or None
        ) from None


async def steer(http: Http, run: str, said: str) -> None:
    """Say more to a run, which reads it after the step it is at.

    Raises:
        Refused: It is over.
        Limited: It has more to read than it takes.
    """
    sent = {"messages": [{"role": "user", "content": said}]}
    try:
        await http.call("POST", _path(http, "sessions", run, "steer"), sent)
    except Rejected as rejected:
        match rejected.reply.status:
            case 409:
                raise Refused(
                    "The agent is not running any more.", hint="send it as the next prompt", status=409
                ) from None
            case 429:
                raise Limited(
                    "The agent has enough to read for now.", hint="try again in a moment", status=429
                ) from None
        raise


async def conversations(http: Http) -> list[Conversation]:
    """The sessions there are, the newest first; the server does not say when one was last used."""
    found = rows(await http.call("GET", _path(http, "sessions")))
    named = [
        Conversation(text(row.get("id")), text(row.get("title")), seconds_of(row.get("created_at")))
        for row in found
        if text(row.get("id"))
    ]
    return sorted(named, key=lambda one: one.used_at or 0.0, reverse=True)


async def recall(http: Http, conversation_id: str) -> list[Turn]:
    """What was said in a session."""
    return turns_of(await _messages(http, conversation_id), http.profile, conversation_id)


async def fork(http: Http, conversation_id: str, turns: int | None) -> str:
    """Make a session of the first `turns` prompts of another one and all that came for them, or of everything.

    The server forks before a prompt only. So a fork of everything is one before the newest prompt, to which this and its
    answer are then added.
    """
    kept = await _messages(http, conversation_id)
    prompts = [one for one in kept if one.is_prompt]
    if not prompts:
        raise Refused("Nothing has been said in this conversation yet.")
    is_whole = turns is None or turns >= len(prompts)
    before = prompts[-1] if is_whole else prompts[turns or 0]
    sent = {"user_message_index": before.prompts}
    made = table(await _call(http, "POST", _path(http, "sessions", conversation_id, "fork"), sent))
    forked = check_id(made.get("id"), http.host)
    if is_whole:
        await _add(http, forked, kept[kept.index(before) :])
    return forked


async def _add(http: Http, session_id: str, kept: list[Kept]) -> None:
    """Add messages to a session that was made for them; where that fails, it is gone again."""
    try:
        for one in kept:
            if not one.is_inner:
                await http.call("POST", _path(http, "sessions", session_id, "messages"), {"message": one.row})
    except (Rejected, TurnError):
        with suppress(Rejected, TurnError):
            await http.call("DELETE", _path(http, "sessions", session_id))
        raise


async def _default_agent(http: Http) -> str:
    """The agent for profiles that name none."""
    agents = await listed(models(http))
    return agents[0] if agents and DEFAULT_AGENT not in agents else DEFAULT_AGENT


async def _create(http: Http, request: Request) -> str:
    """Make a session. With a title of ours the server asks no model for one."""
    sent = {"title": title_from(request.prompt)}
    if request.profile.option("working_dir"):
        sent["working_dir"] = request.profile.option("working_dir")
    made = table(await http.call("POST", _path(http, "sessions"), sent))
    return check_id(made.get("id"), http.host)


async def _messages(http: Http, session_id: str) -> list[Kept]:
    found = table(await _call(http, "GET", _path(http, "sessions", session_id)))
    return read_kept(found.get("messages"))


async def _call(http: Http, method: str, path: str, sent: Payload | None = None) -> Any:
    """What a small request about a session is answered with.

    Raises:
        Stale: The server does not know the session.
        Rejected: Whatever else it refuses.
    """
    try:
        return await http.call(method, path, sent)
    except Rejected as rejected:
        if not _is_unknown(rejected.reply):
            raise
        status = rejected.reply.status
    raise Stale(f"{http.host} does not know this conversation.", hint="start a new one", status=status)


def _path(http: Http, *names: str) -> str:
    """A path below the server's API, which base_url may name or leave out."""
    has_it = urlsplit(http.profile.base_url).path.rstrip("/").endswith("/api")
    return "/".join(("" if has_it else "/api", *map(segment, names)))


def _is_unknown(reply: Reply) -> bool:
    if reply.status not in (404, 500) or reply.form != "json":
        return False
    return reply.code == "unknown_session" or any(
        _UNKNOWN.fullmatch(words) for words in (reply.message, reply.message.removeprefix("session not found: "))
    )


def _kept(error: TurnError, request: Request) -> TurnError:
    """The same, saying that the server has the prompt, where the next one would go to the same session."""
    if request.conversation_id and not error.hint:
        error.hint = _KEPT_HINT
    return error
