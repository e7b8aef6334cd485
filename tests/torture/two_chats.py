"""Two chats on one history, in virtual time, while others keep its lock now and then: nothing is lost, doubled or mixed up."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import random
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import canary
from tests.chat_machine import InlineLoop
from tests.fake_server import PROFILE, Exchange, FakeServer, completed, delta
from tests.store.histories import NOW, rows
from tests.torture.report import Report
from tui.changes import Change, TurnChanged
from tui.chat import Chat
from tui.client import Client
from tui.clock import Clock
from tui.config import Config
from tui.errors import PalaverError, StoreError
from tui.model import Session, Turn, TurnStatus
from tui.store import Store

PAUSES = (0, 0, 0.003, 0.05, 0.3, 1, 4)
"""Seconds between two things that are done."""

CALM = 120.0
"""Seconds in which everything has come to its end: writes that waited, answers, what is only in memory."""

DEEDS = (
    *("send",) * 5, "instead", "stop", "take over", "queue", "queue", "go", "wait", "wait", "wait", "lock", "lock", "rename",
    "draft", "choose", "delete",
)  # fmt: skip

_KEPT = "SELECT i.text, t.status FROM turns t JOIN items i ON i.turn_id = t.id AND i.position = 0"


def run(count: int, seed: int) -> Report:
    report = Report("two-chats")
    with _quietly():
        for number in range(count):
            before = len(report.wrong)
            _play(random.Random(seed + number), report)
            report.wrong[before:] = [f"scene {seed + number}: {one}" for one in report.wrong[before:]]
            report.counts["scenes"] += 1
    return report


@contextmanager
def _quietly() -> Iterator[None]:
    """With a lock that is not waited for in real time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tui.store.lock.SPIN", 0.0)
        patch.setenv(canary.NAME, "none")
        # What is not saved is told of in the log, which no one has set up.
        patch.setattr(logging, "lastResort", None)
        yield


def _play(chance: random.Random, report: Report) -> None:
    loop = InlineLoop()
    mistakes: list[str] = []
    loop.set_exception_handler(lambda _loop, context: mistakes.append(str(context.get("exception") or context)))
    with tempfile.TemporaryDirectory(prefix="palaver-chats-") as name:
        try:
            loop.run_until_complete(Scene(Path(name) / "history.db", chance, loop, report).play())
            gc.collect()
        finally:
            loop.close()
    report.wrong += [f"a mistake of ours: {one}" for one in mistakes]


