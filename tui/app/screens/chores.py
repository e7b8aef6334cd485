"""Work begun from the screen that takes a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tui.errors import PalaverError


class Chores:
    """Tasks of one screen: what goes wrong in them is told, and a mistake of our own ends the program."""

    def __init__(self, say: Callable[[str], None], fail: Callable[[Exception], None]) -> None:
        self._say = say
        self._fail = fail
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._told(work))
        self._tasks.add(task)
        task.add_done_callback(self._over)

    async def finish(self) -> None:
        """Wait until all of them are over."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _told(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except PalaverError as error:
            self._say(str(error))

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._fail(error)
