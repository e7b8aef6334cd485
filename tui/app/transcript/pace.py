"""When to paint what streams: no more often than is seen, with time left for keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tui.app.once import Later, Pending

FRAME = 1 / 30
"""Seconds between two paintings of an answer that streams."""

CALM_FRAME = 1 / 12
"""The same while nobody presses a key: who reads does not see more, and the machine has other work."""

CALM_AFTER = 1.0
"""Seconds since the last key after which nobody does."""

SHARE = 5
"""Of all the time, an answer that streams is painted for one part in so many: typing and stopping have the rest."""

SPARED = 0.05
"""Seconds of painting that need no rest: a screen laid out anew now and then holds nothing back, as painting on and on does."""

LONGEST_REST = 0.25
"""Seconds between two paintings, whatever one costs."""


class Pace:
    """Calls `paint` when it is time for that; `later` calls something after some seconds.

    `clock` tells the time, and `used` what this thread has worked: what others take from it is no cost of a painting.
    """

    def __init__(
        self,
        paint: Callable[[], None],
        later: Later,
        clock: Callable[[], float] = time.perf_counter,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._paint = paint
        self._later = later
        self._clock = clock
        self._used = used
        self._busy_until = self._wanted_at = self._pressed_at = 0.0
        self._spent = self._spent_at = 0.0
        self._tick: Pending | None = None

    @property
    def is_due(self) -> bool:
        """Whether a painting is put off, and will come."""
        return self._tick is not None

    def paint_soon(self) -> None:
        """Paint, but not more often than is seen, nor for more than its share of the time."""
        if self._tick is None:
            self._wanted_at = self._clock()
            wait = self._busy_until - self._wanted_at
            if wait <= 0:
                self._paint_timed()
            else:
                self._tick = self._later(wait, self._paint_timed)

    def make_way(self) -> None:
        """A key was pressed: let what it changes be seen before what streams, which waits for a frame."""
        self._pressed_at = self._clock()

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count a painting, whoever it is for: once many have taken long, the next of what streams waits."""
        used = self._used()
        yield
        self._rest(self._used() - used)

    def _paint_timed(self) -> None:
        began = self._clock()
        # Keys that never end shall not hold back what streams.
        wait = min(self._pressed_at + FRAME, self._wanted_at + LONGEST_REST) - began
        if wait > 0:
            self._tick = self._later(wait, self._paint_timed)
            return
        self._tick = None
        with self.timed():
            self._paint()
        frame = FRAME if began - self._pressed_at < CALM_AFTER else CALM_FRAME
        self._busy_until = max(self._busy_until, began + frame)

    def _rest(self, cost: float) -> None:
        """Have the next painting wait, where more than its share has been spent of late."""
        now = self._clock()
        spent = max(0.0, self._spent - (now - self._spent_at) / SHARE) + cost
        self._spent, self._spent_at = min(spent, SPARED + LONGEST_REST / SHARE), now
        self._busy_until = max(self._busy_until, now + SHARE * (self._spent - SPARED))
