"""What went wrong on the way to a server, in words."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from tui.client.library import httpx
from tui.config import Profile
from tui.errors import Refused, TurnError, Unreachable


class Way(Protocol):
    """The way a request went: under which profile, to which host, through which proxy."""

    profile: Profile
    host: str
    proxy: str

    def said(self, text: str, limit: int = ...) -> str:
        """What a server said, as it may be repeated."""
        ...


class Tunnel:
    """Watches whether a request is still on its way through a proxy, which is told first where to connect to: until that
    is done the server has had none of it. What the proxy says to that has to come within `patience` seconds; the head of
    the answer, with whatever may come before it, within `begin`.
    """

    def __init__(self, patience: float, begin: float) -> None:
        self._patience = patience
        self._begin = begin
        self._limit = asyncio.timeout(None)
        self._until: float | None = None
        self.is_open = False
        """Whether the proxy has been told where to connect to, and the server nothing yet."""

        self.is_socks = False
        """Whether it is being told in SOCKS."""

        self.is_passed = False
        """Whether what was sent last went through it: then it is for the server to answer, and not for the proxy."""

    @asynccontextmanager
    async def within(self, seconds: float | None) -> AsyncIterator[None]:
        """Limit what is done in here, to so many seconds altogether."""
        self._until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self._limit = asyncio.timeout_at(self._until)
        async with self._limit:
            yield

    async def trace(self, event: str, about: Mapping[str, Any]) -> None:
        """Take note of an event of httpcore's."""
        if event == "socks.setup_socks5_connection.started":
            self.is_socks = self.is_open = True
            self._allow(self._patience)
        elif event == "socks.setup_socks5_connection.complete":
            self.is_socks, self.is_passed = False, True
            self._allow(None)
        elif event.endswith(".send_request_headers.started"):
            self.is_passed, self.is_open = self.is_open, about["request"].method == b"CONNECT"
            self._allow(self._patience if self.is_open else None)
        elif event.endswith(".receive_response_headers.started") and not self.is_open:
            self._allow(self._begin)
        elif event.endswith((".start_tls.started", ".receive_response_headers.complete")):
            self._allow(None)

    def _allow(self, seconds: float | None) -> None:
        ends = [] if seconds is None else [asyncio.get_running_loop().time() + seconds]
        if self._until is not None:
            ends.append(self._until)
        self._limit.reschedule(min(ends, default=None))


def explain(
    error: httpx.HTTPError, way: Way, tunnel: Tunnel, patience: float, *, of_something_else: bool = False
) -> TurnError:
    """The words for a request that went this way and got no response within `patience` seconds of its coming there.
    `of_something_else`: what came is not HTTP."""
    proxy = "" if tunnel.is_passed else way.proxy
    if of_something_else and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return _something_else(way.host, proxy)
    found = _explain(error, way, proxy, patience, in_tunnel=tunnel.is_open)
    if tunnel.is_open and isinstance(found, Unreachable):
        return Unreachable(found.message, hint=found.hint, retryable=found.retryable)
    return found


def _explain(error: httpx.HTTPError, way: Way, proxy: str, patience: float, *, in_tunnel: bool) -> TurnError:
    host = way.host
    near = f"the proxy {proxy}" if proxy else host
    match error:
        case httpx.ProxyError():
            return Unreachable(
                f"{_capital(near)} refused to connect to {host}: {way.said(str(error), 100)}.",
                hint="check the proxy settings",
                retryable=False,
            )
        case httpx.ConnectTimeout():
            return Unreachable(f"{_capital(near)} did not answer in {way.profile.connect_timeout:.0f} s.")
        case httpx.ConnectError():
            return _explain_connect(error, host, near, way.profile)
        case httpx.ReadTimeout() if in_tunnel:
            return Unreachable(f"{_capital(near)} did not answer in {way.profile.connect_timeout:.0f} s.")
        case httpx.ReadTimeout():
            return Unreachable(f"{host} took the request and said nothing for {patience:.0f} s.", sent=True)
        case httpx.WriteTimeout():
            return Unreachable(f"{_capital(near)} stopped reading the request.", sent=True)
        case httpx.LocalProtocolError():
            return Refused("The request cannot be sent: a header is not valid.", hint="check headers in the profile")
        case httpx.RemoteProtocolError() if "disconnected" in str(error).lower():
            return Unreachable(f"{_capital(near)} closed the connection without an answer.", sent=True)
        case httpx.RemoteProtocolError() if re.search("(status|request) line", str(error)):
            return _something_else(host, proxy)
        case httpx.RemoteProtocolError():
            return Refused(f"{_capital(near)} sent a malformed response.")
        case _:
            return Unreachable(f"The connection to {near} was lost before it answered.", sent=True)


