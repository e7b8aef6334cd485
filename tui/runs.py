"""A turn that is running, with what is known of it beside its stream."""

from __future__ import annotations

import asyncio
from dataclasses import field, replace

from tui.config import Profile
from tui.model import ItemState, Session, Settled, Turn, TurnStatus
from tui.traits import Can
from tui.values import dataclass

Outline = tuple[int, TurnStatus, float | None, str, tuple[ItemState, ...]]
"""What tells of a turn that has ended whether someone has changed it since."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Seconds without anything new of an answer, and without anything at all from its server."""

    of_text: float
    of_data: float


NO_SILENCE = Silence(0.0, 0.0)


@dataclass(slots=True)
class Run:
    """A turn that is running.

    `saved` is its state on disk; `stop` is what a cancellation would mean, `lets_go` whether the server's work is to go on
    after one. `name` is the server's for that work. `states` and `notes` are what was learnt of the turn beside its
    stream; `is_resumed` is whether it had been interrupted before. With `at` it goes on from the session's first turns only,
    so many of them; with `settles` it tells what the user said to something that is asked. `moved_to` is the depth it has,
    where someone else has its place; `is_followed`, whether a prompt that waits is sent after it. `beaten` is when it was
    last said, on the loop's clock, that it goes on. `told` is when the answer last grew, or was asked for, and `heard` when
    anything came from the server, on the monotonic clock.
    """

    session: Session | None
    turn: Turn
    profile: Profile
    task: asyncio.Task[Turn] | None = None
    saved: Turn | None = None
    stop: TurnStatus | None = None
    lets_go: bool = False
    is_stateless: bool = False
    is_resumed: bool = False
    at: int | None = None
    settles: Settled | None = None
    moved_to: int | None = None
    is_followed: bool = False
    name: str = ""
    beaten: float = 0.0
    told: float = 0.0
    heard: float = 0.0
    states: dict[str, ItemState] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def seen(self, turn: Turn) -> Turn:
        """`turn` with what was learnt beside its stream."""
        self.name = turn.run or self.name
        if self.moved_to is not None:
            turn = replace(turn, depth=self.moved_to)
        if self.notes:
            turn = replace(turn, notes=_joined(turn.notes, tuple(self.notes)))
        if self.states:
            items = (replace(item, state=self.states.get(item.key, item.state)) for item in turn.items)
            turn = replace(turn, items=tuple(items))
        if self.is_resumed and turn.error is not None and turn.error.kind == "refused":
            # The server does not know the run any more: there is nothing to take up a third time.
            turn = replace(turn, run="")
        if turn.run and turn.status.is_final and Can.RESUME not in self.profile.traits.can:
            # It ended with its connection: nothing goes on at the server.
            turn = replace(turn, run="")
        return turn


def _joined(notes: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """`notes`, then `more`, the first of which a turn has already that was seen before."""
    known = next(size for size in range(len(more), -1, -1) if notes[len(notes) - size :] == more[:size])
    return (*notes, *more[known:])


def outline(turn: Turn) -> Outline:
    """A turn's outline."""
    return turn.depth, turn.status, turn.ended_at, turn.run, tuple(item.state for item in turn.items)
