"""A way through a SOCKS proxy: whose fault it is that there is none, and that no proxy keeps a turn waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.client.fault_server import Expect, FaultServer, Never, Request, Send, Step, chunked
from tests.client.turns import Told, take
from tests.fake_server import PROFILE, Waits, completed
from tui.client import Client
from tui.model import TurnStatus

pytest.importorskip("socksio", reason="for SOCKS, socksio has to be installed")
pytestmark = pytest.mark.usefixtures("nothing_left")

HELLO, WELCOME = Expect(b"\x05\x01\x00"), Send(b"\x05\x00")
CONNECT = Expect(b"api.example.test")
CONNECTED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
IMPATIENT = replace(PROFILE, connect_timeout=0.2, idle_timeout=0.4)


async def ask(port: int, monkeypatch: pytest.MonkeyPatch, protocol: str = "chat") -> Told:
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
    profile = replace(IMPATIENT, protocol=protocol, base_url="http://api.example.test/v1")
    async with asyncio.timeout(30):
        return await take(Client(sleep=Waits()), profile)


@asynccontextmanager
async def socks(server: FaultServer) -> AsyncIterator[int]:
    """The port of a proxy that connects whoever asks to one server."""

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\x00")
        await reader.readexactly(5 + len("api.example.test") + 2)
        writer.write(CONNECTED)
        there, on = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(hand_on(reader, on), hand_on(there, writer))

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield int(proxy.sockets[0].getsockname()[1])
    proxy.close()
    await proxy.wait_closed()


@pytest.mark.fault("N40")
async def test_a_way_through_a_socks_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer([Request(), *chunked(completed("fine"))]) as server, socks(server) as port:
        told = await ask(port, monkeypatch, "responses")
    assert (told.turn.status, told.turn.text) == (TurnStatus.DONE, "fine")


@pytest.mark.parametrize("steps", [[Never()], [HELLO, WELCOME, Never()]], ids=["at once", "when told where to"])
@pytest.mark.fault("N41")
async def test_a_socks_proxy_that_says_nothing_is_not_waited_for(
    steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(steps) as proxy:
        told = await ask(proxy.port, monkeypatch, "responses")
        await proxy.all_gone()
    assert (told.turn.status, told.exit_status) == (TurnStatus.FAILED, 5)
    assert told.words == f"The proxy 127.0.0.1:{proxy.port} did not answer in 0 s."
    assert len(told.turn.attempts) == 3


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([HELLO], "it does not answer as a SOCKS proxy does"),
        ([HELLO, Send(b"HTTP/1.1 400 Bad Request\r\n\r\n")], "it does not answer as a SOCKS proxy does"),
        ([HELLO, Send(b"\x05")], "it does not answer as a SOCKS proxy does"),
        ([HELLO, WELCOME, CONNECT, Send(b"\x05\x05\x00")], "it does not answer as a SOCKS proxy does"),
        ([HELLO, WELCOME, CONNECT], "it does not answer as a SOCKS proxy does"),
        ([HELLO, Send(b"\x05\x02")], "Requested NO AUTHENTICATION REQUIRED"),
        ([HELLO, WELCOME, CONNECT, Send(b"\x05\x05" + CONNECTED[2:])], "Connection refused"),
    ],
    ids=["closes", "http", "one byte", "cut", "closes later", "wants a password", "refuses"],
)
@pytest.mark.fault("N41")
async def test_a_socks_proxy_that_refuses(steps: list[Step], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer(steps) as proxy:
        told = await ask(proxy.port, monkeypatch)
    assert (told.turn.status, told.exit_status) == (TurnStatus.FAILED, 5)
    assert told.words.startswith(f"The proxy 127.0.0.1:{proxy.port} refused to connect to api.example.test: ")
    assert words in told.words
    assert len(told.turn.attempts) == 1


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([Request()], "api.example.test closed the connection without an answer"),
        ([Request(), Never()], "api.example.test took the request and said nothing for 0 s"),
        ([Request(), Send(b"SSH-2.0-x\r\n\r\n")], "api.example.test is not an HTTP server"),
    ],
)
@pytest.mark.fault("N10", "N41")
async def test_behind_a_socks_proxy_the_server_is_who_did_not_answer(
    steps: list[Step], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(steps) as server, socks(server) as port:
        told = await ask(port, monkeypatch, "responses")
        assert len(server.received) == 1
    assert (told.turn.status, told.exit_status) == (TurnStatus.FAILED, 5)
    assert told.words.startswith(words)
    assert ("may have been received" in told.words) == ("HTTP" not in words)
