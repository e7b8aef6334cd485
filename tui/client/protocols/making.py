"""Conversations that are made before the first prompt is sent in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from tui.client.http import Http
from tui.errors import Unreachable

NOT_SENT = "the prompt was not sent yet; press r to send it"
"""The hint of a turn whose connection was lost while its conversation was being made."""

_made: WeakKeyDictionary[Http, str] = WeakKeyDictionary()


async def made_once(http: Http, make: Callable[[], Awaitable[str]]) -> str:
    """The id of the conversation that is made for a turn: one, however often its prompt is tried.

    Raises:
        Unreachable: The connection was lost. It is not made again, as the server may have made it; the prompt is safe.
    """
    if http not in _made:
        try:
            _made[http] = await make()
        except Unreachable as lost:
            if lost.sent:
                raise Unreachable(lost.message, hint=NOT_SENT, retryable=False) from None
            raise
    return _made[http]
