"""A day's worth of turns in one process, one after the other: threads, descriptors, tasks and memory stay as they are."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.fake_server import PROFILE, completed, delta
from tests.store.histories import rows
from tests.torture.report import Report
from tui.chat import Chat
from tui.client import Client
from tui.config import Config
from tui.model import Turn
from tui.store import Store

SESSIONS = 20
WORDS = 8
PARTS = 10
"""How often it is looked how things stand; the first look counts as warming up."""

GROWTH = 2.0
"""Megabytes of memory that a thousand turns may add."""

MEMORY = "/dev/shm"


@dataclass(frozen=True)
class Standing:
    """How the process stands: resident memory in megabytes, and what it holds."""

    memory: float
    threads: int
    descriptors: int
    tasks: int


class Server(httpx.AsyncBaseTransport):
    """Answers at once; now and then it fails, breaks off, or says nothing more until it is stopped."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._number = 0
        self.stalled = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self._number += 1
        manner = self._chance.random()
        if manner < 0.05:
            return httpx.Response(400, json={"error": {"message": "no"}})
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, stream=_Stream(self, self._number, manner)
        )


class _Stream(httpx.AsyncByteStream):
    def __init__(self, server: Server, number: int, manner: float) -> None:
        self._server, self._number, self._manner = server, number, manner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        text = f"word-{self._number} " * WORDS
        for _ in range(WORDS):
            yield _event(delta(f"word-{self._number} "))
        if self._manner < 0.1:
            raise httpx.ReadError("broken off")
        if self._manner < 0.2:
            self._server.stalled.set()
            await asyncio.Event().wait()
        yield _event(completed(text, f"resp_{self._number}"))


def _event(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def run(count: int, seed: int) -> Report:
    report = Report("soak")
    place = MEMORY if Path(MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="palaver-soak-", dir=place) as name:
        asyncio.run(_run(Path(name) / "data" / "history.db", count, random.Random(seed), report))
    return report


async def _run(file: Path, count: int, chance: random.Random, report: Report) -> None:
    server = Server(chance)
    store = Store(file)
    chat = Chat(store, Client(transport_of=lambda _profile: server), Config({"test": PROFILE}, "test"))
    await store.open()
    standings = []
    for number in range(1, count + 1):
        turn = await _one(chat, server, f"session {number % SESSIONS}")
        report.counts["turns"] += 1
        report.counts[str(turn.status)] += 1
        if number % max(1, count // PARTS) == 0:
            await _calm(standings[0].tasks if standings else 1)
            standings.append(_standing())
    await chat.aclose()
    await store.close()
    first, last = standings[0], standings[-1]
    for name in ("threads", "descriptors", "tasks"):
        before, now = getattr(first, name), max(getattr(one, name) for one in standings)
        report.figures[name] = f"{before} to {now}"
        report.expect(now <= before, f"{name} grew from {before} to {now}")
    # The slope of the second half: what is kept for reuse has been had by then.
    middle = standings[len(standings) // 2]
    turns = count / len(standings) * (len(standings) - 1 - len(standings) // 2)
    growth = (last.memory - middle.memory) / max(1.0, turns) * 1000
    report.figures["memory"] = (
        f"{first.memory:.1f} to {last.memory:.1f} MB, {growth:.2f} MB for a thousand turns at the end"
    )
    report.expect(
        growth < GROWTH or last.memory - middle.memory < 1.0, f"memory grew by {growth:.2f} MB for a thousand turns"
    )
    report.expect(rows(file, "SELECT count(*) FROM turns") == [(count,)], "turns are missing")


async def _one(chat: Chat, server: Server, label: str) -> Turn:
    session = await chat.open(label)
    server.stalled.clear()
    chat.send(session, "go on")
    settled = asyncio.ensure_future(chat.settled(session.id))
    stalled = asyncio.ensure_future(server.stalled.wait())
    await asyncio.wait({settled, stalled}, return_when=asyncio.FIRST_COMPLETED)
    if not settled.done():
        chat.cancel(session.id)
    stalled.cancel()
    turn = await settled
    return turn or (await chat.turns(session.id))[-1]


async def _calm(tasks: int) -> None:
    """Let what a turn leaves to be done beside the next one come to its end: until there are no more tasks than this."""
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            while len(asyncio.all_tasks()) > tasks:
                await asyncio.sleep(0.01)


def _standing() -> Standing:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return Standing(memory, threading.active_count(), len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()))
