"""Streams a turn into a store and times its saves, or writes beside one: `FILE stream SECONDS`, `FILE write`."""

import asyncio
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil

from tui.events import Finished, ItemDelta, TurnEvent
from tui.model import ItemKind, Session, Turn, new_id
from tui.runner import run
from tui.store import Store

RATE = 5_000


async def tokens(seconds: float) -> AsyncGenerator[TurnEvent, None]:
    began = time.monotonic()
    sent = 0
    while time.monotonic() < began + seconds:
        due = int((time.monotonic() - began) * RATE)
        for _ in range(due - sent):
            yield ItemDelta("m0", ItemKind.MESSAGE, "word")
        sent = max(sent, due)
        await asyncio.sleep(0.002)
    yield Finished()


def store_cpu() -> float:
    """Seconds of CPU the store's own thread has used."""
    known = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("palaver-store")}
    return sum(one.user_time + one.system_time for one in psutil.Process().threads() if one.id in known)


def commits(file: Path) -> int:
    """SQLite's own count of changes, from the file's head. Read by a process of its own, which keeps SQLite's locks."""
    code = f"print(int.from_bytes(open({str(file)!r}, 'rb').read(28)[24:]))"
    import subprocess

    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


async def ticks(gaps: list[float]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(0.005)
        now = time.monotonic()
        gaps.append((now - last - 0.005) * 1e3)
        last = now


async def stream(file: Path, seconds: float) -> None:
    store = Store(file)
    await store.open()
    session = Session(new_id(), f"bench-{os.getpid()}", created_at=time.time())
    turn = await store.begin(Turn(new_id(), session.id, 0, "go", created_at=time.time()), session)
    saves: list[float] = []
    gaps: list[float] = []
    saved = turn

    async def save(now: Turn) -> None:
        nonlocal saved
        began = time.monotonic()
        if await store.save(now, saved, session):
            saved = now
        saves.append((time.monotonic() - began) * 1e3)

    before, used, began = commits(file), store_cpu(), time.monotonic()
    ticking = asyncio.create_task(ticks(gaps))
    await run(turn, tokens(seconds), publish=lambda _turn: None, save=save)
    ticking.cancel()
    took, used = time.monotonic() - began, store_cpu() - used
    made = commits(file) - before
    await store.close()
    print(json.dumps({"commits": made / took, "core": 100 * used / took, "saves": saves, "gaps": gaps,
                      "floor": floor(file.with_name("bare.db"))}))  # fmt: skip


def floor(file: Path) -> list[float]:
    """Milliseconds of commits by SQLite alone, with the same safety."""
    conn = sqlite3.connect(file, isolation_level=None)
    conn.execute("PRAGMA journal_mode = TRUNCATE")
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("CREATE TABLE chunks (text)")
    taken = []
    for _ in range(50):
        began = time.monotonic()
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT INTO chunks VALUES (?)", ("word" * 1000,))
        conn.execute("COMMIT")
        taken.append((time.monotonic() - began) * 1e3)
    conn.close()
    return taken


async def write(file: Path) -> None:
    """Begin a session ten times a second, for ever."""
    store = Store(file)
    await store.open()
    number = 0
    while True:
        number += 1
        await store.create(Session(new_id(), f"writer-{os.getpid()}-{number}", created_at=time.time()))
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    place, what, *more = sys.argv[1:]
    asyncio.run(write(Path(place)) if what == "write" else stream(Path(place), float(more[0])))
