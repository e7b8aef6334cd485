"""B5: Esc, to the frame that says so and to the socket that is closed, at 5,000 tokens a second."""

from __future__ import annotations

import time

from tests.bench import histories
from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, history, home
from tests.bench.rows import Setting
from tests.bench.server import Stand
from tests.bench.watched import Watched


def measure(setting: Setting) -> list[Figure]:
    histories.seed(history("stop"), {"here": 20})
    taken = Samples()
    trouble = ""
    with Stand() as stand:
        env = home("stop", url=stand.url, model="mixed-2000000-5000")
        with Watched([str(PALAVER), "--new"], env=env) as program:
            program.wait_for("Send")
            program.wait_quiet(0.5)
            since = program.mark()
            rounds: list[tuple[float, float]] = []
            for _ in range(10 if setting.quick else 50):
                before = len(stand.stats())
                program.type("go\r")
                stand.newest(before, "sent")
                # Some text has to be there: a stop before it brings the prompt back.
                program.echo()
                pressed = program.type("\x1b")
                program.wait_quiet(0.3)
                rounds.append((pressed, time.monotonic()))
                closed = stand.newest(before, "closed").get("closed")
                if closed is not None:
                    taken.add("closed", (closed - pressed) * 1e3)
            frames = list(program.frames(since))
            for number, (pressed, until) in enumerate(rounds, start=1):
                came = [frame for frame in frames if pressed <= frame.at < until]
                count = sum(_stops(frame.lines) for frame in came[-1:])
                shown = next((frame.at for frame in came if _stops(frame.lines) == count and count), None)
                if shown is None:
                    trouble = f"no frame said so, in round {number}"
                    continue
                taken.add("shown", (shown - pressed) * 1e3)
    return [
        Figure("B5", "Esc to the frame that says so", "ms", taken.of("shown"), (), "", "p99", 100.0, trouble=trouble),
        Figure("B5", "Esc to the closed socket", "ms", taken.of("closed"), (), "", "worst", 200.0),
    ]


def _stops(lines: tuple[str, ...]) -> int:
    return sum("stopped" in line.lower() for line in lines)
