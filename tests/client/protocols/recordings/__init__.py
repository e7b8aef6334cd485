"""Exchanges recorded with real servers: `NAME.req.http` is the request, `NAME.http` the answer as it came off the wire.

A name with `.first16k` holds only the beginning of a long answer. Every folder is one server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recording:
    """One exchange. `raw` is the answer as it came, `body` what is left without its framing.

    `whole` is whether the answer came to its proper end; it is false where the connection broke.
    """

    name: str
    path: str
    request: bytes
    raw: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool

    @property
    def protocol(self) -> str:
        ends = {"/chat/completions": "chat", "/messages": "anthropic", "/api/chat": "ollama"}
        return next((protocol for end, protocol in ends.items() if self.path.endswith(end)), "responses")

    @property
    def in_lines(self) -> bool:
        """Whether every line is an event of its own."""
        return "application/x-ndjson" in self.headers.get("content-type", "")

    @property
    def streamed(self) -> bool:
        return self.status == 200 and ("text/event-stream" in self.headers.get("content-type", "") or self.in_lines)

    @property
    def sent(self) -> Any:
        """The request's JSON, or None where it was made to be none."""
        try:
            return json.loads(self.request)
        except ValueError:
            return None

    def borders(self) -> list[int]:
        """Where in the body one event ends and the next may begin."""
        border = b"\n" if self.in_lines else b"\n\n"
        found, at = [0], 0
        while (at := self.body.find(border, at)) >= 0:
            at += len(border)
            found.append(at)
        return found


def unchunked(data: bytes) -> tuple[bytes, bool]:
    """A chunked body without its framing, and whether it came to its end."""
    body = b""
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found or not line:
            return body, False
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return body, True
        body += data[:size]
        if len(data) < size + 2:
            return body, False
        data = data[size + 2 :]


def read(file: Path) -> Recording:
    raw = file.read_bytes()
    head, _, rest = raw.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    if headers.get("transfer-encoding") == "chunked":
        body, whole = unchunked(rest)
    else:
        body, whole = rest, len(rest) == int(headers.get("content-length", -1))
    name = f"{file.parent.name}/{file.name.removesuffix('.http')}"
    asked = file.with_name(file.name.partition(".")[0] + ".req.http")
    request = asked.read_bytes() if asked.exists() else b""
    start, _, sent = request.partition(b"\r\n\r\n")
    path = start.split(b" ")[1].decode() if request else "/v1/chat/completions"
    return Recording(name, path, sent, raw, int(status.split(" ")[1]) if raw else 0, headers, body, whole)


@cache
def recordings() -> tuple[Recording, ...]:
    """All of them, in a fixed order."""
    files = sorted(HERE.glob("*/*.http"))
    return tuple(read(file) for file in files if not file.name.endswith(".req.http"))


def those(wanted: Callable[[Recording], bool]) -> list[Recording]:
    return [one for one in recordings() if wanted(one)]


def streamed() -> list[Recording]:
    """The answers that came as events."""
    return those(lambda one: one.streamed)


def errors() -> list[Recording]:
    """The answers that came with a status that says no."""
    return those(lambda one: one.status >= 400)


def recording(name: str) -> Recording:
    """The one of that name."""
    [found] = those(lambda one: one.name == name)
    return found
