"""B4: answers that stream: what they cost, whether they keep up, how typing feels meanwhile."""

from __future__ import annotations

import random
import subprocess
import time

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
    model = f"{shape}-{characters}-{rate}"
    name = f"{shape}, {characters // 1000:,} kB at {rate:,}/s"
    receive = [str(PYTHON), str(ROOT / "tests" / "bench" / "floor_receive.py"), stand.url, model]
    floor = float(subprocess.run(receive, env=environment(), capture_output=True, text=True, check=True).stdout)
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
        deadline = began + 3 * characters / _CHARACTERS / rate + 30
        half_at = about["first"] + characters / _CHARACTERS / rate / 2
        while end is None and time.monotonic() < deadline:
            taken.add("echo", program.echo(20) * 1e3)
            if not half and time.monotonic() >= half_at:
                half.append((time.monotonic(), program.cpu()))
            end = program.wait_for(END, since, chance.uniform(0.02, 0.12))
        used_at_end, ended = program.cpu(), time.monotonic()
        about = stand.newest(before, "last")
    core = 100 * (used_at_end - used) / (ended - began)
    figures = [Figure("B4", f"{name}: CPU", "%", (core,), (100 * floor / (ended - began),), "receiving only",
                      limit=30.0 if rate == 1_000 else None)]  # fmt: skip
    late = (end - about["last"],) if end is not None and "last" in about else ()
    figures.append(Figure("B4", f"{name}: end shown after it was sent", "s", late, limit=0.5,
                          trouble="" if late else "the end was never shown"))  # fmt: skip
    echo, idle = taken.of("echo"), taken.of("idle")
    figures.append(Figure("B4", f"{name}: echo of a key", "ms", echo, idle, "idle", "p95", 60.0))
    if half:
        at, used_at_half = half[0]
        first, second = (used_at_half - used) / (at - began), (used_at_end - used_at_half) / (ended - at)
        figures.append(Figure("B4", f"{name}: CPU of the second half", "%", (100 * second,), (100 * first,),
                              "first half", times=1.2))  # fmt: skip
    return figures
