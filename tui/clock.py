"""The two clocks, in one value that tests can replace."""

from __future__ import annotations

import time
from collections.abc import Callable

from tui.values import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives seconds since the epoch (may jump); `monotonic` gives seconds that only grow."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


SYSTEM = Clock()
