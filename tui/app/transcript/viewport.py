"""What of a transcript is in view: a place, with the rows that follow from it.

The place is kept as an anchor (turn, unit, line), so that a height that turns out different from its guess never moves
the text. Only what is in view is drawn; what is not at hand is asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from rich.segment import Segment

from tui.app.transcript.at_hand import PAGE, TurnsAtHand
from tui.app.transcript.blocks import Block, Ground, Unit
from tui.app.transcript.layout import GUESS, Layout
from tui.app.transcript.palette import Palette
from tui.app.transcript.selection import key_of
from tui.app.transcript.turn_blocks import TurnBlocks
from tui.app.transcript.wrap import Line
from tui.model import Turn
from tui.values import dataclass

MOST_LINES = 8000
"""Drawn lines kept."""

KEPT_LINES = 400
"""Drawn lines kept of what is out of sight."""


class Place(NamedTuple):
    """The first line in view: a turn, a unit of it, and a line of that."""

    depth: int = 0
    unit: int = 0
    line: int = 0


@dataclass(slots=True)
class Row:
    """A line in view. `block` and `unit` are None where a turn is still being brought."""

    key: int
    line: Line
    depth: int
    block: Block | None = None
    unit: Unit | None = None


class Viewport:
    """Turns, seen through a window. `need` is called with the range of depths that has to be brought."""

    def __init__(self, need: Callable[[int, int], None]) -> None:
        self.place = Place()
        self.following = True
        self.ground = Ground(80, Palette())
        self.height = 0
        self.rows: list[Row] = []
        self.layout = Layout()
        self.at_hand = TurnsAtHand(self.layout, need)
        self._need = need
        self._drawn: OrderedDict[Unit, int] = OrderedDict()
        self._held: tuple[Place, Unit] | None = None

    def beside(self) -> Viewport:
        """Another one, empty, of the same size and looks."""
        other = Viewport(self._need)
        other.ground, other.height = self.ground, self.height
        return other

    def fit(self, other: Viewport) -> None:
        """Take another one's size and looks, having been out of sight."""
        self.resize(other.ground.width, other.height)
        self.ground = other.ground
        self.at_hand.ask_again()

    def slim(self) -> None:
        """Keep what is around the place alone, to be out of sight for a while."""
        self.at_hand.keep_around(self.place.depth)
        self._forget_old_lines(KEPT_LINES)

    # Turns

    def open(self, count: int, place: Place, *, following: bool) -> None:
        """Begin with a session of `count` turns, none of them at hand."""
        self.at_hand.clear()
        self._drawn.clear()
        self._held = None
        self.layout.reset(count)
        self.following = following or not count
        self.place = place._replace(depth=min(place.depth, max(0, count - 1)))

    def put(self, turns: list[Turn]) -> None:
        """Take in turns, new or changed."""
        was_missing = self.place.depth not in self.at_hand
        for turn in turns:
            if turn.depth >= len(self.layout):
                self.layout.grow(turn.depth + 1)
            self.at_hand.put(turn)
        if was_missing and self.place.depth in self.at_hand:
            self._settle()
        self.at_hand.give_up_far_from(self.place.depth)

    def drop_from(self, count: int) -> None:
        """Forget the turns from depth `count` on."""
        self.layout.grow(count)
        self.at_hand.drop_from(count)
        if self.place.depth >= count:
            self.place = Place(max(0, count - 1))

    def bring(self, depth: int) -> None:
        """Have a turn brought that is wanted, whether it is in view or not."""
        self.at_hand.ask_for(depth, from_end=self.following)

    # Size

    def resize(self, width: int, height: int) -> None:
        """Another window: text `width` cells wide, `height` lines of it."""
        self.height = height
        if width == self.ground.width:
            return
        depth, number, line = self.place
        blocks = self.at_hand.blocks_of(depth)
        unit = blocks.units()[number] if blocks and number < len(blocks.units()) else None
        share = line / max(1, unit.height(self.ground)) if unit else 0.0
        # What is not in view is not looked at: its height follows from the one it had, and the text does not move.
        known = {
            one: max(2, self.layout.height(one) * self.ground.width // max(1, width)) for one in self.at_hand.depths()
        }
        guess = max(2, sum(known.values()) // len(known)) if known else GUESS
        missing_share = line / self.layout.height(depth) if blocks is None and depth < len(self.layout) else 0.0
        self.ground = replace(self.ground, width=width)
        self.layout.reset(len(self.layout), guess)
        for one, height in known.items():
            self.layout.set(one, height)
        if unit is not None and share:
            self.place = Place(depth, number, int(share * len(self.lines(unit))))
        elif missing_share:
            self.place = Place(depth, 0, int(missing_share * guess))

    # Moving

    def move(self, lines: int) -> None:
        """Move down by a number of lines, or up where it is negative. Reaching the end means following it again."""
        if not self.layout or not lines:
            return
        self.place = self._down(self.place, lines) if lines > 0 else self.up(self.place, -lines)
        self.following = False
        self.update()
        self.following = self.is_at_end()

    def go_to(self, place: Place) -> None:
        self.place = place
        self.following = False
        self.update()

    def locate(self, line: int) -> Place:
        """The place of a line of the whole."""
        depth, within = self.layout.locate(line)
        return self._down(Place(depth), within) if within else Place(depth)

    def up(self, place: Place, lines: int) -> Place:
        """The place a number of lines above another."""
        depth, number, line = place
        line -= lines
        while line < 0:
            blocks = self.at_hand.blocks_of(depth)
            units = blocks.units() if blocks is not None else []
            # A place may be older than its turn, or wait for it: there are units as far as the rows show any.
            number = min(number, len(units))
            if number > 0:
                number -= 1
                line += len(self.lines(units[number]))
                continue
            if depth == 0:
                return Place()
            depth -= 1
            blocks = self.at_hand.blocks_of(depth)
            if blocks is None:
                self.bring(depth)
                line += self.layout.height(depth)
            else:
                units = blocks.units()
                number = len(units) - 1
                line += len(self.lines(units[number]))
        return Place(depth, number, line)

    def foresee(self, direction: int) -> None:
        """Draw, or have brought, the window's worth of lines above the window or below it, and the first turns of all."""
        if not self.layout or not self.rows:
            return
        if direction < 0:
            self.up(self.place, self.height)
        else:
            self.bring(min(len(self.layout) - 1, self.rows[-1].depth + PAGE // 4))
            self._down(self.place, 2 * self.height)
        self.bring(0)

    def _down(self, place: Place, lines: int) -> Place:
        depth, number, line = place
        line += lines
        while depth < len(self.layout):
            blocks = self.at_hand.blocks_of(depth)
            heights = (
                [self.layout.height(depth)] if blocks is None else (len(self.lines(u)) for u in blocks.units()[number:])
            )
            for height in heights:
                if line < height:
                    return Place(depth, number, line)
                line -= height
                number += 1
            depth, number = depth + 1, 0
        return self.bottom()

    def bottom(self) -> Place:
        """The place from which the last line of all is the last row."""
        room = self.height
        for depth in range(len(self.layout) - 1, -1, -1):
            blocks = self.at_hand.blocks_of(depth)
            if blocks is None:
                self.bring(depth)
                room -= self.layout.height(depth)
                if room <= 0:
                    return Place(depth, 0, -room)
                continue
            units = blocks.units()
            for number in range(len(units) - 1, -1, -1):
                room -= len(self.lines(units[number]))
                if room <= 0:
                    return Place(depth, number, -room)
        return Place()

    # Rows

    def update(self) -> None:
        """Work out the rows from the place."""
        if not self.height:
            return
        if self.following:
            self.place = self.bottom()
        else:
            self._hold()
        self._make_rows()
        is_short = len(self.rows) < self.height and all(row.unit for row in self.rows)
        if is_short and self.place != Place() and self.layout:
            self.place = self.bottom()
            self._make_rows()
        self._forget_old_lines()

    def is_at_end(self) -> bool:
        """Whether the last line of all is in view."""
        if not self.rows:
            return True
        last = self.rows[-1]
        blocks = self.at_hand.blocks_of(last.depth)
        if last.depth != len(self.layout) - 1 or blocks is None:
            return False
        for number, unit in reversed(list(enumerate(blocks.units()))):
            if height := len(self.lines(unit)):
                return last.key >= key_of(last.depth, number, height - 1)
        return True

    def position(self) -> tuple[int, int]:
        """The lines above the window, and the lines there are in all, as far as is known."""
        depth, number, line = self.place
        blocks = self.at_hand.blocks_of(depth)
        within = sum(unit.height(self.ground) for unit in blocks.units()[:number]) + line if blocks else line
        above = (self.layout.top_of(depth) if depth < len(self.layout) else 0) + within
        return above, max(self.layout.total, above + len(self.rows))

    def all_lines(self, first: int, last: int) -> Iterator[tuple[int, Line]]:
        """The lines of the turns at hand between two depths, with their numbers."""
        for depth in range(first, min(last + 1, len(self.layout))):
            blocks = self.at_hand.blocks_of(depth)
            for number, unit in enumerate(blocks.units() if blocks else ()):
                for at, line in enumerate(self.lines(unit)):
                    yield key_of(depth, number, at), line

    def lines(self, unit: Unit) -> list[Line]:
        """A unit's lines, remembered as lately used."""
        lines = unit.lines(self.ground)
        self._drawn[unit] = len(lines)
        self._drawn.move_to_end(unit)
        return lines

    def _settle(self) -> None:
        """Find the place anew, now that its turn has come: what was in view of other turns stays where it is."""
        depth, unit, line = self.place
        for number, row in enumerate(self.rows):
            if row.unit is not None and row.depth > depth and row.depth in self.at_hand:
                self.place = self.up(Place(row.depth), number)
                return
        blocks = self.at_hand.blocks_of(depth)
        if blocks is not None and not unit:
            height = blocks.height(self.ground)
            self.place = self._down(Place(depth), line * height // max(1, self.layout.height(depth)))

    def _hold(self) -> None:
        """Stay at the unit in view where others of its turn have come or gone before it."""
        if self._held is None or self._held[0] != self.place:
            return
        blocks = self.at_hand.blocks_of(self.place.depth)
        units = blocks.units() if blocks else []
        if self._held[1] in units:
            self.place = self.place._replace(unit=units.index(self._held[1]))

    def _unit_at(self, place: Place) -> tuple[Place, Unit] | None:
        blocks = self.at_hand.blocks_of(place.depth)
        units = blocks.units() if blocks else []
        return (place, units[place.unit]) if place.unit < len(units) else None

    def _make_rows(self) -> None:
        rows: list[Row] = []
        depth, first, skip = self.place
        while len(rows) < self.height and depth < len(self.layout):
            blocks = self.at_hand.blocks_of(depth)
            if blocks is None:
                self.bring(depth)
                missing = min(max(1, self.layout.height(depth) - skip), self.height - len(rows))
                blank = Line([Segment("…", self.ground.palette.faint)])
                rows += [Row(key_of(depth, 0, number), blank, depth) for number in range(missing)]
            else:
                self._add_rows(rows, depth, blocks, first, skip)
            depth, first, skip = depth + 1, 0, 0
        self.rows = rows
        self._held = self._unit_at(self.place)

    def _add_rows(self, rows: list[Row], depth: int, blocks: TurnBlocks, first: int, skip: int) -> None:
        units = blocks.units()
        for number in range(min(first, len(units)), len(units)):
            unit = units[number]
            lines = self.lines(unit)
            seen = range(min(skip, len(lines)), min(len(lines), skip + self.height - len(rows)))
            rows += [Row(key_of(depth, number, at), lines[at], depth, unit.block, unit) for at in seen]
            skip = 0
            if len(rows) >= self.height:
                break
        self.layout.set(depth, blocks.height(self.ground))

    def _forget_old_lines(self, most: int = MOST_LINES) -> None:
        total = sum(self._drawn.values())
        while total > most:
            unit, count = self._drawn.popitem(last=False)
            unit.drop()
            total -= count
