"""How a turn takes up its session's conversation: by the id its server knows, or by telling what was said before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui.client import Request, fresh_note
from tui.model import Mapping, MappingState, Message, Turn, TurnStatus

if TYPE_CHECKING:
    from tui.client.protocols import Traits

DAY = 86400.0

Recall = Callable[[int], Awaitable[tuple[Message, ...]]]
"""Gives what was said in the turns after a depth; after -1, all of it."""


@dataclass(frozen=True, slots=True)
class Start:
    """A request as it goes out, with a note for the user where something about it is news.

    `is_stateless`: the server is known to keep no conversations, whatever its protocol says.
    """

    request: Request
    note: str = ""
    is_stateless: bool = False


async def take_up(
    request: Request, mapping: Mapping | None, traits: Traits, recall: Recall, *, now: float, lifetime: float
) -> Start:
    """`request` with the conversation that `mapping` names, or with all that was said where there is none to go on with.

    A conversation not used for `lifetime` seconds is not taken up again. One used in the future, as a clock that went
    backwards makes it seem, is.
    """
    request = replace(request, recall=lambda: recall(-1))
    if not traits.keeps:
        return Start(replace(request, history=await recall(-1)))
    if mapping is not None and mapping.state is MappingState.UNSUPPORTED:
        return Start(replace(request, history=await recall(-1)), is_stateless=True)
    tells = traits.history and request.profile.replay
    is_live = mapping is not None and mapping.state is MappingState.LIVE
    if mapping is not None and is_live and now - mapping.used_at <= lifetime:
        missed = await recall(mapping.depth) if tells else ()
        return Start(replace(request, conversation_id=mapping.conversation_id, history=missed))
    why = "A new conversation was started on this server"
    if mapping is not None and is_live:
        days = int((now - mapping.used_at) / DAY)
        why = f"The server's conversation was last used {days} days ago; a new one was started"
    history = await recall(-1) if tells else ()
    told = sum(said.role == "user" for said in history)
    is_news = bool(told) or mapping is not None
    return Start(replace(request, history=history), fresh_note(told, why=why) if is_news else "")


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
