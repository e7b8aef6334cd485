"""Servers that send far too much, far too slowly or for ever, in every protocol; and what a client needs to bear it."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from tests.client.fault_server import FaultServer, Flood, Never, Reply, Request, Send, Sleep, Step
from tests.client.protocols.contract import CANCELLED, DONE, FAILED, INTERRUPTED
from tests.client.protocols.talks import Given, Talk
from tests.client.turns import new_turn
from tests.fake_server import Waits
from tui.client import Client
from tui.client import Request as Asked
from tui.client.sse import LIMIT
from tui.events import TurnEvent
from tui.model import Turn, TurnStatus
from tui.runner import run

PIECE = 64 * 1024
BOMB = gzip.compress(b"\0" * 20_000_000)


@dataclass(frozen=True)
class Kind:
    """A flood: how its answer begins and goes on, and what becomes of the turn. Where it has no end of its own, `status`
    is None: it goes on until the user stops it."""

    name: str
    steps: Callable[[Source], Iterator[Step]]
    status: TurnStatus | None
    exit_status: int = 0
    words: str = ""


@dataclass
class Source:
    """What floods are made of: an answer, and how much of everything there is to be. `sent` counts the pieces."""

    talk: Talk
    events: int
    answer: int
    sent: int = 0
    noticed: Callable[[], None] = lambda: None

    @property
    def given(self) -> Given:
        return self.talk.answers[self.talk.turn]

    @property
    def in_lines(self) -> bool:
        return self.given.border == b"\n"

    def head(self, *fields: str) -> Send:
        return Send(self.start(*fields) + b"\r\n")

    def start(self, *fields: str) -> bytes:
        kept = [f"{name}: {value}" for name, value in self.given.headers if name not in str(fields)]
        return "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 Given", *kept, *fields)).encode()

    def over_and_over(self, piece: bytes, times: int = -1) -> Flood:
        whole = piece * max(1, PIECE // len(piece))
        return Flood(whole, times if times < 0 else -(-times * len(piece) // len(whole)), self.noted)

    def noted(self, count: int) -> None:
        self.sent = count
        self.noticed()

    def growing(self) -> Iterator[Step]:
        """Events that each add a thousand characters to the answer."""
        events = self.given.body.split(self.given.border)
        place = next(at for at, event in enumerate(events) if re.search(rb'"1 (prompt so far\. [^"\\]*)?[\\"]', event))
        yield Send(b"".join(event + self.given.border for event in events[:place]))
        grows = re.sub(rb'"sequence_number": ?\d+, ?', b"", events[place])
        batch = b""
        for number in range(self.answer // 1000 + 100):
            said = b"x" * 985 + b" %014d" % number
            event = re.sub(rb'1 (prompt so far\. [^"\\]*)?(?=[\\"])', said, grows)
            if b'"1 ' not in grows.replace(b'"1 prompt', b""):
                event = _renamed(event, number)
            batch += event + self.given.border
            if number % 64 == 0:
                yield Send(batch)
                yield Sleep(0)
                self.noted(number // 64)
                batch = b""


def _renamed(event: bytes, number: int) -> bytes:
    """An event about another item each time, where items come whole."""
    start, brace, rest = event.partition(b"{")
    # Rill shows nothing of calls that only hand on to an agent.
    rest = rest.replace(b"analyst_agent", b"query")
    return start + re.sub(rb'"(id|parentId)"( ?: ?)"[^"]*"', rb'"\1"\2"one%d"' % number, brace + rest)


def _slow(source: Source) -> Iterator[Step]:
    yield Send(source.head().data + source.given.body, 1)


def _huge_event(source: Source) -> Iterator[Step]:
    yield source.head()
    yield Send(b'{"a": "' if source.in_lines else b'data: {"a": "')
    yield source.over_and_over(b"x" * PIECE)


def _comment(source: Source) -> Iterator[Step]:
    yield source.head()
    yield Send(b'{"a": 1' if source.in_lines else b": ")
    yield source.over_and_over(b" " * PIECE)


def _endless(source: Source) -> Iterator[Step]:
    yield source.head()
    yield from source.growing()
    yield Never()


def _tiny(source: Source) -> Iterator[Step]:
    yield source.head()
    yield source.over_and_over(b"{}\n" if source.in_lines else b"data: {}\n\n", source.events)
    yield Send(source.given.body)


def _pings(source: Source) -> Iterator[Step]:
    yield source.head()
    yield Send(b"{}\n" if source.in_lines else b": hello\n\n")
    yield source.over_and_over(b"\n" if source.in_lines else b": ping\n\n")


def _headers(source: Source) -> Iterator[Step]:
    yield Send(source.start())
    yield source.over_and_over(b"x-more: " + b"x" * 100 + b"\r\n")


def _header(source: Source) -> Iterator[Step]:
    yield Send(source.start() + b"x-more: ")
    yield source.over_and_over(b"x" * PIECE)


def _early(source: Source) -> Iterator[Step]:
    yield source.over_and_over(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")


def _chunk(source: Source) -> Iterator[Step]:
    yield source.head("transfer-encoding: chunked")
    yield Send(b"1;")
    yield source.over_and_over(b"x" * PIECE)


def _blanks(source: Source) -> Iterator[Step]:
    yield source.head()
    yield source.over_and_over(b" " * PIECE)


def _json(source: Source) -> Iterator[Step]:
    yield source.head("content-type: application/json")
    yield Send(b'{"a": "')
    yield source.over_and_over(b"x" * PIECE)


def _bomb(source: Source) -> Iterator[Step]:
    yield source.head("content-encoding: gzip")
    yield source.over_and_over(BOMB)


TOO_LARGE = "sent an event too large to read (16 MiB)"

KINDS = [
    Kind("slow", _slow, DONE),
    Kind("a huge event", _huge_event, FAILED, 6, TOO_LARGE),
    Kind("a line without end", _comment, FAILED, 6, TOO_LARGE),
    Kind("an answer without end", _endless, INTERRUPTED, 7, "MiB and was stopped"),
    Kind("tiny events", _tiny, DONE),
    Kind("pings for ever", _pings, None),
    Kind("headers without end", _headers, FAILED, 6, "sent a malformed response"),
    Kind("a header without end", _header, FAILED, 6, "sent a malformed response"),
    Kind("early hints for ever", _early, None),
    Kind("a chunk's head without end", _chunk, FAILED, 6, "sent a malformed response"),
    Kind("blanks without end", _blanks, FAILED, 6, "sent nothing but blanks"),
    Kind("a JSON value without end", _json, FAILED, 6, "sent an answer too large to read (16 MiB)"),
    Kind("a compressed bomb", _bomb, FAILED, 6, "sent a compressed answer, which was not asked for"),
]


STOPPABLE = {
    "a huge event", "a line without end", "an answer without end", "tiny events", "pings for ever",
    "early hints for ever", "blanks without end", "a JSON value without end",
}  # fmt: skip
"""Those that go on for long enough to be stopped in their midst."""


@dataclass
class Borne:
    """What became of a flood: the turn; the longest time the loop was not free, and from a stop to the turn's end, both in
    seconds of this thread's work; and by how many bytes memory grew at most."""

    turn: Turn
    held: float = 0.0
    stopping: float = 0.0
    grown: int = 0
    words: str = ""
    sent: int = 0
    shown: int = field(default=0)


