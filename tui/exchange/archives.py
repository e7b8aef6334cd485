"""Exports as they are downloaded: archives in which the conversations are one file among others."""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from tui.errors import FileRefused
from tui.exchange.json_files import Conversations
from tui.exchange.thread import Refusal, Thread

RATIO_LIMIT = 100
"""How many times larger than packed a file may be; text packs ten to one."""

RATIO_FREE = 16 * 1024 * 1024
"""Bytes that may come out of an archive before its ratio is looked at."""

DIRECTORY_LIMIT = 8 * 1024 * 1024
"""The longest list of contents, in bytes: some 80,000 files."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How exports are packed."""

_WANTED = re.compile(r"(?:.*/)?conversations(?:[-_]\d+)?\.json", re.DOTALL)
_TAIL = 65_557 + 76


class Archive:
    """A zip archive with conversations in it. What else is in it is not looked at."""

    def __init__(self, file: Path, name: str) -> None:
        self._name = name
        try:
            _check_directory(file, name)
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            raise FileRefused(f"{name} is not a whole zip archive.") from None
        except OSError as error:
            raise FileRefused(f"{name} cannot be read: {error.strerror}.") from None
        wanted = [info for info in self._zip.infolist() if _WANTED.fullmatch(info.filename)]
        self._parts = [Conversations(self._opener(info), f"{name}/{info.filename}") for info in wanted]
        if not wanted:
            self.close()
            raise FileRefused(f"{name} has no conversations.json in it.", hint="it is no export of ChatGPT or Claude")

    def count(self, go_on: Callable[[], None]) -> int:
        return sum(part.count(go_on) for part in self._parts)

    def threads(self) -> Iterator[Thread | Refusal]:
        for part in self._parts:
            yield from part.threads()

    def close(self) -> None:
        self._zip.close()

    def _opener(self, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
        def opened() -> BinaryIO:
            if info.flag_bits & 1:
                raise FileRefused(f"{self._name} is encrypted.", hint="unpack it first")
            if info.compress_type not in _METHODS:
                raise FileRefused(f"{self._name} is packed in a way that is not known here.", hint="unpack it first")
            try:
                stream = self._zip.open(info)
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, struct.error):
                # Where the list of contents lies, what is read in a file's place is anything.
                raise FileRefused(f"{self._name} cannot be unpacked.", hint="unpack it first") from None
            return cast(BinaryIO, _Unpacked(stream, info, self._name))

        return opened


class _Unpacked:
    """A file as it comes out of an archive, as long as it is no bomb."""

    def __init__(self, stream: IO[bytes], info: zipfile.ZipInfo, name: str) -> None:
        self._stream = stream
        self._packed = max(1, info.compress_size)
        self._name = name
        self._read = 0

    def read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
            raise FileRefused(f"{self._name} is damaged.", hint="download it again") from None
        self._read += len(data)
        if self._read > RATIO_FREE and self._read > self._packed * RATIO_LIMIT:
            raise FileRefused(f"{self._name} unpacks to more than {RATIO_LIMIT} times its size.")
        return data

    def close(self) -> None:
        self._stream.close()


def _check_directory(file: Path, name: str) -> None:
    """Look at how long the list of contents is before it is read: all of it goes into memory."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    lengths = [0]
    for mark, place, width in ((b"PK\x05\x06", 12, 4), (b"PK\x06\x06", 40, 8)):
        at = tail.rfind(mark)
        while at >= 0:
            lengths.append(int.from_bytes(tail[at + place : at + place + width], "little"))
            at = tail.rfind(mark, 0, at)
    # The older mark holds no more than 32 bits; where all are set, the newer one has the length.
    told = [length for length in lengths if length != 0xFFFFFFFF]
    if max(told) > DIRECTORY_LIMIT:
        raise FileRefused(f"{name} has too many files in it.", hint="unpack it first")
