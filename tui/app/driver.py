"""Textual's terminal driver, made fit for a program that must not stop when its terminal does.

Five things are different. A lone Esc is told at once and not after 100 ms, unless more of a sequence is on its way.
Writing never blocks: while the terminal does not read (Ctrl-S, a stalled connection) or reads slowly, nothing more is to
be painted, so that what a key does is seen as soon as the terminal can show it. Leaving does not wait for a terminal that
does not read. Alt and a key is not that key. Nothing that is pasted is a key.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import threading
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from textual import constants, events
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from tui.app.cells import placed
from tui.app.compositor import paint_changes
from tui.app.pastes import Pastes
from tui.signals import heeded

MOST_WAITING = 4096
"""Characters that may wait for the terminal before no more frames are wanted: some keys' worth, and no full screen."""

MOST_READ = 4096
"""Bytes read at once."""

_INTRODUCERS = "[O]P_^X\x1b"
"""What makes Escape the beginning of something longer than Alt with a character."""

_FRAME_BEGINS, _FRAME_ENDS = "\x1b[?2026h", "\x1b[?2026l"

PASTE_WAIT = 5.0
"""Seconds without anything after which a paste whose end mark has not come may have lost it."""

LEAVE_WAIT = 0.5
"""Seconds the terminal may take to read the last words."""


class Writer:
    """Writes to the terminal from a thread of its own, and never makes the caller wait. Stands in for Textual's own.

    All that it is given is written. It is for those who paint to ask first whether another frame `may_come`; `on_caught_up`
    is called, from that thread, once it may where it might not.
    """

    def __init__(self, file: IO[str]) -> None:
        self.on_caught_up: Callable[[], object] = lambda: None
        self._file = file
        self._waiting: deque[str] = deque()
        self._frame: list[str] | None = None
        self._size = 0
        self._is_awaited = False
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="palaver-terminal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def write(self, text: str) -> None:
        """Have a text written; the parts of a frame together, once it is whole, which wakes the thread once."""
        if text == _FRAME_BEGINS:
            self._frame = []
        if self._frame is not None:
            self._frame.append(text)
            if text != _FRAME_ENDS:
                return
            text, self._frame = "".join(self._frame), None
        with self._changed:
            self._waiting.append(text)
            self._size += len(text)
            self._changed.notify()

    def may_come(self) -> bool:
        """Whether the terminal has taken enough for another frame. If not, `on_caught_up` is called once it has."""
        with self._changed:
            self._is_awaited = self._size > MOST_WAITING
            return not self._is_awaited

    def flush(self) -> None:
        """Nothing to do: the thread flushes when there is nothing more to write."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def stop(self) -> None:
        """Write what is left, if the terminal takes it within reason."""
        with self._changed:
            if self._frame is not None:
                # A signal has come amid a frame, and what leaves the terminal was taken for a part of it.
                text, self._frame = "".join([*self._frame, _FRAME_ENDS]), None
                self._waiting.append(text)
                self._size += len(text)
            self._stopping = True
            self._changed.notify()
        self._thread.join(LEAVE_WAIT)

    @property
    def is_stuck(self) -> bool:
        """Whether something could not be written although there was time."""
        return self._stopping and self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                text = "".join(self._waiting)
                self._waiting.clear()
            try:
                self._file.write(placed(text))
                self._file.flush()
            except (OSError, ValueError):
                return
            with self._changed:
                self._size -= len(text)
                has_caught_up = self._is_awaited and self._size <= MOST_WAITING
                self._is_awaited = self._is_awaited and not has_caught_up
                has_caught_up = has_caught_up and not self._stopping
            if has_caught_up:
                self.on_caught_up()


class TerminalGone(Message):
    """There is no terminal any more."""


class Driver(LinuxDriver):
    """The driver of Palaver's window."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        may_be_stopped = heeded(signal.SIGTSTP)
        super().__init__(*args, **kwargs)
        if not may_be_stopped:
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        self._wake_reader, self._wake_writer = os.pipe()
        self._is_on = False

    @property
    def is_stuck(self) -> bool:
        """Whether the terminal did not take the last words: then nothing may wait for it any more."""
        return isinstance(self._writer_thread, Writer) and self._writer_thread.is_stuck

    def start_application_mode(self) -> None:
        if self._is_on:
            # Woken from a stop that no one announced: all is set up, but the screen may show something else.
            self._repaint()
            return
        self._is_on = True
        self.exit_event = _WakingEvent(self._wake_writer)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGWINCH, self._resized)
        if isinstance(self._writer_thread, Writer):
            self._writer_thread.on_caught_up = self._paint_on

    def _resized(self, _number: int, _frame: object) -> None:
        """Tell of another size. It is asked for later: a signal may come while another one is being handled, and be done
        before that one, whose size is an older one by then."""
        self._loop.call_soon_threadsafe(self._tell_size)

    def _tell_size(self) -> None:
        if not self._in_band_window_resize:
            size = Size(*self._get_terminal_size())
            self.send_message(events.Resize(size, size))

    def stop_application_mode(self) -> None:
        """Restore the terminal, once."""
        if self._is_on:
            self._is_on = False
            super().stop_application_mode()

    def write(self, data: str) -> None:
        if self._writer_thread is not None:
            self._writer_thread.write(data)

    def may_paint(self) -> bool:
        """Whether a frame may be written now. If not, the screen is asked again for what has changed, once it may."""
        return not isinstance(self._writer_thread, Writer) or self._writer_thread.may_come()

    def _paint_on(self) -> None:
        self._loop.call_soon_threadsafe(self._app.call_later, paint_changes, self._app)

    def _repaint(self) -> None:
        self._loop.call_soon_threadsafe(self._app.refresh)

    def _run_input_thread(self) -> None:
        """Read keys to the end. A mistake ends the program; Textual would print its message and go on deaf."""
        try:
            self.run_input_thread()
        except Exception as error:  # noqa: BLE001 - told by the app, with a report
            self._loop.call_soon_threadsafe(self._app._handle_exception, error)

    def run_input_thread(self) -> None:
        """Read keys until told to stop, waiting without a time-out except for the rest of a sequence."""
        parser = _Parser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        pastes = Pastes()
        is_open = False
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                # A little longer than the parser itself waits, so that it has given up by then.
                patience = constants.ESCAPE_DELAY * 1.2 if is_open else PASTE_WAIT if pastes.is_coming else None
                ready = selector.select(patience)
                if not ready and not is_open and (text := pastes.pause()):
                    self.process_message(events.Paste(text))
                if not ready:
                    is_open = False
                    for event in parser.tick():
                        self.process_message(event)
                for key, _ in ready:
                    if key.fd == self._wake_reader:
                        os.read(self._wake_reader, 64)
                        continue
                    data = self._read()
                    if not data:
                        self.process_message(TerminalGone())
                        return
                    is_open = b"\x1b" in data[-32:]
                    for is_pasted, text in pastes.feed(decode(data), goes_on=len(data) == MOST_READ):
                        if is_pasted:
                            self.process_message(events.Paste(text))
                            continue
                        for event in without_ways(parser.feed(text)):
                            self.process_message(event)
        try:
            for event in parser.feed(""):
                self.process_message(event)
        except (EOFError, ParseError):
            return

    def _read(self) -> bytes:
        """What was typed, or nothing where there is no terminal any more."""
        try:
            return os.read(self.fileno, MOST_READ)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""


