"""The connection itself, over real sockets on loopback: every fault there, what the user reads, and nothing left open."""

from __future__ import annotations

import asyncio
import datetime
import errno
import gzip
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
import trustme

from tests.client.conftest import leaving_nothing
from tests.client.fault_server import (
    LAST_CHUNK,
    BlackHole,
    Chunk,
    Expect,
    FaultServer,
    Fin,
    Flood,
    Never,
    Request,
    Rst,
    Script,
    Send,
    Sleep,
    Step,
    answer,
    chunked,
    events,
    head,
    refusing_port,
)
from tests.client.protocols.recordings import recording, streamed
from tests.client.protocols.test_recordings import WANTED
from tests.client.turns import Bytes, Told, new_turn, take
from tests.fake_server import PROFILE, Waits, completed, delta
from tests.virtual_time import elapsed, play
from tui.client import Client
from tui.client.http import Http
from tui.client.sse import LIMIT
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import TurnError
from tui.model import TurnStatus
from tui.text import clean

pytestmark = pytest.mark.usefixtures("nothing_left")

P = ParamSpec("P")
T = TypeVar("T")
SETTLE = 0.05
"""Real seconds in which what was sent over loopback, within this process, is sure to be there."""

DONE, FAILED, INTERRUPTED, CANCELLED = (
    TurnStatus.DONE,
    TurnStatus.FAILED,
    TurnStatus.INTERRUPTED,
    TurnStatus.CANCELLED,
)
CANARY = "sk-CANARY-0123456789abcdef"
PROMPT = "a prompt that no one else may read"
CHUNKED = "transfer-encoding: chunked"
GONE = {"error": {"message": "Previous response with id 'resp_old' not found.", "code": "previous_response_not_found"}}


def profile_for(url: str, **more: Any) -> Profile:
    return replace(PROFILE, base_url=url, **more)


async def ask(url: str | FaultServer, profile: Profile | None = None, *, budget: float = 60.0, **request: Any) -> Told:
    """One turn with a real connection; pauses between attempts take no time."""
    url = url.url if isinstance(url, FaultServer) else url
    profile = replace(profile or PROFILE, base_url=url)
    async with asyncio.timeout(30):
        return await take(Client(sleep=Waits()), profile, PROMPT, budget=budget, **request)


async def ask_once(*script: Step, profile: Profile | None = None, **request: Any) -> Told:
    """One turn with a server that does this after every request."""
    async with FaultServer([Request(), *script]) as server:
        return await ask(server, profile, **request)


def outcome(told: Told) -> tuple[TurnStatus, int, str]:
    return told.turn.status, told.exit_status, told.turn.text


