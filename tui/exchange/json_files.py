"""The JSON files in which ChatGPT and Claude hand over what was said: arrays of conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from tui.errors import FileRefused
from tui.exchange import chatgpt, claude
from tui.exchange.fields import Fields, text
from tui.exchange.json_stream import values
from tui.exchange.large_json import LargeArray, LargeObject, check
from tui.exchange.thread import Refusal, Thread, TooLong
from tui.text import one_line


class Conversations:
    """Conversations in a stream of JSON, which is opened anew each time it is read."""

    def __init__(self, opened: Callable[[], BinaryIO], name: str) -> None:
        self._opened = opened
        self._name = name

    def count(self, go_on: Callable[[], None]) -> int:
        """How many there are.

        Raises:
            FileRefused: There are none, or it is no such file.
        """
        known = others = 0
        for value in self._values():
            go_on()
            check(value)
            if _reader_of(value) is None:
                others += 1
            else:
                known += 1
            # What is large is let go of before the next one is read.
            del value
        if not known:
            what = "neither ChatGPT's nor Claude's" if others else "empty"
            raise FileRefused(f"{self._name} has no conversations: it is {what}.")
        return known + others

    def threads(self) -> Iterator[Thread | Refusal]:
        for value in self._values():
            thread = _read(value)
            del value
            yield thread
            del thread

    def _values(self) -> Iterator[Any]:
        with closing(self._opened()) as stream:
            yield from values(stream, self._name)


class JsonFile(Conversations):
    """A file of conversations."""

    def __init__(self, file: Path, name: str) -> None:
        super().__init__(lambda: _open(file, name), name)

    def close(self) -> None:
        """Nothing stays open."""


def _open(file: Path, name: str) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise FileRefused(f"{name} cannot be read: {error.strerror}.") from None


def _read(value: Any) -> Thread | Refusal:
    reader = _reader_of(value)
    if reader is None:
        return Refusal("a value", "it is no conversation")
    try:
        return reader(value)
    except TooLong as error:
        return Refusal(one_line(text(value.get("title")) or text(value.get("name")), 80), error.why)


def _reader_of(value: Any) -> Callable[[Fields], Thread] | None:
    if isinstance(value, dict | LargeObject):
        if isinstance(value.get("mapping"), dict | LargeObject):
            return chatgpt.read
        if isinstance(value.get("chat_messages"), list | LargeArray) and text(value.get("uuid")):
            return claude.read
    return None