def without_ways(messages: Iterable[Message]) -> Iterator[Message]:
    """What has come at once, of the mouse's way only where it led: each place on it costs as much as a key."""
    last: Message | None = None
    for message in messages:
        if last is not None and not (isinstance(last, events.MouseMove) and isinstance(message, events.MouseMove)):
            yield last
        last = message
    if last is not None:
        yield last


class _Parser(XTermParser):
    """Textual's parser, but for Escape and one character in one go.

    Textual takes Alt with a character for the character, or for `^` and the character where more keys follow at once, and
    does not hear an Escape that a control key follows.
    """

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        known = list(super()._sequence_to_key_events(sequence, alt))
        if not known and len(sequence) == 2 and sequence[0] == "\x1b" and sequence[1] not in _INTRODUCERS:
            after = list(super()._sequence_to_key_events(sequence[1]))
            if sequence[1] < " " and sequence[1] not in "\r\t":
                return [events.Key("escape", "\x1b"), *after]
            known, alt = after, True
        return [_with_alt(key) for key in known] if alt else known


def _with_alt(key: events.Key) -> events.Key:
    return events.Key(key.key if key.key.startswith("alt+") else f"alt+{key.key}", None)


class _WakingEvent(threading.Event):
    """An event that also ends a wait for keys."""

    def __init__(self, wake: int) -> None:
        super().__init__()
        self._wake = wake

    def set(self) -> None:
        super().set()
        os.write(self._wake, b"x")


def install() -> type[LinuxDriver]:
    """Have the driver write through our own thread. Gives the driver to use."""
    vars(linux_driver)["WriterThread"] = Writer
    return Driver
