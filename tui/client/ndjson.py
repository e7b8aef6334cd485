"""JSON lines (NDJSON), told apart in bytes as they come.

A line ends at LF, with or without a CR before it; blank lines are none. Memory is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator

from tui.client.sse import LIMIT, ServerSentEvent, TooLarge

_BOM = b"\xef\xbb\xbf"


class LineDecoder:
    """Turns chunks of bytes into events, one a line; how the bytes were cut makes no difference."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        self._is_first = True

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that `chunk` completes.

        Raises:
            TooLarge: A line passed the limit.
        """
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0:
            self._hold(chunk[at:end])
            at = end + 1
            event = self.end()
            if event is not None:
                yield event
        self._hold(chunk[at:])

    def end(self) -> ServerSentEvent | None:
        """The line the stream broke off in, if it had begun one."""
        line = bytes(self._line)
        self._line.clear()
        if self._is_first and line:
            self._is_first = False
            line = line.removeprefix(_BOM)
        line = line.strip(b"\r\t ")
        return ServerSentEvent(line.decode("utf-8", "replace")) if line else None

    def _hold(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > self._limit:
            raise TooLarge
        self._line += piece
