"""A call that comes once, later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from textual.message_pump import MessagePump


class Pending(Protocol):
    """What is called later, unless it is stopped."""

    def stop(self) -> None:
        """Have it not come, if it has not."""


Later = Callable[[float, Callable[[], None]], Pending]
"""Calls something after some seconds."""


class Once:
    """Has `pump` call something after some seconds, among its messages, unless it is stopped before.

    Textual's own `set_timer` forgets a call whose time comes while it is being set up: with a short delay, a moment in
    which the system runs something else is enough, and what waits for the call waits for ever.
    """

    def __init__(self, pump: MessagePump, seconds: float, call: Callable[[], Any]) -> None:
        self._handle = asyncio.get_running_loop().call_later(seconds, pump.call_next, call)

    def stop(self) -> None:
        """Have it not come, if it has not."""
        self._handle.cancel()
