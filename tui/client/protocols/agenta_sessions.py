"""What an Agenta server can do with a session beside running its turns: stop, steer, answer, list and tell them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from tui.client.http import Http
from tui.client.protocols.agenta_events import is_session_id, tool_call_id
from tui.client.protocols.agenta_records import Run, read_time, runs_of, tell
from tui.client.protocols.agenta_runs import place, records_of
from tui.client.protocols.fields import Payload, rows, table, text
from tui.client.reply import Rejected
from tui.errors import Refused, UsageError
from tui.model import Conversation, Failure, Item, ItemState, Turn, TurnStatus, Verdict, new_id

_steered: set[str] = set()
_UNKNOWN_FIELD = re.compile(r"(?i)\b(extra|unexpected|unknown|unrecognized|not permitted|not allowed)\b")
_NO_SUCH_CALL = (400, 404, 405, 422, 429, 501)


def checked(session: str) -> str:
    """The id of a session as it may be sent.

    Raises:
        Refused: The server would not take it.
    """
    if not is_session_id(session):
        raise Refused(
            f"“{session[:40]}” cannot be the id of a session here.",
            hint="letters, digits, - or _, at most 128 of them",
        )
    return session


async def stop(http: Http, run: str) -> None:
    """Stop a session's run, by one command. A command without input is what stops; where the server does not take it,
    the session's stream is deleted."""
    session = checked(run)
    try:
        await http.call("POST", place(http, "/sessions/streams/"), {"session_id": session, "force": False})
    except Rejected as refused:
        if refused.reply.status not in _NO_SUCH_CALL:
            raise
        if "No stream found" not in refused.reply.message:
            await http.call("DELETE", place(http, "/sessions/streams/", session_id=session))


async def steer(http: Http, run: str, said: str) -> None:
    """Say more to a session: what runs is ended, and another run goes on with it.

    A command whose input a server overlooks would stop the run, or attach to it. So the first attempt holds the input
    in both shapes there are, and each of the others only goes to a server that refuses what it does not know.
    """
    session = checked(run)
    if not said.strip():
        raise UsageError("There is nothing to say.", hint="say something")
    # Noted before it is sent: what runs may end before the reply to this is here.
    _steered.add(session)
    is_taken = False
    try:
        done = await _steer(http, session, said)
        if done.get("mode") not in (None, "steer", "send"):
            raise Refused(f"{http.host} took this for something else ({str(done['mode'])[:40]}).")
        is_taken = True
    finally:
        if not is_taken:
            _steered.discard(session)


async def _steer(http: Http, session: str, said: str) -> Payload:
    main = {"data": {"inputs": {"messages": [{"role": "user", "content": said}]}}}
    older = {"prompt": said}
    for shape in (main | older, main):
        try:
            return table(await _command(http, session, shape))
        except Rejected as refused:
            if refused.reply.status not in (400, 422) or not _UNKNOWN_FIELD.search(refused.reply.text):
                raise
    return table(await _command(http, session, older))


async def _command(http: Http, session: str, shape: Payload) -> Any:
    sent = {"session_id": session, **shape, "force": True, "detached": True}
    return await http.call("POST", place(http, "/sessions/streams/"), sent)


def was_steered(session: str) -> bool:
    """Whether this process has said more to a session since this was asked last."""
    is_so = session in _steered
    _steered.discard(session)
    return is_so


async def conversations(http: Http) -> list[Conversation]:
    """The project's sessions, the one used last first."""
    try:
        answer = table(await http.call("POST", place(http, "/sessions/query"), {}))
        found = rows(answer.get("sessions"))
    except Rejected as refused:
        if refused.reply.status not in _NO_SUCH_CALL:
            raise
        answer = table(await http.call("POST", place(http, "/sessions/streams/query"), {}))
        found = rows(answer.get("streams"))
    listed = [
        Conversation(
            row["session_id"],
            text(row.get("name")),
            read_time(row.get("updated_at")) or read_time(row.get("created_at")),
        )
        for row in found
        if is_session_id(row.get("session_id"))
    ]
    return sorted(listed, key=lambda one: one.used_at or 0.0, reverse=True)


