"""Addresses of servers: which are taken, in which form, and what counts as the same place."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from tui.errors import ConfigError
from tui.patterns import pattern

_SECRET = pattern(r"(?i)auth|key|token|secret|cookie")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, with the port always told."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    return f"{parts.scheme}://[{host}]:{port}" if ":" in host else f"{parts.scheme}://{host}:{port}"


def check_base_url(url: str, *, has_key: bool = False) -> str:
    """`url` in the form requests are made from: no trailing slash, nothing secret or ambiguous in it.

    Raises:
        ConfigError: It is not an http(s) address, or would carry a key where others can read it.
    """
    example = "it looks like https://api.example.com/v1"
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        url = _idna(url, example)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{url!r} is not a valid address.", hint=example) from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ConfigError(f"{url!r} is not a valid address.", hint=example)
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the address holds a user name or password.", hint="use api_key_env instead")
    if not re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(:\d*)?", parts.netloc):
        raise ConfigError(f"{url!r} is not a valid address.", hint=example)
    if parts.fragment or (parts.query and _SECRET.search(parts.query)):
        raise ConfigError("the address holds a key or a fragment.", hint="use api_key_env, or headers, instead")
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[0-9A-Za-z]+)?", host) or _bad_labels(host):
        raise ConfigError(f"{host!r} is not a valid host name.", hint=example)
    if parts.scheme == "http" and has_key and not is_loopback(host):
        raise ConfigError(
            "the key would be sent unencrypted.", hint="use https://, or set allow_plain_http = true if you must"
        )
    return SplitResult(parts.scheme, parts.netloc, parts.path.rstrip("/"), parts.query, "").geturl()


def _bad_labels(host: str) -> bool:
    if ":" in host:
        return False
    labels = host.rstrip(".").split(".")
    return any(not label or len(label) > 63 or label == "xn--" for label in labels) or len(host) > 253


def _idna(url: str, example: str) -> str:
    """A URL whose host is in another script, with that host as the network knows it."""
    try:
        parts = urlsplit(url) if not re.search(r"[\x00-\x20\x7f\\]", url) else None
    except ValueError:
        parts = None
    if parts is None or not parts.hostname:
        raise ConfigError(f"{url!r} is not a valid address.", hint=example)
    try:
        host = parts.hostname.encode("idna").decode()
        return url.replace(parts.hostname, host, 1)
    except UnicodeError:
        raise ConfigError(f"{parts.hostname!r} is not a valid host name.", hint=example) from None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by name: no proxy sees what goes there, and no wire carries it."""
    host = host.lower().rstrip(".")
    return host == "localhost" or host.endswith(".localhost") or host == "::1" or re.match(r"127\.", host) is not None
