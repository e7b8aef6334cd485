"""Two windows and a script in one session, each saying things and taking over: in the end all have seen the same."""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Protocol

from tests.store.histories import is_whole, rows
from tests.terminal import Terminal
from tests.torture.kills import MEMORY, Place
from tests.torture.report import Report
from tests.torture.server import Manner, Server, serving
from tests.torture.warm import Warm

LABEL = "work"
MANNER = Manner(wait=0.1, words=24, pause=0.03)
SIZE = (100, 40)
LINES = 9
"""Lines that a turn takes on the screen, at most."""

OVER = 90.0
"""Seconds within which everything has come to its end."""

LET_GO = 0.5
"""Seconds after which a server has noticed that no one listens to an answer any more."""

EVERY = 0.04
"""Seconds between two looks at who is answered."""

LIVE = 0.25
"""Seconds after which what one window shows is in the other."""

TAKE_OVER, CLEAR, SIDEBAR, SEND = "\x1b[15~", "\x15", "\x02", "\r"

_TURNS = """
    SELECT t.status, (SELECT text FROM items WHERE turn_id = t.id AND position = 0),
           coalesce((SELECT group_concat(text, '') FROM items WHERE turn_id = t.id AND kind = 'message'), '')
    FROM turns t ORDER BY t.depth
"""
_WORD = re.compile(r"\b([abc]\d+w\d{3})\b")


@dataclass(frozen=True)
class Told:
    """A turn as it is told somewhere: its prompt, the words of its answer, and the mark of how it ended."""

    prompt: str
    words: tuple[str, ...]
    mark: str


class Shown(Protocol):
    """A window, as far as it is asked when it showed something."""

    def as_it_came(self) -> Iterable[tuple[float, list[str]]]: ...


@dataclass(frozen=True)
class Lags:
    """Seconds by which a window was behind, for each word: behind the other window, where that was the one it was said in;
    behind the server, where it was said by the script.
    """

    window: tuple[float, ...]
    script: tuple[float, ...]


def lags(windows: Iterable[Shown], sent: dict[str, float]) -> Lags:
    """How far behind the later of two windows was, in words of which it is known when they were sent."""
    first, second = (_first_shown(one) for one in windows)
    window, script = [], []
    for word in first.keys() & second.keys() & sent.keys():
        times = first[word], second[word]
        if word.startswith("c"):
            script.append(max(times) - sent[word])
        else:
            window.append(max(times) - min(times))
    return Lags(tuple(window), tuple(script))


def _first_shown(window: Shown) -> dict[str, float]:
    """When each word came onto a window's screen."""
    shown: dict[str, float] = {}
    for when, lines in window.as_it_came():
        for word in _WORD.findall("\n".join(lines)):
            shown.setdefault(word, when)
    return shown


def run(seconds: int, seed: int) -> Report:
    """Let two windows and a script talk in one session, and compare what each shows with what is kept."""
    report, chance = Report("agree"), random.Random(seed)
    place = MEMORY if Path(MEMORY).is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="palaver-agree-", dir=place) as name,
        serving(MANNER, chance) as server,
        Warm() as started,
    ):
        home = Place(Path(name), server, started)
        with _windows(home) as windows:
            _talk(home, windows, seconds, chance, report)
            _settle(home, windows[0], report)
            _compare(home, windows, report)
        report.expect(is_whole(home.file), "the history is not in order")
    return report


@contextmanager
def _windows(home: Place) -> Iterator[list[Terminal]]:
    argv = [sys.executable, "-m", "tui", "open", LABEL]
    windows = [Terminal(argv, SIZE, home.environment) for _ in range(2)]
    try:
        for one in windows:
            one.shows("Type a message", OVER)
        yield windows
    finally:
        for one in windows:
            one.close()


def _talk(home: Place, windows: list[Terminal], seconds: int, chance: random.Random, report: Report) -> None:
    """Say things in either window and by the script, and take over now and then."""
    over = threading.Event()
    script = threading.Thread(target=_ask, args=(home, over, random.Random(chance.random()), report.counts))
    script.start()
    count = Counter[str]()
    at_once = _AtOnce(home.server)
    until, next_word = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        at_once.look()
        if time.monotonic() > next_word:
            next_word = time.monotonic() + chance.uniform(0.2, 1.5)
            number = chance.randrange(2)
            if chance.random() < 0.4 and any("takes over" in line for line in windows[number].screen()):
                windows[number].type(TAKE_OVER)
                report.counts["takeovers by key"] += 1
            else:
                name = "ab"[number]
                windows[number].type(f"{CLEAR}{name}{count[name]} go on{SEND}")
                count[name] += 1
                report.counts["prompts typed"] += 1
        time.sleep(EVERY)
    over.set()
    script.join(OVER)
    report.expect(not script.is_alive(), "the script does not end")
    report.wrong += at_once.wrong
    found = lags(windows, home.server.sent)
    _judge("behind the other window", found.window, report)
    _judge("behind the script's server", found.script, report)