def explain_no_socks(way: Way) -> Unreachable:
    """The words for a proxy whose answer is not that of a SOCKS proxy."""
    return Unreachable(
        f"The proxy {way.proxy} refused to connect to {way.host}: it does not answer as a SOCKS proxy does.",
        hint="check the proxy settings",
        retryable=False,
    )


def explain_broken(error: ssl.SSLError, way: Way, tunnel: Tunnel) -> Unreachable:
    """The words for a secure connection that was made, and broke before there was a response."""
    if _wants_certificate(error):
        return _no_certificate(way.host)
    near = f"the proxy {way.proxy}" if way.proxy and not tunnel.is_passed else way.host
    return Unreachable(f"The secure connection to {near} broke before it answered.", sent=not tunnel.is_open)


def _wants_certificate(error: ssl.SSLError) -> bool:
    """Whether the other end complains of our certificate: there is none."""
    return any(name in str(error) for name in ("ALERT_CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE"))


def _no_certificate(host: str) -> Unreachable:
    return Unreachable(
        f"{host} wants a client certificate.", hint="Palaver has none to show: check base_url", retryable=False
    )


def _something_else(host: str, proxy: str) -> Unreachable:
    """What is no HTTP server has not understood the request, so that it was as good as not sent."""
    near = f"the proxy {proxy}" if proxy else host
    hint = "check the proxy settings" if proxy else "check base_url (https:// or http://?)"
    return Unreachable(f"{_capital(near)} is not an HTTP server.", hint=hint, retryable=False)


def _explain_connect(error: httpx.ConnectError, host: str, near: str, profile: Profile) -> Unreachable:
    """The same for a connection that was never made. `near` is what it is made to first: the host, or a proxy."""
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or "it cannot be verified"
            return Unreachable(
                f"The certificate of {host} is not accepted: {why}.",
                hint="if your network uses its own authority, name its file in ca_file",
                retryable=False,
            )
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLWantReadError):
            if "WRONG_VERSION_NUMBER" in str(cause) or "RECORD_LAYER" in str(cause):
                return Unreachable(f"{host} speaks plain HTTP.", hint="did you mean http://?", retryable=False)
            if _wants_certificate(cause):
                return _no_certificate(host)
            if isinstance(cause, ssl.SSLEOFError) or "UNEXPECTED_EOF" in str(cause):
                return Unreachable(f"{host} closed the connection before it was secure.")
            if "HANDSHAKE_FAILURE" in str(cause):
                return Unreachable(
                    f"{host} refused to make a secure connection.",
                    hint="it may want a client certificate, or another version of TLS",
                    retryable=False,
                )
            return Unreachable(f"No secure connection to {host}: {cause.reason or 'TLS error'}.", retryable=False)
        if isinstance(cause, socket.gaierror):
            if near != host:
                return Unreachable(f"{_capital(near)} cannot be found.", hint="check the proxy settings")
            name = urlsplit(profile.base_url).hostname
            return Unreachable(f"The host {name} cannot be found.", hint="check base_url and the network")
        if isinstance(cause, ConnectionRefusedError):
            hint = "is the server running?" if near == host else "check the proxy settings"
            return Unreachable(f"Nothing answers at {near}.", hint=hint)
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return Unreachable(f"{_capital(near)} closed the connection while it was being made.")
        if isinstance(cause, OSError) and cause.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            return Unreachable(f"There is no route to {near}.", hint="is the network up?")
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return Unreachable(f"{_capital(near)} did not answer in {profile.connect_timeout:.0f} s.")
    return Unreachable(f"No connection to {near}.")


def _causes(error: BaseException) -> list[BaseException]:
    """An error and everything it came from."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or one in found:
            continue
        found.append(one)
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions
    return found


def _capital(text: str) -> str:
    """`text` as a sentence begins, where it is words and not the name of a host."""
    return f"T{text[1:]}" if text.startswith("the ") else text
