"""The signals that end the program, but for those that whoever started it wants left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn

from tui.unfinished import take_away

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that end what has no window."""

PATIENCE = 1.5
"""Seconds a command has to end by itself. Leaving is over within two."""


def heeded(*numbers: int) -> list[int]:
    """Those that are not ignored so far: `nohup` has a program ignore the hang-up, a script what is typed at the terminal
    of one that it runs in the background."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


class Ended(BaseException):
    """A signal has come, the one with this `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def begin_raising() -> None:
    """From now on raise `Ended` where a signal finds the program, and end it where a second one does. An event loop may take
    them over."""
    for number in heeded(*ENDING):
        signal.signal(number, _raise)


def _raise(number: int, _frame: object) -> NoReturn:
    for other in heeded(*ENDING):
        signal.signal(other, lambda number, _frame: end(number))
    raise Ended(number)


def run(command: Coroutine[Any, Any, int]) -> int:
    """Run a command, and give its exit status. A signal cancels it, and ends it soon whatever keeps it, be it a thread or
    whoever does not read what is printed; a second one at once. No file is left that is not finished."""
    ending = _Ending()
    before = [(number, signal.signal(number, ending.begin)) for number in heeded(*ENDING)]
    try:
        return asyncio.run(ending.cancelling(command))
    except asyncio.CancelledError:
        if ending.number:
            end(ending.number)
        raise
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def end(number: int) -> NoReturn:
    """End the program as this signal would, at once."""
    take_away()
    os._exit(128 + number)


class _Ending:
    """The end of a command by a signal, whose `number` it has once it has begun."""

    def __init__(self) -> None:
        self.number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    async def cancelling(self, command: Coroutine[Any, Any, int]) -> int:
        """Run what is cancelled then."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        return await command

    def begin(self, number: int, _frame: object) -> None:
        if self.number or self._loop is None or self._task is None:
            end(number)
        self.number = number
        # The loop may never come to it.
        late = threading.Timer(PATIENCE, end, (number,))
        late.daemon = True
        late.start()
        with suppress(RuntimeError):  # It is over just now.
            self._loop.call_soon_threadsafe(self._task.cancel)
