"""A window that streams an answer into a terminal that reads nothing, for as long as is wanted, then reads again."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.fake_server import completed, delta
from tests.loopback import Call, loopback, profile_text
from tests.store.histories import rows
from tests.terminal import Terminal, terminal
from tests.torture.report import Report

RUSH = 2_000_000
"""Characters of the answer that come as fast as they can, at most; a short stall has fewer."""

EVERY = 0.1
"""Seconds between two paragraphs after those."""

LINE = "Paragraph {} of an answer that no one can see yet.\n\n"
LAST = "This is the end of it."

GROWTH = 8.0
"""Megabytes of memory that the rest of a stall may add, besides what is said in it."""

PER_CHARACTER = 130
"""Bytes of memory that a character may take: laid out, one takes a hundred in a terminal that reads, too. Frames that
waited would take as much again."""

FULL = 4000
"""Bytes that a terminal holds unread, at least, when it takes no more."""

LONGER = 120.0
"""Seconds within which anything else has happened."""


class _Answer:
    """What the server says: `begun`, and once the terminal reads nothing any more a rush, then a line now and then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.rush = min(RUSH, 100_000 + int(20_000 * seconds))
        self.text = "begun\n\n"
        self.rushed, self.is_stuck = threading.Event(), threading.Event()
        self.waited, self.may_end = threading.Event(), threading.Event()

    def __call__(self, call: Call) -> None:
        call.head().event(delta(self.text))
        call.sent.set()
        call.go_on.wait(LONGER)
        until = time.monotonic() + self._seconds
        for piece in self._pieces(until):
            self.text += piece
            call.event(delta(piece))
        self.waited.set()
        self.may_end.wait(LONGER)
        self.text += LAST
        call.event(delta(LAST)).event(completed(self.text))

    def _pieces(self, until: float) -> Iterator[str]:
        number = size = 0
        while size < self.rush:
            piece = "".join(LINE.format(number + one) for one in range(20))
            number, size = number + 20, size + len(piece)
            yield piece
        self.rushed.set()
        while time.monotonic() < until or not self.is_stuck.is_set():
            time.sleep(EVERY)
            yield LINE.format(number)
            number += 1


def run(seconds: int, _seed: int) -> Report:
    """Have the terminal read nothing for `seconds`. The report tells resident memory, in megabytes, as it went."""
    report = Report("stall")
    said = _Answer(seconds)
    with tempfile.TemporaryDirectory() as name, loopback(said) as server:
        folder = Path(name)
        (folder / "config").mkdir(mode=0o700)
        file = folder / "config" / "config.toml"
        file.write_text(profile_text(server.url))
        file.chmod(0o600)
        environment = {f"PALAVER_{kind.upper()}_DIR": str(folder / kind) for kind in ("config", "data", "log")}
        with terminal(env=environment) as t:
            try:
                t.shows("Type a message")
                t.type("hello\r")
                t.shows("begun")
                call = server.call()
                _stall(report, t, said, call, folder / "data" / "history.db", seconds)
            except AssertionError as error:
                report.wrong.append(str(error).partition("\n")[0])
    return report


def _stall(report: Report, t: Terminal, said: _Answer, call: Call, history: Path, seconds: float) -> None:
    def kept() -> tuple[str, int]:
        found = rows(history, "SELECT status, length(text) FROM messages WHERE role = 'assistant'")
        return (str(found[0][0]), int(found[0][1])) if found else ("", 0)

    t.reading.clear()
    memory = [_memory(t)]
    call.go_on.set()
    _until(lambda: said.rushed.is_set() and kept()[1] >= said.rush, LONGER, "what came at first is not kept")
    _until(lambda: t.unread >= FULL, LONGER, "the terminal takes all there is")
    said.is_stuck.set()
    # What has come and is kept may have to be laid out still.
    memory.append(_settled(t))
    unread, rushed = t.unread, len(said.text)
    assert said.waited.wait(seconds + LONGER), "the answer was not read to its end"
    memory.append(_memory(t))
    allowed = GROWTH + (len(said.text) - rushed) * PER_CHARACTER / 1e6
    said.may_end.set()
    _until(lambda: kept()[0] == "done", LONGER, "the turn has no end")
    memory.append(_memory(t))
    report.expect(t.unread == unread, f"the terminal took more: {unread}, then {t.unread} bytes unread")
    report.expect(memory[2] - memory[1] < allowed, f"memory grew by {memory[2] - memory[1]:.1f} MB while it was stuck")
    t.reading.set()
    t.shows(LAST)
    t.shows("done in")
    t.type("a key")
    t.shows("│ a key ")
    t.type("\x03\x11")
    report.expect(t.ends() == 0, "it did not leave with status 0")
    report.expect(not t.strange(), f"strange sequences: {t.strange()[:3]}")
    ((text,),) = rows(history, "SELECT text FROM messages WHERE role = 'assistant'")
    report.expect(text == said.text, f"{len(text):,} of {len(said.text):,} characters are kept, or others")
    report.counts |= {"seconds": int(seconds), "characters": len(text), "bytes unread": unread}
    report.figures["MB before, after the rush, after the stall, at the end"] = " ".join(f"{one:.1f}" for one in memory)


def _memory(t: Terminal) -> float:
    return float(psutil.Process(t.pid).memory_info().rss) / 1e6


def _settled(t: Terminal) -> float:
    """Memory once it has grown by less than half a megabyte for a second: a paragraph now and then adds less."""
    now, since = _memory(t), time.monotonic()
    deadline = since + LONGER
    while time.monotonic() - since < 1:
        assert time.monotonic() < deadline, "memory goes on growing"
        time.sleep(0.05)
        later = _memory(t)
        if later - now > 0.5:
            now, since = later, time.monotonic()
    return now


def _until(ready: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
