"""Work that may take its time, in a thread no one has to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """What `work` gives, from a thread that does not keep the program from ending: who is asked may wait for the user."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not future.done():
            tell()

    def run() -> None:
        try:
            tell = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            tell = partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # The program has ended meanwhile.
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, name="palaver-aside", daemon=True).start()
    return await future
