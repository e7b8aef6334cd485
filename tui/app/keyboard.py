"""Lets keys in one at a time: each once everything is done that the one before it set off.

Textual queues a key for what has the focus when the key arrives, and carries out what it is bound to some messages
later. Of keys that come in one go, those after Ctrl+N would land in the session left, those after Enter in the dialog
that it has closed. What is meant for a session waits until that is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol
from weakref import WeakSet

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen

PASSES = 50
"""Passes of the loop in which most keys are done with; after that it is looked at less often."""

REST = 0.002
"""Seconds between two looks at a key that takes longer."""

LONGEST = 0.5
"""Seconds after which the next key is let in whatever the one before it is doing."""

LAST_WAIT = 2.0
"""Seconds that keys wait for their session at most where a key behind them is to end the program."""

Press = events.Key | events.Paste


class Stage(Protocol):
    """Where keys are meant for a session, which may be on its way yet."""

    @property
    def arrival(self) -> asyncio.Event | None:
        """What is set once the session is there, or will not come; None where there is nothing to wait for."""
        ...

    def needs_session(self, event: Press) -> bool:
        """Whether a key would do nothing, or something else, without the session."""
        ...

    def is_way_out(self, event: Press) -> bool:
        """Whether a key is to end or stop something."""
        ...


class Keyboard:
    """The keys on their way to `app`, which carries one out with `take`. Nothing is let in before `open`.

    `stage` gives where keys may have to wait for a session.
    """

    def __init__(
        self, app: App[Any], take: Callable[[Press], Awaitable[None]], stage: Callable[[], Stage | None]
    ) -> None:
        self._app = app
        self._take = take
        self._stage = stage
        self._waiting: deque[Press] = deque()
        self._is_open = False
        self._seen: WeakSet[Screen[Any]] = WeakSet()
        self._following: asyncio.Task[None] | None = None
        self._has_text = False

    @property
    def is_open(self) -> bool:
        return self._is_open

    async def press(self, event: Press) -> None:
        """Carry out a key, now or in its turn."""
        if not self._is_open or self._following is not None:
            self._waiting.append(event)
            self._hasten(event)
        elif self._is_text(event):
            self._has_text = True
            await self._let_in(event)
        elif self._arrival is not None:
            self._waiting.append(event)
            self._following = asyncio.create_task(self._follow(is_text=True))
        elif self._has_text and self._is_reading:
            # What a key means may depend on the text before it, as Enter does on what is listed for that.
            self._waiting.append(event)
            self._following = asyncio.create_task(self._follow(is_text=False))
        else:
            await self._let_in(event)

    async def open(self) -> None:
        """Let in what has been typed so far, and from now on everything. For after the first frame."""
        self._seen.add(self._app.screen)
        self._is_open = True
        if self._waiting and self._following is None:
            self._following = asyncio.create_task(self._follow(is_text=True))

    def close(self) -> None:
        """Let nothing in any more."""
        self._is_open = False
        if self._following is not None:
            self._following.cancel()

    async def _let_in(self, event: Press) -> None:
        is_text = self._is_text(event)
        await self._take(event)
        if self._waiting or not is_text:
            self._following = asyncio.create_task(self._follow(is_text))

    def _is_text(self, event: Press) -> bool:
        """Whether what has the focus will take it for text, and do nothing else."""
        focused = self._app.focused
        if focused is None:
            return False
        return isinstance(event, events.Paste) or focused.check_consume_key(event.key, event.character)

    @property
    def _is_reading(self) -> bool:
        """Whether what was let in is not all done with yet, as seen by the app while it deals with a key."""
        focused = self._app.focused
        return focused is not None and any(is_busy(one) for one in focused.ancestors_with_self if one is not self._app)

    @property
    def _arrival(self) -> asyncio.Event | None:
        stage = self._stage()
        return stage.arrival if stage is not None else None

    async def _session_for(self, event: Press) -> None:
        """Wait until the session is there that a key is meant for."""
        if self._arrival is None or self._is_text(event):
            return
        # What it means may depend on the text before it.
        await self._settled()
        while (arrival := self._arrival) is not None:
            stage = self._stage()
            if stage is None or not stage.needs_session(event):
                return
            for waiting in self._waiting:
                self._hasten(waiting)
            await arrival.wait()

    def _hasten(self, event: Press) -> None:
        """Where a key that waits is to end the program, or stop something: have none before it wait much longer."""
        stage, arrival = self._stage(), self._arrival
        if arrival is not None and stage is not None and stage.is_way_out(event):
            asyncio.get_running_loop().call_later(LAST_WAIT, arrival.set)

    async def _follow(self, is_text: bool) -> None:
        """Wait until the key just let in is done with, then let in those that wait."""
        while True:
            if not is_text:
                await self._settled()
            if not self._waiting:
                self._following = None
                return
            await self._session_for(self._waiting[0])
            if self._has_text and not self._is_text(self._waiting[0]):
                await self._settled()
            event = self._waiting.popleft()
            is_text = self._is_text(event)
            self._has_text |= is_text
            await _through(self._app, partial(self._take, event))

    async def _settled(self) -> None:
        self._has_text = False
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await self._done()

    async def _done(self) -> None:
        """Wait until all that hear of a key have nothing to do: its message, its action, what that posts, an answer."""
        passes = 0
        while any(map(is_busy, (self._app.focused or self._app.screen).ancestors_with_self)):
            passes += 1
            await asyncio.sleep(0 if passes < PASSES else REST)
        screen = self._app.screen
        if screen not in self._seen:
            self._seen.add(screen)
            painted = asyncio.Event()
            screen.call_after_refresh(painted.set)
            await painted.wait()


def is_busy(pump: MessagePump) -> bool:
    """Whether a message is waiting for `pump`, or being handled by it. Private in Textual and in asyncio, and a test fails
    when that changes: to ask with a message costs as much as the key itself."""
    ready: Any = pump._message_queue.ready_event
    return bool(pump._next_callbacks) or ready.is_set() or not ready._waiters


async def _through(pump: MessagePump, then: Callable[[], Awaitable[None]] | None = None) -> None:
    """Have `pump` do something after all it has been told so far, and return once that is done."""
    done = asyncio.Event()

    async def do() -> None:
        try:
            if then is not None:
                await then()
        finally:
            done.set()

    if pump.call_later(do):
        await done.wait()
