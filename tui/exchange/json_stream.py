"""The values of a JSON array, one at a time: a file of any size takes the memory of its largest value."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from tui.errors import FileRefused
from tui.exchange.large_json import Raw
from tui.exchange.thread import THREAD_LIMIT

FILE_LIMIT = 4 * 1024**3
"""The longest file that is read, in bytes."""

DEPTH_LIMIT = 200
"""How deep a value may be nested. Conversations nest less than twenty deep."""

CHUNK = 256 * 1024

# A string without escapes is passed over in one step; a comma matters only between the file's values.
_PLAIN = re.compile(rb'"[^"\\]*"|["{}\[\],]')
_DEEP = re.compile(rb'"[^"\\]*"|["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_SOMETHING = re.compile(rb"[^ \t\r\n]")
_BLANKS = b" \t\r\n"


def values(stream: BinaryIO, name: str) -> Iterator[Any]:
    """The values of the array in `stream`, each as it is read; a file that is one object has that one. What is large is
    a `LargeObject` or a `LargeArray`, which is not kept here.

    Raises:
        FileRefused: It is no JSON, or JSON that is refused. `name` is the file's, for the message.
    """
    return (raw.value(0, len(raw.data)) for raw in _pieces(stream, name))


def _pieces(stream: BinaryIO, name: str) -> Iterator[Raw]:
    """The text of each value."""
    scanner = _Scanner(name)
    first = True
    while chunk := stream.read(CHUNK):
        if first:
            chunk, first = _without_mark(chunk, name), False
        yield from scanner.feed(chunk)
    scanner.close()


def _without_mark(chunk: bytes, name: str) -> bytes:
    if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileRefused(f"{name} is UTF-16.", hint="save it as UTF-8")
    return chunk.removeprefix(codecs.BOM_UTF8)


class _Scanner:
    """Finds where values begin and end. What is in them is looked at by those who read them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._offset = 0
        self._piece = bytearray()
        self._begin = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._is_array = False
        self._is_over = False
        self._count = 0

    def feed(self, chunk: bytes) -> Iterator[Raw]:
        position = kept = 0
        if not self._depth and not self._is_over:
            position = kept = self._enter(chunk)
        if self._escaped and position < len(chunk):
            self._escaped, position = False, position + 1
        while position < len(chunk):
            if self._is_over:
                self._refuse_rest(chunk[position:], position)
                break
            pattern = _IN_STRING if self._in_string else _DEEP if self._depth > 1 else _PLAIN
            found = pattern.search(chunk, position)
            if found is None:
                break
            at, position = found.span()
            if position - at > 1:
                continue
            sign = chunk[at]
            if sign == 0x22:  # "
                self._in_string = not self._in_string
            elif sign == 0x5C:  # \
                position += 1
                self._escaped = position > len(chunk)
            elif self._ends_value(sign):
                self._piece += chunk[kept : at if self._is_array else position]
                kept = position
                begin, self._begin = self._begin, self._offset + position
                if sign == 0x2C or self._count or _SOMETHING.search(self._piece):
                    self._count += 1
                    yield Raw(self._taken(), begin, self._name)
                else:
                    self._piece.clear()
        if not self._is_over:
            self._piece += chunk[kept:]
        self._offset += len(chunk)
        if len(self._piece) > THREAD_LIMIT:
            raise FileRefused(f"{self._name} has a conversation longer than {THREAD_LIMIT >> 20} MiB.")
        if self._offset > FILE_LIMIT:
            raise FileRefused(f"{self._name} is larger than {FILE_LIMIT >> 30} GiB.")

    def _taken(self) -> bytearray:
        """What was gathered, which is not copied."""
        piece, self._piece = self._piece, bytearray()
        return piece

    def close(self) -> None:
        if not self._is_over:
            what = "is cut off" if self._depth else "is empty"
            raise FileRefused(f"{self._name} {what}: it ends at byte {self._offset:,}.")

    def _enter(self, chunk: bytes) -> int:
        """Find the file's first sign. Gives where what is to be kept begins."""
        rest = chunk.lstrip(_BLANKS)
        at = len(chunk) - len(rest)
        if not rest:
            return at
        if rest[:1] not in (b"[", b"{"):
            raise FileRefused(f"{self._name} is not JSON at byte {self._offset + at:,}.")
        self._is_array = rest[:1] == b"["
        if self._is_array:
            at, self._depth = at + 1, 1
        self._begin = self._offset + at
        return at

    def _ends_value(self, sign: int) -> bool:
        """Take in a sign outside of strings. Whether it ends one of the file's values."""
        if sign in b"[{":
            self._depth += 1
            if self._depth > DEPTH_LIMIT:
                raise FileRefused(f"{self._name} is nested more than {DEPTH_LIMIT} deep.")
            return False
        if sign == 0x2C:
            return self._is_array and self._depth == 1
        self._depth -= 1
        self._is_over = self._depth == 0
        if self._is_over and self._is_array and sign != 0x5D:
            raise FileRefused(f"{self._name} is not JSON: its array ends like an object.")
        return self._is_over

    def _refuse_rest(self, rest: bytes, position: int) -> None:
        if rest.strip(_BLANKS):
            raise FileRefused(f"{self._name} goes on after its end, at byte {self._offset + position:,}.")
