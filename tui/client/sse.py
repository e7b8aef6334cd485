"""Server-sent events, decoded from bytes as they come (WHATWG HTML, 9.2.6).

Lines end at CRLF, LF or CR and at nothing else; text is UTF-8 whatever the headers say. Memory is bounded: a line or an
event beyond the limit is an error, and any number of empty lines costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tui.values import dataclass

LIMIT = 16 * 1024 * 1024
"""The longest line, and the most data in one event, in bytes."""

_WINDOW = 64 * 1024
_EMPTY_LINES = re.compile(rb"\n*")
_BOM = b"\xef\xbb\xbf"


class TooLarge(Exception):
    """A line or an event is larger than the limit; the stream cannot be read on."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `name` is "message" where the server gave none; `last_id` is the newest id of the stream."""

    data: str
    name: str = "message"
    last_id: str = ""


class Decoder:
    """Turns chunks of bytes into events; how the bytes were cut makes no difference.

    `retry` is the reconnection time the server asked for, in milliseconds, once it has.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.retry: int | None = None
        self._limit = limit
        self._line = bytearray()
        self._data = bytearray()
        self._name = b""
        self._last_id = ""
        self._after_cr = False
        self._bom_left: bytes | None = _BOM

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that `chunk` completes.

        Raises:
            TooLarge: A line or an event passed the limit.
        """
        if self._bom_left is not None:
            chunk = self._strip_bom(chunk)
        for start in range(0, len(chunk), _WINDOW):
            yield from self._feed(chunk[start : start + _WINDOW])

    def end(self) -> ServerSentEvent | None:
        """The event the stream broke off in, if it had begun one: unfinished, but often an error's only words."""
        if self._bom_left is not None and self._bom_left != _BOM:
            self._hold(_BOM[: len(_BOM) - len(self._bom_left)])
        if self._line:
            self._field(self._take_line())
        return self._dispatch()

    def _strip_bom(self, chunk: bytes) -> bytes:
        """`chunk` without the part of a leading byte order mark it holds; the mark may come in three pieces."""
        left = self._bom_left
        assert left is not None
        size = min(len(left), len(chunk))
        if chunk[:size] != left[:size]:
            seen = _BOM[: len(_BOM) - len(left)]
            self._bom_left = None
            return seen + chunk
        self._bom_left = left[size:] or None
        return chunk[size:]

    def _feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return
        self._after_cr = chunk[-1:] == b"\r"
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        at = 0
        while True:
            if not (self._line or self._data or self._name):
                empty = _EMPTY_LINES.match(chunk, at)
                at = empty.end() if empty else at
            end = chunk.find(b"\n", at)
            if end < 0:
                break
            line = chunk[at:end]
            if self._line:
                self._hold(line)
                line = self._take_line()
            elif len(line) > self._limit:
                raise TooLarge
            at = end + 1
            if line:
                self._field(line)
            else:
                event = self._dispatch()
                if event is not None:
                    yield event
        if at < len(chunk):
            self._hold(chunk[at:])

    def _hold(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > self._limit:
            raise TooLarge
        self._line += piece

    def _take_line(self) -> bytes:
        line = bytes(self._line)
        self._line.clear()
        return line

    def _field(self, line: bytes) -> None:
        # The name of a comment is empty, and so means nothing.
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            if len(self._data) + len(value) >= self._limit:
                raise TooLarge
            self._data += value + b"\n"
        elif name == b"event":
            self._name = value
        elif name == b"id":
            if b"\x00" not in value:
                self._last_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 16:
            self.retry = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        name, self._name = self._name, b""
        if not self._data:
            return None
        data = self._data[:-1].decode("utf-8", "replace")
        self._data.clear()
        return ServerSentEvent(data, name.decode("utf-8", "replace") or "message", self._last_id)
