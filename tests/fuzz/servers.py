"""Targets that read servers' answers: every protocol, from the bytes of a body to the turn they add up to."""

from __future__ import annotations

import asyncio
import json
import selectors
import tempfile
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from tests.client.protocols.contract import Case, payload, standing
from tests.client.protocols.contract_cases import CASES
from tests.client.turns import new_turn
from tests.fuzz import inputs
from tests.fuzz.engine import Check, Differs, Target
from tests.fuzz.texts import splits
from tui.client.http import Http
from tui.client.protocols import load
from tui.client.reply import Rejected
from tui.client.request import Request
from tui.client.verdict import explain
from tui.clock import Clock
from tui.config import Profile
from tui.errors import PalaverError, Unreachable
from tui.model import TurnStatus
from tui.runner import Fold

HEADS = ((200, "stream"),) * 9 + ((200, "application/json"), (404, "application/json"), (500, "text/html"))
MOST_REQUESTS = 6
"""Requests a turn may make; after them no one answers any more."""

STILL = Clock(lambda: 1000.0, lambda: 1000.0)


class _Idle(selectors.SelectSelector):
    """Watches nothing: the kernel need not be asked, as no answer comes from outside."""

    def select(self, _timeout: float | None = None) -> list[Any]:
        return []


class _Answer:
    """An answer whose body comes in the pieces given."""

    def __init__(self, status: int, kind: str, pieces: list[bytes]) -> None:
        self.status_code = status
        self.headers = {"content-type": kind}
        self._pieces = pieces

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        pass


class _Wire(Http):
    """A client below which there is no network: every request has the same answer."""

    def __init__(self, profile: Profile, status: int, kind: str, pieces: list[bytes]) -> None:
        super().__init__(profile, None, sleep=self._on)
        self._told = status, kind, pieces
        self._requests = 0

    async def _on(self, _seconds: float) -> None:
        await asyncio.sleep(0)

    @asynccontextmanager
    async def _send(self, method: str, path: str, *_: Any, may_be_empty: bool = False, **__: Any) -> AsyncIterator[Any]:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise Unreachable("Nothing answers any more.")
        status, kind, pieces = self._told
        is_stream = status == 200 and kind not in ("application/json", "text/html")
        if is_stream and path.endswith("/sessions"):
            status, kind, pieces = 200, "application/json", [b'{"id": "s1"}']
        answer: Any = _Answer(status, kind, pieces)
        await self._check(answer, may_be_empty)
        yield answer


def _collect(case: Case) -> tuple[Profile, list[bytes]]:
    """How a stand-in is talked to, and what it answers."""
    with (
        tempfile.TemporaryDirectory(prefix="palaver-fuzz-") as folder,
        standing(case, Path(folder)) as stand,
    ):

        async def ask() -> None:
            for word in ("", *case.shows):
                await stand.take(f"{word} one".strip())

        asyncio.run(ask())
        profile = replace(stand.profile, model=stand.profile.model or "m")
        return profile, [bytes(body) for body in stand.net.bodies]


def _protocol(case: Case) -> tuple[Callable[[Random], bytes], Check]:
    profile, bodies = _collect(case)
    bodies += inputs.streams(case.protocol)
    parts = [part for body in bodies for part in body.split(case.border)]
    events = [event for event in map(payload, parts) if isinstance(event, dict)]
    wire, loop = load(case.protocol), asyncio.SelectorEventLoop(_Idle())
    kind = "text/event-stream" if case.is_sse else "application/x-ndjson"
    prefix = b"data: " if case.is_sse else b""
    requests = [Request(profile, "one", "session")]
    if case.traits.keeps:
        requests.append(replace(requests[0], conversation_id="s1"))

    def make(chance: Random) -> bytes:
        """A body, after a byte that says under what head it comes, and to which request."""
        head = chance.randbytes(1)
        if chance.random() < 0.3:
            return head + inputs.make(chance, bodies)
        lines = inputs.with_events(chance, events).splitlines()
        return head + b"".join(prefix + line + case.border for line in lines)

    async def told(head: int, pieces: list[bytes]) -> tuple[object, ...]:
        status, declared = HEADS[head % len(HEADS)]
        request = requests[head // 16 % len(requests)]
        fold, ended = Fold(new_turn(profile), STILL), ""
        http = _Wire(profile, status, kind if declared == "stream" else declared, pieces)
        events: AsyncGenerator[Any, None] = wire.stream(http, request)
        try:
            async with aclosing(events):
                async for event in events:
                    fold.apply(event)
        except Rejected as rejected:
            ended = str(explain(rejected.reply, http))
            wire.is_stale(rejected.reply, request)
            wire.is_unsupported(rejected.reply)
        except PalaverError as error:
            ended = str(error)
        return fold.finished, ended, fold.end(TurnStatus.DONE if fold.finished else TurnStatus.INTERRUPTED)

    def check(data: bytes) -> None:
        head, body = (data or b"\x00")[0], data[1:]
        whole = loop.run_until_complete(told(head, [body]))
        cuts = next(splits(body))
        again = loop.run_until_complete(told(head, [body[start:end] for start, end in pairwise(cuts)]))
        if _steady(again) != _steady(whole):
            raise Differs(cuts)

    weakref.finalize(check, loop.close)
    return make, check


def _steady(told: tuple[object, ...]) -> str:
    """What came of a turn, without the names that are made anew each time."""
    finished, ended, turn = told
    fields = [
        finished,
        ended,
        *(getattr(turn, name) for name in ("status", "items", "notes", "usage", "model", "finish")),
    ]
    return json.dumps([repr(field) for field in fields])


def _target(case: Case) -> Target:
    return Target(f"answers of {case.protocol}", lambda: _protocol(case))


TARGETS = {case.protocol: _target(case) for case in CASES}
