"""Asks the user at the terminal what a server waits for in the middle of its answer."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

from tui.aside import aside
from tui.chat import Chat
from tui.console import print_error, tell
from tui.errors import PalaverError
from tui.model import Item, Session, Turn, Verdict


class Approvals:
    """Each question is asked once, one after the other. `session` is the one that is answered in, where there is one;
    `broken` is told of a mistake of ours, as the server would wait for its answer for ever."""

    def __init__(self, chat: Chat, broken: Callable[[BaseException], None]) -> None:
        self.session: Session | None = None
        self._chat = chat
        self._broken = broken
        self._known: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn_to_ask = asyncio.Lock()

    def confirm(self, turn: Turn) -> None:
        """Have what is asked in a turn approved or denied."""
        for item in turn.open_approvals:
            if item.key not in self._known:
                self._known.add(item.key)
                task = asyncio.get_running_loop().create_task(self._ask(turn, item))
                self._tasks.add(task)
                task.add_done_callback(self._over)

    async def finish(self) -> None:
        """Ask nothing any more."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(self, turn: Turn, item: Item) -> None:
        async with self._turn_to_ask:
            tell(f"{item.name} wants your approval: {item.text}")
            approved = await _is_approved()
        if approved is None:
            tell("denied, as no one is here to ask; in the window you are asked")
        reason = "" if approved is not None else "no one was there to ask"
        try:
            await self._chat.answer(self.session, turn, item, Verdict(bool(approved), reason=reason))
        except PalaverError as error:
            tell(str(error))

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broken(error)


async def _is_approved() -> bool | None:
    """Whether the user says yes; None where no one is at a terminal. What was typed before the question is no answer."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    import termios

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    print_error("palaver: approve it? [y/N] ", end="")
    try:
        return await aside(_read_yes)
    except asyncio.CancelledError:
        print_error("")
        raise


def _read_yes() -> bool | None:
    """The user's answer; None where the terminal is gone. Not by Python's own stream: it is locked while someone reads,
    and a program that ends meanwhile would wait for it."""
    try:
        return os.read(sys.stdin.fileno(), 1024).strip().lower() in (b"y", b"yes")
    except OSError:
        return None
