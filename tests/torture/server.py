"""A real server on loopback that streams answers word by word, and knows which prompts it saw and who is still connected."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.fake_server import completed, delta


@dataclass(frozen=True)
class Manner:
    """How answers come: seconds before the head, words, and seconds between two of them."""

    wait: float = 0.0
    words: int = 20
    pause: float = 0.005
    stays_open: bool = False


class Server:
    """Answers on the Responses protocol. `seen` are the prompts, in the order their requests came, `sent` tells when each
    word was sent first, and `left` when each one's answer ended or its connection broke.
    """

    def __init__(self, manner: Manner, chance: random.Random) -> None:
        self.manner = manner
        self.seen: list[str] = []
        self.sent: dict[str, float] = {}
        self.left: dict[str, float] = {}
        self.connected: set[int] = set()
        self.port = 0
        self._chance = chance
        self._number = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        number = self._number
        self.connected.add(number)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            request = json.loads(await reader.readexactly(length))
            prompt = request["input"][-1]["content"]
            self.seen.append(prompt)
            answering = asyncio.ensure_future(self._answer(writer, prompt, f"resp_{number}"))
            # Whatever comes, or the end of it: the other side has let go.
            leaving = asyncio.ensure_future(reader.read())
            await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
            self.left[prompt] = time.monotonic()
            for task in (answering, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            self.connected.discard(number)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, writer: asyncio.StreamWriter, prompt: str, response_id: str) -> None:
        manner = self.manner
        await asyncio.sleep(self._chance.uniform(0, manner.wait))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        words = words_of(prompt, manner.words)
        for word in words:
            self.sent.setdefault(word.rstrip(), time.monotonic())
            _send(writer, delta(word))
            await writer.drain()
            if manner.pause:
                await asyncio.sleep(self._chance.uniform(0, 2 * manner.pause))
        _send(writer, completed("".join(words), response_id))
        await writer.drain()
        if manner.stays_open:
            await asyncio.sleep(3600)


def words_of(prompt: str, count: int) -> list[str]:
    """The words of the answer to a prompt: each names its prompt and its place."""
    name = prompt.split()[0]
    return [f"{name}w{place:03d} " for place in range(count)]


def _send(writer: asyncio.StreamWriter, event: object) -> None:
    writer.write(f"data: {json.dumps(event)}\n\n".encode())


@contextmanager
def serving(manner: Manner, chance: random.Random) -> Iterator[Server]:
    """A server in a thread of its own, for runs that wait in this one."""
    server = Server(manner, chance)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
