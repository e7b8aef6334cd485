"""`kill -9` of the window at a random moment of a run that its server goes on with, and then the next start.

What the history holds in the end is compared, character by character, with what the server has said.
"""

from __future__ import annotations

import importlib
import os
import random
import select
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.base import Running, serving
from tests.store.histories import is_whole, rows
from tests.torture.report import Report
from tests.torture.warm import Warm, environment

NAMES = ("responses", "agenta", "agent-server")
PACE = 0.02
"""Seconds between two words of an answer."""

WORDS = 60
WIDTH, HEIGHT = 100, 30
PATIENCE = 40.0
"""Seconds a window may take for anything it is waited for."""

_MESSAGES = "SELECT text FROM messages WHERE session = ?"


@dataclass
class Place:
    """A server that goes on with its runs, and folders of its own for the program that talks to it."""

    name: str
    folder: Path
    server: Running

    def __post_init__(self) -> None:
        module = importlib.import_module(f"tests.servers.{self.name.replace('-', '_')}")
        background = "" if self.name == "agenta" else "background = true\n"
        (self.folder / "config").mkdir(mode=0o700, parents=True)
        file = self.folder / "config" / "config.toml"
        file.write_text(module.profile_text(self.server.url) + background, encoding="utf-8")
        file.chmod(0o600)

    @property
    def file(self) -> Path:
        return self.folder / "data" / "history.db"

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.folder)

    def begun(self, prompt: str) -> bool:
        """Whether the server has begun to answer a prompt."""
        return any(prompt.encode() in asked.body for asked in list(self.server.service.asked))

    def sent(self) -> str:
        """What the server has said in its newest run."""
        service: Any = self.server.service
        if self.name == "agenta":
            (*_, session) = service.sessions.values()
            return "".join(one["delta"] for one in session.runs[-1].events if one["type"] == "message_delta")
        (*_, run) = service._runs.values()
        return "".join(one["delta"] for one in run.events if one["type"] == "response.output_text.delta")

    def turn(self, label: str) -> Kept:
        """How the only turn of a session stands on disk."""
        query = "SELECT t.id, t.status, t.run FROM turns t JOIN sessions s ON s.id = t.session_id WHERE s.label = ?"
        found = rows(self.file, query, label) if self.file.exists() else []
        return Kept(*found[0]) if len(found) == 1 else Kept("", "missing", "")


@dataclass(frozen=True)
class Kept:
    """A turn on disk: its id, its status, the name of its run."""

    id: str
    status: str
    run: str

    @property
    def is_over(self) -> bool:
        return self.status not in ("missing", "pending", "streaming")


def run(count: int, seed: int) -> Report:
    """So many kills, in turn with each of the servers."""
    report, chance = Report("reattach"), random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="palaver-reattach-")))
        warm = stack.enter_context(Warm())
        places = []
        for name in NAMES[:count]:
            module = importlib.import_module(f"tests.servers.{name.replace('-', '_')}")
            server = stack.enter_context(serving(module.make(pace=PACE)))
            places.append(Place(name, folder / name, server))
        for number in range(count):
            _kill(places[number % len(places)], warm, f"r{number}", chance, report)
        for place in places:
            report.expect(is_whole(place.file), f"{place.name}: the history is not whole")
    return report


def _kill(place: Place, warm: Warm, label: str, chance: random.Random, report: Report) -> None:
    prompt = " ".join(f"{label}w{word:02d}" for word in range(WORDS))
    name = f"{place.name} {label}"
    with _Window(warm, place, label) as window:
        window.until(lambda: b"Type a message" in window.shown)
        os.write(window.fd, f"\x1b[200~{prompt}\x1b[201~\r".encode())
        window.until(lambda: place.begun(prompt))
        end = time.monotonic() + chance.uniform(0, WORDS * PACE * 1.3)
        window.until(lambda: time.monotonic() >= end)
    report.counts["kills"] += 1
    # Opening it for writing, as the next start does, so that a journal left behind is dealt with.
    report.expect(is_whole(place.file), f"{name}: the history is not whole")
    before = place.turn(label)
    # Without a name there is nothing by which the run could be taken up.
    is_reached = before.status == "done" or bool(before.run)
    with _Window(warm, place, label) as window:
        window.until(lambda: place.turn(label).status == "done" if is_reached else place.turn(label).is_over)
    after, sent = place.turn(label), place.sent()
    texts = [text for (text,) in rows(place.file, f"{_MESSAGES} AND role = 'assistant'", label)]
    resumed = rows(place.file, "SELECT 1 FROM attempts WHERE turn_id = ? AND kind = 'resumed'", after.id)
    asked = sum(one.method == "POST" and prompt.encode() in one.body for one in place.server.service.asked)
    report.expect(asked == 1, f"{name}: it was sent {asked} times")
    if not is_reached:
        report.counts["killed before the run's name was on disk"] += 1
        report.expect(after.status in ("interrupted", "failed"), f"{name}: without a name it is {after.status}")
        report.expect(sent.startswith("".join(texts)), f"{name}: the server sent {sent!r}, there is {texts!r}")
        return
    if before.status == "done":
        report.counts["killed after the end"] += 1
    else:
        report.counts[f"taken up again by {place.name}"] += 1
        report.expect(len(resumed) == 1, f"{name}: it was taken up {len(resumed)} times")
    report.counts["bytes compared"] += len(sent.encode())
    report.expect(after.status == "done", f"{name}: it is {after.status}")
    report.expect(texts == [sent], f"{name}: the server sent {sent!r}, there is {texts!r}")


class _Window:
    """A window on a session, which is killed when it has done what is wanted. To be used as a context."""

    def __init__(self, warm: Warm, place: Place, label: str) -> None:
        self._warm = warm
        self.pid, self.fd = warm.window(["open", label], place.environment, (WIDTH, HEIGHT))
        self.shown = b""

    def __enter__(self) -> _Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._warm.kill(self.pid)
        os.close(self.fd)

    def until(self, ready: Callable[[], object]) -> None:
        """Read what the window writes, until something holds, or patience ends."""
        deadline = time.monotonic() + PATIENCE
        while not ready() and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.005)[0]:
                self.shown = (self.shown + os.read(self.fd, 65536))[-100_000:]
