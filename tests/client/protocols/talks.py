"""What servers have answered, ready to be given again over a real socket: from recordings, or from the stand-ins."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import httpx

from tests.client.protocols.contract import Case, payload, standing
from tests.client.protocols.contract_cases import CASES
from tests.client.protocols.recordings import Recording, errors, recording
from tests.client.protocols.test_contract_answers import is_over
from tests.client.protocols.test_recordings import WANTED, distinct, ends_within, profile_of
from tests.client.turns import take
from tests.fake_server import Waits
from tui.client import Client
from tui.config import Profile
from tui.model import TurnStatus

FRAMINGS = ("length", "chunked", "closed")
"""How a body's end is told: by its announced length, by a last chunk, or by the connection's end."""

Route = tuple[str, str]
"""A method, and a path without its query."""


@dataclass(frozen=True)
class Given:
    """An answer: its status, the headers that matter, and its body, whose events end in `border`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    border: bytes = b"\n\n"

    @property
    def borders(self) -> list[int]:
        """Where in the body an event ends; and just before that."""
        ends, at = [0, len(self.body)], 0
        while (at := self.body.find(self.border, at)) >= 0:
            at += len(self.border)
            ends += [at - 1, at]
        return sorted(set(ends))

    def framed(self, framing: str) -> Framed:
        """It as bytes of the wire."""
        fields = [f"{name}: {value}" for name, value in self.headers]
        if framing == "length":
            fields.append(f"content-length: {len(self.body)}")
        elif framing == "chunked":
            fields.append("transfer-encoding: chunked")
        head = "\r\n".join([f"HTTP/1.1 {self.status} Given", *fields, "", ""]).encode("latin-1")
        if framing != "chunked":
            return Framed(head, ((b"", self.body, b""),), framing)
        pieces = [piece + self.border for piece in self.body.split(self.border)]
        pieces[-1] = pieces[-1].removesuffix(self.border)
        chunks = [(b"%x\r\n" % len(piece), piece, b"\r\n") for piece in pieces if piece]
        return Framed(head, (*chunks, (b"0\r\n\r\n", b"", b"")), framing)


@dataclass(frozen=True)
class Framed:
    """An answer as bytes of the wire: a head, and pieces of the body with what stands before and after each."""

    head: bytes
    pieces: tuple[tuple[bytes, bytes, bytes], ...]
    framing: str

    @property
    def raw(self) -> bytes:
        return self.head + b"".join(map(b"".join, self.pieces))

    def came(self, count: int) -> int:
        """How much of the body is in the first `count` bytes; -1 where not even the head is."""
        left, came = count - len(self.head), 0
        for before, data, after in self.pieces:
            came += max(0, min(len(data), left - len(before)))
            left -= len(before) + len(data) + len(after)
        return came if count >= len(self.head) else -1

    def place(self, came: int) -> int:
        """After how many bytes so much of the body is there."""
        at = len(self.head)
        for before, data, after in self.pieces:
            if came <= len(data):
                return at + len(before) + came if came else at
            came -= len(data)
            at += len(before) + len(data) + len(after)
        return at


@dataclass(frozen=True)
class Talk:
    """A prompt and everything a server answered until its turn was over.

    `turn` is the request that carries the prompt; `ends` says whether the protocol's own end is in so many bytes of its
    answer's body, the body having come to a proper end or not. With `is_loose` the order of an answer's parts is known
    from its last event only.
    """

    name: str
    profile: Profile
    prompt: str
    answers: Mapping[Route, Given]
    turn: Route
    ends: Callable[[int, bool], bool]
    is_loose: bool = False

    @property
    def protocol(self) -> str:
        return self.profile.protocol

    def at(self, port: int) -> Profile:
        """The profile for a server at this port of loopback."""
        return moved(self.profile, port)


def moved(profile: Profile, port: int, scheme: str = "http") -> Profile:
    """A profile whose addresses are at another port of loopback."""

    def there(text: object) -> object:
        return re.sub(r"^http://[^/]+", f"{scheme}://127.0.0.1:{port}", text) if isinstance(text, str) else text

    options = {name: there(value) for name, value in profile.options.items()}
    return replace(profile, base_url=str(there(profile.base_url)), options=options)


