"""Following a run that goes on without its connection, through connections that break."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from tui.client.http import Http
from tui.errors import Incomplete, Unreachable
from tui.events import Finished, TurnEvent, Waiting

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt to take a run up again, counted anew whenever something came."""


async def follow(
    http: Http,
    stream: AsyncGenerator[TurnEvent, None],
    again: Callable[[], AsyncGenerator[TurnEvent, None] | None],
) -> AsyncGenerator[TurnEvent, None]:
    """The events of `stream`; where that breaks off, those of what `again` gives, as often as it takes.

    `again` gives the rest of the run, or None where it is not known yet by a name to ask for.

    Raises:
        Incomplete, Unreachable: It broke off and could not be taken up again.
    """
    tried = 0
    while True:
        trouble: Incomplete | Unreachable
        try:
            async with aclosing(stream):
                async for event in stream:
                    if tried:
                        # What was waited for is here.
                        yield Waiting(0.0, "")
                        tried = 0
                    yield event
                    if isinstance(event, Finished):
                        return
            trouble = Incomplete("the server stopped before the answer was finished")
        except (Incomplete, Unreachable) as error:
            trouble = error
        rest = again() if tried < len(WAITS) else None
        if rest is None:
            raise trouble
        yield Waiting(WAITS[tried], "The connection was lost; the run goes on and is taken up again")
        await http.sleep(WAITS[tried])
        tried += 1
        stream = rest
