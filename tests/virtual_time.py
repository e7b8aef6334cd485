"""An event loop whose clock the test's own waiting moves: an hour passes in no time, and always the same way."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tui.clock import Clock

T = TypeVar("T")

START = 1000.0
"""The time at which every scene begins, as no real clock begins at nought."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where it would sleep until a timer is due, it says that it has."""

    def __init__(self) -> None:
        self.now = START
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        """Let time pass as if the code running now took so long."""
        self.now += seconds


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everything waits, and for nothing")
        self._loop.now += max(timeout, 0.0)
        return super().select(0)


def play(scene: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `scene` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scene())


def elapsed() -> float:
    """Seconds since the scene began."""
    return asyncio.get_running_loop().time() - START


def clock() -> Clock:
    """The running loop's time, as code that wants a clock gets it."""
    loop = asyncio.get_running_loop()
    return Clock(loop.time, loop.time)
