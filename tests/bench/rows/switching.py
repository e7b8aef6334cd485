"""B6: going to and fro between two sessions of 10,000 messages, one of which answers."""

from __future__ import annotations

from tests.bench import histories
from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, history, home
from tests.bench.rows import Setting
from tests.bench.server import Stand
from tests.bench.watched import Watched

_DOWN, _UP = "\x1b[1;3B", "\x1b[1;3A"


def measure(setting: Setting) -> list[Figure]:
    history("switch").with_name("seeded").unlink(missing_ok=True)
    histories.seed(history("switch"), {"answers": 10_000, "rests": 10_000})
    taken = Samples()
    with Stand() as stand:
        env = home("switch", url=stand.url, model="paragraph-400000-1000")
        with Watched([str(PALAVER), "answers"], env=env) as program:
            program.wait_for(histories.end_of("answers"))
            program.wait_quiet(0.5)
            program.type("go\r")
            stand.newest(0, "sent")
            for _ in range(10 if setting.quick else 60):
                since = program.mark()
                pressed = program.type(_DOWN)
                seen = program.wait_for(histories.end_of("rests"), since, 10)
                if seen is not None:
                    taken.add("away", (seen - pressed) * 1e3)
                program.wait_quiet(0.1, 0.5)
                taken.add("back", _back(program))
    return [
        Figure("B6", "to a session of 10,000 messages", "ms", taken.of("away"), (), "", "p95", 60.0),
        Figure("B6", "back to one that answers", "ms", taken.of("back"), (), "", "p95", 60.0),
    ]


def _back(program: Watched) -> float:
    """Milliseconds until the status bar names the session that answers: in the same frame as its transcript."""
    since = program.mark()
    pressed = program.type(_UP)
    seen = program.wait_for("answers · bench", since, 10)
    program.wait_quiet(0.1, 0.5)
    return (seen - pressed) * 1e3 if seen is not None else 10_000.0
