"""How an answer is printed as it comes: as text, as JSON, as JSON lines."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tui.model import Turn
from tui.objects import turn_object
from tui.text import Cleaner


class Emitter:
    """Writes to a descriptor from a thread of its own, so that a slow reader never holds up a stop or a save.

    `trouble` tells that nothing more can be written, and why: a BrokenPipeError where no one reads any more.
    """

    def __init__(self, fd: int) -> None:
        self.trouble: OSError | None = None
        self.on_broken: Callable[[], object] = lambda: None
        self._fd = fd
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="palaver-output", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        self._queue.put(data)

    def close(self) -> None:
        """Wait until everything is written."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            while data and self.trouble is None:
                try:
                    data = data[os.write(self._fd, data) :]
                except OSError as error:
                    self.trouble = error
                    with suppress(RuntimeError):
                        self.on_broken()


class Printer:
    """Prints nothing; the others print a turn as it grows, and its end."""

    def __init__(self, out: Emitter) -> None:
        self._out = out

    def show(self, turn: Turn) -> None:
        """The turn as it stands."""

    def end(self, turn: Turn, label: str, window: int | None = None) -> None:
        """The turn in its final state; its model has a context `window`."""


class TextPrinter(Printer):
    """The answer's text, cleaned, as it comes."""

    def __init__(self, out: Emitter) -> None:
        super().__init__(out)
        self._cleaner = Cleaner()
        self._printed = ""
        self._ends_line = True

    def show(self, turn: Turn) -> None:
        text = turn.text
        if text.startswith(self._printed):
            self._emit(self._cleaner.feed(text[len(self._printed) :]))
            self._printed = text

    def end(self, turn: Turn, label: str, window: int | None = None) -> None:  # noqa: ARG002 - what others print
        self.show(turn)
        if turn.text.rstrip() != self._printed.rstrip():
            # The server's final text says something else than it streamed: the whole of it follows, as the truth.
            self._emit(self._cleaner.flush() + "\n\n")
            self._printed = ""
            self.show(turn)
        self._emit(self._cleaner.flush())
        if not self._ends_line:
            self._emit("\n")

    def _emit(self, text: str) -> None:
        if text:
            self._ends_line = text.endswith("\n")
            self._out.write(text.encode("utf-8", "replace"))


class JsonPrinter(Printer):
    """One object, at the end."""

    def end(self, turn: Turn, label: str, window: int | None = None) -> None:
        self._out.write(json.dumps(turn_object(turn, label, window), indent=2).encode() + b"\n")


class JsonLinesPrinter(Printer):
    """An object a line for everything that happens, the turn itself being the last."""

    def __init__(self, out: Emitter) -> None:
        super().__init__(out)
        self._texts: dict[str, str] = {}
        self._notes = 0

    def show(self, turn: Turn) -> None:
        for note in turn.notes[self._notes :]:
            self._line({"type": "note", "text": note})
        self._notes = len(turn.notes)
        for item in turn.items:
            before = self._texts.get(item.key)
            if before is None:
                self._line({"type": "item", "key": item.key, "kind": item.kind, "name": item.name})
                before = ""
            if item.text != before:
                grown = item.text.startswith(before)
                kind = "delta" if grown else "replace"
                self._line({"type": kind, "key": item.key, "text": item.text[len(before) :] if grown else item.text})
            self._texts[item.key] = item.text

    def end(self, turn: Turn, label: str, window: int | None = None) -> None:
        self.show(turn)
        self._line({"type": "turn"} | turn_object(turn, label, window))

    def _line(self, value: dict[str, Any]) -> None:
        self._out.write(json.dumps(value).encode() + b"\n")
