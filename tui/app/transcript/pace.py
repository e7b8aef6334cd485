"""When to paint what streams: no more often than is seen, with time left for keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

FRAME = 1 / 30
"""Seconds between two paintings of an answer that streams."""

CALM_FRAME = 1 / 12
"""The same while nobody presses a key: who reads does not see more, and the machine has other work."""

CALM_AFTER = 1.0
"""Seconds since the last key after which nobody does."""

SHARE = 5
"""Of all the time, an answer that streams is painted for one part in so many: typing and stopping have the rest."""

LONGEST_REST = 0.25
"""Seconds between two paintings, whatever one costs."""


class _Timer(Protocol):
    def stop(self) -> None: ...


class Pace:
    """Calls `paint` when it is time for that; `later` calls something after some seconds."""

    def __init__(self, paint: Callable[[], None], later: Callable[[float, Callable[[], None]], _Timer]) -> None:
        self._paint = paint
        self._later = later
        self._busy_until = self._spent = self._wanted_at = self._pressed_at = 0.0
        self._tick: _Timer | None = None

    def paint_soon(self) -> None:
        """Paint, but not more often than is seen, nor for more than a quarter of the time."""
        if self._tick is None:
            self._wanted_at = time.perf_counter()
            wait = self._busy_until - self._wanted_at
            if wait <= 0:
                self._paint_timed()
            else:
                self._tick = self._later(wait, self._paint_timed)

    def make_way(self) -> None:
        """A key was pressed: let what it changes be seen before what streams, which waits for a frame."""
        self._pressed_at = time.perf_counter()

    def rest(self, cost: float) -> None:
        """Wait with the next painting for as long as it takes, more having been spent on one, whoever it was for."""
        self._spent += cost
        wait = min(LONGEST_REST, (SHARE - 1) * self._spent)
        self._busy_until = max(self._busy_until, time.perf_counter() + wait)

    def _paint_timed(self) -> None:
        began = time.perf_counter()
        # Keys that never end shall not hold back what streams.
        wait = min(self._pressed_at + FRAME, self._wanted_at + LONGEST_REST) - began
        if wait > 0:
            self._tick = self._later(wait, self._paint_timed)
            return
        self._tick = None
        self._spent = 0.0
        self._paint()
        self._busy_until = began + (FRAME if began - self._pressed_at < CALM_AFTER else CALM_FRAME)
        self.rest(time.perf_counter() - began)
