"""Minutes of use of the real window in a terminal, as fast as it goes: memory, threads and descriptors stay as they are."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.loopback import palaver
from tests.store.histories import is_whole, rows
from tests.terminal import Terminal, terminal
from tests.torture.report import Report
from tests.torture.server import Manner, Server, serving
from tests.torture.soak import GROWTH
from tests.torture.warm import environment
from tui.app.screens.changing import PICK_WITHIN

MANNER = Manner(wait=0.01, words=40, pause=0.005)
SIZES = ((100, 30), (80, 24), (140, 40), (60, 20))
LABELS = ("one", "two", "three", "four")
WARM = 0.4
"""The share of a run after which what is kept for reuse has been had."""

LOOKS = 20
"""How often it is looked how the process stands."""

STEADY = 8.0
"""Megabytes by which memory goes up and down by itself: a short run has too few turns for a slope."""

ALT_UP, ALT_DOWN, ESCAPE = "\x1b[1;3A", "\x1b[1;3B", "\x1b"
OUTAGE = b"NOT SAVED"
ANSWERS_TO_ESCAPE = (b"Cancelled", b"stopped", b"Esc again")
"""What is shown once an answer is stopped, or was over before."""

ENDED = """
SELECT 1 FROM items i JOIN turns t ON t.id = i.turn_id WHERE i.position = 0 AND i.text = ? AND t.status = 'done'
"""
RUNNING = "SELECT 1 FROM turns WHERE status IN ('pending', 'streaming')"


@dataclass(frozen=True)
class Standing:
    """How the process stands after so many turns: resident memory in megabytes, and what it holds."""

    turns: int
    memory: float
    threads: int
    descriptors: int


class _User:
    """Whoever types: says things, stops them, goes elsewhere, makes the window another size; and takes the disk away.

    What is on the screen is looked for in what came for it: a model of it begins anew with each size.
    """

    def __init__(self, t: Terminal, history: Path, server: Server, chance: random.Random, report: Report) -> None:
        self._t = t
        self._history = history
        self._server = server
        self._chance = chance
        self._report = report
        self._stopped_at = 0.0
        self.turns = 0

    def act(self) -> None:
        act = self._chance.choices(("say", "stop", "switch", "resize", "lose the disk"), (10, 3, 4, 2, 1))[0]
        # Where an answer ends before the key comes, two of them would ask for a list of messages.
        if act == "stop" and time.monotonic() < self._stopped_at + 2 * PICK_WITHIN:
            act = "say"
        match act:
            case "say":
                self._say()
                self._until_over()
            case "stop":
                before = len(self._t.output)
                name = self._say()
                self._until_painted(f"{name}w0".encode(), before)
                before = len(self._t.output)
                self._t.type(ESCAPE)
                self._stopped_at = time.monotonic()
                # With the next key right behind it, it would be another key.
                self._until(
                    lambda: any(word in self._t.output[before:] for word in ANSWERS_TO_ESCAPE), "Esc did nothing"
                )
                self._report.counts["stopped"] += 1
                self._until_over()
            case "switch":
                self._t.type(self._chance.choice((ALT_UP, ALT_DOWN)))
                self._report.counts["switches"] += 1
            case "resize":
                self._t.resize(*self._chance.choice(SIZES))
                self._report.counts["resizes"] += 1
            case _:
                self.lose_the_disk()

    def _say(self) -> str:
        """Say something. Gives its first word, once it has come to the server."""
        self.turns += 1
        name = f"k{self.turns}n"
        self._t.type(f"{name} tell me more\r")
        self._until(lambda: any(one.startswith(f"{name} ") for one in self._server.seen), f"{name} never came")
        self._report.counts["turns"] += 1
        return name

    def _until_over(self) -> None:
        self._until(lambda: not self._server.connected, "an answer has no end")
        self._until(lambda: not self._has(RUNNING), "a turn has no end")

    def _has(self, query: str, *values: str) -> bool:
        try:
            return bool(rows(self._history, query, *values))
        except sqlite3.OperationalError:
            # What a write that failed left behind is the window's to put right: till then no one else can read.
            return query == RUNNING

    def _until(self, ready: Callable[[], object], otherwise: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise AssertionError("\n".join([otherwise, *self._t.screen()]))
            time.sleep(0.01)

    def _until_painted(self, text: bytes, before: int) -> None:
        self._until(lambda: text in self._t.output[before:], f"{text!r} was never painted")

    def lose_the_disk(self) -> None:
        """For one turn no file can be written; all of it is there afterwards."""
        hard = resource.prlimit(self._t.pid, resource.RLIMIT_FSIZE)[1]
        before = len(self._t.output)
        resource.prlimit(self._t.pid, resource.RLIMIT_FSIZE, (0, hard))
        name = self._say()
        self._until_painted(OUTAGE, before)
        self._until(lambda: not self._server.connected, "an answer has no end")
        resource.prlimit(self._t.pid, resource.RLIMIT_FSIZE, (hard, hard))
        self._report.counts["disks lost"] += 1
        self._until(lambda: self._has(ENDED, f"{name} tell me more"), f"{name} was never written")


def run(seconds: int, seed: int) -> Report:
    """Use a window for so many seconds, in several sessions."""
    report, chance = Report("soak-window"), random.Random(seed)
    # The server, which has a thread of its own, takes its chances elsewhere: what is done is the same for the same seed.
    with tempfile.TemporaryDirectory(prefix="palaver-soak-") as name, serving(MANNER, random.Random(seed)) as server:
        folder = Path(name)
        (folder / "config").mkdir(mode=0o700)
        file = folder / "config" / "config.toml"
        file.write_text(
            f'profile = "here"\n[profiles.here]\nprotocol = "responses"\nbase_url = "{server.url}"\nmodel = "m"\n'
        )
        file.chmod(0o600)
        history = folder / "data" / "history.db"
        for label in LABELS:
            done = palaver("ask", "-s", label, f"{label} begins", env=environment(folder))
            report.expect(done.returncode == 0, f"{label}: {done.stderr}")
        with terminal("open", LABELS[0], env=environment(folder)) as t:
            t.shows("Type a message")
            user = _User(t, history, server, chance, report)
            standings = _use(t, user, seconds)
            t.type("\x03\x11")
            report.expect(t.ends(60) == 0, "it did not leave with status 0")
            report.expect(not t.strange(), f"strange sequences: {t.strange()[:3]}")
        _judge(report, standings)
        report.expect(is_whole(history), "the history is not whole")
        kept = [text.split()[0] for (text,) in rows(history, "SELECT text FROM items WHERE position = 0 ORDER BY id")]
        said = [*LABELS, *(f"k{number}n" for number in range(1, user.turns + 1))]
        report.expect(kept == said, f"{len(kept)} of {len(said)} prompts are kept, or in another order")
    return report


def _use(t: Terminal, user: _User, seconds: float) -> list[Standing]:
    # The first time that something is wrong opens the log, which stays open.
    user.lose_the_disk()
    begun, standings = time.monotonic(), list[Standing]()
    while (now := time.monotonic()) < begun + seconds or user.turns < LOOKS:
        user.act()
        if now - begun >= seconds * len(standings) / LOOKS:
            standings.append(_standing(t, user.turns))
    return standings


def _judge(report: Report, standings: list[Standing]) -> None:
    warm = standings[int(len(standings) * WARM) :]
    first, last = warm[0], warm[-1]
    for name in ("threads", "descriptors"):
        before = max(getattr(one, name) for one in standings[: len(standings) - len(warm) + 1])
        now = max(getattr(one, name) for one in warm)
        report.figures[name] = f"{before} to {now}"
        report.expect(now <= before, f"{name} grew from {before} to {now}")
    growth = (last.memory - first.memory) / max(1, last.turns - first.turns) * 1000
    report.figures["memory"] = f"{first.memory:.1f} to {last.memory:.1f} MB, {growth:.2f} MB for a thousand turns"
    report.expect(
        growth < GROWTH or last.memory - first.memory < STEADY, f"memory grew by {growth:.2f} MB for a thousand turns"
    )


def _standing(t: Terminal, turns: int) -> Standing:
    process = Path(f"/proc/{t.pid}")
    pages = int((process / "statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    counts = []
    for _ in range(10):
        # What is just being closed is not counted.
        counts.append((len(os.listdir(process / "task")), len(os.listdir(process / "fd"))))
        time.sleep(0.02)
    return Standing(turns, memory, min(threads for threads, _ in counts), min(files for _, files in counts))
