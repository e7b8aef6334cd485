"""One server and one client for everything that can happen to an answer on its way, at any byte of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from tests.client.conftest import sockets, tasks
from tests.client.fault_server import FaultServer, Fin, Never, Reply, Request, Rst, Send, Step
from tests.client.protocols.contract import CANCELLED, DONE, FAILED, INTERRUPTED, is_beginning, shape
from tests.client.protocols.talks import FRAMINGS, Route, Talk
from tests.client.turns import Told, new_turn, take
from tui.client import MAY_BE_RECEIVED, Client

ENDS = ("cut", "reset", "stalled", "cancelled")
"""What happens to a connection: its end, a reset, silence for ever, or silence in which the user stops the answer."""

SETTLE = 0.002
"""Real seconds in which what was sent over loopback is sure to be there."""

NEXT_TURN_EVERY = 10
"""After every how many faults an undisturbed turn is taken by the same client."""


@dataclass(frozen=True)
class Fault:
    """What happens after `count` bytes of the answer to the request `at`, whose body is framed so."""

    at: Route
    framing: str
    end: str
    count: int


async def _at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


class Breaking:
    """A talk before a server that breaks its answers. Use it as an async context manager, in virtual time.

    `wrong` is everything that was not as it has to be; `counts` are the faults there were, by how they ended and framing.
    """

    def __init__(self, talk: Talk, next_turn_every: int = NEXT_TURN_EVERY) -> None:
        self.talk = talk
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self._every = next_turn_every
        self._client = Client(sleep=_at_once)
        self._server = FaultServer([Request(), Reply(self._answer)])
        self._framed = {
            (route, framing): given.framed(framing) for route, given in talk.answers.items() for framing in FRAMINGS
        }
        self._raw = {key: framed.raw for key, framed in self._framed.items()}
        self._fault: Fault | None = None
        self._asked: Counter[Route] = Counter()
        self._leaks = False

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        self._profile = self.talk.at(self._server.port)
        self._sockets, self._tasks = sockets(), tasks()
        self._whole = await self._take(None)
        self._whole_requests = self.asked
        self._shape = shape(self._whole.turn)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.__aexit__()

    def everywhere(self, stride: int = 1, first: int = 0, framings: tuple[str, ...] = FRAMINGS) -> Iterator[Fault]:
        """Every fault at every `stride`-th byte of every answer."""
        for route, framing in self._framed:
            if framing not in framings:
                continue
            for count in range(first, len(self._raw[route, framing]) + 1, stride):
                for end in ENDS:
                    yield Fault(route, framing, end, count)

    def sample(self, chance: random.Random, more: int) -> Iterator[Fault]:
        """A fault at each event's border and around the head's, and at so many other places of each answer."""
        for route, given in self.talk.answers.items():
            for came in given.borders:
                framing = chance.choice(FRAMINGS)
                yield Fault(route, framing, chance.choice(ENDS), self._framed[route, framing].place(came))
            for framing in FRAMINGS:
                size, head = len(self._raw[route, framing]), len(self._framed[route, framing].head)
                for count in (0, head - 1, size - 1, size, *(chance.randrange(size) for _ in range(more // 3))):
                    yield Fault(route, framing, chance.choice(ENDS), count)

    @property
    def asked(self) -> int:
        """How often the newest turn's prompt was sent."""
        return self._asked[self.talk.turn]

    async def run(self, faults: Iterable[Fault]) -> None:
        for number, fault in enumerate(faults):
            await self.happen(fault)
            if number % self._every == 0:
                told = await self._take(None)
                self.counts["next turns"] += 1
                if shape(told.turn) != self._shape or told.turn.status is not self._whole.turn.status:
                    self._note(fault, f"the next turn is {told.turn.status}: {told.words}")

    async def happen(self, fault: Fault) -> None:
        """Let a fault happen in a turn, and look at what became of that."""
        told = await self._take(fault)
        self.counts[f"{fault.end}, {fault.framing}"] += 1
        if self._leaks:
            self._note(fault, f"left open: {sockets() - self._sockets} {tasks() - self._tasks}")
        if not is_beginning(shape(told.turn), self._shape):
            self._note(fault, f"what is shown is no beginning: {shape(told.turn)}")
        if told.saved[-1:] != [told.turn] or told.shown[-1:] != [told.turn]:
            self._note(fault, "the last state is not what was saved and shown last")
        if fault.at == self.talk.turn:
            self._check(fault, told)
        else:
            self._check_before(fault, told)

    def _check(self, fault: Fault, told: Told) -> None:
        """A fault in the answer to the prompt."""
        turn, framed = told.turn, self._framed[fault.at, fault.framing]
        came, requests = framed.came(fault.count), self.asked
        is_all = fault.count == len(self._raw[fault.at, fault.framing])
        clean = fault.end == "cut" if fault.framing == "closed" else is_all
        over = came >= 0 and self.talk.ends(came, clean)
        may_repeat = came < 0 and fault.end != "cancelled" and not self._profile.traits.keeps
        is_refusal = self._whole.turn.status is not DONE
        if not is_refusal and requests != 1 + may_repeat:
            self._note(fault, f"the prompt was sent {requests} times")
        if is_refusal and requests > self._whole_requests + may_repeat:
            self._note(fault, f"the prompt was sent {requests} times, and {self._whole_requests} undisturbed")
        if over or (may_repeat and not is_refusal):
            expected = (DONE, CANCELLED) if fault.end == "cancelled" else (DONE,)
            if turn.status not in expected:
                self._note(fault, f"its end had come, and it is {turn.status}: {told.words}")
            elif turn.status is DONE and (told.exit_status, turn.has_output) != (0, self._whole.turn.has_output):
                self._note(fault, f"it is done with {told.exit_status}, and shows {shape(turn)}")
            elif turn.status is DONE and shape(turn) != self._shape and not self.talk.is_loose:
                self._note(fault, f"it is done, and not whole: {shape(turn)}")
            return
        if turn.status is CANCELLED and fault.end == "cancelled":
            return
        if turn.status is not (INTERRUPTED if turn.has_output or turn.run else FAILED):
            self._note(fault, f"it is {turn.status}, its end not having come: {told.words}")
        elif told.exit_status not in (4, 5, 6, 7, 8) or not told.words or turn.conversation_id:
            self._note(fault, f"{told.exit_status} {told.words!r} {turn.conversation_id!r}")
        if came < 0 and self._profile.traits.keeps and MAY_BE_RECEIVED not in told.words:
            self._note(fault, f"it is not said that it may have been received: {told.words}")

    def _check_before(self, fault: Fault, told: Told) -> None:
        """A fault in an answer that the prompt's request waits for, or goes on without."""
        requests = self.asked
        if requests > self._whole_requests:
            self._note(fault, f"the prompt was sent {requests} times")
        expected = {DONE: requests > 0, FAILED: self._whole.turn.status is FAILED or not requests}
        expected |= {INTERRUPTED: requests > 0, CANCELLED: fault.end == "cancelled"}
        if not expected[told.turn.status]:
            self._note(fault, f"it is {told.turn.status}, the prompt having been sent {requests} times: {told.words}")

    async def _take(self, fault: Fault | None) -> Told:
        """A turn, to its end, and until everything of it is closed."""
        self._fault, self._asked = fault, Counter()
        self._server.forget()
        told = Told(new_turn(self._profile, self.talk.prompt))
        turn = asyncio.ensure_future(take(self._client, self._profile, self.talk.prompt, told=told))
        if fault is not None and fault.end == "cancelled":
            await asyncio.wait({turn}, timeout=1)
            turn.cancel()
        await turn
        for _ in range(500):
            self._leaks = bool(self._server.serving) or not (tasks() <= self._tasks and sockets() <= self._sockets)
            if not self._leaks:
                break
            await asyncio.sleep(0)
        return told

    def _answer(self, heard: bytes) -> Iterator[Step]:
        method, target, _ = heard.split(b" ", 2)
        route = method.decode(), target.partition(b"?")[0].decode()
        self._asked[route] += 1
        fault = self._fault
        if route not in self.talk.answers:
            yield Send(b"HTTP/1.1 404 Unknown\r\ncontent-length: 0\r\n\r\n")
        elif fault is None or fault.at != route or self._asked[route] > 1:
            yield Send(self._raw[route, "length"])
        else:
            if fault.count:
                yield Send(self._raw[route, fault.framing][: fault.count])
            yield Fin() if fault.end == "cut" else Rst() if fault.end == "reset" else Never()

    def _note(self, fault: Fault, words: str) -> None:
        where = f"{fault.at[0]} {fault.at[1]}, {fault.framing}, {fault.end} after {fault.count} bytes"
        self.wrong.append(f"{self.talk.name}: {where}: {words[:300]}")
