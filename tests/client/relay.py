"""A server on loopback that hands each request on to another one, unless it has something of its own to say to it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import quote, quote_plus

from tests.listening import stop_listening


class Relay:
    """Use it as an async context manager. Every connection carries one request.

    `instead` may answer a request in the other's place: it is given its number, from 0 on. `fields` are header lines that
    are added to every answer. `heard` are the requests, whole.
    """

    def __init__(self, to: int, tls: ssl.SSLContext | None = None) -> None:
        self.instead: Callable[[int], bytes | None] = lambda number: None
        self.fields = b""
        self.heard: list[bytes] = []
        self.port = 0
        self._to = to
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await stop_listening(self._server)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._hand_on(reader, writer)
        finally:
            writer.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        asked = head + await reader.readexactly(int(fields.get(b"content-length", 0)))
        number = len(self.heard)
        self.heard.append(asked)
        answer = self.instead(number)
        if answer is not None:
            writer.write(answer)
            return
        others, other = await asyncio.open_connection("127.0.0.1", self._to)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            other.write(asked)
            is_begun = False
            while True:
                more = asyncio.ensure_future(others.read(65536))
                await asyncio.wait({more, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not more.done() or not more.result():
                    more.cancel()
                    return
                line, found, rest = more.result().partition(b"\r\n") if not is_begun else (b"", b"", more.result())
                writer.write(line + found + (b"" if is_begun else self.fields) + rest)
                is_begun = True
                await writer.drain()
        finally:
            gone.cancel()
            other.close()


def traces(canary: str, heard: bytes) -> list[bytes]:
    """The forms of a secret that are found in bytes: as it is, in parts of base64, and percent-encoded."""
    raw = canary.encode()
    forms = {raw, raw.hex().encode(), quote(canary, safe="").encode(), quote_plus(canary).encode()}
    for start in range(3):
        # Base64 of a text depends on where in a group of three bytes it begins; both ends depend on what is around it.
        coded = base64.b64encode(b"\0" * start + raw)[4 if start else 0 : -4]
        forms |= {coded, coded.translate(bytes.maketrans(b"+/", b"-_"))}
    return sorted(form for form in forms if form in heard)
