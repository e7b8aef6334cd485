"""Addresses of servers: which are taken, in which form, and what counts as the same place."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from tui.credentials import is_secret
from tui.errors import ConfigError
from tui.patterns import pattern

_EXAMPLE = "it looks like https://api.example.com/v1"


_CALL = pattern(r"(?i)(?:/chat/completions|/responses|(?<=/v1)/messages|/api/chat)\Z")
"""What protocols add to an address: one that ends so was copied with the call."""


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, with the port always told."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    return f"{parts.scheme}://[{host}]:{port}" if ":" in host else f"{parts.scheme}://{host}:{port}"


def check_base_url(url: str, *, key: str = "") -> str:
    """`url` in the form requests are made from: no trailing slash, nothing secret or ambiguous in it.

    `key` names, for the user, the secret that is sent there; empty where there is none.

    Raises:
        ConfigError: It is not an http(s) address, or would carry a key where others can read it. The message never
            quotes it: what is refused may hold a password wherever it was written wrongly.
    """
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise ConfigError("the address has a blank, a backslash or a control character in it.", hint=_EXAMPLE)
    try:
        parts = urlsplit(url if url.isascii() else _idna(url))
        port = parts.port
    except ValueError:
        raise ConfigError("the address is not valid.", hint=_EXAMPLE) from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https"):
        raise ConfigError("the address does not begin with https:// or http://.", hint=_EXAMPLE)
    if not host or port == 0:
        raise ConfigError("the address is not valid.", hint=_EXAMPLE)
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the address holds a user name or password.", hint="use api_key_env instead")
    if not re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(:\d*)?", parts.netloc):
        raise ConfigError("the address is not valid.", hint=_EXAMPLE)
    query = unquote(parts.query)
    if parts.fragment or is_secret(query) or re.search(r"(?i)(?:^|[&;])code=", query):
        raise ConfigError("the address holds a key or a fragment.", hint="use api_key_env, or headers, instead")
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[0-9A-Za-z]+)?", host) or _bad_labels(host):
        raise ConfigError("the address has no valid host name.", hint=_EXAMPLE)
    path = parts.path.rstrip("/")
    if call := _CALL.search(path):
        raise ConfigError(
            f"the address ends in {call[0]}, which is added to it with each request.",
            hint=f"take {call[0]} off its end",
        )
    if parts.scheme == "http" and key and not is_loopback(host):
        raise ConfigError(
            f"{key} would be sent unencrypted.", hint="use https://, or set allow_plain_http = true if you must"
        )
    return SplitResult(parts.scheme, parts.netloc, path, parts.query, "").geturl()


def _bad_labels(host: str) -> bool:
    if ":" in host:
        return False
    labels = host.rstrip(".").split(".")
    return any(not label or len(label) > 63 or label == "xn--" for label in labels) or len(host) > 253


def _idna(url: str) -> str:
    """A URL whose host is in another script, with that host as the network and browsers know it (IDNA 2008)."""
    import idna

    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    host, colon, port = place.partition(":")
    if host.isascii():
        return url
    try:
        host = idna.encode(host, uts46=True, transitional=False).decode()
    except UnicodeError:
        raise ConfigError("the address has no valid host name.", hint=_EXAMPLE) from None
    return parts._replace(netloc=f"{user}{at}{host}{colon}{port}").geturl()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or as an address: no proxy sees what goes there, no wire carries it."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = numeric(host)
    # What is sent to no address in particular stays here too.
    return address is not None and (address.is_loopback or address.is_unspecified)


def numeric(host: str) -> IPv4Address | IPv6Address | None:
    """The address a host is written as, in any form the system takes for one (127.1); None where it is a name."""
    try:
        address = ip_address(host)
    except ValueError:
        if not re.fullmatch(r"[0-9A-Fa-fXx]+(\.[0-9A-Fa-fXx]+){0,3}", host):
            return None
        try:
            return IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    return getattr(address, "ipv4_mapped", None) or address
