"""The program in a real pseudo-terminal: keys go in, bytes come out, and a model of the screen shows what they mean."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ptyprocess
import pyte

from tests import canary, sequences


def wait_for(ready: Callable[[], object], otherwise: str) -> None:
    """Wait until something holds that another process makes true, of which no event tells."""
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


class _Screen(pyte.Screen):
    """pyte's model of a screen, which knows nothing of some private sequences."""

    def report_device_status(self, *args: object, **kwargs: object) -> None:
        return


TICK = 0.01
"""Seconds between two reads of a slow terminal."""


class Terminal:
    """A program on a pseudo-terminal of its own. `rate` is how many bytes it reads in a second, at most; 0 is any number."""

    def __init__(self, argv: list[str], size: tuple[int, int] = (100, 30), env: dict[str, str] | None = None) -> None:
        self.width, self.height = size
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
        environment.pop("COLUMNS", None)
        environment.pop("LINES", None)
        self.process = ptyprocess.PtyProcess.spawn(
            argv, env=environment, dimensions=(self.height, self.width), cwd=str(Path(__file__).parent.parent)
        )
        self.before = termios.tcgetattr(self.process.fd)
        self._chunks = [b""]
        self._size = 0
        self._came: list[tuple[int, float]] = []
        self.reading = threading.Event()
        self.reading.set()
        self.rate = 0
        self._changed = threading.Condition()
        self._over = False
        self._model: _Screen | None = None
        self._read_to = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    @property
    def output(self) -> bytes:
        """Everything the program has written."""
        with self._changed:
            if len(self._chunks) > 1:
                self._chunks = [b"".join(self._chunks)]
            return self._chunks[0]

    @property
    def unread(self) -> int:
        """How many bytes the program has written that the terminal has not read."""
        return int.from_bytes(fcntl.ioctl(self.process.fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    def type(self, text: str) -> None:
        self.process.write(text.encode())

    def resize(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.process.setwinsize(height, width)

    def screen(self) -> list[str]:
        """What is on the screen now, line by line; what takes no room is left out."""
        output = self.output
        if self._model is None or (self._model.columns, self._model.lines) != (self.width, self.height):
            self._model, self._read_to = _Screen(self.width, self.height), 0
        end = sequences.whole(output)
        pyte.Stream(self._model).feed(sequences.for_a_model(output[self._read_to : end]))
        self._read_to = end
        return [line.rstrip() for line in self._model.display]

    def as_it_came(self) -> Iterator[tuple[float, list[str]]]:
        """The lines of the screen that each piece of what the program has written so far has changed, and when it came.

        Only for a terminal that has kept its size.
        """
        model, read_to = _Screen(self.width, self.height), 0
        stream, output, columns = pyte.Stream(model), self.output, range(self.width)
        for size, when in list(self._came):
            if size > len(output):
                return
            end = read_to + sequences.whole(output[read_to:size])
            model.dirty.clear()
            stream.feed(sequences.for_a_model(output[read_to:end]))
            read_to = end
            yield when, ["".join(model.buffer[line][column].data for column in columns) for line in model.dirty]

    def until(self, ready: Callable[[list[str]], object], seconds: float = 30.0) -> list[str]:
        """The screen, once `ready` holds of it."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self._size
            lines = self.screen()
            if ready(lines):
                return lines
            left = deadline - time.monotonic()
            with self._changed:
                # Reading goes on meanwhile: a program must not wait for whoever looks at it.
                is_new = self._size != seen
                if left <= 0 or (self._over and not is_new):
                    raise AssertionError("the screen never came to that:\n" + "\n".join(lines))
                if not is_new:
                    self._changed.wait(min(left, 1.0))

    def shows(self, text: str, seconds: float = 30.0) -> list[str]:
        """The screen, once it shows `text`."""
        return self.until(lambda lines: any(text in line for line in lines), seconds)

    def ends(self, seconds: float = 10.0) -> int:
        """The exit status, once the program has ended by itself; signals count as in a shell."""
        deadline = time.monotonic() + seconds
        while self.process.isalive():
            assert time.monotonic() < deadline, "the program goes on"
            time.sleep(0.01)
        self._thread.join(5)
        if self.process.signalstatus is not None:
            return 128 + int(self.process.signalstatus)
        return int(self.process.exitstatus)

    def leaves(self) -> int:
        """The exit status of a program that ends within two seconds."""
        return self.ends(two_seconds())

    def modes(self) -> dict[str, bool]:
        """The private modes that are still set, by the last word on each."""
        found: dict[str, bool] = {}
        for numbers, letter in re.findall(rb"\x1b\[\?([0-9;]+)([hl])", self.output):
            for number in numbers.split(b";"):
                found[number.decode()] = letter == b"h"
        return found

    def strange(self) -> list[str]:
        """Every escape or control in the output that has no business there."""
        return sequences.read(self.output).wrong

    def hang_up(self) -> None:
        """Close the terminal under the program."""
        self.process.fileobj.close()
        self.process.closed = True
        # Its number may soon be another file's.
        self.process.fd = -1
        self.reading.set()

    def close(self) -> None:
        if self.process.isalive():
            self.process.kill(signal.SIGKILL)
        self.reading.set()
        self._thread.join(5)
        if not self.process.closed:
            self.process.close(force=True)
        canary.watch.look("what a terminal was sent", self.output)

    def _read(self) -> None:
        while True:
            self.reading.wait()
            try:
                data = os.read(self.process.fd, round(self.rate * TICK) or 65536)
            except OSError:
                data = b""
            with self._changed:
                if data:
                    self._chunks.append(data)
                    self._size += len(data)
                    self._came.append((self._size, time.monotonic()))
                self._over = not data
                self._changed.notify_all()
            if not data:
                return
            if self.rate:
                time.sleep(TICK)


def two_seconds() -> float:
    """Two seconds of an idle machine, in seconds of this one: where others work as well, each has its share only."""
    return 2 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def is_restored(t: Terminal) -> bool:
    """Whether the terminal is as a shell wants it."""
    modes = t.modes()
    off = ("1049", "1000", "1003", "1006", "2004", "1004")
    is_off = not any(modes.get(mode, False) for mode in off) and modes.get("25", True)
    return is_off and (t.process.closed or termios.tcgetattr(t.process.fd) == t.before)


@contextmanager
def terminal(*args: str, size: tuple[int, int] = (100, 30), env: dict[str, str] | None = None) -> Iterator[Terminal]:
    """Palaver's window in a terminal."""
    made = Terminal([sys.executable, "-m", "tui", *args], size, env)
    try:
        yield made
    finally:
        made.close()
