"""What the stand-in servers share: HTTP on loopback, the words that make them behave, and what they know of a talk.

A service is asked one thing at a time and gives an answer, whole or in pieces. When the client lets go of an answer that
is coming, the pieces' generator is closed at that moment.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from tests.listening import stop_listening


@dataclass(frozen=True)
class Asked:
    """A request. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Answer:
    """An answer: whole (`body`), or in pieces that come by and by (`pieces`)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: AsyncGenerator[bytes, None] | None = None


def json_answer(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {"content-type": "application/json"} | _named(headers), json.dumps(value).encode())


def text_answer(text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Answer:
    return Answer(status, {"content-type": content_type}, text.encode())


def stream_answer(
    pieces: AsyncGenerator[bytes, None], content_type: str = "text/event-stream", **headers: str
) -> Answer:
    return Answer(200, {"content-type": content_type, "cache-control": "no-cache"} | _named(headers), b"", pieces)


def event(value: object, name: str = "") -> bytes:
    """A server-sent event: an object as JSON, or a string as it is."""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (
        (f"event: {name}\n" if name else "").encode()
        + b"".join(f"data: {line}\n".encode() for line in data.split("\n"))
        + b"\n"
    )


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Service:
    """A stand-in server. `asked` are all requests, in order; `key` is what it wants in its Authorization header, if any.

    What is said to it decides what it does (see `manner`). `pace` is the pause between two pieces, in seconds; an answer
    that hangs goes on once `go_on` is set. Everything happens in one event loop, so that nothing has to be locked.
    """

    def __init__(self, *, pace: float = 0.0, key: str = "") -> None:
        self.asked: list[Asked] = []
        self.pace = pace
        self.key = key
        self.go_on = threading.Event()
        self.let_go = 0

    async def answer(self, asked: Asked) -> Answer:
        """The answer to a request. `handle` has noted it already."""
        raise NotImplementedError

    def forget(self) -> None:
        """Forget every conversation."""
        raise NotImplementedError

    async def handle(self, asked: Asked) -> Answer:
        if asked.path == "/__fake__/forget":
            self.forget()
            return json_answer({})
        if asked.path == "/__fake__/go_on":
            self.go_on.set()
            return json_answer({})
        self.asked.append(asked)
        return await self.answer(asked)

    async def pause(self) -> None:
        """The pause between two pieces."""
        await asyncio.sleep(self.pace)

    async def hang(self) -> None:
        """Wait until `go_on` is set."""
        while not self.go_on.is_set():
            await asyncio.sleep(0.005)


MANNERS = ("hang", "fail first", "fail later", "tool", "table", "approve", "think", "empty", "long", "cut")


def manner(prompt: str) -> str:
    """How to answer a prompt: by the one of MANNERS it begins with, else plainly ("").

    "hang" says half of an answer and waits; "fail first" and "fail later" end in an error, before or after text; "tool"
    calls one that answers; "table" has rows and columns to show; "approve" asks before it acts; "think" reasons; "empty"
    says nothing; "long" says a lot; at "cut" the connection breaks after some words, once.
    """
    return next((word for word in MANNERS if prompt.lower().startswith(word)), "")


def words_of(prompt: str, known: int) -> list[str]:
    """A plain answer in pieces. It tells how many prompts the server knows of, which shows what it remembers."""
    told = f"{known} prompt{'s' if known != 1 else ''} so far. You said: {prompt}"
    if manner(prompt) == "long":
        told += "\n\n" + "\n\n".join(f"Paragraph {number} of a long answer." for number in range(200))
    pieces = told.split(" ")
    return [f"{piece} " for piece in pieces[:-1]] + pieces[-1:]


class Running:
    """A service behind an address, in a thread of its own."""

    def __init__(self, service: Service, port: int = 0) -> None:
        self.service = service
        self._wanted = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tests-service", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._done = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10), "the service did not start"

    def stop(self) -> None:
        self.service.go_on.set()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join(10)

    def call(self, function: Any, *args: Any) -> Any:
        """Call a function in the service's own thread, and give what it gives."""
        return asyncio.run_coroutine_threadsafe(_called(function, args), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._let_in, "127.0.0.1", self._wanted)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        await stop_listening(server)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        for writer in self._writers:
            # What no one reads any more would keep a proper end waiting.
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Noted before its task begins: one that is cancelled until then closes nothing.
        self._writers.add(writer)
        task = self._loop.create_task(self._connected(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError):
                await _Connection(self.service, reader, writer).serve()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._writers.discard(writer)
        finally:
            writer.close()


async def _called(function: Any, args: tuple[Any, ...]) -> Any:
    result = function(*args)
    return await result if asyncio.iscoroutine(result) else result


class _Connection:
    """One connection, for one request after another."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service = service
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        while True:
            asked = await self._request()
            if asked is None:
                return
            answer = await self._service.handle(asked)
            await self._send(answer)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> Asked | None:
        head: h11.Request | None = None
        body = b""
        while True:
            got = self._http.next_event()
            if got is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65536))
            elif isinstance(got, h11.Request):
                head = got
            elif isinstance(got, h11.Data):
                body += bytes(got.data)
            elif isinstance(got, h11.EndOfMessage):
                break
            else:
                return None
        assert head is not None
        target = urlsplit(head.target.decode())
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
        return Asked(head.method.decode(), unquote(target.path), dict(parse_qsl(target.query)), headers, body)

    async def _send(self, answer: Answer) -> None:
        fields = [(name, value) for name, value in answer.headers.items()]
        if answer.pieces is None:
            fields.append(("content-length", str(len(answer.body))))
        else:
            fields.append(("transfer-encoding", "chunked"))
        self._write(h11.Response(status_code=answer.status, headers=fields))
        if answer.pieces is None:
            self._write(h11.Data(data=answer.body))
        elif not await self._stream(answer.pieces):
            return
        self._write(h11.EndOfMessage())
        await self._writer.drain()

    async def _stream(self, pieces: AsyncGenerator[bytes, None]) -> bool:
        """Send pieces as they come. False where the client let go before the end."""
        gone = asyncio.ensure_future(self._reader.read(1))
        try:
            while True:
                nearest = asyncio.ensure_future(anext(pieces))
                await asyncio.wait({nearest, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    nearest.cancel()
                    with suppress(asyncio.CancelledError, StopAsyncIteration):
                        await nearest
                    self._service.let_go += 1
                    return False
                try:
                    piece = nearest.result()
                except StopAsyncIteration:
                    return True
                except Broken:
                    # The connection breaks, without a proper end.
                    self._writer.transport.abort()
                    return False
                self._write(h11.Data(data=piece))
                await self._writer.drain()
        finally:
            gone.cancel()
            # Until it has ended, no one else may read: on a connection that is kept, the next request comes at once.
            await asyncio.wait({gone})
            await pieces.aclose()

    def _write(self, item: Any) -> None:
        self._writer.write(self._http.send(item) or b"")


class Broken(Exception):
    """Raised by a service's pieces: the connection breaks here."""


@contextmanager
def serving(service: Service, port: int = 0) -> Iterator[Running]:
    """A service, running."""
    running = Running(service, port)
    running.start()
    try:
        yield running
    finally:
        running.stop()


async def several(service: Service, pieces: list[bytes]) -> AsyncIterator[bytes]:
    """Pieces with pauses between them."""
    for piece in pieces:
        yield piece
        await service.pause()
