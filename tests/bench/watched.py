"""A program in a pseudo-terminal, watched from outside: when each byte came, when each frame was drawn.

Frames are told by the marks of synchronized output, which the terminal says it understands. Their contents are worked out
afterwards by a model of a screen, so that measuring costs the program nothing.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import psutil
import ptyprocess
import pyte

FRAME_END = b"\x1b[?2026l"

_ASKED = re.compile(
    rb"\x1b\[\?(?P<mode>\d+)\$p|\x1b\[(?P<attributes>[>=]?)0?c|\x1b\[(?P<place>\??)6n|\x1b\[(?P<state>5)n"
    rb"|\x1b\[\?(?P<keyboard>u)|\x1b\](?P<colour>1[01]);\?(?:\x07|\x1b\\)"
)
_UNKNOWN_TO_PYTE = re.compile(
    rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1b\]22;[^\x1b]*\x1b\\|\x1bP[^\x1b]*\x1b\\"
)
_RARE = [chr(code) for code in (*range(0x0250, 0x02A0), *range(0x13A0, 0x13F0), *range(0x0531, 0x0556))]


class Screen(pyte.Screen):
    """pyte's model of a screen, which shall not answer anything itself."""

    def report_device_status(self, *args: Any, **kwargs: Any) -> None:
        return


@dataclass(frozen=True)
class Frame:
    """What was on the screen at a moment (seconds of the monotonic clock)."""

    at: float
    lines: tuple[str, ...]

    def part(self, top: int, bottom: int, left: int, right: int) -> tuple[str, ...]:
        """A rectangle of it."""
        return tuple(line.ljust(right)[left:right] for line in self.lines[top:bottom])


