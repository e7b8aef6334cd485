"""Following a run that goes on without its connection, through connections that break and a server that is away.

Once a run has a name it is only asked for: whatever happens, what began it is not sent again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from tui.client.http import Http
from tui.client.protocols import read_events
from tui.client.protocols.response_events import NotDone, ResponsesReader
from tui.client.reply import Rejected, Reply
from tui.client.retry import is_limited
from tui.client.verdict import explain
from tui.errors import Incomplete, Refused, TurnError, Unreachable
from tui.events import Finished, RunNamed, TurnEvent, Waiting

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt to take a run up again, counted anew whenever something came."""

QUEUED_AT_MOST = 3600.0
"""Seconds spent waiting for a run that stays queued and changes in nothing, before it is left: one whose connection broke
at its very first event can stay so for ever. One that is at work may take as long as it likes."""

STILL_QUEUED = "the run is still queued after an hour"

LOST = "The connection was lost; the run goes on and is taken up again"
GONE = "The server does not know this run any more."

_SHORTEST_POLL, _LONGEST_POLL = 0.5, 8.0


async def follow(
    http: Http, reader: ResponsesReader, begun: AsyncGenerator[TurnEvent, None] | None = None
) -> AsyncGenerator[TurnEvent, None]:
    """What a run says, to its end: the events of `begun`, which is the answer to what begins it, and all that `reader` has
    not read when that breaks off. Without `begun`, the run `reader.run` is told from its beginning.

    Where the server does not stream a run, it is asked for the whole again and again. One that stays queued for longer than
    `QUEUED_AT_MOST`, as is known of OpenAI's after a lost connection, is left to be taken up later.

    Raises:
        Incomplete: The run cannot be followed to its end now.
        Refused: The server does not know it.
        Rejected: It has failed, or the server does not tell of it; or it was refused before it had a name.
        Unreachable: The server could not be reached before it had a name.
    """
    stream = begun or _rest(http, reader)
    is_asked_for = begun is None
    tried, pause, queued = 0, _SHORTEST_POLL, 0.0

    async def wait(seconds: float) -> None:
        nonlocal queued
        queued = queued + seconds if reader.is_queued else 0.0
        if queued > QUEUED_AT_MOST:
            raise Incomplete(STILL_QUEUED)
        await http.sleep(seconds)

    while True:
        trouble: TurnError
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
        except NotDone:
            if not reader.run:
                raise Incomplete("the server answered before it was done, and did not say where to ask again") from None
            if is_asked_for:
                await wait(pause)
                pause = min(_LONGEST_POLL, pause * 2)
            stream, is_asked_for = _rest(http, reader), True
            continue
        except Rejected as rejected:
            if is_asked_for and _is_gone(rejected.reply):
                yield RunNamed("")
                raise Refused(GONE, status=404) from None
            if rejected.in_stream and reader.run:
                # It has failed: there is nothing to take up again.
                yield RunNamed("")
            if rejected.in_stream or not is_asked_for or not _passes(rejected.reply):
                raise
            trouble = explain(rejected.reply, http)
        except (Incomplete, Unreachable) as error:
            trouble = error
        if not reader.run:
            raise trouble
        if tried == len(WAITS):
            raise _given_up(trouble)
        yield Waiting(WAITS[tried], LOST)
        await wait(WAITS[tried])
        tried += 1
        stream, is_asked_for = _rest(http, reader), True


def _rest(http: Http, reader: ResponsesReader) -> AsyncGenerator[TurnEvent, None]:
    """What a run says after what `reader` has read of it; all, where that is nothing."""
    reader.rejoin()
    after = f"&starting_after={reader.last_number}" if reader.last_number >= 0 else ""
    where = f"/responses/{quote(reader.run, safe='')}?stream=true{after}"
    return read_events(http, where, None, reader, method="GET")


def _is_gone(reply: Reply) -> bool:
    return reply.status in (404, 410) or reply.code == "response_not_found"


def _passes(reply: Reply) -> bool:
    """Whether a question after a run may be answered another time."""
    return is_limited(reply) or reply.status == 500


def _given_up(trouble: TurnError) -> Incomplete:
    if isinstance(trouble, Incomplete):
        return trouble
    return Incomplete(f"the run cannot be followed: {trouble.message}", hint=trouble.hint, status=trouble.status)
