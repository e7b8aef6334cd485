"""The servers' own calls for stopping work that a closed connection does not end."""

from __future__ import annotations

import asyncio
import logging
import math

from tui.client import Client
from tui.errors import PalaverError
from tui.runs import Run

log = logging.getLogger(__name__)

STOP_PATIENCE = 5.0
"""Seconds such a call may take."""

LAST_MOMENT = 1.0
"""Seconds that all of them may take together once Palaver is about to end."""


class Stops:
    """Makes such calls, each for as long as its patience lasts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._patience: set[asyncio.Timeout] = set()
        self._last_moment = math.inf

    async def stop(self, run_: Run) -> None:
        """Have the server stop a run that has a name. What keeps it from that is only noted."""
        until = min(asyncio.get_running_loop().time() + STOP_PATIENCE, self._last_moment)
        patience = asyncio.timeout_at(until)
        self._patience.add(patience)
        try:
            async with patience:
                await self._client.ask(run_.profile, lambda wire, http: wire.stop(http, run_.name))
        except (PalaverError, TimeoutError) as error:
            log.info("the server did not stop its run: %s", error)
        finally:
            self._patience.discard(patience)

    def hasten(self) -> None:
        """From now on wait only for a moment more in all."""
        self._last_moment = min(self._last_moment, asyncio.get_running_loop().time() + LAST_MOMENT)
        for patience in self._patience:
            if not patience.expired():
                patience.reschedule(min(patience.when() or math.inf, self._last_moment))