class Watched:
    """A running program. Times are seconds of the monotonic clock, which all processes share."""

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str], size: tuple[int, int] = (120, 40), cwd: str | None = None
    ) -> None:
        self.size = size
        self._sizes = [(0.0, size)]
        self._chunks: list[tuple[float, bytes]] = []
        self._news = threading.Condition()
        self._over = False
        self._rest = b""
        self._rare = cycle(_RARE)
        terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.began = time.monotonic()
        self._process = ptyprocess.PtyProcess.spawn(
            list(argv), env={**env, **terminal}, dimensions=(size[1], size[0]), cwd=cwd, echo=False
        )
        self.pid = int(self._process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Doing

    def type(self, keys: str) -> float:
        """Press keys. Gives the moment."""
        at = time.monotonic()
        with suppress(OSError):
            os.write(self._process.fd, keys.encode())
        return at

    def resize(self, width: int, height: int) -> float:
        """Make the window another size. Gives the moment."""
        at = time.monotonic()
        self.size = (width, height)
        self._sizes.append((at, self.size))
        self._process.setwinsize(height, width)
        return at

    def close(self) -> None:
        """End the program and all it has begun."""
        family = self._family()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for one in family:
                with suppress(psutil.Error):
                    one.send_signal(number)
            _, family = psutil.wait_procs(family, timeout=3)
            if not family:
                break
        self._reader.join(3)
        if not self._process.closed:
            with suppress(OSError, ptyprocess.PtyProcessError):
                self._process.close(force=True)

    # Waiting

    @property
    def is_over(self) -> bool:
        return self._over

    def mark(self) -> int:
        """A place in the output, to look on from."""
        with self._news:
            return len(self._chunks)

    def wait_for(self, what: str | bytes, since: int = 0, seconds: float = 30.0) -> float | None:
        """The moment these bytes had come, or None if they do not."""
        needle = what.encode() if isinstance(what, str) else what
        deadline = time.monotonic() + seconds
        place, carried = since, b""
        with self._news:
            while True:
                while place < len(self._chunks):
                    at, data = self._chunks[place]
                    data = carried + data
                    if needle in data:
                        return at
                    carried = data[-len(needle) + 1 :] if len(needle) > 1 else b""
                    place += 1
                left = deadline - time.monotonic()
                if left <= 0 or self._over:
                    return None
                self._news.wait(left)

    def wait_shown(self, text: str, seconds: float = 30.0) -> bool:
        """Whether this text comes to stand on the screen."""
        deadline = time.monotonic() + seconds
        seen = -1
        while time.monotonic() < deadline:
            if self.mark() != seen:
                seen = self.mark()
                if any(text in line for line in self.screen()):
                    return True
            if self._over:
                return False
            with self._news:
                if len(self._chunks) == seen:
                    self._news.wait(min(0.5, max(0.0, deadline - time.monotonic())))
        return False

    def wait_quiet(self, quiet: float = 0.15, seconds: float = 10.0) -> bool:
        """Wait until nothing has been written for a while, counted from now."""
        asked = time.monotonic()
        deadline = asked + seconds
        with self._news:
            while time.monotonic() < deadline and not self._over:
                last = self._chunks[-1][0] if self._chunks else asked
                left = max(asked, last) + quiet - time.monotonic()
                if left <= 0:
                    return True
                self._news.wait(left)
        return False

    def wait_idle(self, share: float = 0.1, window: float = 0.6, seconds: float = 60.0) -> float | None:
        """The moment the program came to rest: from when on it used less than `share` of a core. None if it does not."""
        deadline = time.monotonic() + seconds
        busy_until = began = time.monotonic()
        used, at = self.cpu(), began
        while time.monotonic() < deadline and not self._over:
            time.sleep(0.1)
            now, more = time.monotonic(), self.cpu()
            if more - used > share * (now - at) + 0.005:
                busy_until = now
            used, at = more, now
            if now - busy_until >= window:
                return busy_until
        return None

    def echo(self, seconds: float = 10.0) -> float:
        """Type one letter no one else writes: seconds until it stands there. It is taken back afterwards."""
        letter = next(self._rare)
        since = self.mark()
        at = self.type(letter)
        seen = self.wait_for(letter, since, seconds)
        self.type("\x7f")
        return seconds if seen is None else seen - at

    # Looking

    def cpu(self) -> float:
        """Seconds of CPU that the program and its children have used."""
        total = 0.0
        for one in self._family():
            with suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> float:
        """Resident memory of the program and its children, in MB."""
        total = 0
        for one in self._family():
            with suppress(psutil.Error):
                total += one.memory_info().rss
        return total / 1e6

    def written(self, since: int = 0) -> bytes:
        """The output, from a place on."""
        with self._news:
            return b"".join(data for _, data in self._chunks[since:])

    def screen(self) -> tuple[str, ...]:
        """What is on the screen now."""
        *_, last = self.frames(by_frame=False)
        return last.lines

    def frames(self, since: int = 0, *, by_frame: bool = True) -> Iterator[Frame]:
        """The frames from a place in the output on; or, with `by_frame` off, only the last state."""
        with self._news:
            chunks, sizes = list(self._chunks), list(self._sizes)
        model = Screen(*sizes[0][1])
        stream = pyte.ByteStream(model)
        held, at = b"", self.began
        for number, (at, data) in enumerate(chunks):
            while len(sizes) > 1 and sizes[1][0] <= at:
                sizes.pop(0)
                width, height = sizes[0][1]
                model.resize(height, width)
            data = held + data
            cut = data.rfind(b"\x1b", max(0, len(data) - 32))
            held = b""
            if cut >= 0 and not re.match(rb"\x1b(\[[0-9;?<>=$]*[@-~]|[^\[\]P])", data[cut:]):
                data, held = data[:cut], data[cut:]
            *whole, rest = data.split(FRAME_END)
            for part in whole:
                stream.feed(_UNKNOWN_TO_PYTE.sub(b"", part))
                if by_frame and number >= since:
                    yield Frame(at, tuple(model.display))
            stream.feed(_UNKNOWN_TO_PYTE.sub(b"", rest))
        if not by_frame:
            yield Frame(at, tuple(model.display))

    def first_shown(self, holds: Callable[[str], bool]) -> float | None:
        """The moment of the first read after which the screen's text fulfilled this, worked out from the beginning."""
        model = Screen(*self._sizes[0][1])
        stream = pyte.ByteStream(model)
        for at, data in list(self._chunks):
            stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data))
            if holds("\n".join(model.display)):
                return at
        return None

    def _family(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(self.pid)
            return [first, *first.children(recursive=True)]
        except psutil.Error:
            return []

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._process.fd, 65536)
            except (OSError, ValueError):
                data = b""
            at = time.monotonic()
            if data:
                self._answer(data)
            with self._news:
                if data:
                    self._chunks.append((at, data))
                self._over = not data
                self._news.notify_all()
            if not data:
                return

    def _answer(self, data: bytes) -> None:
        """Answer what a program asks its terminal, so that none waits in vain."""
        data = self._rest + data
        end = 0
        for asked in _ASKED.finditer(data):
            end = asked.end()
            match asked.lastgroup:
                case "mode":
                    reply = f"\x1b[?{asked['mode'].decode()};{2 if asked['mode'] == b'2026' else 0}$y"
                case "attributes":
                    reply = "\x1b[>0;0;0c" if asked["attributes"] == b">" else "\x1b[?62;22c"
                case "place":
                    reply = "\x1b[1;1R"
                case "state":
                    reply = "\x1b[0n"
                case "keyboard":
                    reply = "\x1b[?0u"
                case _:
                    reply = f"\x1b]{asked['colour'].decode()};rgb:1c1c/1c1c/1c1c\x1b\\"
            self.type(reply)
        tail = data[end:][-16:]
        self._rest = tail[tail.rfind(b"\x1b") :] if b"\x1b" in tail else b""
        if re.match(rb"\x1b\[[0-9;?<>=$]*[@-~]", self._rest):
            self._rest = b""
