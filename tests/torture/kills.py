"""`kill -9` of the real program at a random moment, again and again, against a real server that notes what it was asked.

After each kill: what the server saw is in the history once, what was on the screen for 250 ms is there, the file is whole,
and the next start marks the answer that was cut short.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import ptyprocess
import pyte

from tests.store.histories import is_whole, rows
from tests.torture.report import Report
from tests.torture.server import Manner, Server, serving
from tests.torture.warm import Warm, environment

ROOT = Path(__file__).parent.parent.parent
DURABLE_AFTER = 0.25
"""Seconds after which what is visible is on disk."""

LABELS = ("work", "play", "new one")
WIDTH, HEIGHT = 100, 30
MANNER = Manner(wait=0.05, words=60, pause=0.012)
MEMORY = "/dev/shm"
AT_ONCE = 3
"""Windows that run beside each other, each with a history of its own: they wait more than they work."""

COLD = 0.05
"""The share of windows that are started like any program, and so may be killed while they load."""


@dataclass
class Witness:
    """When each word of an answer was first seen.

    What is read of a terminal ends anywhere, so that half of a line may be of one frame and half of the one before it:
    where `settles` is given, a word was there only if it still is so many seconds later.
    """

    settles: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)
    glimpsed: dict[str, float] = field(default_factory=dict)

    def look(self, text: str, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        words = set(re.findall(r"k\d+n\d+w\d{3}", text))
        self.glimpsed = {word: self.glimpsed.get(word, now) for word in words}
        for word, since in self.glimpsed.items():
            if now - since >= self.settles:
                self.seen.setdefault(word, since)

    def by(self, moment: float) -> set[str]:
        """The words seen until then."""
        return {word for word, when in self.seen.items() if when <= moment}


@dataclass
class Place:
    """Folders of its own for the program."""

    folder: Path
    server: Server
    warm: Warm

    def __post_init__(self) -> None:
        config = self.folder / "config"
        config.mkdir(mode=0o700)
        file = config / "config.toml"
        file.write_text(
            f'profile = "here"\n[profiles.here]\nprotocol = "responses"\nbase_url = "{self.server.url}"\nmodel = "m"\n',
            encoding="utf-8",
        )
        file.chmod(0o600)

    @property
    def file(self) -> Path:
        return self.folder / "data" / "history.db"

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.folder, COLORTERM="truecolor")


def ask(count: int, seed: int) -> Report:
    """Kill `palaver ask -s LABEL`."""
    return _kill("kill-ask", count, seed, _one_ask)


def window(count: int, seed: int) -> Report:
    """Kill the window in a terminal: a few beside each other, so many in all."""
    report = Report("kill-tui")
    shares = [len(range(place, count, AT_ONCE)) for place in range(min(AT_ONCE, count))]
    with ProcessPoolExecutor(len(shares), multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(_windows, shares, [seed * AT_ONCE + place for place in range(len(shares))]))
    for part in parts:
        report.counts += part.counts
        report.wrong += part.wrong
    report.figures["a whole run"] = " and ".join(part.figures["a whole run"] for part in parts)
    return report


def _windows(count: int, seed: int) -> Report:
    return _kill("kill-tui", count, seed, _one_window)


Once = Callable[[Place, str, random.Random, float, Report], tuple[Witness, float]]


def _kill(name: str, count: int, seed: int, once: Once) -> Report:
    report = Report(name)
    chance = random.Random(seed)
    # In memory where there is such a place: a killed process loses nothing that a disk would keep.
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix=f"palaver-{name}-", dir=memory) as folder,
        serving(MANNER, chance) as server,
        Warm() as warm,
    ):
        place = Place(Path(folder), server, warm)
        whole = time.monotonic()
        once(place, "k0n", chance, 60.0, report)
        whole = time.monotonic() - whole
        report.figures["a whole run"] = f"{whole:.2f} s"
        for number in range(1, count + 1):
            seen = len(server.seen)
            # From the first instruction to well after the end.
            witness, killed = once(place, f"k{number}n", chance, chance.uniform(0, whole * 1.15), report)
            _check(place, f"kill {number}", server.seen[seen:], witness, killed, report)
        report.expect(is_whole(place.file), "the history is not whole")
    return report


def _check(place: Place, name: str, asked: list[str], witness: Witness, killed: float, report: Report) -> None:
    report.counts["kills"] += 1
    report.counts["prompts sent"] += len(asked)
    if not place.file.exists():
        report.expect(not asked, f"{name}: the server saw {asked} and there is no history")
        return
    try:
        # Opening it for writing, as the next start does, so that a journal left behind is dealt with.
        ready = is_whole(place.file)
        messages = rows(place.file, "SELECT role, text, status FROM messages")
    except Exception as error:  # noqa: BLE001 - one more thing that is wrong; the run goes on
        made = place.file.stat().st_size > 0
        report.expect(not asked and not made, f"{name}: {error!r} after {asked}")
        return
    report.expect(ready, f"{name}: the history is not whole")
    for prompt in asked:
        times = sum(role == "user" and text == prompt for role, text, _ in messages)
        report.expect(times == 1, f"{name}: {prompt!r} was sent once and kept {times} times")
    kept = {word for role, text, _ in messages if role == "assistant" for word in text.split()}
    visible = witness.by(killed - DURABLE_AFTER)
    report.counts["words visible for 250 ms"] += len(visible)
    lost = sorted(visible - kept)
    late = max((killed - witness.seen[word] for word in lost), default=0.0)
    report.expect(not lost, f"{name}: {len(lost)} words were visible for up to {late:.3f} s and are lost: {lost[:3]}")
    cut = sum(status in ("pending", "streaming") for role, _, status in messages if role == "user")
    report.counts["answers cut short"] += cut
    report.expect(cut <= len(asked) or cut <= 1, f"{name}: {cut} answers claim to be running")
    _check_next_start(place, name, report)


def _check_next_start(place: Place, name: str, report: Report) -> None:
    done = place.warm.run(["sessions", "list", "--json"], place.environment)
    report.expect(
        done.returncode == 0 and not done.stderr, f"{name}: the next start says {done.stderr!r} ({done.returncode})"
    )
    statuses = {session["status"] for session in json.loads(done.stdout or "[]")}
    report.expect(not statuses & {"pending", "streaming"}, f"{name}: after the next start sessions are {statuses}")
    running = rows(place.file, "SELECT id, status FROM turns WHERE status IN ('pending', 'streaming')")
    report.expect(not running, f"{name}: after the next start there are turns without an end: {running}")
    alive = sorted(file.name for file in place.file.with_name("history.db.live").iterdir())
    report.expect(not alive, f"{name}: {alive} claim to live")


def _one_ask(place: Place, name: str, chance: random.Random, after: float, report: Report) -> tuple[Witness, float]:
    """Ask, and kill it after so many seconds. Gives what was printed, and when it was killed."""
    prompt = f"{name}0 tell me something"
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "tui", "ask", "-s", chance.choice(LABELS), prompt],
        cwd=ROOT, env=place.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    witness, printed = Witness(), ""
    while (left := begun + after - time.monotonic()) > 0:
        if not select.select([process.stdout], [], [], left)[0]:
            break
        data = os.read(process.stdout.fileno(), 65536)
        if not data:
            break
        printed += data.decode()
        witness.look(printed)
    killed = time.monotonic()
    process.kill()
    status = process.wait()
    process.stdout.close()
    report.counts["killed while it ran"] += status == -signal.SIGKILL
    report.expect(status in (0, -signal.SIGKILL), f"{name}: it ended with {status}")
    return witness, killed


UNREAD = re.compile(rb"\x1b\[[0-9;]*m|\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1b\]22;[^\x1b\x07]*(\x1b\\|\x07)")
"""Colours, which are most of what a window writes and say nothing here, and what pyte does not know."""


class _Clock:
    """Seconds of a clock that stands while a process is ready to run and the machine, busy with others, does not let it."""

    def __init__(self, pid: int) -> None:
        self._tasks = f"/proc/{pid}/task"
        self._waited: dict[str, float] = {}

    def now(self) -> float:
        with suppress(OSError):
            for task in os.scandir(self._tasks):
                self._waited[task.name] = int(Path(task.path, "schedstat").read_text().split()[1]) / 1e9
        # Its threads mostly wait for one another: what one of them lost is counted, not what all did.
        return time.monotonic() - max(self._waited.values(), default=0.0)


class _Screen(pyte.Screen):
    """pyte's model, which draws only the lines that changed as text: reading all of it each time costs more than it."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self._text = [""] * lines

    def report_device_status(self, *args: object, **kwargs: object) -> None:
        """pyte would answer; no one listens."""

    def text(self) -> str:
        for number in self.dirty:
            line = self.buffer[number]
            self._text[number] = "".join(line[column].data for column in range(self.columns))
        self.dirty.clear()
        return "\n".join(self._text)


