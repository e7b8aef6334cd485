"""What the status bar says of an answer that does not come."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.app.driving import window
from tests.fake_server import FakeServer, completed, delta
from tui.client import Client
from tui.clock import Clock


class Hands:
    """Both clocks of a window, which go only when a test moves them."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.at, lambda: self.at)


@pytest.mark.fault("N12", "N13")
async def test_a_server_that_falls_silent_is_told_of(history: Path) -> None:
    """A server that says nothing is told from one that only says that it is there."""
    hands = Hands()
    async with window(history, clock=hands.clock) as w:
        await w.send("hello")
        answer = (await w.server.request()).respond()
        await w.until(lambda: "waiting 0.0 s" in w.status)
        hands.at += 31
        await w.until(lambda: "waiting 31.0 s · no data for 31 s" in w.status)
        answer.event(delta("half an"))
        await w.until(lambda: "answering 31.0 s · 2 words" in w.status)
        hands.at += 29
        await w.until(lambda: "answering 60.0 s · 2 words" in w.status)
        hands.at += 1
        await w.until(lambda: "answering 61.0 s · no data for 30 s" in w.status)
        answer.send(b": ping\n\n")
        await w.until(lambda: "answering 61.0 s · server is alive, no text for 30 s" in w.status)
        hands.at += 30
        await w.until(lambda: "no data for 30 s" in w.status)
        answer.event(delta(" answer"))
        await w.until(lambda: "answering 91.0 s · 3 words" in w.status)
        answer.event(completed("half an answer")).end()
        await w.until(lambda: "done in 91.0 s" in w.status)


@pytest.mark.fault("N09")
async def test_a_server_that_takes_the_request_and_says_nothing_is_told_of(history: Path) -> None:
    hands = Hands()
    async with window(history, clock=hands.clock) as w:
        await w.send("hello")
        exchange = await w.server.request()
        await w.until(lambda: "waiting 0.0 s" in w.status)
        hands.at += 30
        await w.until(lambda: "waiting 30.0 s · no data for 30 s" in w.status)
        exchange.respond().event(completed("An answer.")).end()
        await w.until(lambda: "done in 30.0 s" in w.status)


@pytest.mark.fault("H16")
async def test_a_wait_before_the_next_request_is_counted_down(history: Path) -> None:
    hands, server, waits = Hands(), FakeServer(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == 7
        await waits.wait()

    client = Client(transport_of=lambda _profile: server, sleep=sleep, clock=hands.clock)
    async with window(history, client=client, clock=hands.clock) as w:
        await w.send("hello")
        (await server.request()).answer(429, {"error": {"message": "slow down"}}, {"retry-after": "7"})
        await w.until(lambda: "again in 7 s" in w.status)
        hands.at += 4
        await w.until(lambda: "again in 3 s" in w.status)
        assert len(server.seen) == 1
        waits.set()
        answer = (await server.request()).respond()
        await w.until(lambda: "waiting 4.0 s" in w.status)
        answer.event(completed("An answer.")).end()
        await w.until(lambda: "done in 4.0 s" in w.status)
