"""An event loop whose clock the test's own waiting moves: an hour passes in no time, and always the same way."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from tui.clock import Clock

T = TypeVar("T")

START = 1000.0
"""The time at which every scene begins, as no real clock begins at nought."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where it would sleep until a timer is due, it says that it has.

    `settle` is for how long, in real seconds, what is under way on real sockets may still come before that is said.
    """

    def __init__(self, settle: float = 0.0) -> None:
        self.now = START
        self.settle = settle
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
        found = super().select(0)
        if not found and timeout != 0 and self._loop.settle:
            found = super().select(self._loop.settle)
        if found:
            return found
        if timeout is None:
            raise AssertionError("everything waits, and for nothing")
        self._loop.now += max(timeout, 0.0)
        return found


def play(scene: Callable[[], Coroutine[Any, Any, T]], *, settle: float = 0.0) -> T:
    """Run `scene` in virtual time; with `settle`, over real sockets (see VirtualLoop)."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(settle)) as runner:
        return runner.run(scene())


def skip(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clock of the running loop, any, jump: what was to come within these seconds is due."""
    loop = asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + seconds)


def elapsed() -> float:
    """Seconds since the scene began."""
    return asyncio.get_running_loop().time() - START


def clock() -> Clock:
    """The running loop's time, as code that wants a clock gets it."""
    loop = asyncio.get_running_loop()
    return Clock(loop.time, loop.time)