def _judge(name: str, late: tuple[float, ...], report: Report) -> None:
    """Tell how far behind the windows were, and whether that is live."""
    if len(late) < 2:
        return
    most = quantiles(late, n=20)[-1]
    report.figures[name] = f"{median(late) * 1000:.0f} ms (median), {most * 1000:.0f} ms (95 of 100), {len(late)} words"
    # Where others work as well, each has its share of the machine only.
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    report.expect(most <= LIVE * busy, f"{name}: by {most:.3f} s (95 of 100)")


def _ask(home: Place, over: threading.Event, chance: random.Random, counts: Counter[str]) -> None:
    number = 0
    while not over.wait(chance.uniform(0.3, 2.0)):
        options = ["--take-over"] if chance.random() < 0.3 else []
        done = home.warm.run(["ask", "-s", LABEL, *options, f"c{number} go on"], home.environment)
        counts[f"asked with status {done.returncode}"] += 1
        number += 1


@dataclass
class _AtOnce:
    """Whether two answers are listened to at once in one session, for longer than it takes to let go of one."""

    server: Server
    since: dict[frozenset[int], float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def look(self) -> None:
        now, connected = time.monotonic(), frozenset(self.server.connected)
        self.since = {connected: self.since.get(connected, now)} if len(connected) > 1 else {}
        if any(now - begun > LET_GO for begun in self.since.values()):
            self.wrong.append(f"{len(connected)} answers at once")
            self.since = {}


def _settle(home: Place, window: Terminal, report: Report) -> None:
    """Let what runs end, and say go to what waits, until nothing does."""

    def is_busy() -> bool:
        running = "SELECT 1 FROM turns WHERE status IN ('pending', 'streaming') UNION ALL SELECT 1 FROM leases"
        return bool(rows(home.file, running))

    deadline = time.monotonic() + OVER
    while (waits := rows(home.file, "SELECT id FROM queue")) or is_busy():
        if time.monotonic() > deadline:
            report.wrong.append(f"it does not come to an end: {len(waits)} prompts wait")
            return
        if waits and not is_busy():
            window.type(f"{CLEAR}{SEND}")
            report.counts["times go"] += 1
            _until(lambda waits=waits: rows(home.file, "SELECT id FROM queue") != waits, 5.0)
        time.sleep(0.02)


def _until(ready: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.02)


def _compare(home: Place, windows: list[Terminal], report: Report) -> None:
    kept = [
        Told(_name(prompt), tuple(_WORD.findall(text)), _mark(status))
        for status, prompt, text in rows(home.file, _TURNS)
    ]
    statuses = Counter(status for status, _, _ in rows(home.file, _TURNS))
    report.counts["turns"] = len(kept)
    report.counts |= dict(sorted(statuses.items()))
    for told in kept:
        whole = tuple(f"{told.prompt}w{place:03d}" for place in range(MANNER.words))
        report.expect(whole[: len(told.words)] == told.words, f"{told.prompt}: its answer is not what was said")
        report.expect(told.mark or told.words == whole, f"{told.prompt}: done, with {len(told.words)} words")
    seen = Counter(prompt.split()[0] for prompt in home.server.seen)
    report.wrong += [f"{prompt} was sent {count} times" for prompt, count in seen.items() if count > 1]
    names = Counter(told.prompt for told in kept)
    report.wrong += [f"{name} is there {count} times" for name, count in names.items() if count > 1]
    report.wrong += [f"{prompt} was sent and is not kept" for prompt in seen.keys() - names.keys()]
    for number, window in enumerate(windows, 1):
        window.type(SIDEBAR)
        window.resize(SIZE[0], len(kept) * LINES + 20)
        try:
            window.until(lambda lines: _told(lines) == kept, 30.0)
        except AssertionError:
            report.wrong += [f"window {number}: {one}" for one in _differences(kept, _told(window.screen()))]
        report.counts["turns compared"] += len(kept)


def _differences(kept: list[Told], shown: list[Told]) -> list[str]:
    """What two tellings do not agree on."""
    found = [
        f"turn {place} is {before.prompt} with {len(before.words)} words {before.mark!r}, "
        f"and shown as {after.prompt} with {len(after.words)} words {after.mark!r}"
        for place, (before, after) in enumerate(zip(kept, shown, strict=False), 1)
        if before != after
    ]
    return found if len(kept) == len(shown) else [f"{len(shown)} turns are shown, {len(kept)} kept", *found]


def _told(lines: list[str]) -> list[Told]:
    """The turns on a screen, without its input, status and keys."""
    turns: list[tuple[str, list[str], list[str]]] = []
    end = next((place for place in range(len(lines) - 1, 0, -1) if lines[place].startswith("╭")), len(lines))
    for line in lines[:end]:
        begun = re.match(r"\s*▌ (.+)", line)
        if begun:
            turns.append((_name(begun[1]), [], []))
        elif turns:
            turns[-1][1].extend(_WORD.findall(line))
            turns[-1][2].extend(mark for mark in "■✗" if re.match(rf"\s*{mark} ", line))
    return [Told(name, tuple(words), marks[0] if marks else "") for name, words, marks in turns]


def _name(prompt: str) -> str:
    return prompt.split()[0]


def _mark(status: str) -> str:
    """The mark of a turn that ended so."""
    return {"done": "", "failed": "✗"}.get(status, "■")
