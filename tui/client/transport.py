"""How a turn reaches its server: through which proxy, under which certificates, how it is read."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from ipaddress import ip_network
from urllib.parse import urlsplit

from tui.addresses import is_loopback, numeric
from tui.aside import aside
from tui.client.library import httpx
from tui.client.pacing import PacedBackend
from tui.config import Profile
from tui.errors import ConfigError

_PROXIES = ("http", "https", "socks5", "socks5h")

_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


class Network(httpx.AsyncHTTPTransport):
    """The transport of one turn."""

    backend: PacedBackend
    is_socks = False

    async def aclose(self) -> None:
        await super().aclose()
        # httpcore forgets a connection to a SOCKS proxy that comes to nothing, and leaves it open.
        await self.backend.close()

    @property
    def is_of_something_else(self) -> bool:
        """Whether what came first on the newest connection cannot be the beginning of an answer in HTTP. Through SOCKS that
        is unknown: there it is the proxy's."""
        if self.is_socks:
            return False
        said = self.backend.said.lstrip(b"\r\n")
        return not said.startswith(b"HTTP/"[: len(said)])


async def network(
    profile: Profile, variable: str, proxy: str, is_watched: Callable[[], bool] = lambda: True
) -> Network:
    """A transport of its own for one turn, with no connection kept for another one. `variable` names the proxy.

    Raises:
        ConfigError: The proxy or the certificates named cannot be used.
    """
    if urlsplit(profile.base_url).scheme == "https":
        # A file on a disk that is gone is read for ever.
        verify = await aside(partial(_tls, profile.ca_file, os.environ.get("SSL_CERT_FILE", "")))
    else:
        verify = _no_tls()
    if proxy:
        _check_proxy(variable, proxy)
    try:
        transport = Network(
            verify=verify,
            proxy=proxy or None,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
            socket_options=_KEEPALIVE,
        )
        # Private in httpx, whose transports take no other network; a test fails when that changes.
        transport.backend = PacedBackend(transport._pool._network_backend, is_watched)
        transport._pool._network_backend = transport.backend
        transport.is_socks = proxy.startswith("socks")
        return transport
    except ImportError:
        raise unusable_proxy(variable, "for SOCKS, socksio has to be installed") from None


def unusable_proxy(variable: str, why: str = "it is not a valid address") -> ConfigError:
    """The error of a proxy that the variable names. What that holds is not repeated: it may be a password."""
    return ConfigError(f"The proxy setting {variable} is not usable: {why}.")


def _check_proxy(variable: str, proxy: str) -> None:
    """See that a proxy's address is one.

    Raises:
        ConfigError: It is not.
    """
    try:
        url = httpx.URL(proxy)
        is_address = url.host != "" and (url.port is None or 0 < url.port < 65536)
    except (httpx.InvalidURL, UnicodeError):
        is_address = False
    if not is_address:
        raise unusable_proxy(variable)
    if url.scheme not in _PROXIES:
        raise unusable_proxy(variable, f"it has to begin with one of {', '.join(_PROXIES)}")


@lru_cache(maxsize=1)
def _no_tls() -> ssl.SSLContext:
    """What a transport wants although no connection is secure, made once: it takes longer than the connection."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@lru_cache(maxsize=8)
def _tls(ca_file: str, from_environment: str) -> ssl.SSLContext:
    """The TLS settings, made once: reading the certificates takes longer than a short turn."""
    own = ca_file or from_environment
    try:
        if own:
            return ssl.create_default_context(cafile=own)
        return httpx.create_ssl_context(trust_env=False)
    except (OSError, ssl.SSLError) as error:
        name = "ca_file" if ca_file else "SSL_CERT_FILE"
        reason = error.strerror or "it holds no certificate"
        raise ConfigError(f"{name}: {own} cannot be used: {reason}.") from None


def find_proxy(scheme: str, host: str, port: int | None = None) -> tuple[str, str]:
    """The proxy the environment names for a host, with the variable that names it."""
    if is_loopback(host) or _is_bypassed(host, port or (443 if scheme == "https" else 80)):
        return "", ""
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable, value = _setting(name)
        if value:
            return variable, value if "://" in value else f"http://{value}"
    return "", ""


def _setting(name: str) -> tuple[str, str]:
    """A variable and what it holds. Set to nothing in lower case, it is not there in upper case either."""
    variable = name if name in os.environ else name.upper()
    return variable, os.environ.get(variable, "").strip()


def _is_bypassed(host: str, port: int) -> bool:
    """Whether NO_PROXY names a host: itself, a domain it is in, or a network; and its port, where it names one."""
    _, value = _setting("no_proxy")
    return any(_names(entry, host.lower().rstrip("."), port) for entry in re.split(r"[\s,]+", value.lower()) if entry)


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = numeric(host)
    if "/" in entry:
        with suppress(ValueError):
            return address is not None and address in ip_network(entry, strict=False)
        return False
    if (one := numeric(entry)) is not None:
        return one == address
    # In brackets or not, what follows the last colon is a port: an address of many colons has been told apart.
    found = re.fullmatch(r"\[?([^\]]*?)\]?(?::(\d+))?", entry)
    if found is None or (found[2] and int(found[2]) != port):
        return False
    if (one := numeric(found[1])) is not None:
        return one == address
    domain = found[1].removeprefix("*").strip(".")
    return domain != "" and (host == domain or host.endswith(f".{domain}"))
