"""The window in a terminal that stops reading, or reads slowly: neither keys nor whoever ends it wait for the terminal."""

from __future__ import annotations

import os
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fake_server import delta
from tests.loopback import Call, loopback, profile_text
from tests.store.histories import rows
from tests.terminal import Terminal, is_restored, terminal, wait_for

Write = Callable[[str], Path]

BEGUN = "begun\n\n"
PIECE = "A paragraph of a rather long answer that fills the screen.\n\n" * 9
PACE = 0.01
"""Seconds between two pieces: more at once would be more work, and no more for the terminal."""

HELD = 4000
"""Bytes that a terminal holds unread, at least, when it takes no more."""


class Pour:
    """An answer that comes until the terminal is stuck. `then` is done after it; `text` is what was said."""

    def __init__(self, then: Callable[[Pour, Call], None]) -> None:
        self.text = BEGUN
        self.stuck = threading.Event()
        self._then = then

    def __call__(self, call: Call) -> None:
        call.head().event(delta(BEGUN))
        call.sent.set()
        call.go_on.wait(30)
        call.go_on.clear()
        while not self.stuck.wait(PACE):
            self.more(call)
        self._then(self, call)

    def more(self, call: Call) -> None:
        self.text += PIECE
        call.event(delta(PIECE))


def holds(_pour: Pour, call: Call) -> None:
    """Nothing more comes, nor does the end."""
    call.sent.set()
    call.go_on.wait(30)


def goes_on(pour: Pour, call: Call) -> None:
    """It goes on and on."""
    while True:
        pour.more(call)


def kept(history: Path) -> tuple[str, str]:
    """The answer in the history, and how it stands."""
    found = rows(history, "SELECT status, text FROM messages WHERE role = 'assistant'")
    return (str(found[0][0]), str(found[0][1])) if found else ("", "")


SLOW = 20_000
"""Bytes that a slow terminal reads in a second."""

ENOUGH = 100_000
"""Characters of an answer after which frames that were kept would fill a slow terminal for much longer than is waited for."""


def goes_on_in_time(pour: Pour, call: Call) -> None:
    """It goes on and on, at its pace."""
    while not call.go_on.wait(PACE):
        pour.more(call)


@contextmanager
def stuck(pour: Pour, write_config: Write) -> Iterator[Terminal]:
    """A window in which an answer is being said, in a terminal that reads no more."""
    with loopback(pour) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("begun")
            t.reading.clear()
            server.call().go_on.set()
            wait_for(lambda: t.unread >= HELD, "the terminal takes all there is")
            pour.stuck.set()
            yield t


@pytest.mark.fault("C20", "C15")
@pytest.mark.parametrize(
    ("number", "then", "status"),
    [
        (signal.SIGTERM, goes_on, 143),
        (signal.SIGINT, holds, 130),
        (signal.SIGHUP, holds, 129),
        (signal.SIGQUIT, holds, 131),
        (0, holds, 129),
    ],
    ids=["terminate", "interrupt", "hang up", "quit", "the terminal is gone"],
)
def test_it_leaves_although_the_terminal_does_not_read(
    write_config: Write, history: Path, number: int, then: Callable[[Pour, Call], None], status: int
) -> None:
    pour = Pour(then)
    with stuck(pour, write_config) as t:
        said = pour.text
        wait_for(lambda: len(kept(history)[1]) >= len(said), "what came is not kept")
        if number:
            os.kill(t.pid, number)
        else:
            t.hang_up()
        assert t.leaves() == status
        # The modes of the screen are words to the terminal, which does not hear; its settings are the system's.
        assert t.process.closed or termios.tcgetattr(t.process.fd) == t.before
    outcome, text = kept(history)
    assert outcome == ("cancelled" if number == signal.SIGINT else "interrupted")
    assert text[: len(said)] == said
    assert pour.text.startswith(text)


@pytest.mark.fault("C20")
def test_a_terminal_that_reads_on_at_the_last_moment_is_restored(write_config: Write) -> None:
    with stuck(Pour(holds), write_config) as t:
        os.kill(t.pid, signal.SIGTERM)
        t.reading.set()
        assert t.leaves() == 143
        assert is_restored(t)


@contextmanager
def pouring(write_config: Write, history: Path) -> Iterator[Terminal]:
    """A window in which an answer goes on and on, in a terminal that has been slow for some time."""
    pour = Pour(goes_on_in_time)
    pour.stuck.set()
    with loopback(pour) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("begun")
            t.rate = SLOW
            server.call().go_on.set()
            wait_for(lambda: len(kept(history)[1]) >= ENOUGH, "the answer is not kept")
            yield t


@pytest.mark.fault("U02")
def test_a_slow_terminal_shows_what_a_key_does_before_long(write_config: Write, history: Path) -> None:
    """What came while it could not be shown is not shown in between, and nothing is missing in the end."""
    with pouring(write_config, history) as t:
        t.type("a key")
        t.shows("│ a key ", seconds=5)
        t.type("\x1b")
        t.shows("stopped after", seconds=5)
        t.type("\x0e")
        t.shows("chat-2", seconds=5)
        t.type("\x11")
        assert t.ends() == 0
        assert is_restored(t)
        assert t.strange() == []


@pytest.mark.fault("U02", "C15")
def test_a_slow_terminal_is_restored(write_config: Write, history: Path) -> None:
    with pouring(write_config, history) as t:
        os.kill(t.pid, signal.SIGTERM)
        assert t.leaves() == 143
        assert is_restored(t)