def in_virtual_time(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """A test whose time passes only while all of it waits: a machine that is busy meanwhile makes no time-out pass."""

    @wraps(test)
    def played(*args: P.args, **kwargs: P.kwargs) -> None:
        async def scene() -> None:
            async with leaving_nothing():
                await test(*args, **kwargs)

        async def at_once(work: Callable[[], T]) -> T:
            return work()

        with pytest.MonkeyPatch.context() as patch:
            # A thread is nothing that virtual time waits for.
            patch.setattr("tui.client.transport.aside", at_once)
            play(scene, settle=SETTLE)

    return played


@pytest.fixture
def with_key(monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile with a key that must not go anywhere else."""
    monkeypatch.setenv("CANARY_KEY", CANARY)
    return replace(PROFILE, key=KeySource("env", ("CANARY_KEY",)), headers=(("x-api-key", CANARY),))


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Stands in for the resolver. Gives the names it was asked for."""

    def use(*addresses: str) -> list[str]:
        asked: list[str] = []

        async def getaddrinfo(self: Any, host: Any, port: Any, **_: Any) -> list[Any]:
            name = host.decode() if isinstance(host, bytes) else str(host)
            asked.append(name)
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
            tails = [(0, 0) if ":" in address else () for address in addresses]
            return [
                (family, socket.SOCK_STREAM, 6, "", (address, port, *tail))
                for family, address, tail in zip(families, addresses, tails, strict=True)
            ]

        monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
        return asked

    return use


# Nothing there


@pytest.mark.fault("N01")
async def test_a_name_that_cannot_be_found(resolve: Callable[..., list[str]]) -> None:
    asked = resolve()
    told = await ask("http://no-such-host.invalid/v1")
    assert outcome(told) == (FAILED, 5, "")
    assert told.words == "The host no-such-host.invalid cannot be found — check base_url and the network"
    assert asked == ["no-such-host.invalid"] * 3
    assert len(told.turn.attempts) == 3


@pytest.mark.fault("N02")
async def test_a_port_where_nothing_answers() -> None:
    held, port = refusing_port()
    told = await ask(f"http://127.0.0.1:{port}/v1")
    held.close()
    assert outcome(told) == (FAILED, 5, "")
    assert told.words == f"Nothing answers at 127.0.0.1:{port} — is the server running?"
    assert len(told.turn.attempts) == 3


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
@pytest.mark.fault("N03")
async def test_a_network_that_cannot_be_reached(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: socket.socket, address: Any) -> None:
        raise OSError(number, "unreachable")

    monkeypatch.setattr(socket.socket, "connect", connect)
    told = await ask("http://127.0.0.1:9/v1")
    assert outcome(told) == (FAILED, 5, "")
    assert told.words == "There is no route to 127.0.0.1:9 — is the network up?"


@pytest.mark.fault("N04")
async def test_a_host_that_swallows_connections() -> None:
    hole = BlackHole()
    told = await ask(f"http://127.0.0.1:{hole.port}/v1", replace(PROFILE, connect_timeout=0.2), budget=0)
    hole.close()
    assert outcome(told) == (FAILED, 5, "")
    assert f"127.0.0.1:{hole.port} did not answer in" in told.words


@pytest.mark.fault("N44")
@pytest.mark.parametrize("dead", ["refuses", "swallows"])
async def test_the_newer_address_is_dead_and_the_older_one_alive(dead: str, resolve: Callable[..., list[str]]) -> None:
    async with FaultServer([Request(), *chunked(completed("fine"))]) as server:
        hole = BlackHole(socket.AF_INET6, server.port) if dead == "swallows" else None
        resolve("::1", "127.0.0.1")
        async with asyncio.timeout(5):
            told = await ask(f"http://two-addresses.localhost:{server.port}/v1")
        if hole:
            hole.close()
    assert outcome(told) == (DONE, 0, "fine")
    assert len(told.turn.attempts) == 1


# TLS


class Authority:
    """An authority of the test's own, and servers with certificates of every kind, or for a name."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def server(self, kind: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        year = datetime.timedelta(days=365)
        now = datetime.datetime.now(datetime.UTC)
        match kind:
            case "wrong name":
                self._ca.issue_cert("another-name.test").configure_cert(context)
            case "expired":
                self._ca.issue_cert("127.0.0.1", not_before=now - 2 * year, not_after=now - year).configure_cert(
                    context
                )
            case "self-signed":
                self._self_signed(context)
            case "good":
                self._ca.issue_cert("127.0.0.1").configure_cert(context)
            case name:
                self._ca.issue_cert(name).configure_cert(context)
        return context

    def _self_signed(self, context: ssl.SSLContext) -> None:
        """An authority's own certificate, used as a server's."""
        other = trustme.CA()
        trustme.Blob(other.private_key_pem.bytes() + other.cert_pem.bytes()).write_to_path(self.file + ".own")
        context.load_cert_chain(self.file + ".own")


@asynccontextmanager
async def tls_by_hand(context: ssl.SSLContext, after: bytes = b"") -> AsyncIterator[str]:
    """The address of a server that makes secure connections, and sends `after` on each as it is, in place of an answer.

    Unlike asyncio's, it says why it refuses one.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(incoming, outgoing, server_side=True)
        while data := await reader.read(65536):
            incoming.write(data)
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                continue
            except ssl.SSLError:
                writer.write(outgoing.read())
            else:
                writer.write(outgoing.read() + after)
            break
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("kind", "known", "words"),
    [
        ("good", False, "unable to get local issuer certificate"),
        ("self-signed", True, "self-signed certificate"),
        ("expired", True, "certificate has expired"),
        ("wrong name", True, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
@pytest.mark.fault("N05")
async def test_a_certificate_that_is_not_accepted(
    kind: str, known: bool, words: str, authority: Authority, with_key: Profile
) -> None:
    profile = replace(with_key, ca_file=authority.file) if known else with_key
    async with FaultServer([Request(), *chunked(completed("fine"))], tls=authority.server(kind)) as server:
        told = await ask(server, profile)
        assert CANARY.encode() not in server.heard
        assert server.heard == b""
    assert outcome(told) == (FAILED, 5, "")
    assert words in told.words
    assert "ca_file" in told.words
    assert "verify" not in told.words, "there is no way to turn it off"
    assert len(told.turn.attempts) == 1


async def test_a_certificate_of_ones_own_authority(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer([Request(), *chunked(completed("fine"))], tls=authority.server("good")) as server:
        assert outcome(await ask(server, replace(PROFILE, ca_file=authority.file))) == (DONE, 0, "fine")
        monkeypatch.setenv("SSL_CERT_FILE", authority.file)
        assert outcome(await ask(server)) == (DONE, 0, "fine")


@pytest.mark.fault("G13")
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_an_authoritys_file_that_holds_none(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "broken.pem"
    if content is not None:
        file.write_text(content)
    told = await ask("https://127.0.0.1:9/v1", replace(PROFILE, ca_file=str(file)))
    assert (told.exit_status, told.words.startswith(f"ca_file: {file} cannot be used")) == (3, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    told = await ask("https://127.0.0.1:9/v1")
    assert (told.exit_status, told.words.startswith(f"SSL_CERT_FILE: {file} cannot be used")) == (3, True)


@pytest.mark.fault("N06")
async def test_https_to_a_server_of_plain_http() -> None:
    async with FaultServer([Expect(b"\x16\x03"), head("400 Bad Request", "connection: close"), Never()]) as server:
        told = await ask(server.url.replace("http:", "https:"))
    assert outcome(told) == (FAILED, 5, "")
    assert told.words == f"127.0.0.1:{server.port} speaks plain HTTP — did you mean http://?"


@pytest.mark.fault("N07")
async def test_http_to_a_server_of_tls(authority: Authority, with_key: Profile) -> None:
    """It may send an alert or none: of one that says nothing no one can know what it is."""
    async with FaultServer([Never()], tls=authority.server("good")) as server:
        told = await ask(server.url.replace("https:", "http:"), with_key)
    assert outcome(told) == (FAILED, 5, "")
    assert told.words.startswith(f"127.0.0.1:{server.port} closed the connection without an answer")
    assert len(told.turn.attempts) == 1


@pytest.mark.parametrize(
    "greeting",
    [
        b"\x15\x03\x03\x00\x02\x02\x16",
        b"+OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\nInvalid SSH identification string.\r\n",
        b"220 mail.test ESMTP\r\n",
    ],
)
@pytest.mark.parametrize("end", [Fin(), Rst(), Never()], ids=["closes", "resets", "waits"])
@pytest.mark.parametrize("protocol", ["responses", "chat"])
@pytest.mark.fault("N07")
@in_virtual_time
async def test_http_to_a_server_of_something_else(greeting: bytes, end: Step, protocol: str) -> None:
    """What is not HTTP cannot have understood what it was asked."""
    async with FaultServer([Send(greeting), Request(), end]) as server:
        told = await ask(server, replace(PROFILE, protocol=protocol, idle_timeout=2.0))
    assert outcome(told) == (FAILED, 5, "")
    assert told.words == (f"127.0.0.1:{server.port} is not an HTTP server — check base_url (https:// or http://?)")
    assert len(told.turn.attempts) == 1


@pytest.mark.parametrize(
    ("newest", "words"),
    [
        (ssl.TLSVersion.TLSv1_2, "refused to make a secure connection — it may want a client certificate"),
        (ssl.TLSVersion.TLSv1_3, "wants a client certificate — Palaver has none to show: check base_url"),
    ],
)
@pytest.mark.parametrize("protocol", ["responses", "chat"])
@pytest.mark.fault("N05")
async def test_a_server_that_wants_a_certificate_of_ours(
    newest: ssl.TLSVersion, words: str, protocol: str, authority: Authority
) -> None:
    """In TLS 1.3 it says so only once the connection is made and the request is on its way."""
    context = authority.server("good")
    context.maximum_version = newest
    context.verify_mode = ssl.CERT_REQUIRED
    async with tls_by_hand(context) as host:
        told = await ask(f"https://{host}/v1", replace(PROFILE, protocol=protocol, ca_file=authority.file))
    assert outcome(told) == (FAILED, 5, "")
    assert told.words.startswith(f"{host} {words}")
    assert len(told.turn.attempts) == 1


@pytest.mark.parametrize(("protocol", "attempts"), [("responses", 1), ("chat", 2)])
@pytest.mark.fault("N10")
async def test_a_secure_connection_that_breaks_before_the_answer(
    protocol: str, attempts: int, authority: Authority
) -> None:
    async with tls_by_hand(authority.server("good"), b"HTTP/1.1 500 oops\r\n\r\n" * 10) as host:
        told = await ask(f"https://{host}/v1", replace(PROFILE, protocol=protocol, ca_file=authority.file))
    assert outcome(told) == (FAILED, 5, "")
    assert told.words.startswith(f"The secure connection to {host} broke before it answered")
    assert ("may have been received" in told.words) == (protocol == "responses")
    assert len(told.turn.attempts) == attempts


@pytest.mark.parametrize("end", [Fin(), Rst()], ids=["closes", "resets"])
@pytest.mark.fault("N08")
async def test_a_handshake_that_is_cut_is_tried_again(end: Step) -> None:
    async with FaultServer([Expect(b"\x16\x03"), end]) as server:
        told = await ask(server.url.replace("http:", "https:"))
    assert outcome(told) == (FAILED, 5, "")
    assert told.words.startswith(f"127.0.0.1:{server.port} closed the connection ")
    assert "EOF" not in told.words
    assert len(told.turn.attempts) == 3


@pytest.mark.fault("N08")
async def test_a_handshake_that_stalls() -> None:
    async with FaultServer([Never()]) as server:
        told = await ask(server.url.replace("http:", "https:"), replace(PROFILE, connect_timeout=0.2), budget=0)
        await server.all_gone()
    assert outcome(told) == (FAILED, 5, "")
    assert "did not answer in" in told.words


# Before the headers


@pytest.mark.fault("N09")
@in_virtual_time
async def test_a_server_that_takes_the_request_and_says_nothing() -> None:
    async with FaultServer([Request(), Never()]) as server:
        told = await ask(server, replace(PROFILE, idle_timeout=2.0))
        await server.all_gone()
        assert len(server.received) == 1
    assert outcome(told) == (FAILED, 5, "")
    assert "took the request and said nothing for" in told.words
    assert "it may have been received; press r to send it again" in told.words


@pytest.mark.fault("N09", "N12")
@in_virtual_time
async def test_an_answer_may_be_longer_in_coming_than_it_may_fall_silent() -> None:
    patient = replace(PROFILE, idle_timeout=1.0, begin_timeout=4.0)
    async with FaultServer([Request(), Sleep(2.5), *chunked(delta("fine"), completed("fine"))]) as server:
        assert outcome(await ask(server, patient)) == (DONE, 0, "fine")
    async with FaultServer([Request(), *HALF, Never()]) as server:
        begun = elapsed()
        told = await ask(server, patient)
    assert outcome(told) == (INTERRUPTED, 7, HALF_SAID)
    assert elapsed() - begun < 2
    async with FaultServer([Request(), Never()]) as server:
        told = await ask(server, replace(patient, begin_timeout=6.0))
    assert outcome(told) == (FAILED, 5, "")
    assert "took the request and said nothing for 6 s" in told.words


@pytest.mark.parametrize("end", [Fin(), Rst()], ids=["closes", "resets"])
@pytest.mark.fault("N10")
async def test_a_server_that_leaves_without_an_answer(end: Step) -> None:
    for protocol, requests in (("responses", 1), ("chat", 2)):
        async with FaultServer([Request(), end]) as server:
            told = await ask(server, replace(PROFILE, protocol=protocol))
            assert len(server.received) == requests
        assert outcome(told) == (FAILED, 5, "")
        assert ("may have been received" in told.words) == (protocol == "responses")


@pytest.mark.fault("N11")
async def test_every_turn_has_a_connection_of_its_own() -> None:
    async with FaultServer(
        [Request(), *answer(200, json.dumps(completed("fine")["response"]).encode()), Never()]
    ) as server:
        for _ in range(2):
            assert outcome(await ask(server)) == (DONE, 0, "fine")
        await server.all_gone()
        assert len(server.received) == 2
        assert all(b"connection: close" in heard.lower() for heard in server.received)


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ],
)
@pytest.mark.fault("N36")
async def test_what_a_server_says_before_its_answer(first: bytes) -> None:
    assert outcome(await ask_once(Send(first), *chunked(completed("fine")))) == (DONE, 0, "fine")


@pytest.mark.parametrize(
    "junk",
    [
        [head(200, "x: " + "y" * 200_000), Never()],
        [head(200, *(f"x-{number}: {'y' * 500}" for number in range(400))), Never()],
        [Send(b"HTTP/1.1 200 Fine\r\nno colon here\r\n\r\n")],
        [Send(b"HTTP/1.1 200 Fine\r\ncontent-length: many\r\n\r\n")],
        [Send(b"HTTP/1.1 200 Fine\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde")],
        [Send(b"HTTP/1.1 200 Fine\r\nbad\x00name: x\r\n\r\n")],
    ],
)
@pytest.mark.fault("N20")
async def test_a_malformed_head(junk: Script) -> None:
    told = await ask_once(*junk)
    assert outcome(told) == (FAILED, 6, "")
    assert "sent a malformed response" in told.words


@pytest.mark.fault("N54")
@pytest.mark.parametrize(
    "steps",
    [
        [Send(b"HTTP/1.1 404 \x1b]0;owned\x07\r\ncontent-length: 0\r\n\r\n")],
        [head(200, CHUNKED, content_type="text/\x1b[31mplain"), Chunk(b"hello"), LAST_CHUNK],
        [head(302, "location: http://a.test/\x1b]52;c;aGk=\x07", "content-length: 0")],
        [head(429, "retry-after: \x1b[2J", "content-length: 0")],
    ],
)
async def test_escapes_in_the_head(steps: Script) -> None:
    told = await ask_once(*steps)
    assert told.exit_status in (6, 8)
    assert "\x1b" not in clean(told.words)
    assert "\x07" not in clean(told.words)


# In the body


HALF: list[Step] = [head(200, CHUNKED), Chunk(events(delta("half "))), Chunk(events(delta("an answer")))]
HALF_SAID = "half an answer"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        pytest.param([*HALF, Sleep(1.0), Rst()], "The connection was lost; the 3 words", id="reset"),
        pytest.param(HALF, "The connection was lost; the 3 words", id="no last chunk"),
        pytest.param([*HALF, Chunk(b"data: {", 500)], "The connection was lost; the 3 words", id="chunk cut in half"),
        pytest.param([*HALF, Send(b"1f")], "The connection was lost; the 3 words", id="chunk size cut in half"),
        pytest.param(
            [*HALF, LAST_CHUNK], "The server stopped before the answer was finished; the 3 words", id="clean end"
        ),
        pytest.param(
            [head(200, "content-length: 5000"), Send(events(delta("half "), delta("an answer")))],
            "The connection was lost; the 3 words",
            id="shorter than announced",
        ),
        pytest.param(
            [head(200), Send(events(delta("half "), delta("an answer")))],
            "The server stopped before the answer was finished; the 3 words",
            id="until it closes",
        ),
        pytest.param(
            [head(200), Send(events(delta("half "), delta("an answer"))), Sleep(1.0), Rst()],
            "The connection was lost; the 3 words",
            id="until it closes, reset",
        ),
    ],
)
@pytest.mark.fault("N15", "N16", "N17", "N18", "N19")
@in_virtual_time
async def test_an_answer_that_breaks_off(steps: list[Step], words: str) -> None:
    async with FaultServer([Request(), *steps]) as server:
        told = await ask(server, conversation_id="resp_old")
        assert len(server.received) == 1
    assert outcome(told) == (INTERRUPTED, 7, HALF_SAID)
    assert words in told.words
    assert told.turn.conversation_id == ""
    assert told.saved[-1].text == HALF_SAID


@pytest.mark.parametrize(
    "junk", [b"zz\r\n", b"-5\r\nhello\r\n", b"5\r\nhello!!\r\n", b"f" * 28 + b"\r\nx", b"\x00\xff\xfe garbage\r\n"]
)
@pytest.mark.fault("N20")
async def test_a_malformed_body(junk: bytes) -> None:
    told = await ask_once(*HALF, Send(junk), Never())
    assert outcome(told) == (INTERRUPTED, 6, HALF_SAID)
    assert "sent a malformed response" in told.words
    told = await ask_once(head(200, CHUNKED), Send(junk), Never())
    assert outcome(told) == (FAILED, 6, "")


@pytest.mark.fault("N12", "N14")
@in_virtual_time
async def test_an_answer_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is asked, too, to notice that the other end is gone."""
    options: list[tuple[Any, ...]] = []
    really = socket.socket.setsockopt

    def noted(self: socket.socket, *args: Any) -> None:
        options.append(args)
        really(self, *args)

    monkeypatch.setattr(socket.socket, "setsockopt", noted)
    impatient = replace(PROFILE, idle_timeout=2.0)
    async with FaultServer([Request(), *HALF, Never()]) as server:
        told = await ask(server, impatient)
        await server.all_gone()
    assert outcome(told) == (INTERRUPTED, 7, HALF_SAID)
    assert "sent nothing for 2 s: stalled; the 3 words that came are kept" in told.words
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30) in options
    told = await ask_once(head(200, CHUNKED), Never(), profile=impatient)
    assert outcome(told) == (FAILED, 5, "")
    assert "stalled, with no answer" in told.words


@in_virtual_time
async def test_signs_of_life_keep_an_answer_going() -> None:
    steps = [step for _ in range(6) for step in (Chunk(b": ping\n\n"), Sleep(2.0))]
    told = await ask_once(
        head(200, CHUNKED), *steps, Chunk(events(completed("fine"))), profile=replace(PROFILE, idle_timeout=3.0)
    )
    assert outcome(told) == (DONE, 0, "fine")


@pytest.mark.parametrize(("kind", "nothing"), [("text/event-stream", b":\n\n"), ("application/x-ndjson", b"\n")])
@pytest.mark.fault("N28")
async def test_what_is_no_event_leaves_others_their_turn(
    kind: str, nothing: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much of it comes at once."""
    monkeypatch.setattr("tui.client.body.YIELD_AFTER", -1.0)
    lines = kind == "application/x-ndjson"
    begin = b'{"a": 1}\n' if lines else b'data: {"a": 1}\n\n'
    server = Bytes([begin + nothing * (64 * 1024 // len(nothing))], headers={"content-type": kind})
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Http(PROFILE, None, server) as http, http.open("POST", "/") as response:
        counting = asyncio.create_task(count())
        async with aclosing(http.events(response, lines=lines)) as found:
            assert len([event async for event in found]) == 1
        counting.cancel()
    assert turns >= 16


TEXT = "naïve 日本語 🎉 \u2028 done"
WELL = events({"type": "response.created", "response": {"id": "resp_1"}}, delta(TEXT), completed(TEXT))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.fault("N21", "N23", "N24")
async def test_any_line_ends_in_any_pieces(end: bytes, mark: bytes, size: int) -> None:
    told = await ask_once(head(200), Send(mark + WELL.replace(b"\n", end), size))
    assert outcome(told) == (DONE, 0, TEXT)


@pytest.mark.fault("N22")
async def test_bytes_that_are_not_utf_8() -> None:
    broken = b'data: {"type": "response.output_text.delta", "delta": "a\xff\xfeb\xe2\x82"}\n\n'
    told = await ask_once(head(200), Send(broken + events(completed("")), 1))
    assert outcome(told) == (DONE, 0, "a\ufffd\ufffdb\ufffd")


@pytest.mark.fault("N25")
async def test_one_event_of_ten_megabytes() -> None:
    text = "0123456789" * 1_000_000
    told = await ask_once(head(200), Send(events(delta(text), completed(text))))
    assert outcome(told) == (DONE, 0, text)


@pytest.mark.parametrize(
    "flood",
    [
        [Send(b"data: " + b"x" * (LIMIT + 1000))],
        [Send(b": " + b"x" * (LIMIT + 1000))],
        [Send((b"data: " + b"x" * 1000 + b"\n") * (LIMIT // 1000))],
    ],
    ids=["data", "comment", "many lines"],
)
@pytest.mark.fault("N26")
async def test_an_event_without_end(flood: list[Step]) -> None:
    async with FaultServer([Request(), head(200), Send(events(delta(HALF_SAID))), *flood, Never()]) as server:
        told = await ask(server)
        await server.all_gone()
    assert outcome(told) == (INTERRUPTED, 6, HALF_SAID)
    assert "sent an event too large to read (16 MiB)" in told.words


@pytest.mark.fault("N27")
async def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.runner.ANSWER_LIMIT", 1_000_000)
    async with FaultServer([Request(), head(200), Send(events(delta("x" * 1000)) * 20_000), Never()]) as server:
        told = await ask(server)
        await server.all_gone()
    assert (told.turn.status, told.exit_status) == (INTERRUPTED, 7)
    assert len(told.turn.text) in range(1_000_000, 1_002_000)


@pytest.mark.parametrize(
    "after", [[Never()], [Send(events(delta("more"), completed("more"))), Never()], [Send(b"\x00junk")]]
)
@pytest.mark.fault("N45", "N46")
async def test_after_the_end_nothing_is_waited_for_or_read(after: list[Step]) -> None:
    async with FaultServer([Request(), head(200), Send(events(delta("fine"), completed("fine"))), *after]) as server:
        told = await ask(server)
        if after[-1] == Never():
            await server.all_gone()
    assert outcome(told) == (DONE, 0, "fine")


@pytest.mark.parametrize(
    "after",
    [
        [Send(b"zz\r\n")],
        [Chunk(b"data: " + b"x" * (LIMIT + 1))],
        [Chunk(b"data: {"), Rst()],
        [Chunk(events("[", "nonsense", {"error": 1}, {"choices": 3}))],
    ],
    ids=["malformed", "too large", "lost", "nonsense"],
)
@pytest.mark.parametrize("protocol", ["chat", "anthropic"])
@pytest.mark.fault("N46")
async def test_a_finished_answer_is_done_whatever_follows_it(protocol: str, after: list[Step]) -> None:
    said: dict[str, list[Any]] = {
        "chat": [
            {"choices": [{"index": 0, "delta": {"content": "fine"}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ],
        "anthropic": [
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "fine"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        ],
    }
    told = await ask_once(
        head(200, CHUNKED), Chunk(events(*said[protocol])), *after, Never(), profile=replace(PROFILE, protocol=protocol)
    )
    assert outcome(told) == (DONE, 0, "fine")


@pytest.mark.parametrize(
    ("body", "exit_status"),
    [(gzip.compress(WELL), 6), (gzip.compress(b"\0" * 50_000_000), 6), (gzip.compress(WELL)[:20], 6), (b"not gzip", 6)],
    ids=["good", "bomb", "cut", "none"],
)
@pytest.mark.fault("N29", "N30", "N31")
async def test_a_compressed_answer_is_refused_before_it_is_read(body: bytes, exit_status: int) -> None:
    async with FaultServer([Request(), head(200, "content-encoding: gzip"), Send(body), Never()]) as server:
        told = await ask(server)
        await server.all_gone()
        assert b"accept-encoding: identity" in server.heard.lower()
    assert outcome(told) == (FAILED, exit_status, "")
    assert "compressed answer, which was not asked for" in told.words


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (
            answer(200, b"<!doctype html><title>Corporate login</title>", content_type="text/html"),
            "web page (“Corporate login”)",
        ),
        (answer(200, b'{"error": {"message": "no such luck"}}'), "no such luck"),
        (answer(200, b'{"code": 1104, "message": "no such luck"}'), "no such luck"),
        (answer(200, b'{"error_code": "NO_LUCK", "message": "no such luck"}'), "no such luck"),
        (answer(200, b'{"errors": [{"message": "no such luck"}, {"message": "none"}]}'), "no such luck"),
        (answer(200, b'{"errors": ["no such luck"], "data": null}'), "no such luck"),
        (
            answer(200, b'{"a": 1}\n{"a": 2}\n', content_type="application/x-ndjson"),
            "content type: application/x-ndjson",
        ),
        (answer(200, b"hello", content_type="text/plain"), "content type: text/plain"),
        (answer(200, b"hello", content_type=""), "content type: none"),
        (answer(200, b""), "sent an empty answer"),
        ([head("204 No Content")], "sent an empty answer"),
        ([head("205 Reset Content", "content-length: 0")], "sent an empty answer"),
    ],
)
@pytest.mark.fault("N32", "N33", "N34", "N35")
async def test_the_wrong_kind_of_answer(steps: list[Step], words: str) -> None:
    told = await ask_once(*steps)
    assert outcome(told) == (FAILED, 6, "")
    assert words in told.words


EVENT = events(delta("hello "))


def drip(data: bytes) -> list[Step]:
    """A piece again and again, each well before a server counts as silent."""
    return [step for _ in range(400) for step in (Send(data), Sleep(0.05))]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([head(200, content_type="text/plain"), *drip(EVENT)], "sent an unexpected content type: text/plain"),
        ([head(200, content_type=""), *drip(EVENT)], "sent an unexpected content type: none"),
        ([head(200, content_type="text/html"), *drip(b"<html><title>Login</title>")], "a web page (“Login”)"),
        ([head(200, content_type="text/html"), Send(b"<html>"), Flood(b"x" * 65536)], "answered with a web page"),
    ],
    ids=["events as text", "events as nothing", "a page", "a page without end"],
)
@pytest.mark.fault("N32", "N34")
async def test_of_what_is_refused_anyway_only_the_beginning_is_read(
    steps: list[Step], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.body.BODY_WAIT", 0.2)
    async with FaultServer([Request(), *steps]) as server, asyncio.timeout(10):
        told = await ask(server)
        await server.all_gone()
    assert outcome(told) == (FAILED, 6, "")
    assert words in told.words


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (drip(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"), "took the request and said nothing for 0 s"),
        ([Send(b"HTTP/1.1 200 Fine\r\n"), *drip(b"x-a: b\r\n")], "took the request and said nothing for 0 s"),
        ([head(200, content_type="application/json"), *drip(b" \n")], "sent nothing but blanks for 0 s"),
        ([head(200, content_type="application/json"), *drip(b'{"a": 1, ')], "took more than 0 s for its answer"),
    ],
    ids=["informal answers", "header lines", "blanks", "a value without end"],
)
@pytest.mark.fault("N09", "N12")
async def test_a_server_that_says_something_and_gets_nowhere_is_not_waited_for(
    steps: list[Step], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.body.WHOLE_WAIT", 0.3)
    async with FaultServer([Request(), *steps]) as server, asyncio.timeout(10):
        told = await ask(server, replace(PROFILE, idle_timeout=0.3))
        await server.all_gone()
    assert outcome(told) == (FAILED, 5, "")
    assert words in told.words


@pytest.mark.fault("N47", "N48")
async def test_an_error_in_the_stream() -> None:
    error = {"type": "error", "code": "server_error", "message": "the model fell over"}
    told = await ask_once(head(200, CHUNKED), Chunk(events(delta("half "), delta("an answer"), error)), Never())
    assert outcome(told) == (INTERRUPTED, 7, HALF_SAID)
    assert told.words == "The server broke off: the model fell over; the 3 words that came are kept."
    told = await ask_once(head(200, CHUNKED), Chunk(events(error)), Never())
    assert outcome(told) == (FAILED, 6, "")


@pytest.mark.parametrize(
    "name", [one.name for one in streamed() if one.name.endswith(("turn1", "weather", "truncate"))]
)
async def test_a_recorded_answer_with_its_own_framing(name: str) -> None:
    one = recording(name)
    profile = replace(PROFILE, protocol=one.protocol)
    for size in (0, 7):
        told = await ask_once(Send(one.raw, size), profile=profile)
        assert told.turn.status is WANTED[name].status
        assert told.turn.text.startswith(WANTED[name].text.strip("?"))


# Other hosts


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["another host", "the same host", "itself", "relative"])
@pytest.mark.fault("N37", "N38", "N39", "K08")
async def test_a_redirect_is_not_followed(status: int, target: str, with_key: Profile) -> None:
    async with FaultServer([Request(), *chunked(completed("stolen"))]) as sink, FaultServer() as server:
        places = {
            "another host": f"http://localhost:{sink.port}/v1/responses",
            "the same host": f"{server.url}/elsewhere",
            "itself": f"{server.url}/responses",
            "relative": "/elsewhere",
        }
        server.scripts = [[Request(), head(status, f"location: {places[target]}", "content-length: 0"), Never()]]
        told = await ask(server, with_key)
        await server.all_gone()
        assert sink.heard == b""
        assert len(server.received) == 1
    assert outcome(told) == (FAILED, 6, "")
    assert f"moved to {places[target]}" in told.words
    assert "change base_url" in told.words


@pytest.fixture
def proxy_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

    return use


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
@pytest.mark.fault("N40")
async def test_a_proxy_is_used_where_one_is_set(
    variable: str, scheme: str, proxy_settings: Callable[..., None]
) -> None:
    async with FaultServer([Request(), *chunked(completed("fine"))]) as proxy:
        proxy_settings(**{variable: f"{scheme}user:pass@127.0.0.1:{proxy.port}"})
        told = await ask("http://api.example.test/v1")
        assert proxy.heard.startswith(b"POST http://api.example.test/v1/responses HTTP/1.1\r\n")
    assert outcome(told) == (DONE, 0, "fine")


class Tunnels:
    """A proxy that connects whoever asks to one server. `heard` is what it was sent, beside what it passed on."""

    def __init__(self, server: FaultServer) -> None:
        self._server = server
        self.heard = b""
        self.passed = b""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The proxy's address, as long as there is one."""
        proxy = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        yield f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        proxy.close()
        await proxy.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += await reader.readuntil(b"\r\n\r\n")
        there, on = await asyncio.open_connection("127.0.0.1", self._server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(self._pass(reader, on, note=True), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, note: bool = False) -> None:
        while data := await reader.read(65536):
            self.passed += data if note else b""
            writer.write(data)
        writer.close()


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("idle_timeout", [20.0, 5.0])
@pytest.mark.fault("N40")
@in_virtual_time
async def test_a_secure_connection_goes_through_a_proxy_that_hears_nothing_of_it(
    variable: str,
    idle_timeout: float,
    authority: Authority,
    proxy_settings: Callable[..., None],
    with_key: Profile,
) -> None:
    """A server that is slow to answer is given its own time, not that of the way through the proxy."""
    slow = [Request(), Sleep(3.0), *chunked(completed("fine"))]
    async with FaultServer(slow, tls=authority.server("api.example.test")) as server:
        tunnels = Tunnels(server)
        async with tunnels.serving() as proxy:
            proxy_settings(**{variable: f"http://user:pass@{proxy}"})
            profile = replace(with_key, ca_file=authority.file, idle_timeout=idle_timeout, connect_timeout=2.5)
            told = await ask("https://api.example.test/v1", profile)
        assert CANARY.encode() in server.heard
    assert outcome(told) == (DONE, 0, "fine")
    assert tunnels.heard.startswith(b"CONNECT api.example.test:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz" in tunnels.heard
    assert CANARY.encode() not in tunnels.heard + tunnels.passed
    assert PROMPT.encode() not in tunnels.heard + tunnels.passed


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([Request()], "api.example.test closed the connection without an answer"),
        ([Request(), Never()], "api.example.test took the request and said nothing"),
        ([Request(), Send(b"SSH-2.0-x\r\n")], "api.example.test is not an HTTP server — check base_url"),
    ],
)
@pytest.mark.fault("N10", "N41")
@in_virtual_time
async def test_behind_a_proxy_that_has_connected_the_server_is_who_did_not_answer(
    steps: list[Step], words: str, authority: Authority, proxy_settings: Callable[..., None]
) -> None:
    async with FaultServer(steps, tls=authority.server("api.example.test")) as server:
        async with Tunnels(server).serving() as proxy:
            proxy_settings(HTTPS_PROXY=proxy)
            told = await ask("https://api.example.test/v1", replace(PROFILE, ca_file=authority.file, idle_timeout=3.0))
        assert len(server.received) == 1
    assert outcome(told) == (FAILED, 5, "")
    assert told.words.startswith(words)
    assert ("may have been received" in told.words) == ("HTTP" not in words)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "models.localhost", "LOCALHOST", "[::1]"])
@pytest.mark.fault("N40", "K08")
async def test_what_goes_to_this_machine_goes_past_the_proxy(
    name: str, proxy_settings: Callable[..., None], resolve: Callable[..., list[str]], with_key: Profile
) -> None:
    host = "::1" if "::" in name else "127.0.0.1"
    resolve(host)
    async with (
        FaultServer([Request(), *chunked(completed("fine"))], host=host) as server,
        FaultServer([Never()]) as proxy,
    ):
        proxy_settings(http_proxy=f"http://127.0.0.1:{proxy.port}", ALL_PROXY=f"http://127.0.0.1:{proxy.port}")
        told = await ask(f"http://{name}:{server.port}/v1", with_key)
        assert proxy.heard == b""
        assert proxy.received == []
    assert outcome(told) == (DONE, 0, "fine")


async def test_a_host_that_is_excepted_goes_past_the_proxy(
    proxy_settings: Callable[..., None], resolve: Callable[..., list[str]]
) -> None:
    resolve("127.0.0.1")
    async with FaultServer([Request(), *chunked(completed("fine"))]) as server, FaultServer([Never()]) as proxy:
        proxy_settings(http_proxy=f"http://127.0.0.1:{proxy.port}", no_proxy="example.test")
        told = await ask(f"http://api.example.test:{server.port}/v1")
        assert proxy.received == []
    assert outcome(told) == (DONE, 0, "fine")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.fault("N41")
async def test_a_proxy_where_nothing_answers(scheme: str, proxy_settings: Callable[..., None]) -> None:
    held, port = refusing_port()
    proxy_settings(ALL_PROXY=f"http://user:pass@127.0.0.1:{port}")
    told = await ask(f"{scheme}://api.example.test/v1")
    held.close()
    assert outcome(told) == (FAILED, 5, "")
    assert told.words == f"Nothing answers at the proxy 127.0.0.1:{port} — check the proxy settings"


@pytest.mark.parametrize(
    ("scheme", "steps", "words", "attempts"),
    [
        (
            "https",
            [head("407 Proxy Authentication Required", "content-length: 0"), Never()],
            "refused to connect to api",
            1,
        ),
        ("https", [head("403 Forbidden", "content-length: 0"), Never()], "refused to connect to api", 1),
        ("https", [head("502 Bad Gateway", "content-length: 0"), Never()], "refused to connect to api", 1),
        (
            "http",
            [head("407 Proxy Authentication Required", "content-length: 0"), Never()],
            "refused to connect to api",
            1,
        ),
        ("https", [], "closed the connection without an answer", 3),
        ("https", [Rst()], "was lost before it answered", 3),
        ("https", [Never()], "did not answer in", 3),
        ("https", [Send(b"SSH-2.0-x\r\n\r\n")], "is not an HTTP server", 1),
        ("https", [head("200 Connection established", content_type=""), Never()], "did not answer in", 3),
    ],
)
@pytest.mark.fault("N41")
@in_virtual_time
async def test_a_proxy_that_refuses(
    scheme: str,
    steps: list[Step],
    words: str,
    attempts: int,
    proxy_settings: Callable[..., None],
    with_key: Profile,
) -> None:
    """Before there is a way through it, the server has had nothing: it is tried again, and nothing may have arrived."""
    async with FaultServer([Expect(b"\r\n\r\n"), *steps]) as proxy:
        proxy_settings(ALL_PROXY=f"http://user:hunter2@127.0.0.1:{proxy.port}")
        told = await ask(f"{scheme}://api.example.test/v1", replace(with_key, connect_timeout=2.0))
        if scheme == "https":
            assert CANARY.encode() not in proxy.heard
    assert outcome(told) == (FAILED, 5, "")
    assert f"he proxy 127.0.0.1:{proxy.port} " in told.words
    assert words in told.words
    assert "may have been received" not in told.words
    assert len(told.turn.attempts) == attempts
    assert "hunter2" not in repr(told.turn)


@pytest.mark.parametrize(
    "value",
    [
        "socks5://127.0.0.1:1080",
        "foo://127.0.0.1:1",
        "http://[::1",
        "http://a:b@:c:d",
        "://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://xn--:1",
        "http://:3128",
    ],
)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "http_proxy"])
@pytest.mark.fault("N42")
async def test_a_proxy_setting_that_is_not_usable(
    variable: str, value: str, proxy_settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    proxy_settings(**{variable: value})
    told = await ask("http://api.example.test/v1")
    assert (told.turn.status, told.exit_status) == (FAILED, 3)
    assert told.words.startswith(f"The proxy setting {variable} is not usable: ")
    assert told.turn.attempts == ()


async def test_a_proxys_password_is_not_repeated(
    proxy_settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    for value in (
        f"foo://user:{CANARY}@127.0.0.1:1",
        f"socks5://user:{CANARY}@127.0.0.1:1",
        f"http://user:{CANARY}@h:x",
        f"http://user:{CANARY}/x@proxy:3128",
        f"http://user:{CANARY}?x@proxy:3128",
        f"http://user:{CANARY}#x@proxy:3128",
        f"user:{CANARY}/x@proxy:3128",
        f"{CANARY}://proxy:3128",
    ):
        proxy_settings(ALL_PROXY=value)
        told = await ask("http://api.example.test/v1")
        assert told.exit_status == 3
        assert CANARY not in repr(told.turn)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/v1",
        "http://xn--/v1",
        "http://a\x00b/v1",
        "http://[::1/v1",
        "http://127.0.0.1:port/v1",
        "ftp://127.0.0.1/v1",
        "http:///v1",
        "",
        "nonsense",
    ],
)
@pytest.mark.fault("N43")
async def test_an_address_that_is_none(url: str, resolve: Callable[..., list[str]]) -> None:
    resolve("127.0.0.1")
    told = await ask(url)
    assert (told.turn.status, told.exit_status) == (FAILED, 3)
    assert "is not a valid address" in told.words
    assert "check base_url" in told.words


# Errors


@pytest.mark.parametrize(
    "steps",
    [
        [head(500, "content-length: 10000000", content_type="text/plain"), Send(b"x" * 200_000), Never()],
        [head(500, CHUNKED), *[Chunk(b"y" * 50_000)] * 4, Never()],
        [head(500, content_type="application/octet-stream"), Send(bytes(range(256)) * 4000), Never()],
    ],
    ids=["10 MB", "never ending", "binary"],
)
@pytest.mark.fault("H25")
async def test_of_an_error_without_end_only_the_beginning_is_read(steps: list[Step]) -> None:
    async with FaultServer([Request(), *steps]) as server:
        told = await ask(server)
        await server.all_gone()
    assert outcome(told) == (FAILED, 6, "")
    assert len(told.words) < 700
    assert "\x00" not in told.words


@pytest.mark.parametrize(
    "steps",
    [
        [head(400, CHUNKED), Chunk(b'{"error": {"message": "so far')],
        [head(400, "content-length: 500"), Send(b'{"error": {"message": "so far')],
        [head(400, "content-length: 500"), Send(b'{"error": {"message": "so far'), Never()],
    ],
    ids=["cut", "shorter than announced", "silent"],
)
async def test_of_an_error_that_breaks_off_what_came_is_told(
    steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.body.BODY_WAIT", 0.2)
    told = await ask_once(*steps)
    assert outcome(told) == (FAILED, 6, "")
    assert "so far" in told.words


LOST = r"^The connection to 127.0.0.1:\d+ was lost before its answer was whole.$"
MODELS = b'{"data": [{"id": "fake"}]}'


async def list_models(*steps: Step) -> list[str]:
    """The models of a server that does this when it is asked for them."""
    async with FaultServer([Request(), *steps]) as server, asyncio.timeout(20):
        return await Client(sleep=Waits()).ask(profile_for(server.url), lambda wire, http: wire.models(http))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([head(200, "content-length: 500"), Send(MODELS[:10])], LOST),
        ([head(200, "content-length: 500")], LOST),
        ([head(200, CHUNKED), Chunk(MODELS[:10]), Rst()], LOST),
        ([head(200, CHUNKED), Chunk(MODELS[:10]), Send(b"zz\r\n")], "sent a malformed response"),
        ([head(200, "content-length: 500"), Send(MODELS[:10]), Never()], "took more than 0 s for its answer"),
        ([head(200, "content-length: 500"), Never()], "took more than 0 s for its answer"),
        (answer(200, MODELS[:10]), "sent an answer that is not valid JSON"),
        (answer(200, MODELS[:10], content_type="text/plain"), "unexpected content type: text/plain"),
    ],
)
@pytest.mark.fault("N12", "N16", "N17")
async def test_what_becomes_of_a_small_answer_is_told_as_what_it_is(
    steps: list[Step], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.body.BODY_WAIT", 0.2)
    with pytest.raises(TurnError, match=words):
        await list_models(*steps)


async def test_a_small_answer_comes_in_any_pieces() -> None:
    assert await list_models(head(200, CHUNKED), *(Chunk(bytes([one])) for one in MODELS), LAST_CHUNK) == ["fake"]
    assert await list_models(*answer(200, b"")) == []


@pytest.mark.fault("H27", "K08")
async def test_a_key_that_is_echoed_is_not_repeated(with_key: Profile) -> None:
    for status in (400, 401, 403, 404, 418):
        told = await ask_once(
            *answer(status, f'{{"detail": "Incorrect API key {CANARY} provided"}}'.encode()), profile=with_key
        )
        assert "Incorrect API key *** provided" in told.words
        assert CANARY not in repr((told.turn, told.saved, told.shown, told.events))


async def test_a_key_among_the_parameters_that_is_echoed_is_not_repeated(with_key: Profile) -> None:
    profile = replace(with_key, params={"extra": {"x_password": "swordfish-and-more"}})
    told = await ask_once(*answer(401, b'{"detail": "wrong: swordfish-and-more"}'), profile=profile)
    assert "wrong: ***" in told.words


@pytest.mark.parametrize(
    "said",
    [
        lambda key: answer(401, json.dumps({"error": {"message": f"Invalid token: {key}"}}).encode()),
        lambda key: answer(400, f"bad token {key}".encode(), content_type="text/plain"),
        lambda key: answer(400, f"bad token {' ' * 7000}{key}".encode(), content_type="text/plain"),
        lambda key: answer(400, json.dumps({"error": {"code": "x" * 100 + key}}).encode()),
        lambda key: answer(200, f"<title>{'x' * 1990}{key}</title>".encode(), content_type="text/html"),
        lambda key: [head(200), Send(events({"error": {"code": f"bad {key}"}}))],
        lambda key: [head(302, f"location: http://a.test/?token={key}", "content-length: 0")],
    ],
    ids=["json", "text", "blanks", "code", "page", "in the stream", "redirect"],
)
@pytest.mark.fault("H27", "K08")
async def test_of_a_long_key_that_is_echoed_and_cut_no_beginning_is_repeated(
    said: Callable[[str], list[Step]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "eyJhbGciOiJSUzI1NiJ9." + "".join(f"claim{number:04d}" for number in range(260))
    monkeypatch.setenv("CANARY_KEY", key)
    for protocol in ("responses", "chat"):
        profile = replace(PROFILE, protocol=protocol, key=KeySource("env", ("CANARY_KEY",)))
        told = await ask_once(*said(key), profile=profile)
        assert told.turn.status is FAILED
        assert key[:4] not in repr((told.turn, told.saved, told.shown, told.events))


@pytest.mark.fault("S01", "S03")
async def test_a_stale_conversation_over_a_real_connection() -> None:
    stale: Script = [Request(), *answer(400, json.dumps(GONE).encode()), Never()]
    async with FaultServer(stale, [Request(), *chunked(completed("fine", "resp_new"))]) as server:
        told = await ask(server, conversation_id="resp_old")
        assert outcome(told) == (DONE, 0, "fine")
        assert told.turn.conversation_id == "resp_new"
        assert len(server.received) == 2
        assert b"resp_old" in server.received[0]
        assert b"resp_old" not in server.received[1]
    async with FaultServer(stale) as server:
        told = await ask(server, conversation_id="resp_old")
        assert outcome(told) == (FAILED, 6, "")
        assert len(server.received) == 2


# Cancelling


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([Never()], ""),
        ([Request(), Never()], ""),
        ([Request(), head(200, CHUNKED), Never()], ""),
        ([Request(), *HALF, Never()], HALF_SAID),
        ([Request(), head(500, CHUNKED), Never()], ""),
    ],
    ids=["connected", "asked", "headers", "streaming", "error"],
)
@pytest.mark.fault("C02", "C03", "C05")
async def test_a_cancelled_turn_leaves_its_server(script: Script, said: str, again: bool) -> None:
    async with FaultServer(script) as server:
        told = Told(new_turn())
        task = asyncio.create_task(take(Client(), profile_for(server.url), told=told))
        await server.connected.wait()
        async with asyncio.timeout(20):
            while not (told.shown and told.shown[-1].text == said) if said else not server.received:
                await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        if again:
            await asyncio.sleep(0)
            task.cancel()
        await task
        await server.all_gone()
    assert outcome(told) == (CANCELLED, 0, said)


async def test_a_cancelled_connection_attempt_is_given_up() -> None:
    hole = BlackHole()
    before = hole.attempts()
    task = asyncio.create_task(ask(f"http://127.0.0.1:{hole.port}/v1"))
    async with asyncio.timeout(20):
        while hole.attempts() == before:
            await asyncio.sleep(0.001)
    task.cancel()
    told = await task
    hole.close()
    assert told.turn.status is CANCELLED
