"""A server that the test plays by hand: an httpx transport whose every answer is written out, with nothing timed.

A test waits for a request with `await server.request()`, looks at it, and answers it piece by piece.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests import canary
from tui.client import Client
from tui.config import Profile
from tui.credentials import KeySource

STREAM = "text/event-stream"


class Exchange:
    """One request and its answer. `closed` is set when the client has let go of the answer."""

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        self.request = request
        self.body = body
        self.closed = asyncio.Event()
        self.response: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        self._pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def path(self) -> str:
        return self.request.url.path

    def respond(self, status: int = 200, content_type: str = STREAM, headers: dict[str, str] | None = None) -> Exchange:
        """Send the head of an answer; its body follows with `send`, `event` and `end`."""
        fields = {"content-type": content_type} | (headers or {})
        self.response.set_result(httpx.Response(status, headers=fields, stream=_Body(self)))
        return self

    def answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> Exchange:
        """A whole answer of JSON."""
        return self.respond(status, "application/json", headers).send(json.dumps(value).encode()).end()

    def send(self, data: bytes) -> Exchange:
        self._pieces.put_nowait(data)
        return self

    def event(self, value: Any) -> Exchange:
        """One event, whose data is `value` as JSON (or as it is, if it is a string)."""
        data = value if isinstance(value, str) else json.dumps(value)
        return self.send(f"data: {data}\n\n".encode())

    def end(self) -> Exchange:
        """The body ends here."""
        self._pieces.put_nowait(None)
        return self

    def break_off(self, error: Exception | None = None) -> Exchange:
        """The connection breaks, before the head of the answer or within its body."""
        error = error or httpx.ReadError("broken by the test")
        if self.response.done():
            self._pieces.put_nowait(error)
        else:
            self.response.set_exception(error)
        return self

    async def pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class _Body(httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._exchange.pieces():
            yield piece

    async def aclose(self) -> None:
        self._exchange.closed.set()


class FakeServer(httpx.AsyncBaseTransport):
    """Takes requests and waits for the test to answer them. `seen` are all of them, in order."""

    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self._new: asyncio.Queue[Exchange] = asyncio.Queue()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = Exchange(request, await request.aread())
        self.seen.append(exchange)
        self._new.put_nowait(exchange)
        try:
            return await exchange.response
        except asyncio.CancelledError:
            exchange.closed.set()
            raise

    async def request(self) -> Exchange:
        """The next request, once the client has made it."""
        async with asyncio.timeout(20):
            return await self._new.get()


KEY = KeySource("env", (canary.NAME,))
PROFILE = Profile("test", "responses", "http://server.localhost:1/v1", "m", KEY)
CHAT_PROFILE = Profile("chat", "chat", "http://server.localhost:1/v1", "m", KEY)


class Waits:
    """Stands in for sleeping: notes how long, and goes on at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def client_of(server: httpx.AsyncBaseTransport, waits: Waits | None = None) -> Client:
    """A client whose network ends at `server`, and which never really waits."""
    return Client(transport_of=lambda _profile: server, sleep=waits or Waits())


def completed(text: str = "", response_id: str = "resp_1", **more: Any) -> dict[str, Any]:
    """The event that ends a response."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    response = {"id": response_id, "object": "response", "model": "m", "status": "completed", "output": [message]}
    return {"type": "response.completed", "response": response | more}


def delta(text: str, item: str = "msg_1") -> dict[str, Any]:
    """A piece of a message."""
    return {"type": "response.output_text.delta", "item_id": item, "output_index": 0, "content_index": 0, "delta": text}
