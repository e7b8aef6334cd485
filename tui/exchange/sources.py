"""What kind of file a file to import is, and the reader for it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tui.errors import FileRefused
from tui.exchange.thread import Refusal, Thread
from tui.text import one_line

_HEAD = 64 * 1024


class Source(Protocol):
    """A file that holds threads. It is used by one thread of execution at a time."""

    def count(self, go_on: Callable[[], None]) -> int:
        """How many threads there are. Looks at all of the file, so that one that is broken is refused as a whole; calls
        `go_on` now and then, which may raise to end it.

        Raises:
            FileRefused: It is not what it claims to be.
        """

    def threads(self) -> Iterator[Thread | Refusal]:
        """The threads, one at a time.

        Raises:
            FileRefused: The file has changed, or cannot be read any more.
        """

    def close(self) -> None:
        """Let go of the file."""


def open_source(file: Path) -> Source:
    """A reader for `file`, by what is in it.

    Raises:
        FileRefused: It cannot be read, or is of no kind that is known.
    """
    name = one_line(file.name, 80)
    head = _head_of(file, name)
    if head.startswith(b"SQLite format 3\0"):
        from tui.exchange.databases import open_database

        return open_database(file, name)
    if head.startswith(b"PK\x03\x04"):
        from tui.exchange.archives import Archive

        return Archive(file, name)
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"PK")):
        raise FileRefused(f"{name} is compressed.", hint="unpack it first")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileRefused(f"{name} is UTF-16.", hint="save it as UTF-8")
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if plain.startswith(b"{") and b'"palaver"' in plain.partition(b"\n")[0][:200]:
        from tui.exchange.bundle import Bundle

        return Bundle(file, name)
    if plain.startswith((b"[", b"{")):
        from tui.exchange.json_files import JsonFile

        return JsonFile(file, name)
    if file.suffix.casefold() in (".yaml", ".yml"):
        from tui.exchange.aichat import AichatSession

        return AichatSession(file, name)
    raise FileRefused(
        f"{name} is of no kind that can be imported.",
        hint="Palaver's bundles, llm's logs.db, exports of ChatGPT or Claude, aichat's and the Agents SDK's sessions are",
    )


def _head_of(file: Path, name: str) -> bytes:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            kind = "a folder" if file.is_dir() else "not a file"
            raise FileRefused(f"{name} is {kind}.")
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise FileRefused(f"{name} cannot be read: {error.strerror}.") from None
    if not head:
        raise FileRefused(f"{name} is empty.")
    return head
