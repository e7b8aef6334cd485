"""One answer streamed into a program: what it cost, counted so that a busy machine changes little of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import histories
from tests.bench.figures import quantile
from tests.bench.program import PYTHON, history, home
from tests.bench.server import END, Stand
from tests.bench.watched import FRAME_END, Watched

CHARACTERS = 4
"""Of a token, on average."""


@dataclass(frozen=True)
class Stream:
    """An answer: its shape, how many seconds it takes, tokens per second, and whether someone types meanwhile."""

    shape: str = "mixed"
    seconds: int = 10
    rate: int = 1_000
    is_typed_beside: bool = False

    @property
    def model(self) -> str:
        return f"{self.shape}-{self.seconds * self.rate * CHARACTERS}-{self.rate}"

    def __str__(self) -> str:
        return f"{self.shape} {self.rate}/s{' typing' if self.is_typed_beside else ''}"


@dataclass(frozen=True)
class Cost:
    """What a stream cost a program. CPU in microseconds of a token, its first and its second half, and in per cent of a
    core; frames and bytes of a second; echo in milliseconds; late in seconds."""

    cpu: float
    first: float
    second: float
    core: float
    frames: float
    written: float
    echo: float
    echo_p95: float
    late: float


def argv_of(tree: Path) -> tuple[list[str], dict[str, str]]:
    """How the program of a working tree is started: the command, and what its environment needs for that."""
    # Without -P the folder this runs in would come first.
    return [str(PYTHON), "-P", "-m", "tui"], {"PYTHONPATH": str(tree)}


def measure(
    stand: Stand,
    stream: Stream,
    tree: Path,
    beside: Callable[[int], AbstractContextManager[object]] = lambda _pid: nullcontext(),
) -> Cost:
    """Stream it into the program of a working tree, in a new history. `beside` goes on meanwhile, given its process."""
    name = "beside"
    shutil.rmtree(history(name).parent, ignore_errors=True)
    argv, more = argv_of(tree)
    env = home(name, url=stand.url, model=stream.model) | more
    histories.seed(history(name), {"here": 20})
    before = len(stand.stats())
    with Watched([*argv, "--new"], env=env) as program:
        program.wait_for("Send")
        program.wait_quiet(0.5)
        since = program.mark()
        program.type("go\r")
        first = stand.newest(before, "first")["first"]
        used, began, halves = program.cpu(), time.monotonic(), (0.0, 0.0)
        echoes: list[float] = []
        end: float | None = None
        deadline = began + 3 * stream.seconds + 30
        half_at = first + stream.seconds / 2
        with beside(program.pid):
            while end is None and time.monotonic() < deadline:
                if stream.is_typed_beside:
                    echoes.append(program.echo(20) * 1e3)
                if not halves[0] and time.monotonic() >= half_at:
                    halves = (time.monotonic(), program.cpu())
                wait = 0.1 if stream.is_typed_beside else max(0.2, half_at - time.monotonic())
                end = program.wait_for(END, since, wait)
        used_at_end, ended = program.cpu(), time.monotonic()
        data = program.written(since)
        about = stand.newest(before, "last")
    took = ended - began
    tokens = float(about["tokens"])
    share = min(1.0, (halves[0] - first) / stream.seconds) if halves[0] else 0.5
    return Cost(
        cpu=1e6 * (used_at_end - used) / tokens,
        first=1e6 * (halves[1] - used) / (tokens * share),
        second=1e6 * (used_at_end - halves[1]) / (tokens * (1 - share)) if share < 1 else 0.0,
        core=100 * (used_at_end - used) / took,
        frames=data.count(FRAME_END) / took,
        written=len(data) / took,
        echo=median(echoes) if echoes else 0.0,
        echo_p95=quantile(echoes, 0.95),
        late=(end or ended) - about.get("last", ended),
    )
