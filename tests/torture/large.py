"""A history of a gigabyte: how long it takes to open, to list, to read, to search, to look over, and in how much memory."""

from __future__ import annotations

import asyncio
import json
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.bench import texts
from tests.store.histories import a_session, opened, told
from tests.torture.report import Report
from tui.found import Found
from tui.query import parse_query
from tui.store import Store, upkeep

ROOT = Path(__file__).parent.parent.parent
SESSIONS = 400
TURNS = 50
"""Turns of a megabyte: of each, two kilobytes are said, and the rest is what a tool gave."""

OPENED = 0.3
"""Seconds of computing, at most, from nothing to the last session's end in hand."""

GROWN = 64
"""Megabytes of memory, at most, that opening, listing and reading take."""


def run(megabytes: int, seed: int) -> Report:
    report = Report("large")
    with tempfile.TemporaryDirectory(prefix="palaver-large-") as name:
        file = Path(name) / "data" / "history.db"
        begun = time.monotonic()
        asyncio.run(_begin(file))
        turns = make(file, megabytes * TURNS, random.Random(seed))
        report.counts |= {"megabytes": file.stat().st_size // 1_000_000, "turns": turns}
        report.figures["made in"] = f"{time.monotonic() - begun:.0f} s"
        steps = [one for step in ("store", "check") for one in _apart(file, step)]
    for one in steps:
        figures = f"{one['wall'] * 1000:.0f} ms ({one['cpu'] * 1000:.0f} of computing, {one['memory']} MB)"
        report.figures[one["name"]] = figures
        report.expect(one["value"] == one["wanted"], f"{one['name']}: {one['value']}, not {one['wanted']}")
    before, *others = (one for one in steps if one["name"] in ("begin", "open", "list", "read the end"))
    taken = sum(one["cpu"] for one in others)
    report.expect(taken < OPENED, f"opening took {taken:.3f} s of computing")
    grown = others[-1]["memory"] - before["memory"]
    report.expect(grown < GROWN, f"opening took {grown} MB of memory")
    return report


async def _begin(file: Path) -> None:
    async with opened(file) as store:
        await told(store, a_session("first"))


def make(file: Path, turns: int, chance: random.Random) -> int:
    """Fill a history that has been begun, in one go, with as many turns; only the last one has the word “zyzzyva”."""
    said = "\n\n".join(texts.answer(str(number)) for number in range(400))
    given = json.dumps([{"id": number, "name": f"row {number * 7919 % 10007}"} for number in range(200_000)])

    def piece(size: int, is_said: int) -> str:
        source = said if is_said else given
        at = chance.randrange(len(source) - size)
        return source[at : at + size]

    each = max(1, turns // SESSIONS)
    turns = each * SESSIONS
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        conn.create_function("piece", 2, piece)
        conn.execute("PRAGMA synchronous = OFF")
        conn.executescript(
            f"""
            BEGIN;
            CREATE TEMP TABLE n AS WITH RECURSIVE c (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM c WHERE i < {turns - 1})
                SELECT i FROM c;
            INSERT INTO branches (id, session_id) SELECT 'b' || i, 's' || i FROM n WHERE i < {SESSIONS};
            INSERT INTO sessions (id, label, branch_id, created_at, last_turn_at, turns, last_status, touched)
                SELECT 's' || i, 'label ' || i, 'b' || i, 0, 0, {each}, 'done', 1000 + i FROM n WHERE i < {SESSIONS};
            INSERT INTO turns (id, session_id, branch_id, depth, status, created_at)
                SELECT 't' || i, 's' || (i / {each}), 'b' || (i / {each}), i % {each}, 'done', 0 FROM n;
            INSERT INTO items (turn_id, position, kind, text) SELECT 't' || i, 0, 'prompt', piece(200, 1) FROM n;
            INSERT INTO items (turn_id, position, kind, key, name, call_id, text)
                SELECT 't' || i, 1, 'tool_result', 'r', 'query', 'c', piece(18000, 0) FROM n;
            INSERT INTO items (turn_id, position, kind, key, text)
                SELECT 't' || i, 2, 'message', 'm', piece(1800, 1) || iif(i = {turns - 1}, ' zyzzyva', '') FROM n;
            INSERT INTO items_fts (rowid, text)
                SELECT id, text FROM items WHERE kind IN ('prompt', 'message') AND turn_id LIKE 't%';
            DELETE FROM meta WHERE key = 'shown';
            UPDATE meta SET value = 1000000 WHERE key = 'revision';
            COMMIT;
            """
        )
    return turns + 1


def _apart(file: Path, step: str) -> list[dict[str, Any]]:
    """What a process of its own measured."""
    command = [sys.executable, "-m", "tests.torture.large", step, str(file)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


async def _measured(name: str, wanted: object, work: Callable[[], Awaitable[object]]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    value = await work()
    figures = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({"name": name, "value": value, "wanted": wanted, "memory": _memory(), **figures}), flush=True)


def _memory() -> int:
    """The most memory this process has had so far, in megabytes."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) >> 10


async def _use(file: Path) -> None:
    store = Store(file)
    last = f"label {SESSIONS - 1}"

    async def nothing() -> None:
        return None

    async def begin() -> str:
        await store.open()
        return store.health.message

    async def names() -> int:
        return len(await store.sessions())

    async def end() -> str:
        session = await store.last()
        assert session is not None
        count = await store.count(session.id)
        turns = await store.turns(session.id, max(0, count - 20))
        return f"{session.label}, {min(20, count) - len(turns)} missing, {turns[-1].text[-7:]}"

    async def search(words: str) -> str:
        found = [Found(), *[one async for one in store.finds.search(parse_query(words, 0.0), limit=50)]][-1]
        return f"{min(2, found.count)}, {'all' if found.is_done else 'not all'}"

    await _measured("begin", None, nothing)
    await _measured("open", "", begin)
    await _measured("list", SESSIONS + 1, names)
    await _measured("read the end", f"{last}, 0 missing, zyzzyva", end)
    await _measured("search a rare word", "1, all", lambda: search("zyzzyva"))
    await _measured("search a common word", "2, all", lambda: search("the"))
    await _measured("search a beginning", "2, all", lambda: search("th"))
    await store.close()


async def _look_over(file: Path) -> None:
    async def look() -> list[str]:
        return list(upkeep.check(file).wrong)

    await _measured("check", [], look)


if __name__ == "__main__":
    asyncio.run({"store": _use, "check": _look_over}[sys.argv[1]](Path(sys.argv[2])))
