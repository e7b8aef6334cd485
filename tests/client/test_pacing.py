"""Reads of a dense stream are taken together; a quiet one is read at once, and nothing is lost either way."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import httpcore
import pytest
from httpcore._backends.auto import AutoBackend

from tests.virtual_time import play
from tui.client.pacing import DENSE, LARGE, READ_EVERY, UNWATCHED_EVERY, PacedBackend, PacedStream
from tui.client.transport import network
from tui.config import Profile


class Pieces(httpcore.AsyncNetworkStream):
    """A connection on which a piece arrives every `gap` seconds, all that has arrived being read at once."""

    def __init__(self, gap: float, piece: bytes, count: int) -> None:
        self.reads = 0
        self._gap, self._piece, self._left = gap, piece, count
        self._next = asyncio.get_running_loop().time()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's shape
        loop = asyncio.get_running_loop()
        if not self._left:
            return b""
        await asyncio.sleep(max(0.0, self._next - loop.time()))
        count = 1
        self._next += self._gap
        while count < self._left and self._next <= loop.time() and (count + 1) * len(self._piece) <= max_bytes:
            count += 1
            self._next += self._gap
        self._left -= count
        self.reads += 1
        return self._piece * count

    async def aclose(self) -> None:
        return


async def read_all(
    gap: float, piece: bytes, count: int, is_watched: Callable[[], bool] = lambda: True
) -> tuple[int, int, float]:
    """How many bytes came, in how many reads, in how many seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    source = Pieces(gap, piece, count)
    paced = PacedStream(source, is_watched)
    size = 0
    while data := await paced.read(65536):
        size += len(data)
    return size, source.reads, loop.time() - began


def test_a_dense_stream_is_read_sixty_times_a_second() -> None:
    size, reads, took = play(lambda: read_all(0.001, b"x" * 200, 1000))
    assert size == 200_000
    assert took == pytest.approx(1.0, abs=2 * READ_EVERY)
    assert reads <= DENSE + took / READ_EVERY + 2


def test_a_stream_with_pauses_is_read_at_once() -> None:
    size, reads, took = play(lambda: read_all(0.02, b"x" * 200, 50))
    assert (size, reads) == (10_000, 50)
    assert took == pytest.approx(49 * 0.02)


def test_a_stream_no_one_looks_at_is_read_eight_times_a_second() -> None:
    size, reads, took = play(lambda: read_all(0.02, b"x" * 200, 500, lambda: False))
    assert size == 100_000
    assert took == pytest.approx(500 * 0.02, abs=2 * UNWATCHED_EVERY)
    assert reads <= DENSE + took / UNWATCHED_EVERY + 2


def test_a_stream_is_read_at_once_again_when_someone_looks() -> None:
    """It is asked anew before each read: at most one more comes late."""

    async def scene() -> tuple[int, int, float]:
        loop = asyncio.get_running_loop()
        looked_at = loop.time() + 5
        return await read_all(0.02, b"x" * 200, 500, lambda: loop.time() >= looked_at)

    _, reads, _ = play(scene)
    assert reads == pytest.approx(5 / UNWATCHED_EVERY + 5 / 0.02, abs=20)


async def test_a_connection_is_told_who_looks_also_where_it_is_secure() -> None:
    class Secured(Pieces):
        async def start_tls(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
            return self

    def no_one() -> bool:
        return False

    stream = await PacedStream(Secured(0.0, b"", 0), no_one).start_tls(ssl.create_default_context())
    assert isinstance(stream, PacedStream)
    assert stream._is_watched is no_one


def test_a_full_pipe_is_emptied_without_waiting() -> None:
    size, _, took = play(lambda: read_all(0.0, b"x" * LARGE, 200))
    assert size == 200 * LARGE
    assert took < DENSE * READ_EVERY


async def test_what_the_network_is_replaced_in_is_still_there() -> None:
    """Private in httpx: a change of it would only make streams dearer, and no other test would fail."""
    watched: list[bool] = [False]
    transport = await network(Profile("p", "chat", "http://127.0.0.1:1"), "", "", watched.pop)
    backend = transport._pool._network_backend
    assert isinstance(backend, PacedBackend)
    assert backend._is_watched() is False
    assert isinstance(backend._backend, AutoBackend)
    await transport.aclose()
