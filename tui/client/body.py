"""The body of one response, read as what it is: events, a JSON value, or neither.

Whatever a server sends, memory and time are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any, cast

from tui.client.library import httpx
from tui.client.ndjson import LineDecoder
from tui.client.reply import BODY_LIMIT, Rejected, parse_json, read_error, read_reply
from tui.client.sse import LIMIT, Decoder, ServerSentEvent, TooLarge
from tui.errors import Incomplete, Refused, TurnError
from tui.runner import YIELD_AFTER

BODY_WAIT = 10.0
"""Seconds allowed for the body of an error, or of a small answer."""

WHOLE_WAIT = 600.0
"""Seconds allowed for the rest of an answer that comes as one JSON value, where its beginning may not take longer."""

_BLANK = b"\xef\xbb\xbf\r\n\t "
_BLANKS_KEPT = 4096
_PIECE = 4096
"""Bytes decoded in one go: 64 KiB of comments without a word take 80 ms on a busy machine (measured)."""


class Body:
    """Reads the body of `response`, which came from `host`, once.

    `said` is how what it says may be repeated, up to so many characters; between two pieces of it there may be `idle`
    seconds, and `begin` until it says anything but blanks. `on_bytes` is given each piece as it comes; `on_event` is
    called before each event is told.
    """

    def __init__(
        self,
        response: httpx.Response,
        host: str,
        said: Callable[[str, int], str],
        idle: float,
        begin: float,
        on_bytes: Callable[[bytes], None] | None = None,
        on_event: Callable[[], None] = lambda: None,
    ) -> None:
        self._response = response
        self._host = host
        self._said = said
        self._idle = idle
        self._begin = begin
        self._on_bytes = on_bytes
        self._on_event = on_event

    async def events(
        self,
        *,
        lines: bool = False,
        decoder: Decoder | None = None,
        waits: Callable[[], bool] | None = None,
    ) -> AsyncGenerator[ServerSentEvent | Any, None]:
        """The events of the response, as `Http.events` says."""
        reads = LineDecoder() if lines else decoder or Decoder()
        chunks = self._chunks(waits)
        async with aclosing(chunks):
            head = await self._head(chunks, waits)
            kind = self._kind(head, lines)
            if kind == "other":
                raise self._wrong_kind(await self._start(chunks, BODY_LIMIT, head))
            if kind == "json":
                longest = max(self._begin, WHOLE_WAIT)
                try:
                    async with asyncio.timeout(longest):
                        head, has_lines = await self._first_line(head, chunks) if lines else (head, False)
                        raw = b"" if has_lines else await self._rest(chunks, head)
                except TimeoutError:
                    raise Incomplete(f"{self._host} took more than {longest:.0f} s for its answer") from None
                if not has_lines:
                    yield self._whole(raw)
                    return
            # Whoever shows events lets others have their turn; thousands may show nothing, or be none at all.
            now = asyncio.get_running_loop().time
            yielded = now()
            try:
                async with aclosing(_pieces(head, chunks)) as pieces:
                    async for piece in pieces:
                        for event in reads.feed(piece):
                            self._on_event()
                            yield event
                            if now() - yielded > YIELD_AFTER:
                                await asyncio.sleep(0)
                                yielded = now()
                        if now() - yielded > YIELD_AFTER:
                            await asyncio.sleep(0)
                            yielded = now()
            except TooLarge:
                raise Refused(f"{self._host} sent an event too large to read (16 MiB).") from None
        last = reads.end()
        if last is not None:
            self._on_event()
            yield last

    async def value(self) -> Any:
        """The JSON value it is; None where it is nothing.

        Raises:
            Refused: It is something else, or too large.
            Incomplete: The connection was lost, or it is too long in coming.
        """
        chunks = self._chunks()
        try:
            async with aclosing(chunks), asyncio.timeout(BODY_WAIT):
                raw = await self._rest(chunks)
        except TimeoutError:
            raise Incomplete(f"{self._host} took more than {BODY_WAIT:.0f} s for its answer.") from None
        except Incomplete:
            raise Incomplete(f"The connection to {self._host} was lost before its answer was whole.") from None
        return self._parsed(raw) if raw.strip() else None

    async def start(self, limit: int) -> bytes:
        """The first `limit` bytes of a body; what does not come in time, or at all, is left out."""
        async with aclosing(self._chunks()) as chunks:
            return await self._start(chunks, limit)

    async def _start(self, chunks: AsyncIterator[bytes], limit: int, body: bytes = b"") -> bytes:
        try:
            async with asyncio.timeout(BODY_WAIT):
                while len(body) < limit:
                    body += await anext(chunks)
        except (StopAsyncIteration, TimeoutError, TurnError):
            pass
        return body[:limit]

    async def _head(self, chunks: AsyncIterator[bytes], waits: Callable[[], bool] | None) -> bytes:
        """The beginning of the body, up to the first piece that is not blank.

        Raises:
            Refused: There is none.
            Incomplete: It is too long in coming.
        """
        head, size = b"", 0
        until = asyncio.get_running_loop().time() + self._begin
        async for chunk in chunks:
            head = (head + chunk).lstrip(b"\r\n")
            if head.strip(_BLANK):
                return head
            size += len(chunk)
            if size > LIMIT:
                raise Refused(f"{self._host} sent nothing but blanks.")
            # Silence ends each wait by itself: only what comes again and again needs a limit for all of it.
            if asyncio.get_running_loop().time() > until and not (waits is not None and waits()):
                raise Incomplete(f"{self._host} sent nothing but blanks for {self._begin:.0f} s")
            if len(head) > _BLANKS_KEPT:
                # Of blanks it makes no difference how many there are, but all would be looked at for each chunk.
                head = head[-1:]
        raise Refused(f"{self._host} sent an empty answer.", status=self._response.status_code)

    async def _first_line(self, head: bytes, chunks: AsyncIterator[bytes]) -> tuple[bytes, bool]:
        """More of a body that begins as JSON, and whether it is values in lines, whatever it is declared as: a line that is
        one, and something after it."""
        come = bytearray(head)
        start = looked = len(come) - len(come.lstrip(_BLANK))
        is_value = False
        while len(come) <= LIMIT:
            if not is_value and (end := come.find(b"\n", looked)) >= 0:
                is_value, looked = _is_value(bytes(come[start:end])), end
                if not is_value:
                    break
            if is_value and come[looked:].strip(_BLANK):
                return bytes(come), True
            looked = len(come)
            try:
                come += await anext(chunks)
            except StopAsyncIteration:
                break
        return bytes(come), False

    async def _rest(self, chunks: AsyncIterator[bytes], head: bytes = b"") -> bytes:
        parts, size = [head], len(head)
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size > LIMIT:
                raise Refused(f"{self._host} sent an answer too large to read (16 MiB).")
        return b"".join(parts)

    async def _chunks(self, waits: Callable[[], bool] | None = None) -> AsyncGenerator[bytes, None]:
        idle = self._idle
        try:
            async with aclosing(cast("AsyncGenerator[bytes, None]", self._response.aiter_raw())) as body:
                while True:
                    # The limit of each read is that of the answer's beginning, where there is one at all.
                    async with asyncio.timeout(None if waits is not None and waits() else idle):
                        chunk = await anext(body)
                    if self._on_bytes is not None:
                        self._on_bytes(chunk)
                    yield chunk
        except StopAsyncIteration:
            return
        except (httpx.ReadTimeout, TimeoutError):
            raise Incomplete(f"{self._host} sent nothing for {idle:.0f} s: stalled") from None
        except httpx.RemoteProtocolError as error:
            if _is_malformed(error):
                raise Refused(f"{self._host} sent a malformed response.") from None
            raise Incomplete("the connection was lost") from None
        except (httpx.HTTPError, httpx.StreamError, OSError):
            raise Incomplete("the connection was lost") from None

    def _kind(self, head: bytes, lines: bool) -> str:
        declared = self._response.headers.get("content-type", "").lower()
        start = head.lstrip(_BLANK)[:1]
        if lines and start == b"{" and "application/json" not in declared:
            return "events"
        if start in (b"{", b"["):
            return "json"
        if "text/event-stream" in declared and start != b"<":
            return "events"
        return "other"

    def _whole(self, raw: bytes) -> Any:
        value = self._parsed(raw)
        if _is_error(value):
            raise Rejected(read_error(value), in_stream=True)
        return value

    def _parsed(self, raw: bytes) -> Any:
        try:
            return parse_json(raw.lstrip(b"\xef\xbb\xbf"))
        except ValueError:
            if "application/json" in self._response.headers.get("content-type", ""):
                raise Refused(f"{self._host} sent an answer that is not valid JSON.") from None
            raise self._wrong_kind(raw) from None

    def _wrong_kind(self, raw: bytes) -> Refused:
        reply = read_reply(200, raw[:BODY_LIMIT])
        if reply.form == "empty":
            return Refused(f"{self._host} sent an empty answer.")
        if reply.form == "html":
            title = f" (“{self._said(reply.message, 100)}”)" if reply.message else ""
            return Refused(
                f"{self._host} answered with a web page{title}.", hint="a login or proxy page? check base_url"
            )
        declared = self._said(self._response.headers.get("content-type", "none"), 80)
        return Refused(f"{self._host} sent an unexpected content type: {declared}.", hint="check protocol and base_url")


async def _pieces(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """`head` and what follows it, in pieces that are not long in reading."""
    for piece in _cut(head):
        yield piece
    async for chunk in chunks:
        for piece in _cut(chunk):
            yield piece


def _cut(chunk: bytes) -> Iterator[bytes]:
    return (chunk[start : start + _PIECE] for start in range(0, len(chunk), _PIECE))


def _is_value(line: bytes) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def _is_error(value: Any) -> bool:
    """Whether a JSON value is what a server says instead of an answer. No protocol's answer has any of this."""
    if not isinstance(value, dict):
        return False
    is_flat = isinstance(value.get("message"), str) and not {"code", "error_code"}.isdisjoint(value)
    return bool(value.get("error") or value.get("errors")) or "detail" in value or is_flat


def _is_malformed(error: httpx.RemoteProtocolError) -> bool:
    text = str(error).lower()
    return "closed connection" not in text and "disconnected" not in text