def _memory(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found
    return int(found[1]) * 1024


def _memory_now() -> int:
    """How much memory there is now, from where on its highest mark is kept anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


async def bear(talk: Talk, kind: Kind, *, events: int, answer: int, stop_after: int = 0) -> Borne:
    """A turn in a flood, to its end; or, with `stop_after`, until it is stopped after so many pieces."""
    source = Source(talk, events, answer)
    last = time.thread_time()
    borne = Borne(new_turn())
    stopped_at = 0.0
    turn: asyncio.Task[Turn] | None = None

    def look() -> None:
        nonlocal last
        now = time.thread_time()
        borne.held, last = max(borne.held, now - last), now

    def stop() -> None:
        nonlocal stopped_at
        if stop_after and source.sent >= stop_after and not stopped_at:
            stopped_at = time.thread_time()
            assert turn is not None
            turn.cancel()

    async def watch() -> None:
        while True:
            look()
            await asyncio.sleep(TICK)

    source.noticed = stop

    def answered(heard: bytes) -> Iterator[Step]:
        nonlocal last
        method, target, _ = heard.split(b" ", 2)
        route = method.decode(), target.partition(b"?")[0].decode()
        if route == talk.turn:
            last = time.thread_time()
            yield from kind.steps(source)
        elif route in talk.answers:
            yield Send(talk.answers[route].framed("length").raw)
        else:
            yield Send(b"HTTP/1.1 404 Unknown\r\ncontent-length: 0\r\n\r\n")

    async with FaultServer([Request(), Reply(answered)]) as server:
        profile = talk.at(server.port)
        before = _memory_now()
        turn = asyncio.create_task(_take(Client(sleep=Waits()), Asked(profile, talk.prompt), borne))
        watching = asyncio.create_task(watch())
        borne.turn = await turn
        look()
        watching.cancel()
        borne.stopping = time.thread_time() - stopped_at if stopped_at else 0.0
        borne.grown = _memory("VmHWM") - before
        async with asyncio.timeout(20):
            while server.serving:
                await asyncio.sleep(0.001)
    borne.sent = source.sent
    borne.words = str(borne.turn.error) if borne.turn.error else ""
    return borne


async def _take(client: Client, asked: Asked, borne: Borne) -> Turn:
    def publish(turn: Turn) -> None:
        borne.shown += 1

    async def save(turn: Turn) -> None:
        pass

    async def told() -> AsyncGenerator[TurnEvent, None]:
        async with aclosing(client.stream(asked)) as events:
            async for event in events:
                yield event

    return await run(new_turn(asked.profile, asked.prompt), told(), publish=publish, save=save)


TICK = 0.002
"""Seconds between two looks at whether the loop is free."""

LOOP = 0.1
"""Seconds of work in which the loop is free again, and a stopped turn at its end."""


def bound(kind: Kind, answer: int) -> int:
    """By how much memory may grow, in bytes: four times what is kept, and some for what is under way."""
    kept = {"a huge event": LIMIT, "a line without end": LIMIT, "a JSON value without end": LIMIT,
            "blanks without end": LIMIT, "an answer without end": answer}.get(kind.name, 0)  # fmt: skip
    return 4 * kept + 24 * 1024 * 1024


def wrong(talk: Talk, kind: Kind, borne: Borne, answer: int) -> list[str]:
    """What of a flood that came to its end is not as it has to be."""
    found = []
    turn = borne.turn
    if (turn.status, turn.error.exit_status if turn.error else 0) != (kind.status, kind.exit_status):
        found.append(f"it is {turn.status}: {borne.words}")
    if kind.words not in borne.words:
        found.append(f"its words are {borne.words}")
    if kind.status is DONE and "You said" not in turn.text:
        found.append(f"it says {turn.text[:80]!r}")
    return [*found, *_too_much(kind, borne, answer)]


def wrong_when_stopped(kind: Kind, borne: Borne, answer: int) -> list[str]:
    """What of a flood that was stopped is not as it has to be."""
    found = [] if borne.turn.status is CANCELLED else [f"it is {borne.turn.status}: {borne.words}"]
    if borne.stopping > LOOP:
        found.append(f"stopping took {borne.stopping * 1000:.0f} ms")
    return [*found, *_too_much(kind, borne, answer)]


def _too_much(kind: Kind, borne: Borne, answer: int) -> list[str]:
    found = []
    if borne.held > LOOP:
        found.append(f"the loop was held for {borne.held * 1000:.0f} ms")
    if borne.grown > bound(kind, answer):
        found.append(f"memory grew by {borne.grown / 1024 / 1024:.0f} MiB of {bound(kind, answer) / 1024 / 1024:.0f}")
    return found
