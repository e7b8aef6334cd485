"""A thousand answers stopped at a random moment, over a real socket: nothing leaks, nothing is lost, each ends once."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.store.histories import is_whole, rows
from tests.torture.report import Report
from tests.torture.server import Manner, Server
from tui.chat import Change, Chat, TurnChanged
from tui.client import Client
from tui.config import Config, Profile
from tui.model import Turn, TurnStatus
from tui.store import Store

SESSIONS = 10
WORDS = 15
MOMENTS = ("at once", "before the headers", "mid-stream", "around the end", "twice", "never")


def run(count: int, seed: int) -> Report:
    report = Report("cancels")
    with tempfile.TemporaryDirectory(prefix="palaver-cancels-") as name:
        asyncio.run(_run(Path(name) / "data" / "history.db", count, random.Random(seed), report))
    return report


async def _run(file: Path, count: int, chance: random.Random, report: Report) -> None:
    server = Server(Manner(wait=0.02, words=WORDS, pause=0.002), chance)
    await server.start()
    profile = Profile(name="here", protocol="responses", base_url=server.url, model="m")
    store = Store(file)
    chat = Chat(store, Client(), Config({"here": profile}, "here"))
    await store.open()
    await _warm_up(chat)
    await _calm(server, store)
    descriptors, tasks = _descriptors(), len(asyncio.all_tasks())
    talkers = Talkers(chat, server, chance, report)
    await talkers.run(count)
    await _calm(server, store)
    report.expect(not server.connected, f"{len(server.connected)} connections are still open at the server")
    report.expect(_descriptors() <= descriptors, f"descriptors grew from {descriptors} to {_descriptors()}")
    report.expect(len(asyncio.all_tasks()) <= tasks, f"tasks grew from {tasks}: {asyncio.all_tasks()}")
    report.expect(not chat.running(), f"{len(chat.running())} sessions claim to be answering")
    await chat.aclose()
    await store.close()
    await server.stop()
    talkers.check(file)


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def _warm_up(chat: Chat) -> None:
    """One whole turn, so that what is made once is there."""
    session = await chat.open("warm")
    chat.send(session, "warm up")
    await chat.settled(session.id)


class Talkers:
    """Some sessions that say one thing after another and stop most answers, with everything that was published."""

    def __init__(self, chat: Chat, server: Server, chance: random.Random, report: Report) -> None:
        self._chat = chat
        self._server = server
        self._chance = chance
        self._report = report
        self._texts: dict[str, str] = {}
        self._ends: Counter[str] = Counter()
        self._turns: list[Turn] = []
        self._longest = 0.0
        chat.subscribe(self._changed)

    async def run(self, count: int) -> None:
        left = iter(range(count))
        await asyncio.gather(*(self._talk(f"s{number}", left) for number in range(SESSIONS)))

    def _changed(self, change: Change) -> None:
        if isinstance(change, TurnChanged):
            turn = change.turn
            self._report.expect(not self._ends[turn.id], f"{turn.prompt}: {turn.status} was published after its end")
            self._texts[turn.id] = turn.text
            self._ends[turn.id] += turn.status.is_final

    async def _talk(self, label: str, left: Iterator[int]) -> None:
        """Prompts in one session, until there are none left."""
        for number in left:
            session = await self._chat.open(label)
            moment = self._chance.choice(MOMENTS)
            turn = self._chat.send(session, f"{label}n{number} {moment}")
            await self._wait_for(moment, turn)
            stopped = time.monotonic()
            if moment != "never":
                await self._stop(session.id, twice=moment == "twice")
            last = await self._chat.settled(session.id) or await self._chat.turn(turn.id)
            assert last is not None
            self._note(moment, last)
            if last.status is TurnStatus.CANCELLED and last.prompt in self._server.seen:
                await self._closes(last.prompt, stopped)

    async def _wait_for(self, moment: str, turn: Turn) -> None:
        if moment == "before the headers":
            await asyncio.sleep(self._chance.uniform(0, 0.02))
        elif moment in ("mid-stream", "twice", "around the end"):
            least = WORDS - 4 if moment == "around the end" else self._chance.randrange(1, WORDS)
            await _until(lambda: len(self._texts[turn.id].split()) >= least or self._ends[turn.id])
            if moment == "around the end":
                await asyncio.sleep(self._chance.uniform(0, 0.02))
                for _ in range(self._chance.randrange(8)):
                    await asyncio.sleep(0)

    async def _stop(self, session_id: str, *, twice: bool) -> None:
        self._chat.cancel(session_id)
        if twice:
            for _ in range(self._chance.randrange(4)):
                await asyncio.sleep(0)
            self._chat.cancel(session_id)
            run_ = self._chat._runs.get(session_id)
            if run_ is not None and run_.task is not None:
                run_.task.cancel()

    async def _closes(self, prompt: str, stopped: float) -> None:
        await _until(lambda: prompt in self._server.left)
        closed = self._server.left.get(prompt)
        self._report.expect(closed, f"{prompt}: its connection is open a second after the stop")
        self._longest = max(self._longest, (closed or stopped) - stopped)

    def _note(self, moment: str, last: Turn) -> None:
        self._turns.append(last)
        self._report.counts[f"{last.status} ({moment})"] += 1
        expected = (TurnStatus.DONE,) if moment == "never" else (TurnStatus.DONE, TurnStatus.CANCELLED)
        self._report.expect(last.status in expected, f"{last.prompt}: it is {last.status}: {last.error}")

    def check(self, file: Path) -> None:
        """Compare what was shown with what is kept."""
        report = self._report
        query = (
            "SELECT t.id, t.status, (SELECT text FROM items WHERE turn_id = t.id AND position = 0), "
            "coalesce((SELECT text FROM items WHERE turn_id = t.id AND position = 1), '') FROM turns t"
        )
        kept = {turn_id: (status, prompt, text) for turn_id, status, prompt, text in rows(file, query)}
        for turn in self._turns:
            found = kept.get(turn.id)
            shown = (turn.status, turn.prompt, self._texts[turn.id])
            report.expect(self._ends[turn.id] == 1, f"{turn.prompt}: it ended {self._ends[turn.id]} times")
            report.expect(found == shown, f"{turn.prompt}: it showed {shown} and kept {found}")
        running = [one for one in kept.values() if one[0] in ("pending", "streaming")]
        report.expect(not running, f"turns without an end: {running}")
        report.expect(is_whole(file), "the history is not whole")
        report.figures["longest from stop to closed connection"] = f"{self._longest * 1000:.0f} ms"


async def _calm(server: Server, store: Store) -> None:
    """Let what the last turn has left to be done come to its end: this task is the only one then."""
    await _until(lambda: not server.connected and len(asyncio.all_tasks()) == 1)
    # A write goes on in its thread even if no task waits for it any more; what is read comes after it.
    await store.sessions()


async def _until(ready: Callable[[], object]) -> None:
    """Until it holds, or a second has passed."""
    deadline = time.monotonic() + 1
    while not ready() and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
