"""The turns of a session that are at hand: kept as blocks, given up far from the eye, asked for where they are missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from tui.app.transcript.layout import Layout
from tui.app.transcript.turn_blocks import TurnBlocks
from tui.model import Turn, Variants

PAGE = 48
"""Turns asked for at once."""

MOST_TURNS = 1200
"""Turns kept in memory; those farthest from the eye go first."""


class Marks(TypedDict):
    """What is said between turns: above all of them, after those that others may read, where others are in one's place."""

    notice: str
    shared: int | None
    variants: dict[int, Variants]


class TurnsAtHand:
    """Some of the turns that `layout` has a height of. `need` is called with the range of depths that has to be brought."""

    def __init__(self, layout: Layout, need: Callable[[int, int], None]) -> None:
        self._layout = layout
        self._need = need
        self._turns: dict[int, TurnBlocks] = {}
        self._asked: set[int] = set()
        self._notice = ""
        self._shared: int | None = None
        self._variants: dict[int, Variants] = {}

    def __contains__(self, depth: object) -> bool:
        return depth in self._turns

    def blocks_of(self, depth: int) -> TurnBlocks | None:
        return self._turns.get(depth)

    def turn_at(self, depth: int) -> Turn | None:
        blocks = self._turns.get(depth)
        return blocks.turn if blocks else None

    def depths(self) -> list[int]:
        """Where they are."""
        return sorted(self._turns)

    # Coming, going

    def clear(self) -> None:
        """Begin with none, another session being looked at."""
        self._turns.clear()
        self._asked.clear()

    def put(self, turn: Turn) -> None:
        """Take in a turn, new or changed."""
        known = self._turns.get(turn.depth)
        if known is not None and known.turn.id == turn.id:
            known.update(turn)
        else:
            self._turns[turn.depth] = self._blocks(turn)
        self._asked.discard(turn.depth)

    def drop_from(self, count: int) -> None:
        """Forget the turns from depth `count` on."""
        for depth in [depth for depth in self._turns if depth >= count]:
            del self._turns[depth]
        self._asked = {depth for depth in self._asked if depth < count}

    def keep_around(self, depth: int) -> None:
        """Forget all but those around `depth`."""
        for one in [one for one in self._turns if abs(one - depth) > PAGE]:
            del self._turns[one]

    def give_up_far_from(self, depth: int) -> None:
        """Forget those farthest from `depth`, where there are too many. What still changes stays."""
        if len(self._turns) <= MOST_TURNS:
            return
        far = sorted(self._turns, key=lambda one: abs(one - depth), reverse=True)
        for one in far[: len(self._turns) - MOST_TURNS]:
            if self._turns[one].turn.status.is_final:
                del self._turns[one]

    def ask_for(self, depth: int, *, from_end: bool) -> None:
        """Have the turns around `depth` brought, or `from_end` those before it, as far as they are neither at hand nor on
        their way."""
        if not self._is_missing(depth):
            return
        start, until = depth, depth + 1
        least = depth - PAGE + 1 if from_end else depth - PAGE // 2
        while start > least and self._is_missing(start - 1):
            start -= 1
        while until - start < PAGE and self._is_missing(until):
            until += 1
        while until - start < PAGE and self._is_missing(start - 1):
            start -= 1
        self._asked.update(range(start, until))
        self._need(start, until)

    def ask_again(self) -> None:
        """What was on its way has gone astray."""
        self._asked.clear()

    def _is_missing(self, depth: int) -> bool:
        return 0 <= depth < len(self._layout) and depth not in self._turns and depth not in self._asked

    # What is said between them

    def mark(self, notice: str, shared: int | None) -> bool:
        """Have `notice` above everything, and a line after the last of the turns that others may read. False where that is
        so already."""
        if (notice, shared) == (self._notice, self._shared):
            return False
        changed = {0, (self._shared or 0) - 1, (shared or 0) - 1}
        self._notice, self._shared = notice, shared
        self._make_again(changed)
        return True

    def mark_variants(self, variants: dict[int, Variants]) -> bool:
        """Say where there are other turns in the place of one. False where that is known already."""
        changed = {depth for depth in {*variants, *self._variants} if variants.get(depth) != self._variants.get(depth)}
        self._variants = variants
        self._make_again(changed)
        return bool(changed)

    @property
    def marks(self) -> Marks:
        """What was said with `mark` and `mark_variants`."""
        return {"notice": self._notice, "shared": self._shared, "variants": self._variants}

    def variants_at(self, depth: int) -> Variants | None:
        return self._variants.get(depth)

    def _make_again(self, depths: set[int]) -> None:
        for depth in depths & set(self._turns):
            self._turns[depth] = self._blocks(self._turns[depth].turn)

    def _blocks(self, turn: Turn) -> TurnBlocks:
        before = self._notice if turn.depth == 0 else ""
        after = "Shared up to here; what follows is not." if turn.depth + 1 == self._shared else ""
        return TurnBlocks(turn, before, after, self._variants.get(turn.depth))