class Server(FakeServer):
    """A server that answers by chance: well, with an error, or not to the end."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self._answers: set[asyncio.Task[None]] = set()
        self._issued = 0
        self.asked: Counter[str] = Counter()
        self.knows: dict[str, tuple[str, ...]] = {"": ()}
        """The prompts that are part of a conversation, by its id."""
        self.told_twice: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        waiting = asyncio.ensure_future(super().handle_async_request(request))
        try:
            await asyncio.sleep(0)
            answer = asyncio.ensure_future(self._answer(self.seen[-1]))
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.cancel()
            raise

    async def _answer(self, exchange: Exchange) -> None:
        chance, sent = self._chance, exchange.json
        said = tuple(one["content"] for one in sent["input"] if one["role"] == "user")
        known = self.knows[sent.get("previous_response_id", "")]
        self.asked[said[-1]] += 1
        if doubled := set(known) & set(said):
            self.told_twice.append(f"{said[-1]}: {sorted(doubled)}")
        await asyncio.sleep(chance.choice((0, 0.01, 0.3, 3)))
        how = chance.random()
        if exchange.closed.is_set() or exchange.response.done():
            return
        if how < 0.1:
            exchange.answer(400, {"error": {"message": "no"}})
            return
        exchange.respond()
        words = [f"w{number} " for number in range(chance.randrange(1, 4))]
        for word in words:
            exchange.event(delta(word))
            await asyncio.sleep(chance.choice((0, 0.02, 0.3, 2)))
        if how > 0.2:
            self._issued += 1
            self.knows[f"resp_{self._issued}"] = (*known, *said)
            exchange.event(completed("".join(words), f"resp_{self._issued}"))
        exchange.end()


class Window:
    """One of the two, with what it has shown last of each turn."""

    def __init__(self, file: Path, server: Server, clock: Clock) -> None:
        self.store = Store(file, clock=clock)
        client = Client(transport_of=lambda _profile: server, sleep=asyncio.sleep, clock=clock)
        self.chat = Chat(self.store, client, Config({PROFILE.name: PROFILE}, PROFILE.name), clock=clock)
        self.store.on_health = self.chat.tell_health
        self.chat.subscribe(self._hear)
        self.shown: dict[str, Turn] = {}

    def _hear(self, change: Change) -> None:
        if isinstance(change, TurnChanged):
            self.shown[change.turn.id] = change.turn


class Scene:
    """Some deeds by chance in two windows, and a look at what they came to."""

    def __init__(self, file: Path, chance: random.Random, loop: InlineLoop, report: Report) -> None:
        self._file = file
        self._chance = chance
        self._loop = loop
        self._report = report
        self._server = Server(chance)
        clock = Clock(lambda: loop.time() + NOW, loop.time)
        self._windows = [Window(file, self._server, clock) for _ in range(2)]
        self._deeds: set[asyncio.Future[Any]] = set()
        self._said: dict[str, tuple[Window, str]] = {}
        """Every prompt, with where it was said and as which turn; without one, it was to wait."""
        self._lock = -1
        self._is_locked = False

    async def play(self) -> None:
        for window in self._windows:
            await window.store.open()
            window.chat.follow()
        for label in ("one", "two"):
            await self._windows[0].chat.open(label)
        self._lock = os.open(f"{self._file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        for number in range(self._chance.randrange(6, 22)):
            await self._do(f"p{number}")
        os.close(self._lock)
        await asyncio.sleep(CALM)
        await asyncio.gather(*self._deeds)
        await self._check()
        for window in self._windows:
            await window.chat.aclose()
            await window.store.close()

    async def _do(self, prompt: str) -> None:
        chance = self._chance
        window, deed = chance.choice(self._windows), chance.choice(DEEDS)
        sessions = await window.chat.sessions()
        if deed == "lock":
            self._is_locked = not self._is_locked
            fcntl.flock(self._lock, fcntl.LOCK_EX if self._is_locked else fcntl.LOCK_UN)
        elif deed != "wait" and sessions:
            try:
                await self._do_in(window, chance.choice(sessions), deed, prompt)
            except PalaverError:
                self._report.counts["refused"] += 1
        self._report.counts["deeds"] += 1
        await asyncio.sleep(chance.choice((0.01, 0.3, 2, 6, 12) if deed == "wait" else PAUSES))

    async def _do_in(self, window: Window, session: Session, deed: str, prompt: str) -> None:
        chat, chance = window.chat, self._chance
        match deed:
            case "send" | "instead":
                at = chance.randrange(session.turns + 1) if deed == "instead" else None
                self._said[prompt] = (window, chat.send(session, prompt, at=at).id)
            case "queue":
                if await chat.enqueue(session, prompt) is None:
                    self._said[prompt] = (window, chat.send(session, prompt).id)
                else:
                    self._said[prompt] = (window, "")
            case "stop":
                chat.cancel(session.id)
            case "take over":
                self._begin(chat.take_over(session.id))
            case "go":
                self._begin(chat.send_next(session.id))
            case "rename":
                self._begin(chat.rename(session.id, f"label of {prompt}"))
            case "draft":
                self._begin(chat.keep_place(session.id, f"draft of {prompt}", session.scroll))
            case "choose":
                variants = (await chat.variants(session.id)).values()
                if turns := [one for several in variants for one in several.turn_ids]:
                    self._begin(chat.choose(session.id, chance.choice(turns)))
            case "delete":
                self._begin(self._delete_for_a_moment(chat, session))

    async def _delete_for_a_moment(self, chat: Chat, session: Session) -> None:
        await chat.delete(session.id)
        await asyncio.sleep(1)
        await chat.restore(session.id)

    def _begin(self, deed: Coroutine[Any, Any, Any]) -> None:
        """Do something beside what comes next; that it is refused is no fault."""

        async def done() -> None:
            try:
                await deed
            except PalaverError:
                self._report.counts["refused"] += 1

        self._deeds.add(asyncio.ensure_future(done()))

    async def _check(self) -> None:
        expect, server = self._report.expect, self._server
        for window in self._windows:
            expect(not window.store.overlay, "something is in memory only")
            expect(not window.chat.running(), "a session claims to be answering")
        expect(not rows(self._file, "SELECT 1 FROM leases"), "a session is held, and nothing runs")
        kept = rows(self._file, _KEPT)
        expect(all(TurnStatus(status).is_final for _, status in kept), f"a turn without an end: {kept}")
        there = Counter(
            [prompt for prompt, _ in kept] + [prompt for (prompt,) in rows(self._file, "SELECT prompt FROM queue")]
        )
        for prompt, (window, turn_id) in self._said.items():
            self._report.counts["prompts"] += 1
            shown = window.shown.get(turn_id)
            is_refused = shown is not None and shown.error is not None and shown.error.kind == StoreError.kind
            if not is_refused or there[prompt]:
                expect(there[prompt] == 1, f"{prompt} is there {there[prompt]} times")
        for prompt, times in server.asked.items():
            self._report.counts["sent"] += times
            expect(times == 1, f"{prompt} was sent {times} times")
        expect(not server.told_twice, f"a conversation was told again what it held: {server.told_twice}")
        for (session_id,) in rows(self._file, "SELECT id FROM sessions"):
            await self._check_session(session_id)

    async def _check_session(self, session_id: str) -> None:
        expect = self._report.expect
        here, there = [await window.chat.turns(session_id) for window in self._windows]
        expect([turn.depth for turn in here] == list(range(len(here))), f"depths: {_outline(here)}")
        expect(here == there, f"one reads {_outline(here)}, the other {_outline(there)}")
        for turn in here:
            for window in self._windows:
                shown = window.shown.get(turn.id, turn)
                is_same = (shown.status, shown.text, shown.depth) == (turn.status, turn.text, turn.depth)
                expect(is_same, f"shown is {_outline([shown])}, kept {_outline([turn])}")


def _outline(turns: list[Turn]) -> list[tuple[str, str, int, str]]:
    return [(turn.prompt, turn.status.value, turn.depth, turn.text) for turn in turns]
