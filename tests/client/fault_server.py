"""A TCP server on loopback that does to each connection what a script says, byte for byte."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.listening import stop_listening


@dataclass(frozen=True)
class Request:
    """Wait for a whole request: its head, and as much body as it announces."""


@dataclass(frozen=True)
class Expect:
    """Wait until the client has sent these bytes."""

    data: bytes


@dataclass(frozen=True)
class Send:
    """Send bytes as they are; `size` at a time where one is given."""

    data: bytes
    size: int = 0


@dataclass(frozen=True)
class Chunk:
    """Send one chunk of a chunked body. Of an announced `size`, `data` may be only a part."""

    data: bytes
    size: int = -1


@dataclass(frozen=True)
class Sleep:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True)
class Rst:
    """Reset the connection: what was sent and not read yet is lost too."""


@dataclass(frozen=True)
class Fin:
    """Close the connection properly. Every script ends so."""


@dataclass(frozen=True)
class Never:
    """Say nothing more until the client goes away."""


@dataclass(frozen=True)
class Reply:
    """Do what `steps` makes of everything heard on this connection."""

    steps: Callable[[bytes], Iterable[Step]]


@dataclass(frozen=True)
class Flood:
    """Send a piece over and over: `times`, or until the client goes away. `sent` is told how many there were."""

    data: bytes
    times: int = -1
    sent: Callable[[int], None] = lambda count: None


Step = Request | Expect | Send | Chunk | Sleep | Rst | Fin | Never | Reply | Flood
Script = Iterable[Step]

LAST_CHUNK = Send(b"0\r\n\r\n")


def head(status: int | str = 200, *fields: str, content_type: str = "text/event-stream") -> Send:
    """The head of an answer. `status` may be a whole status line's end, such as "404 Not Found"."""
    line = f"{status}" if " " in str(status) else f"{status} Fine"
    lines = [f"HTTP/1.1 {line}", *([f"content-type: {content_type}"] if content_type else []), *fields]
    return Send("\r\n".join([*lines, "", ""]).encode("latin-1"))


def events(*values: Any) -> bytes:
    """Server-sent events."""
    return b"".join(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode() for value in values)


def chunked(*values: Any) -> list[Step]:
    """A whole answer of events, one in each chunk."""
    return [head(200, "transfer-encoding: chunked"), *(Chunk(events(value)) for value in values), LAST_CHUNK]


def answer(status: int, body: bytes, *fields: str, content_type: str = "application/json") -> list[Step]:
    """A whole answer whose length is announced."""
    return [head(status, f"content-length: {len(body)}", *fields, content_type=content_type), Send(body)]


class FaultServer:
    """Use it as an async context manager. Connections take the scripts in turn; the last one serves all that follow.

    `scripts` may be changed until someone connects. `received` is what each connection sent, in the order they came;
    `gone` is set for each whose client has left.
    """

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.scripts = [list(script) for script in scripts]
        self._tls = tls
        self._host = host
        self.port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.received: list[bytearray] = []
        self.gone: list[asyncio.Event] = []
        self.connected = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    @property
    def heard(self) -> bytes:
        """Everything anyone sent."""
        return b"".join(self.received)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, ssl=self._tls, limit=1 << 20)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await stop_listening(self._server)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def serving(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    def forget(self) -> None:
        """Forget what was heard, once no connection is open."""
        assert not self._tasks
        self.received.clear()
        self.gone.clear()

    async def all_gone(self) -> None:
        """Wait until every client has left."""
        async with asyncio.timeout(20):
            for gone in self.gone:
                await gone.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        number = len(self.received)
        self.received.append(bytearray())
        self.gone.append(asyncio.Event())
        self.connected.set()
        try:
            for step in self.scripts[min(number, len(self.scripts) - 1)]:
                if isinstance(step, Fin):
                    break
                await self._take(step, reader, writer, number)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            self.gone[number].set()
        finally:
            writer.close()

    async def _take(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        heard = self.received[number]
        match step:
            case Request():
                heard += await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in bytes(heard).split(b"\r\n")[1:] if b": " in line)
                heard += await reader.readexactly(int(fields.get(b"content-length", 0)))
            case Expect(data):
                while data not in heard:
                    more = await reader.read(65536)
                    if not more:
                        raise ConnectionError
                    heard += more
            case Send(data, size):
                for start in range(0, len(data), size or max(len(data), 1)):
                    writer.write(data[start : start + (size or len(data))])
                    await writer.drain()
                    if size:
                        await asyncio.sleep(0)
            case Chunk(data, size):
                whole = size < 0
                writer.write(b"%x\r\n%b%b" % (len(data) if whole else size, data, b"\r\n" if whole else b""))
                await writer.drain()
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Rst():
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case Never():
                while more := await reader.read(65536):
                    heard += more
                self.gone[number].set()
            case Reply(steps):
                for one in steps(bytes(heard)):
                    await self._take(one, reader, writer, number)
            case Flood(data, times, sent):
                count = 0
                while count != times:
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(0)
                    count += 1
                    sent(count)
            case Fin():
                pass


def refusing_port() -> tuple[socket.socket, int]:
    """A port where nothing answers, and the socket that keeps it so until it is closed."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held, int(held.getsockname()[1])


class BlackHole:
    """A port that neither accepts nor refuses: the queue of those waiting to be let in is full."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, port: int = 0) -> None:
        address = "127.0.0.1" if family is socket.AF_INET else "::1"
        self._listening = socket.socket(family)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind((address, port))
        self._listening.listen(0)
        self.port = int(self._listening.getsockname()[1])
        self._waiting = []
        for _ in range(4):
            one = socket.socket(family)
            one.setblocking(False)
            one.connect_ex((address, self.port))
            self._waiting.append(one)

    def attempts(self) -> int:
        """How many wait to be let in, by what the system says of IPv4's connections."""
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        begun = [line.split()[2:4] for line in lines]
        return sum(there.endswith(f":{self.port:04X}") and state == "02" for there, state in begun)

    def close(self) -> None:
        for one in (*self._waiting, self._listening):
            one.close()
