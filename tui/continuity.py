"""How a turn takes up its session's conversation: by the id its server knows, or by telling what was said before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from collections.abc import Mapping as Map
from dataclasses import replace

from tui.attachments import pictures_in
from tui.client import MAY_BE_RECEIVED, Request, fresh_note
from tui.config import Profile
from tui.model import Mapping, MappingState, Message, Turn, TurnStatus, messages_of
from tui.pictures import Picture
from tui.traits import Can, Telling
from tui.values import dataclass

DAY = 86400.0

MOVED = "The server moved to a new conversation."
"""What is noted where a server names another conversation than the one it was to go on with."""

_MANY = 500
"""Turns that take longer than a frame to make messages of (7 us each measured)."""

Earlier = Callable[[int], Awaitable[list[Turn]]]
"""Gives the session's turns after a depth; after -1, all of them."""

Pictures = Callable[[Collection[str]], Awaitable[Map[str, Picture]]]
"""Gives those of some pictures that are there, by their keys."""


@dataclass(frozen=True, slots=True)
class Start:
    """A request as it goes out, with a note for the user where something about it is news.

    `is_stateless`: the server is known to keep no conversations, whatever its protocol says.
    """

    request: Request
    note: str = ""
    is_stateless: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How a turn is to take up its conversation.

    `goes_on`: by the id that is known. `after` is the depth after which turns are told of: all after -1, none where it is
    None. `is_stateless`: there is no conversation to be had.
    """

    goes_on: bool
    after: int | None
    is_stateless: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the server begins a conversation with it."""
        return not self.goes_on and not self.is_stateless


def plan(profile: Profile, mapping: Mapping | None, *, was_stopped: bool, now: float, lifetime: float) -> Plan:
    """How the next turn takes up the conversation that `mapping` names. `was_stopped`: a turn after those that the server
    has in it was.

    A conversation not used for `lifetime` seconds is not taken up again. One used in the future, as a clock that went
    backwards makes it seem, is.
    """
    traits = profile.traits
    if not traits.keeps or (mapping is not None and mapping.state is MappingState.UNSUPPORTED):
        return Plan(goes_on=False, after=-1, is_stateless=True)
    is_live = mapping is not None and mapping.state is MappingState.LIVE
    may_go_on = traits.survives_stop or not was_stopped
    if mapping is not None and is_live and may_go_on and now - mapping.used_at <= lifetime:
        if traits.telling is Telling.ALL:
            return Plan(goes_on=True, after=-1)
        is_told = traits.telling is Telling.MISSED and profile.replay
        return Plan(goes_on=True, after=mapping.depth if is_told else None)
    is_told = traits.telling is Telling.ALL or (profile.replay and traits.telling is not Telling.NOTHING)
    return Plan(goes_on=False, after=-1 if is_told else None)


async def take_up(
    request: Request, mapping: Mapping | None, earlier: Earlier, pictures: Pictures, *, now: float, lifetime: float
) -> Start:
    """`request` with the conversation that `mapping` names, or with all that was said where there is none to go on with,
    as `plan` has it."""
    traits = request.profile.traits

    async def said(after: int = -1) -> tuple[Message, ...]:
        messages = await _illustrated(await _messages(await earlier(after)), request.profile, pictures)
        if after == -1 and messages and request.preface:
            return (Message("system", request.preface), *messages)
        return messages

    request = replace(request, recall=said)
    stopped = await was_stopped(request.profile, mapping, earlier)
    planned = plan(request.profile, mapping, was_stopped=stopped, now=now, lifetime=lifetime)
    history = await said(planned.after) if planned.after is not None else ()
    if planned.is_stateless:
        return Start(replace(request, history=history), is_stateless=traits.keeps)
    if mapping is not None and planned.goes_on:
        note = ""
        if traits.telling is Telling.AT_FIRST and any(map(_may_be_held, await earlier(mapping.depth))):
            note = "The server still holds what was said last without an answer."
        return Start(replace(request, conversation_id=mapping.conversation_id, history=history), note)
    why, is_expired = "A new conversation was started on this server", False
    if mapping is not None and mapping.state is MappingState.LIVE and now - mapping.used_at > lifetime:
        days = int((now - mapping.used_at) / DAY)
        why, is_expired = f"The server's conversation was last used {days} days ago; a new one was started", True
    told = sum(one.role == "user" for one in history)
    # One that is told everything each time takes up a new one as it would the old one.
    is_news = is_expired if traits.telling is Telling.ALL else bool(told) or mapping is not None
    return Start(replace(request, history=history), fresh_note(told, why=why) if is_news else "")


async def _messages(turns: list[Turn]) -> tuple[Message, ...]:
    """What was said in `turns`; of many of them in a thread, so that no frame is late."""
    return await asyncio.to_thread(messages_of, turns) if len(turns) > _MANY else messages_of(turns)


async def _illustrated(messages: tuple[Message, ...], profile: Profile, pictures: Pictures) -> tuple[Message, ...]:
    """Messages with the pictures they name, where the server can be shown some."""
    if Can.PICTURES not in profile.traits.can:
        return messages
    named = [pictures_in(one.text) if one.role == "user" else () for one in messages]
    keys = {key for some in named for key in some}
    if not keys:
        return messages
    found = await pictures(keys)
    return tuple(
        replace(one, pictures=tuple(found[key] for key in some if key in found))
        for one, some in zip(messages, named, strict=True)
    )


async def was_stopped(profile: Profile, mapping: Mapping | None, earlier: Earlier) -> bool:
    """Whether a turn was stopped after those that the server has in its conversation, where that ends it."""
    if profile.traits.survives_stop or not profile.traits.keeps or mapping is None:
        return False
    return any(turn.status in (TurnStatus.CANCELLED, TurnStatus.INTERRUPTED) for turn in await earlier(mapping.depth))


def _may_be_held(turn: Turn) -> bool:
    """Whether the server may have kept the prompt of a turn that did not end well: not where it let no one in, or no one
    got through to it."""
    error = turn.error
    return error is None or error.kind not in ("not-allowed", "unreachable") or error.hint == MAY_BE_RECEIVED


def has_moved(profile: Profile, sent_id: str, issued_id: str) -> bool:
    """Whether a server that was sent one conversation's id goes on in another one. Where an id names a point, it is another
    one each time."""
    return bool(sent_id) and issued_id != sent_id and not profile.traits.names_point


def point_after(turn: Turn, profile: Profile) -> Mapping | None:
    """The conversation as it was after a turn, where its id names that point of it, and the profile's server took us for
    the same one then as it does now."""
    if not profile.traits.names_point or (turn.origin, turn.protocol) != (profile.origin, profile.protocol):
        return None
    if turn.principal != profile.principal:
        return None
    return mapping_after(turn, profile.principal, is_stateless=False, now=turn.ended_at or turn.created_at)


def mapping_after(turn: Turn, principal: str, *, is_stateless: bool, now: float) -> Mapping | None:
    """The conversation to keep after a turn. Only one that went well moves it."""
    if turn.status is not TurnStatus.DONE or not (turn.conversation_id or is_stateless):
        return None
    return Mapping(
        session_id=turn.session_id,
        origin=turn.origin,
        protocol=turn.protocol,
        principal=principal,
        conversation_id=turn.conversation_id,
        depth=turn.depth,
        issued_at=now,
        used_at=now,
        state=MappingState.UNSUPPORTED if is_stateless else MappingState.LIVE,
    )
