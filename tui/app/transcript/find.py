"""What is looked for in a transcript: marks on the lines in view, with the way from one to the next."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from tui.app.transcript.blocks import Block, MessageBlock, PromptBlock, Unit
from tui.app.transcript.viewport import Place, Row, Viewport
from tui.app.transcript.wrap import Line
from tui.found import Places
from tui.matching import Matcher
from tui.values import dataclass

MOST_UNITS = 4000
"""Units whose matches are remembered."""


class Match(NamedTuple):
    """A match, as it is drawn: its parts are lines of the unit, each with the characters that are marked."""

    parts: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """A match in the transcript: a turn, a unit of it, and which of that unit's matches."""

    depth: int
    unit: int
    number: int


class Finding:
    """One thing looked for. How often turns that are not at hand have it is told with `add`; all else is seen here.

    `block` is the one gone to last, with its depth. A count is of the text as it came until it is drawn, and of what is
    seen from then on.
    """

    def __init__(self, matcher: Matcher, port: Viewport) -> None:
        self.matcher = matcher
        self.current: Spot | None = None
        self.is_done = False
        self.block: tuple[int, Block] | None = None
        self._port = port
        self._counts: dict[int, int] = {}
        self._units: dict[Unit, tuple[list[Line] | None, tuple[Match, ...] | int]] = {}
        self._origin = port.rows[0].depth if port.rows else port.place.depth
        self._from_end = port.following
        self._going = 0
        self._waiting: int | None = None
        for depth in port.at_hand.depths():
            self.refresh(depth)

    # What is known

    @property
    def total(self) -> int:
        return sum(self._counts.values())

    @property
    def number(self) -> int:
        """Which of all matches the present one is, counted from 1; 0 without one."""
        if self.current is None:
            return 0
        depth, unit, number = self.current.depth, self.current.unit, self.current.number
        units = self._units_of(depth)[:unit]
        before = sum(count for one, count in self._counts.items() if one < depth)
        return before + sum(self._count(one) for one in units) + number + 1

    def add(self, places: Places) -> None:
        """Take in where else it is."""
        at_hand = set(self._port.at_hand.depths())
        self._counts |= {depth: count for depth, count in places.counts if depth not in at_hand}
        self.is_done = places.is_done
        self._go_on()

    def refresh(self, depth: int) -> None:
        """A turn has come to hand, or has changed."""
        count = sum(map(self._count, self._units_of(depth)))
        if count:
            self._counts[depth] = count
        else:
            self._counts.pop(depth, None)
        if depth == self._waiting:
            self._waiting = None
            self._go_on()

    def see(self) -> None:
        """Count what is in view as it is drawn."""
        for row in self._port.rows:
            if row.unit is not None and self._is_searched(row.unit):
                self._matches(row.unit)
        for depth in {row.depth for row in self._port.rows if row.unit is not None}:
            self.refresh(depth)

    def drop_from(self, count: int) -> None:
        """Forget the turns from depth `count` on."""
        self._counts = {depth: number for depth, number in self._counts.items() if depth < count}
        if self.current is not None and self.current.depth >= count:
            self.current = None

    # Marks

    def marks(self, row: Row) -> Iterator[tuple[int, int, bool]]:
        """The characters of a line in view that are marked, and whether that is the present match."""
        if row.unit is None or not self._is_searched(row.unit):
            return
        lines = self._port.lines(row.unit)
        at = next((number for number, line in enumerate(lines) if line is row.line), -1)
        now = self._unit_of(self.current)
        for number, match in enumerate(self._matches(row.unit)):
            is_current = row.unit is now and self.current is not None and self.current.number == number
            yield from ((start, end, is_current) for line, start, end in match.parts if line == at)

    def _is_searched(self, unit: Unit) -> bool:
        return isinstance(unit.block, MessageBlock | PromptBlock)

    def _units_of(self, depth: int) -> list[Unit]:
        blocks = self._port.at_hand.blocks_of(depth)
        return blocks.units() if blocks is not None else []

    def _unit_of(self, spot: Spot | None) -> Unit | None:
        units = self._units_of(spot.depth) if spot is not None else []
        return units[spot.unit] if spot is not None and spot.unit < len(units) else None

    def _count(self, unit: Unit) -> int:
        if not self._is_searched(unit):
            return 0
        lines, known = self._units.get(unit, (None, None))
        if known is None:
            known = self.matcher.count(unit.piece.source)
            self._remember(unit, lines, known)
        return known if isinstance(known, int) else len(known)

    def _matches(self, unit: Unit) -> tuple[Match, ...]:
        lines = self._port.lines(unit)
        drawn, known = self._units.get(unit, (None, ()))
        if drawn is not lines or isinstance(known, int):
            known = tuple(_matches_in(lines, self.matcher))
            self._remember(unit, lines, known)
        return known

    def _remember(self, unit: Unit, lines: list[Line] | None, known: tuple[Match, ...] | int) -> None:
        if len(self._units) >= MOST_UNITS:
            self._units.clear()
        self._units[unit] = (lines, known)

    # The way

    def begin(self) -> None:
        """Go to the match nearest to what was in view: below its first line, else above."""
        self.see()
        for row in self._port.rows:
            if row.unit is not None and any(True for _ in self.marks(row)):
                units = self._units_of(row.depth)
                self.current = self._first_in_view(row.depth, units.index(row.unit), row)
                self.block = (row.depth, row.unit.block)
                return
        self._going = 2
        self._go_on()

    def step(self, direction: int) -> None:
        """Go to the next match, or to the one before; from the last one to the first, and the other way round."""
        self._going = direction
        self._go_on()

    def land(self, depth: int, *, on_answer: bool) -> None:
        """Go to the first match in a turn's prompt, or in its answer."""
        kind = MessageBlock if on_answer else PromptBlock
        for place, unit in enumerate(self._units_of(depth)):
            if isinstance(unit.block, kind) and self._count(unit) and self._matches(unit):
                self._arrive(Spot(depth, place, 0))
                return
        for place, unit in enumerate(self._units_of(depth)):
            if isinstance(unit.block, kind):
                self.block = (depth, unit.block)
                self._port.go_to(Place(depth, place))
                return
        self._port.go_to(Place(depth))

    def _first_in_view(self, depth: int, unit: int, row: Row) -> Spot:
        lines = self._port.lines(self._units_of(depth)[unit])
        at = next((number for number, line in enumerate(lines) if line is row.line), 0)
        matches = self._matches(self._units_of(depth)[unit])
        return Spot(depth, unit, next(n for n, match in enumerate(matches) if any(p[0] == at for p in match.parts)))

    def _go_on(self) -> None:
        """Go where it was wished to go, as far as that is known by now."""
        if not self._going or self._waiting is not None:
            return
        depths = sorted(self._counts)
        if self._going == 2 and not (self.is_done or (self._from_end and depths)):
            return
        direction = -1 if self._going == -1 else 1
        if self.current is not None and self._going != 2:
            spot = self._within(self.current.depth, direction, self.current)
            if spot is not None:
                self._arrive(spot)
                return
            depths = _from(depths, self.current.depth, direction)
        elif self._going == 2:
            after = [depth for depth in depths if depth > self._origin]
            depths = after or [depth for depth in reversed(depths) if depth <= self._origin]
            direction = 1 if after else -1
        else:
            depths = _from(depths, self._origin - direction, direction)
        for depth in depths:
            if self._port.at_hand.blocks_of(depth) is None:
                self._waiting = depth
                self._port.bring(depth)
                return
            spot = self._within(depth, direction, None)
            if spot is not None:
                self._arrive(spot)
                return
        if self.is_done:
            self._going = 0

    def _within(self, depth: int, direction: int, after: Spot | None) -> Spot | None:
        """The next match in a turn."""
        units = self._units_of(depth)
        if after is None:
            place = 0 if direction > 0 else len(units) - 1
        else:
            place = min(after.unit, len(units) - 1)
            matches = self._matches(units[place]) if units and self._is_searched(units[place]) else ()
            if 0 <= after.number + direction < len(matches):
                return Spot(depth, place, after.number + direction)
            place += direction
        while 0 <= place < len(units):
            if self._count(units[place]):
                matches = self._matches(units[place])
                if matches:
                    return Spot(depth, place, 0 if direction > 0 else len(matches) - 1)
            place += direction
        # It is there only in what is not shown, such as a link's address.
        self._counts[depth] = sum(map(self._count, units))
        if not self._counts[depth]:
            del self._counts[depth]
        return None

    def _arrive(self, spot: Spot) -> None:
        self.current, self._going = spot, 0
        unit = self._units_of(spot.depth)[spot.unit]
        self.block = (spot.depth, unit.block)
        line = self._matches(unit)[spot.number].parts[0][0]
        lines = self._port.lines(unit)
        if not any(row.line is lines[line] for row in self._port.rows):
            self._port.go_to(self._port.up(Place(spot.depth, spot.unit, line), self._port.height // 3))
            self._port.following = self._port.is_at_end()


def _matches_in(lines: list[Line], matcher: Matcher) -> Iterator[Match]:
    """The matches in lines as they are drawn, those that were broken over two lines among them."""
    text, starts = "", []
    for line in lines:
        starts.append(len(text))
        text += line.said + line.join
    for start, end in matcher.spans(text):
        parts = []
        for number in range(bisect_right(starts, start) - 1, bisect_left(starts, end)):
            line, at = lines[number], starts[number]
            first, last = max(0, start - at), min(len(line.said), end - at)
            if first < last:
                parts.append((number, line.lead + first, line.lead + last))
        if parts:
            yield Match(tuple(parts))


def _from(depths: list[int], depth: int, direction: int) -> list[int]:
    """The depths in the order they are reached from one of them, going round."""
    if direction > 0:
        at = bisect_right(depths, depth)
        return [*depths[at:], *depths[:at]]
    at = bisect_left(depths, depth)
    return [*depths[:at][::-1], *depths[at:][::-1]]
