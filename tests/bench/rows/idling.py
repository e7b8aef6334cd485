"""B11: what the program does while nothing happens, and while another session answers."""

from __future__ import annotations

import time

from tests.bench import histories
from tests.bench.figures import Figure
from tests.bench.program import PALAVER, history, home
from tests.bench.rows import Setting
from tests.bench.server import Stand
from tests.bench.watched import Watched

_DOWN = "\x1b[1;3B"
_RATE = 50


def measure(setting: Setting) -> list[Figure]:
    seconds = 10 if setting.quick else 60
    history("idle").with_name("seeded").unlink(missing_ok=True)
    histories.seed(history("idle"), {"answers": 100, "rests": 100})
    with Stand() as stand:
        env = home("idle", url=stand.url, model=f"mixed-{4 * _RATE * (seconds + 30)}-{_RATE}")
        with Watched([str(PALAVER), "answers"], env=env) as program:
            program.wait_for(histories.end_of("answers"))
            program.wait_idle(seconds=15)
            idle, idle_bytes = _watch(program, seconds)
            program.type("go\r")
            stand.newest(0, "sent")
            program.type(_DOWN)
            program.wait_for(histories.end_of("rests"))
            program.wait_quiet(1.0, 3)
            behind, behind_bytes = _watch(program, seconds)
    return [
        Figure("B11", f"{seconds} s of nothing: CPU", "%", (idle,), limit=0.3),
        Figure("B11", f"{seconds} s of nothing: bytes written", "", (idle_bytes,), limit=0.0),
        Figure("B11", f"another session streams {_RATE}/s: CPU", "%", (behind,), limit=5.0),
        Figure("B11", f"another session streams {_RATE}/s: bytes written", "/s", (behind_bytes / seconds,)),
    ]


def _watch(program: Watched, seconds: float) -> tuple[float, float]:
    """Per cent of a core used, and bytes written, in a time."""
    since, used, began = program.mark(), program.cpu(), time.monotonic()
    time.sleep(seconds)
    core = 100 * (program.cpu() - used) / (time.monotonic() - began)
    return core, float(len(program.written(since)))
