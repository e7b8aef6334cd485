"""Every generator that is begun is closed by whoever began it, also where no one wants the rest."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from tests.client.turns import over
from tui.client import Request
from tui.client.guide_transport import GuideTransport
from tui.config_file import GUIDE
from tui.events import ItemDelta
from tui.guide.server import GuideServer


async def _begun() -> None:
    """A generator of the client's, begun and dropped."""
    async for _ in over(GuideTransport(GuideServer(speed=0))).stream(Request(GUIDE, "hello", "session")):
        break


async def test_one_that_is_dropped_is_noticed(left_open: list[str]) -> None:
    await _begun()
    assert "Client.stream" in left_open
    left_open.clear()


@pytest.mark.fault("C03")
async def test_guides_answer_is_closed_where_no_one_wants_the_rest(left_open: list[str]) -> None:
    events = over(GuideTransport(GuideServer(speed=0))).stream(Request(GUIDE, "hello", "session"))
    async with aclosing(events):
        async for event in events:
            if isinstance(event, ItemDelta):
                break
    assert left_open == []