KEPT_HEADERS = ("content-type", "retry-after", "x-should-retry", "x-ag-session-id", "x-ag-turn-id")


def recorded() -> list[Talk]:
    """Those that were recorded with real servers and differ in more than their ids, refusals among them."""
    refusals = {(one.name.partition("/")[0], one.protocol, one.status, len(one.body)): one for one in errors()}
    return [_of_recording(recording(name)) for name in distinct()] + [_of_recording(one) for one in refusals.values()]


def _of_recording(one: Recording) -> Talk:
    profile = profile_of(one)
    path = {"chat": "/chat/completions", "anthropic": "/messages", "ollama": "/api/chat"}.get(profile.protocol)
    turn = ("POST", f"/v1{path or '/responses'}" if path != "/api/chat" else path)
    headers = tuple((name, value) for name, value in one.headers.items() if name in KEPT_HEADERS)
    given = Given(one.status, headers, one.body, b"\n" if one.in_lines else b"\n\n")
    loose = one.status == 200 and bool(WANTED[one.name].calls)
    return Talk(
        one.name,
        profile,
        "hello",
        {turn: given},
        turn,
        lambda count, clean: one.status == 200 and ends_within(one, count, clean=clean),
        loose,
    )


class _Read(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Noting(httpx.AsyncBaseTransport):
    """The network, with every answer read to its end and noted."""

    def __init__(self, case: Case) -> None:
        self._under = httpx.AsyncHTTPTransport(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        self._case = case
        self.answers: dict[Route, Given] = {}
        self.turn: Route = ("", "")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._under.handle_async_request(request)
        body, route = await answer.aread(), (request.method, request.url.path)
        await answer.aclose()
        headers = tuple((name, value) for name, value in answer.headers.items() if name in KEPT_HEADERS)
        border = self._case.border if self._case.is_turn(request) else b"\n\n"
        self.answers[route] = Given(answer.status_code, headers, body, border)
        if self._case.is_turn(request):
            self.turn = route
        return httpx.Response(answer.status_code, headers=headers, stream=_Read(body))

    async def aclose(self) -> None:
        await self._under.aclose()


async def told_by_stand_in(case: Case, prompt: str, folder: Path) -> Talk:
    """One that a protocol's stand-in is asked for now."""
    with standing(case, folder) as stand:
        noting = _Noting(case)
        async with asyncio.timeout(20):
            told = await take(Client(transport_of=lambda _: noting, sleep=Waits()), stand.profile, prompt)
    body = noting.answers[noting.turn].body
    events = body.split(case.border)

    def ends(count: int, clean: bool) -> bool:
        before = body[:count].count(case.border)
        more = count - sum(len(event) + len(case.border) for event in events[:before])
        if told.turn.status is not TurnStatus.DONE:
            said = [_payload(event) for event in body[:count].split(case.border)]
            return clean and case.may_end_after(said) and not any(map(_is_error, said))
        return is_over(case, events, before, more, breaks=not clean)

    is_loose = case.protocol == "docker-agent"
    return Talk(f"{case}/{prompt}", stand.profile, prompt, noting.answers, noting.turn, ends, is_loose)


@lru_cache(maxsize=4096)
def _payload(event: bytes) -> object:
    return payload(event)


def _is_error(said: object) -> bool:
    return isinstance(said, dict) and said.get("type") == "error"


async def told_by_stand_ins(folder: Path, *, rich_only: bool = False) -> list[Talk]:
    """What the stand-ins of all protocols answer: the answer with most in it; else also a plain one, and failures."""
    prompts = ("plain one", "fail first one", "fail later one")
    asked = [(case, case.rich) for case in CASES]
    asked += [(case, prompt) for prompt in prompts for case in CASES if not rich_only]
    return [await told_by_stand_in(case, prompt, folder) for case, prompt in asked]
