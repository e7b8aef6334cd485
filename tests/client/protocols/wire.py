"""The network with a hand on it: real connections, whose answers are changed on their way and whose requests are kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from tui.config import Profile

Pieces = AsyncIterator[bytes]
Change = Callable[[Pieces], AsyncGenerator[bytes, None]]

LOST = httpx.RemoteProtocolError(
    "peer closed connection without sending complete message body (incomplete chunked read)"
)


@dataclass(frozen=True)
class Sent:
    """A request as it left. `is_turn` is whether it asks for an answer to a prompt."""

    method: str
    url: httpx.URL
    headers: list[tuple[str, str]]
    body: bytes
    is_turn: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known == name), "")


class Net:
    """Makes the transport of every connection.

    `change` is done to the bodies of answers to prompts. `instead` may answer such a request in the server's place, by a
    response, or leave it to the server with None. `before` is awaited before any request leaves. With a `port` all go
    there. `sent` are all requests; `open` counts the bodies that are not closed, `streaming` those of answers to prompts
    among them; `heads` are the answers that came to prompts, `bodies` what they held.
    """

    def __init__(self, is_turn: Callable[[httpx.Request], bool]) -> None:
        self.is_turn = is_turn
        self.change: Change | None = None
        self.instead: Callable[[httpx.Request], httpx.Response | None] | None = None
        self.before: Callable[[httpx.Request], Awaitable[None]] | None = None
        self.port = 0
        self.sent: list[Sent] = []
        self.open = 0
        self.streaming = 0
        self.heads: list[httpx.Response] = []
        self.bodies: list[bytearray] = []

    @property
    def turns(self) -> list[Sent]:
        """The requests that ask for an answer to a prompt."""
        return [sent for sent in self.sent if sent.is_turn]

    def __call__(self, profile: Profile) -> httpx.AsyncBaseTransport:
        return _Hand(self)


class _Hand(httpx.AsyncBaseTransport):
    def __init__(self, net: Net) -> None:
        self._net = net
        self._under = httpx.AsyncHTTPTransport(
            verify=False, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        net, body = self._net, await request.aread()
        is_turn = net.is_turn(request)
        net.sent.append(Sent(request.method, request.url, list(request.headers.items()), body, is_turn))
        if net.before is not None:
            await net.before(request)
        response = net.instead(request) if net.instead is not None and is_turn else None
        if response is not None:
            return response
        if net.port:
            request.url = request.url.copy_with(port=net.port)
        answer = await self._under.handle_async_request(request)
        net.open += 1
        net.streaming += is_turn
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        stream = _Body(net, answer.stream, net.change, bytearray()) if is_turn else _Body(net, answer.stream)
        changed = httpx.Response(answer.status_code, headers=answer.headers, stream=stream)
        if is_turn:
            net.heads.append(answer)
        return changed

    async def aclose(self) -> None:
        await self._under.aclose()


class _Body(httpx.AsyncByteStream):
    """A body on its way. What came of it before it was changed is `kept`."""

    def __init__(
        self, net: Net, under: httpx.AsyncByteStream, change: Change | None = None, kept: bytearray | None = None
    ) -> None:
        self._net = net
        self._under = under
        self._change = change or unchanged
        self._is_turn = kept is not None
        self._kept = bytearray() if kept is None else kept
        if kept is not None:
            net.bodies.append(kept)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._change(self._noted())) as pieces:
            async for piece in pieces:
                yield piece

    async def _noted(self) -> AsyncIterator[bytes]:
        async for piece in self._under:
            self._kept += piece
            yield piece

    async def aclose(self) -> None:
        self._net.open -= 1
        self._net.streaming -= self._is_turn
        await self._under.aclose()


class _Given(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._body:
            yield self._body


def given(status: int, body: bytes | str | object = b"", content_type: str = "application/json") -> httpx.Response:
    """An answer in the server's place: bytes, text, or what becomes JSON."""
    if isinstance(body, str):
        body = body.encode()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, headers={"content-type": content_type} if content_type else {}, stream=_Given(raw))


async def events_of(pieces: Pieces, border: bytes) -> AsyncGenerator[bytes, None]:
    """Whole events, each with the border that ends it; the last may lack one."""
    held = b""
    async for piece in pieces:
        *whole, held = (held + piece).split(border)
        for one in whole:
            yield one + border
    if held:
        yield held


async def unchanged(pieces: Pieces) -> AsyncGenerator[bytes, None]:
    async for piece in pieces:
        yield piece


async def byte_by_byte(pieces: Pieces) -> AsyncGenerator[bytes, None]:
    async for piece in pieces:
        for at in range(len(piece)):
            yield piece[at : at + 1]


def line_ends(end: bytes) -> Change:
    """Every line ends in `end`."""

    async def change(pieces: Pieces) -> AsyncGenerator[bytes, None]:
        async for piece in pieces:
            yield piece.replace(b"\n", end)

    return change


def cut(events: int, more: int, border: bytes, *, breaks: bool) -> Change:
    """After so many events and `more` bytes of the next one the body ends, or its connection breaks; once."""
    used = False

    async def change(pieces: Pieces) -> AsyncGenerator[bytes, None]:
        nonlocal used
        count, used_before = 0, used
        used = True
        async for event in events_of(pieces, border):
            if count == events and not used_before:
                yield event[:more]
                break
            yield event
            count += 1
        if breaks and not used_before:
            raise LOST

    return change


def altered(change_event: Callable[[bytes], bytes], border: bytes) -> Change:
    """Every event is made another one."""

    async def change(pieces: Pieces) -> AsyncGenerator[bytes, None]:
        async for event in events_of(pieces, border):
            yield change_event(event)

    return change


def among(others: Iterable[bytes], border: bytes) -> Change:
    """Before every event, and after the last, come others."""
    between = b"".join(others)

    async def change(pieces: Pieces) -> AsyncGenerator[bytes, None]:
        async for event in events_of(pieces, border):
            yield between + event
        yield between

    return change


class Held:
    """Holds an answer back after so many events, for ever. `here` is set once the client has all that came before and asks
    for more."""

    def __init__(self, events: int, border: bytes) -> None:
        self.here = asyncio.Event()
        self._events = events
        self._border = border

    async def __call__(self, pieces: Pieces) -> AsyncGenerator[bytes, None]:
        count = 0
        async for event in events_of(pieces, self._border):
            if count == self._events:
                self.here.set()
                await asyncio.Event().wait()
            yield event
            count += 1
        self.here.set()
        await asyncio.Event().wait()