@dataclass
class _Window:
    """A window that runs: its process, the terminal's other side, and how it is ended."""

    pid: int
    fd: int
    kill: Callable[[], object]


def _open(place: Place, label: str, chance: random.Random, report: Report) -> _Window:
    if chance.random() >= COLD:
        pid, fd = place.warm.window(["open", label], place.environment, (WIDTH, HEIGHT))

        def kill() -> None:
            status = place.warm.kill(pid)
            os.close(fd)
            report.expect(status == -signal.SIGKILL, f"a window ended with {status}")

        return _Window(pid, fd, kill)
    report.counts["windows started cold"] += 1
    process = ptyprocess.PtyProcess.spawn(
        [sys.executable, "-m", "tui", "open", label],
        cwd=str(ROOT), env=place.environment, dimensions=(HEIGHT, WIDTH),
    )  # fmt: skip

    def kill_cold() -> None:
        process.kill(signal.SIGKILL)
        process.wait()
        process.close()

    return _Window(process.pid, process.fd, kill_cold)


def _one_window(place: Place, name: str, chance: random.Random, after: float, report: Report) -> tuple[Witness, float]:
    """Open the window, say things one after another, and kill it after so many seconds."""
    begun = time.monotonic()
    window = _open(place, chance.choice(LABELS), chance, report)
    clock = _Clock(window.pid)
    screen = _Screen(WIDTH, HEIGHT)
    stream = pyte.ByteStream(screen)
    witness = Witness(settles=0.03)
    asked, limit = 0, 2
    text = ""
    while (left := begun + after - time.monotonic()) > 0:
        if asked <= limit and _is_ready(text, f"{name}{asked - 1}" if asked else ""):
            if asked == limit:
                break
            os.write(window.fd, f"{name}{asked} tell me more\r".encode())
            asked += 1
        if select.select([window.fd], [], [], min(left, 0.05))[0]:
            try:
                data = os.read(window.fd, 65536)
            except OSError:
                break
            stream.feed(UNREAD.sub(b"", data))
        text = screen.text()
        witness.look(text, clock.now())
    killed = clock.now()
    window.kill()
    report.counts["prompts typed"] += asked
    return witness, killed


def _is_ready(text: str, before: str) -> bool:
    """Whether the next thing can be said: the window is there, and the answer before has come to its last word."""
    return f"{before}w{MANNER.words - 1:03d}" in text if before else "Send" in text
