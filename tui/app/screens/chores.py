"""Work begun from the screen that takes a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tui.errors import PalaverError

LEFT_AFTER = 0.2
"""Seconds given to what may be left to end by itself."""


class Chores:
    """Tasks of one screen: what goes wrong in them is told, and a mistake of our own ends the program."""

    def __init__(self, say: Callable[[str], None], fail: Callable[[Exception], None]) -> None:
        self._say = say
        self._fail = fail
        self._tasks: set[asyncio.Task[None]] = set()
        # Each with what the user is to know it by, if they are.
        self._leavable: dict[asyncio.Task[None], str] = {}

    def begin(self, work: Coroutine[Any, Any, Any], *, may_be_left: bool = False, name: str = "") -> None:
        """Begin something. It `may_be_left` where it waits for what may take long, as a server, and nothing is lost by it.
        What has a `name` may be left as well, but the user is to know of it."""
        task = asyncio.get_running_loop().create_task(self._told(work))
        self._tasks.add(task)
        if may_be_left or name:
            self._leavable[task] = name
        task.add_done_callback(self._over)

    @property
    def names(self) -> list[str]:
        """What is under way that the user is to know of, the newest last."""
        return list(dict.fromkeys(filter(None, self._leavable.values())))

    def stop(self, name: str) -> None:
        """Leave all of that name."""
        for task, known in self._leavable.items():
            if known == name:
                task.cancel()
                # The next key is not to find it there.
                self._leavable[task] = ""

    async def finish(self) -> None:
        """Leave what may be left, and wait until all else is over."""
        if self._leavable:
            # Most take no time after all; and a task cancelled before its first step would never await its work.
            await asyncio.wait(self._leavable, timeout=LEFT_AFTER)
        for task in self._leavable:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _told(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except PalaverError as error:
            self._say(str(error))

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._leavable.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._fail(error)