async def recall(http: Http, conversation_id: str) -> list[Turn]:
    """What was said in a session, as far as the server still has it."""
    talks: list[list[Run]] = []
    for run in runs_of(await records_of(http, checked(conversation_id))):
        if run.prompt is None and talks:
            # What goes on after an approval belongs to what was asked.
            talks[-1].append(run)
        else:
            talks.append([run])
    turns = [_turn(http, conversation_id, depth, talk) for depth, talk in enumerate(talks)]
    return [*(_without_questions(turn) for turn in turns[:-1]), *turns[-1:]]


async def mounts(http: Http, session: str) -> list[str]:
    """The names of a session's folders, where the server has any."""
    try:
        answer = await http.call("GET", place(http, "/sessions/mounts/", session_id=checked(session)))
    except Rejected as refused:
        if refused.reply.status in _NO_SUCH_CALL:
            return []
        raise
    named = (
        text(row.get("name")) or text(row.get("slug")) or text(row.get("id"))
        for row in rows(table(answer).get("mounts"))
    )
    return [name for name in named if name]


async def respond(http: Http, session: str, item: Item, verdict: Verdict) -> bool:
    """Answer a question, once. False where it had been answered, or given up, before.

    Raises:
        Refused: The server does not know the question.
    """
    asked = await _interaction(http, session, item.call_id)
    name = text(asked.get("id")) or item.call_id
    call = text(table(table(asked.get("data")).get("request")).get("tool_call_id")) or tool_call_id(item)
    answer: dict[str, Any] = {"approved": verdict.approved}
    answer |= {key: value for key, value in (("tool_call_id", call), ("message", verdict.reason)) if value}
    where = place(http, f"/sessions/interactions/{quote(name, safe='')}/respond")
    try:
        await http.call("POST", where, {"answer": answer})
    except Rejected as refused:
        if refused.reply.status == 404:
            raise Refused("The server does not know this question any more.", hint="ask again", status=404) from None
        if refused.reply.status != 409:
            raise
        return False
    return True


async def _interaction(http: Http, session: str, name: str) -> Payload:
    """What the server has under the name a stream gave to a question; empty where it does not say.

    That name is a token of the run that waits. The server's own id for it is another one.
    """
    try:
        answer = await http.call(
            "POST", place(http, "/sessions/interactions/query"), {"query": {"session_id": session}}
        )
    except Rejected as refused:
        if refused.reply.status not in _NO_SUCH_CALL:
            raise
        return {}
    # A server that overlooks the filter tells of everyone's sessions.
    found = [row for row in rows(table(answer).get("interactions")) if row.get("session_id") == session]
    return next((row for row in found if name in (row.get("token"), row.get("id"))), {})


def _turn(http: Http, session: str, depth: int, runs: list[Run]) -> Turn:
    """Runs that belong to one prompt, as a turn."""
    told, profile = tell(runs), http.profile
    times = [record.at for run in runs for record in run.records if record.at is not None]
    is_done = told.failure is None and (told.stop is not None or told.ends_in_words)
    failure = None
    if told.failure is not None:
        failure = Failure("refused", f"The server broke off: {http.said(told.failure.message) or 'no reason given'}")
    return Turn(
        id=new_id(),
        session_id="",
        depth=depth,
        prompt=runs[0].prompt or "",
        status=TurnStatus.DONE if is_done else TurnStatus.INTERRUPTED,
        items=told.items,
        created_at=min(times, default=0.0),
        ended_at=max(times, default=None),
        usage=told.usage,
        error=failure,
        finish=told.finish,
        profile=profile.name,
        protocol=profile.protocol,
        model=profile.model,
        origin=profile.origin,
        conversation_id=session,
    )


def _without_questions(turn: Turn) -> Turn:
    """A turn that others came after: what it asked is not waited for any more."""
    items = (replace(item, state=ItemState.NONE) if item.state is ItemState.OPEN else item for item in turn.items)
    return replace(turn, items=tuple(items))
