"""Reads of a dense stream are taken together; a quiet one is read at once, and nothing is lost either way."""

from __future__ import annotations

import asyncio

import httpcore
import pytest
from httpcore._backends.auto import AutoBackend

from tests.virtual_time import play
from tui.client.http import _network
from tui.client.pacing import DENSE, LARGE, READ_EVERY, PacedBackend, PacedStream
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


async def read_all(gap: float, piece: bytes, count: int) -> tuple[int, int, float]:
    """How many bytes came, in how many reads, in how many seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    source = Pieces(gap, piece, count)
    paced = PacedStream(source)
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


def test_a_full_pipe_is_emptied_without_waiting() -> None:
    size, _, took = play(lambda: read_all(0.0, b"x" * LARGE, 200))
    assert size == 200 * LARGE
    assert took < DENSE * READ_EVERY


async def test_what_the_network_is_replaced_in_is_still_there() -> None:
    """Private in httpx: a change of it would only make streams dearer, and no other test would fail."""
    transport = await _network(Profile("p", "chat", "http://127.0.0.1:1"), "", "")
    backend = transport._pool._network_backend
    assert isinstance(backend, PacedBackend)
    assert isinstance(backend._backend, AutoBackend)
    await transport.aclose()
