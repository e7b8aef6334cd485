"""B4: answers that stream: what they cost, whether they keep up, how typing feels meanwhile."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass

from tests.bench import histories
from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, PYTHON, ROOT, environment, history, home
from tests.bench.rows import Setting
from tests.bench.server import END, Stand
from tests.bench.watched import Watched

_CHARACTERS = 4
"""Of a token, on average."""


def measure(setting: Setting) -> list[Figure]:
    seconds = 6 if setting.quick else 20
    jobs = [(shape, 1_000 * seconds * _CHARACTERS, 1_000) for shape in ("mixed", "paragraph", "fence", "list", "table")]
    jobs += [("mixed", 5_000 * seconds * _CHARACTERS, 5_000)]
    if not setting.quick:
        jobs += [("mixed", 1_000_000, 5_000)]
    figures: list[Figure] = []
    with Stand() as stand:
        for shape, characters, rate in jobs:
            figures += _job(stand, shape, characters, rate)
    return figures


def _job(stand: Stand, shape: str, characters: int, rate: int) -> list[Figure]:
    """The same answer twice: once with no key pressed, for what it costs; once with someone who types all the time."""
    model = f"{shape}-{characters}-{rate}"
    name = f"{shape}, {characters // 1000:,} kB at {rate:,}/s"
    receive = [str(PYTHON), str(ROOT / "tests" / "bench" / "floor_receive.py"), stand.url, model]
    floor = float(subprocess.run(receive, env=environment(), capture_output=True, text=True, check=True).stdout)
    calm, typed = (
        _run(stand, model, characters / _CHARACTERS / rate, is_typing=is_typing) for is_typing in (False, True)
    )
    figures = [
        Figure("B4", f"{name}: CPU, nobody types", "%", calm.core, (100 * floor / calm.took,), "receiving only",
               limit=30.0 if rate == 1_000 else None),
        Figure("B4", f"{name}: CPU, someone types all the time", "%", typed.core, calm.core, "nobody types"),
    ]  # fmt: skip
    for about, run in (("nobody types", calm), ("someone types", typed)):
        figures.append(Figure("B4", f"{name}: end shown after it was sent, {about}", "s", run.late, limit=0.5,
                              trouble="" if run.late else "the end was never shown"))  # fmt: skip
    figures.append(Figure("B4", f"{name}: echo of a key", "ms", typed.echo, typed.idle, "idle", "p95", 60.0))
    if calm.second:
        figures.append(Figure("B4", f"{name}: CPU of the second half, nobody types", "%", calm.second, calm.first,
                              "first half", times=1.2))  # fmt: skip
    return figures


@dataclass(frozen=True)
class _Run:
    """What a stream came to: seconds it took, per cent of a core (of its halves too), seconds late, echoes in ms."""

    took: float
    core: tuple[float, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    late: tuple[float, ...]
    echo: tuple[float, ...]
    idle: tuple[float, ...]


def _run(stand: Stand, model: str, seconds: float, *, is_typing: bool) -> _Run:
    before = len(stand.stats())
    histories.seed(history("stream"), {"here": 20})
    taken = Samples()
    half: list[tuple[float, float]] = []
    with Watched([str(PALAVER), "--new"], env=home("stream", url=stand.url, model=model)) as program:
        program.wait_quiet(0.5)
        taken.add("idle", *(program.echo() * 1e3 for _ in range(20)))
        program.type("go\r")
        about = stand.newest(before, "first")
        used, began = program.cpu(), time.monotonic()
        chance = random.Random(1)
        since = program.mark()
        end: float | None = None
        deadline = began + 3 * seconds + 30
        half_at = about["first"] + seconds / 2
        while end is None and time.monotonic() < deadline:
            if is_typing:
                taken.add("echo", program.echo(20) * 1e3)
            if not half and time.monotonic() >= half_at:
                half.append((time.monotonic(), program.cpu()))
            wait = chance.uniform(0.02, 0.12) if is_typing else max(0.2, half_at - time.monotonic())
            end = program.wait_for(END, since, wait)
        used_at_end, ended = program.cpu(), time.monotonic()
        about = stand.newest(before, "last")
    first: tuple[float, ...] = ()
    second: tuple[float, ...] = ()
    if half:
        at, used_at_half = half[0]
        first = (100 * (used_at_half - used) / (at - began),)
        second = (100 * (used_at_end - used_at_half) / (ended - at),)
    return _Run(
        took=ended - began,
        core=(100 * (used_at_end - used) / (ended - began),),
        first=first,
        second=second,
        late=(end - about["last"],) if end is not None and "last" in about else (),
        echo=taken.of("echo"),
        idle=taken.of("idle"),
    )
