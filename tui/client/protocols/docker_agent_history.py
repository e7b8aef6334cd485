"""What a docker agent's server has kept of a session, as turns.

Its list of messages is flat: what a sub-agent said stands among them, after a prompt that no one typed, up to the result
of the call that handed the work on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from tui.client.protocols.docker_agent_events import read_usage
from tui.client.protocols.fields import Payload, plain, rows, seconds_of, table, text
from tui.config import Profile
from tui.errors import Exit
from tui.model import Failure, Item, ItemKind, ItemState, Turn, TurnStatus, Usage, new_id
from tui.values import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as the server has it, `row` being all of it. `is_inner` is whether it is a sub-agent's; `prompts` counts
    those said to anyone before it, as the server does."""

    row: Payload
    is_inner: bool
    prompts: int

    @property
    def message(self) -> Payload:
        return table(self.row.get("message"))

    @property
    def role(self) -> str:
        return text(self.message.get("role"))

    @property
    def is_prompt(self) -> bool:
        """Whether the user said it."""
        return self.role == "user" and not self.is_inner


def read_kept(messages: object) -> list[Kept]:
    """All messages of a session, in order."""
    kept: list[Kept] = []
    calls: set[str] = set()
    is_inner, prompts = False, 0
    for row in rows(messages):
        message = table(row.get("message"))
        role = message.get("role")
        if role == "user" and row.get("implicit") is True:
            is_inner = True
        if is_inner and role == "tool" and text(message.get("tool_call_id")) in calls:
            is_inner = False
        if not is_inner:
            calls |= {text(call.get("id")) for call in rows(message.get("tool_calls"))}
        kept.append(Kept(row, is_inner, prompts))
        prompts += role == "user"
    return kept


def turns_of(kept: list[Kept], profile: Profile, conversation_id: str) -> list[Turn]:
    """The turns that messages add up to; one without an answer was interrupted."""
    told: list[_Told] = []
    for one in kept:
        if one.is_prompt:
            told.append(_Told(_said(one.message), seconds_of(one.message.get("created_at"))))
        elif told:
            told[-1].add(one)
    return [turn.whole(depth, profile, conversation_id) for depth, turn in enumerate(told)]


@dataclass(slots=True)
class _Told:
    """A turn while its messages are read."""

    prompt: str
    created_at: float | None
    items: dict[str, Item] = field(default_factory=dict)
    ended_at: float | None = None
    usage: Usage | None = None

    def add(self, one: Kept) -> None:
        self.ended_at = seconds_of(one.message.get("created_at")) or self.ended_at
        if not one.is_inner:
            self.usage = read_usage(_usage(one.message)) or self.usage
        for item in _items(one, len(self.items)):
            self.items[item.key] = item

    def whole(self, depth: int, profile: Profile, conversation_id: str) -> Turn:
        items = tuple(self.items.values())
        is_answered = any(item.kind is ItemKind.MESSAGE and item.text for item in items)
        failure = Failure("incomplete", "The server has no answer to this.", exit_status=Exit.INCOMPLETE)
        return Turn(
            id=new_id(),
            session_id="",
            depth=depth,
            prompt=self.prompt,
            status=TurnStatus.DONE if is_answered else TurnStatus.INTERRUPTED,
            items=items,
            created_at=self.created_at or 0.0,
            ended_at=self.ended_at,
            usage=self.usage,
            error=None if is_answered else failure,
            profile=profile.name,
            protocol=profile.protocol,
            model=profile.model,
            origin=profile.origin,
            conversation_id=conversation_id if is_answered else "",
        )


def _items(one: Kept, place: int) -> Iterator[Item]:
    """The items in a message; `place` makes their keys differ from those of others."""
    message, agent = one.message, text(one.row.get("agent_name"))
    if one.role == "assistant":
        thought, said = text(message.get("reasoning_content")), _said(message)
        name = agent if one.is_inner else ""
        if thought:
            yield Item(f"reasoning/{place}", ItemKind.REASONING, thought, name)
        if said:
            kind = ItemKind.REASONING if one.is_inner else ItemKind.MESSAGE
            yield Item(f"message/{place}", kind, said, name)
        for number, call in enumerate(rows(message.get("tool_calls"))):
            function = table(call.get("function"))
            given, call_id = plain(function.get("arguments")), text(call.get("id"))
            yield Item(f"call/{place}/{number}", ItemKind.TOOL_CALL, given, text(function.get("name")), call_id)
    elif one.role == "tool":
        state = ItemState.FAILED if message.get("is_error") is True else ItemState.NONE
        call_id = text(message.get("tool_call_id"))
        yield Item(f"result/{place}", ItemKind.TOOL_RESULT, _said(message), "", call_id, state)


def _said(message: Payload) -> str:
    """What a message says, which stands in its parts where it is more than text."""
    parts = "\n\n".join(text(part["text"]) for part in rows(message.get("multi_content")) if text(part.get("text")))
    return text(message.get("content")) or parts


def _usage(message: Payload) -> dict[str, Any]:
    usage = table(message.get("usage"))
    return {**usage, "last_message": usage}
