"""A thread on its way from one history to another, whatever program it was held in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tui.model import Item, ItemKind, ItemState, Turn, TurnStatus, new_id
from tui.pictures import Picture
from tui.values import dataclass

THREAD_LIMIT = 64 * 1024 * 1024
"""The longest thread that is taken in, in bytes of its file."""

MESSAGE_LIMIT = 1_000_000
"""The most messages one thread may have."""

NOTHING_ASKED = "(nothing was asked)"
"""The prompt of an answer that no one asked for."""


@dataclass(frozen=True, slots=True)
class Thread:
    """What was said in another history.

    `program` is what it was held in, `source` its name there, by which it is known again. `label` and `title` are what it
    was called. `left_out` counts messages that stayed behind because they are on branches not shown there. `is_foreign`:
    someone else may have said it. `pictures` are those its prompts name, as far as they came along. Times are seconds
    since the epoch.
    """

    program: str
    source: str
    turns: tuple[Turn, ...]
    label: str = ""
    title: str = ""
    created_at: float = 0.0
    left_out: int = 0
    is_foreign: bool = False
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A thread that cannot be taken in: what it is called, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Said:
    """One thing said in a thread. `role` is "user", "assistant", or who else spoke; only what these two said as messages
    is ever told to a server."""

    role: str
    text: str
    kind: ItemKind = ItemKind.MESSAGE
    name: str = ""
    call_id: str = ""
    at: float | None = None
    model: str = ""
    failed: bool = False


def turns_of(said: Iterable[Said]) -> tuple[Turn, ...]:
    """The turns that were said: each begins with a prompt, and what follows it is its answer.

    What came before the first prompt is told as notices of its turn. Identifiers are new; a turn without an answer is
    one that broke off.
    """
    turns: list[Turn] = []
    before: list[Item] = []
    open_turn: Turn | None = None
    items: list[Item] = []
    for one in said:
        if one.role == "user" and one.kind is ItemKind.MESSAGE:
            if open_turn is not None and not items:
                open_turn = replace(open_turn, prompt=f"{open_turn.prompt}\n\n{one.text}")
                continue
            if open_turn is not None:
                turns.append(_closed(open_turn, items, before))
                before = []
            open_turn, items = _begun(one, len(turns), turns), []
        elif open_turn is None:
            before.append(Item("", ItemKind.NOTICE, one.text, one.name or one.role))
        else:
            items.append(_item(one))
            ended = one.at if one.at is not None else open_turn.ended_at
            open_turn = replace(open_turn, ended_at=ended, model=one.model or open_turn.model)
    if open_turn is None and before:
        open_turn = _begun(Said("user", NOTHING_ASKED), 0, turns)
    if open_turn is not None:
        turns.append(_closed(open_turn, items, before))
    return tuple(turns)


def _begun(one: Said, depth: int, turns: list[Turn]) -> Turn:
    earlier = turns[-1].created_at if turns else 0.0
    at = one.at if one.at is not None else earlier
    return Turn(
        new_id(), "", depth, one.text, TurnStatus.INTERRUPTED, created_at=at, ended_at=at or None, model=one.model
    )


def _item(one: Said) -> Item:
    kind, name = one.kind, one.name
    if kind is ItemKind.MESSAGE and one.role != "assistant":
        kind, name = ItemKind.NOTICE, name or one.role
    state = ItemState.FAILED if one.failed else ItemState.NONE
    return Item("", kind, one.text, name, one.call_id, state)


def _closed(turn: Turn, items: list[Item], before: list[Item]) -> Turn:
    """A turn with its items, which are given new names."""
    calls: dict[str, str] = {}
    named = []
    for number, item in enumerate([*before, *items], 1):
        call = calls.setdefault(item.call_id, str(len(calls) + 1)) if item.call_id else ""
        named.append(replace(item, key=str(number), call_id=call))
    at = turn.created_at or turn.ended_at or 0.0
    turn = replace(turn, items=tuple(named), created_at=at)
    return replace(turn, status=TurnStatus.DONE) if turn.text else turn
