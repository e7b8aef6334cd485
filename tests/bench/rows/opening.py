"""B2: opening a session at its end, whatever its length."""

from __future__ import annotations

from tests.bench import histories
from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, history, home
from tests.bench.rows import Setting
from tests.bench.watched import Watched

_SIZES = (100, 1_000, 10_000, 100_000)
_DOWN, _UP = "\x1b[1;3B", "\x1b[1;3A"


def measure(setting: Setting) -> list[Figure]:
    for size in _SIZES:
        # The one looked at first is the newest; Alt+Down goes to the one below it.
        histories.seed(history(f"open-{size}"), {"small": 10, f"size-{size}": size})
    taken = Samples()
    for _ in range(setting.rounds(8)):
        for size in _SIZES:
            _open(taken, size)
    floor = taken.of("small")
    figures = []
    for size in _SIZES:
        limit = 100.0 if size == 10_000 else None
        figures.append(
            Figure("B2", f"open {size:>7,} messages", "ms", taken.of(f"open {size}"), floor, "10 messages", limit=limit)
        )
    hundred = taken.of("open 100")
    figures.append(
        Figure(
            "B2", "open 100,000 against 100 messages", "ms", taken.of("open 100000"), hundred, "100 messages", times=1.5
        )
    )
    more = tuple(big - small for big, small in zip(taken.of("memory 100000"), taken.of("memory small"), strict=False))
    figures.append(Figure("B2", "memory of 100,000 messages beyond 10", "MB", more, limit=15.0))
    return figures


def _open(taken: Samples, size: int) -> None:
    with Watched([str(PALAVER), "small"], env=home(f"open-{size}")) as program:
        program.wait_for(histories.end_of("small"))
        program.wait_quiet(0.4)
        if size == _SIZES[-1]:
            taken.add("memory small", program.memory())
        for label, key, name in ((f"size-{size}", _DOWN, f"open {size}"), ("small", _UP, "small")):
            since = program.mark()
            pressed = program.type(key)
            seen = program.wait_for(histories.end_of(label), since, 20)
            if seen is not None:
                taken.add(name, (seen - pressed) * 1e3)
            program.wait_quiet(0.3)
            if size == _SIZES[-1] and label != "small":
                taken.add("memory 100000", program.memory())
