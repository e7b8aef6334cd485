"""One turn's connection to its server: built for it, used by it alone, closed with it.

Redirects are never followed (httpx would carry `x-api-key` to another host), compressed answers are refused (a few
bytes can become gigabytes), and loopback never goes through a proxy.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote, urlsplit, urlunsplit

from tui import __version__
from tui.addresses import origin_of
from tui.client.body import Body
from tui.client.connecting import Tunnel, explain, explain_broken, explain_no_socks
from tui.client.encoding import encode
from tui.client.library import httpx
from tui.client.reply import BODY_LIMIT, Rejected, read_reply
from tui.client.sse import Decoder, ServerSentEvent
from tui.client.transport import Network, find_proxy, network, unusable_proxy
from tui.config import Profile
from tui.credentials import Secret, is_secret, secret_parameters
from tui.errors import ConfigError, Refused
from tui.runner import to_end

_SECRET_FROM = 4
"""Characters that count as a secret, or as part of one."""

_NO_ADDRESS = (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError, ExceptionGroup, OverflowError)
"""What httpx raises for addresses that are none: the server's when a request is made, a proxy's when it is sent."""


class Http:
    """A client for one profile and one turn. Use it as an async context manager.

    `transport` replaces the network: guide's, or a test's. `on_bytes` is given every body as it comes. `headers` makes a
    protocol's own headers of a key; without it there is the usual one. `sleep` is how to wait, `now` the time in seconds
    since the epoch; `is_watched` says whether the user looks at what comes.
    """

    def __init__(
        self,
        profile: Profile,
        key: Secret | None,
        transport: httpx.AsyncBaseTransport | None = None,
        on_bytes: Callable[[bytes], None] | None = None,
        *,
        headers: Callable[[Profile, str], dict[str, str]] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
        is_watched: Callable[[], bool] = lambda: True,
    ) -> None:
        self.profile = profile
        self.sleep = sleep
        self.now = now
        self._is_watched = is_watched
        self._own_headers = headers or bearer
        try:
            self.host = urlsplit(profile.base_url).netloc
        except ValueError:
            raise self._no_address() from None
        self.proxy = ""
        self.events_read = 0
        """How many events of answers there were so far."""

        self._proxy_variable = ""
        self._secrets = _secrets(profile, key)
        self._key = key
        self._transport = transport
        self._network: Network | None = None
        self._on_bytes = on_bytes
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        transport = self._transport
        if transport is None:
            parts = urlsplit(self.profile.base_url)
            try:
                port = parts.port
            except ValueError:
                raise self._no_address() from None
            variable, proxy = find_proxy(parts.scheme, parts.hostname or "", port)
            self._proxy_variable = variable
            self.proxy = proxy.rpartition("://")[2].rpartition("@")[2].rstrip("/")
            transport = self._network = await network(self.profile, variable, proxy, self._is_watched)
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=None,  # each request has its own
            follow_redirects=False,
            trust_env=False,
            headers=self._headers(),
            # Before httpx prepares to follow what it is told not to, and stumbles over an address that is none.
            event_hooks={"response": [self._refuse_redirect]},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await to_end(self._client.aclose())

    def said(self, text: str, limit: int = 500) -> str:
        """What a server said, as it may be repeated: without our key in it (some echo what they refuse), and not long."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        # Where it has been cut before, the beginning of one may be left at its end.
        head = text.removesuffix("…")
        if cut := max((_overlap(head, secret) for secret in self._secrets), default=0):
            text = f"{head[:-cut]}***…"
        return text if len(text) <= limit else text[: limit - 1] + "…"

    @property
    def key_source(self) -> str:
        return str(self.profile.key)

    @property
    def key_header(self) -> str:
        """The header of the profile's own that holds a key, by its name; empty where there is none."""
        return next((name for name, _ in self.profile.headers if is_secret(name)), "")

    def url(self, path: str) -> str:
        """The address of `path`, which may have a query, below the profile's base URL, whose query it keeps. A whole
        address is what it is.

        Raises:
            ConfigError: It is on another origin, to which nothing of this profile is sent.
        """
        if path.startswith(("http://", "https://")):
            if origin_of(path) != self.profile.origin:
                raise ConfigError(f"{path!r} is not on {self.profile.origin}: nothing is sent there.")
            return path
        parts = urlsplit(self.profile.base_url)
        path, _, query = path.partition("?")
        queries = "&".join(one for one in (parts.query, query) if one)
        return urlunsplit((parts.scheme, parts.netloc, parts.path + path, queries, ""))

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = "text/event-stream, application/json",
        headers: Mapping[str, str] | None = None,
        is_patient: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        """The response to a request, its body unread. With `is_patient` that may be as long in coming as it likes.

        Raises:
            Rejected: Its status is not 200.
            Refused: It is something no client can use: a redirect, a compressed or a web page.
            Unreachable: There was none.
        """
        begin = self.profile.begin_timeout or self.profile.idle_timeout
        async with self._send(method, path, body, accept, headers, begin=begin, is_patient=is_patient) as response:
            yield response

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The JSON value a small request is answered with; None where it is answered with nothing.

        Raises:
            Rejected, Refused, Unreachable: As for `open`.
            Incomplete: The connection was lost, or the answer is too long in coming.
        """
        async with self._send(method, path, body, "application/json", headers, may_be_empty=True) as response:
            return await self._body(response).value()

    def events(
        self,
        response: httpx.Response,
        *,
        lines: bool = False,
        decoder: Decoder | None = None,
        waits: Callable[[], bool] | None = None,
    ) -> AsyncGenerator[ServerSentEvent | Any, None]:
        """The events of a response; or, where the server did not stream, its JSON value as the only one.

        With `lines` each line is an event of its own (NDJSON). `decoder` is given by who wants to know of it what is no
        event, such as the time to wait before connecting again. While `waits` says so, a response that was opened with
        patience may be silent.

        Raises:
            Refused: It is neither, or holds something too large.
            Incomplete: The connection was lost, or fell silent.
        """
        return self._body(response).events(lines=lines, decoder=decoder, waits=waits)

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        accept: str,
        headers: Mapping[str, str] | None,
        *,
        begin: float | None = None,
        may_be_empty: bool = False,
        is_patient: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        assert self._client is not None
        idle, connect = self.profile.idle_timeout, self.profile.connect_timeout
        begin = begin or idle
        content = None if body is None else await encode(body)
        fields = {"accept": accept} | ({"content-type": "application/json"} if content is not None else {})
        fields |= headers or {}
        try:
            request = self._client.build_request(method, self.url(path), content=content, headers=fields)
        except _NO_ADDRESS:
            raise self._no_address() from None
        read = None if is_patient else begin
        request.extensions["timeout"] = httpx.Timeout(idle, connect=connect, read=read, pool=None).as_dict()
        tunnel = Tunnel(connect, begin)
        request.extensions["trace"] = tunnel.trace
        try:
            async with tunnel.within(begin + connect if is_patient else None):
                response = await self._client.send(request, stream=True)
        except _NO_ADDRESS:
            raise (unusable_proxy(self._proxy_variable) if self.proxy else self._no_address()) from None
        except ssl.SSLError as error:
            # httpx lets through what goes wrong with TLS once the connection is made.
            raise explain_broken(error, self, tunnel) from None
        except (TimeoutError, httpx.HTTPError) as error:
            trouble = error if isinstance(error, httpx.HTTPError) else httpx.ReadTimeout("")
            is_else = self._network is not None and self._network.is_of_something_else
            raise explain(trouble, self, tunnel, begin, of_something_else=is_else) from None
        except Exception:
            # What the SOCKS library makes of an answer that is none; it need not be installed.
            if not tunnel.is_socks:
                raise
            raise explain_no_socks(self) from None
        try:
            await self._check(response, may_be_empty)
            yield response
        finally:
            await to_end(response.aclose())

    async def _refuse_redirect(self, response: httpx.Response) -> None:
        status = response.status_code
        if not 300 <= status < 400:
            return
        target = response.headers.get("location")
        if not target:
            raise Refused(f"{self.host} answered with the unexpected status {status}.", status=status)
        raise Refused(
            f"{self.host} moved to {self.said(target, 200)}.",
            hint="redirects are not followed; change base_url",
            status=status,
        )

    async def _check(self, response: httpx.Response, may_be_empty: bool) -> None:
        status = response.status_code
        compressed = response.headers.get("content-encoding", "identity").lower() not in ("identity", "")
        if compressed and status < 300:
            raise Refused(f"{self.host} sent a compressed answer, which was not asked for.", status=status)
        if status == 200 or (may_be_empty and status < 300):
            return
        if status in (204, 205):
            raise Refused(f"{self.host} sent an empty answer.", status=status)
        body = b"" if compressed else await self._body(response).start(BODY_LIMIT)
        reply = read_reply(status, body, {name.lower(): value for name, value in response.headers.items()})
        raise Rejected(reply)

    def _body(self, response: httpx.Response) -> Body:
        idle = self.profile.idle_timeout
        begin = self.profile.begin_timeout or idle
        return Body(response, self.host, self.said, idle, begin, self._on_bytes, self._count)

    def _count(self) -> None:
        self.events_read += 1

    def _headers(self) -> dict[str, str]:
        headers = {"user-agent": f"palaver/{__version__}", "accept-encoding": "identity", "connection": "close"}
        headers |= self._own_headers(self.profile, self._key.reveal() if self._key else "")
        return headers | {name.lower(): value for name, value in self.profile.headers}

    def _no_address(self) -> ConfigError:
        return ConfigError(f"{self.profile.base_url!r} is not a valid address.", hint="check base_url")


def segment(name: str) -> str:
    """A name as one segment of a path, whatever is in it.

    Raises:
        Refused: It cannot be one: it would be left out, or name another place.
    """
    try:
        segment = quote(name, safe="")
    except UnicodeEncodeError:
        segment = ""
    if segment in ("", ".", ".."):
        raise Refused(f"“{quote(name, errors='replace')}” cannot be part of an address.")
    return segment


def bearer(profile: Profile, key: str) -> dict[str, str]:  # noqa: ARG001 - the contract's shape
    """The headers of most protocols."""
    return {"authorization": f"Bearer {key}"} if key else {}


def _secrets(profile: Profile, key: Secret | None) -> list[str]:
    """What must not be repeated: the key, and what stands in headers and parameters named like one; the longest first."""
    found = [key.reveal()] if key else []
    found += [value for _, value in secret_parameters(profile.params)]
    for name, value in profile.headers:
        if is_secret(name):
            found += [value, value.rpartition(" ")[2]]
    return sorted({secret for secret in found if len(secret) >= _SECRET_FROM}, key=len, reverse=True)


def _overlap(text: str, secret: str) -> int:
    """How many characters at the end of a text are the beginning of a secret, where it is enough of them to matter."""
    longest = min(len(text), len(secret) - 1)
    return next((size for size in range(longest, _SECRET_FROM - 1, -1) if text.endswith(secret[:size])), 0)
