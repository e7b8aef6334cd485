"""Reads of a stream that comes in many small pieces, taken together: each read costs as much as decoding several tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any

import httpcore

READ_EVERY = 1 / 60
"""Seconds between two reads of a stream that never pauses: no one sees more."""

UNWATCHED_EVERY = 1 / 8
"""The same where no one looks: soon enough for a mark in a list, and for whoever comes back."""

DENSE = 4
"""Reads in a row, each with less than half of that between it and the one before, after which a stream counts as one."""

LARGE = 8 * 1024
"""Bytes read at once after which there may be more at hand: then the next read does not wait."""


_FIRST = 16


class PacedStream(httpcore.AsyncNetworkStream):
    """A connection whose small reads are spaced out while they are many; what is not read yet is kept by the system.

    `is_watched` says whether someone looks at what comes; `first` is given what comes first; `among` are the connections
    that are open, this one with them.
    """

    def __init__(
        self,
        stream: httpcore.AsyncNetworkStream,
        is_watched: Callable[[], bool] = lambda: True,
        first: Callable[[bytes], None] | None = None,
        among: set[PacedStream] | None = None,
    ) -> None:
        self._among = among if among is not None else set()
        self._among.add(self)
        self._stream = stream
        self._is_watched = is_watched
        self._first = first
        self._has_come = False
        self._read_at = 0.0
        self._quick = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's shape
        loop = asyncio.get_running_loop()
        every = READ_EVERY if self._is_watched() else UNWATCHED_EVERY
        if self._quick >= DENSE:
            await asyncio.sleep(max(0.0, self._read_at + every - loop.time()))
        asked = loop.time()
        data = await self._stream.read(max_bytes, timeout)
        if data and self._first is not None and not self._has_come:
            self._has_come = True
            self._first(data)
        now = loop.time()
        # What counts is how long the data was in coming, not what was done with it.
        is_quick = now - asked < every / 2 and len(data) < LARGE
        self._quick = self._quick + 1 if is_quick else 0 if len(data) < LARGE else DENSE - 1
        self._read_at = now
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's shape
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        self._among.discard(self)
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's shape
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        self._among.discard(self)
        return PacedStream(stream, self._is_watched, self._first, self._among)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class PacedBackend(httpcore.AsyncNetworkBackend):
    """Makes connections that are read in this way. `said` is what came first on the newest one."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend, is_watched: Callable[[], bool] = lambda: True) -> None:
        self._backend = backend
        self._is_watched = is_watched
        self._open: set[PacedStream] = set()
        self.said = b""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's shape
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.said = b""
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return PacedStream(stream, self._is_watched, self._hear, self._open)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's shape
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.said = b""
        stream = await self._backend.connect_unix_socket(path, timeout, socket_options)
        return PacedStream(stream, self._is_watched, self._hear, self._open)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    async def close(self) -> None:
        """Close what is open still."""
        for stream in list(self._open):
            await stream.aclose()

    def _hear(self, data: bytes) -> None:
        self.said = data[:_FIRST]
