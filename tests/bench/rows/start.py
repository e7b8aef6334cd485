"""B1: from a cold process to the first frame that takes a key."""

from __future__ import annotations

from tests.bench import histories
from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, PYTHON, ROOT, environment, history, home
from tests.bench.rows import Setting
from tests.bench.watched import Watched

_FLOOR = [str(PYTHON), str(ROOT / "tests" / "bench" / "floor_app.py")]
_SHOWN = {"floor": "ready to type", "10": "Send", "10000": "Send"}
_TYPED = "ɐɑɒɓ"
"""Letters that nothing else on the screen has."""


def measure(setting: Setting) -> list[Figure]:
    environments = {"floor": environment()}
    for count in ("10", "10000"):
        histories.seed(history(f"sessions-{count}"), {"here": 20}, int(count) - 1)
        environments[count] = home(f"sessions-{count}")
    taken = Samples()
    for _ in range(setting.rounds(12)):
        for name, env in environments.items():
            _start(taken, name, env)
    floor = taken.of("frame floor")
    figures = [
        Figure(
            "B1", f"first frame, {name:>6} sessions", "ms", taken.of(f"frame {name}"), floor, "bare Textual", times=1.3
        )
        for name in ("10", "10000")
    ]
    figures += [
        Figure(
            "B1",
            f"a key typed at once is shown, {name:>6} sessions",
            "ms",
            taken.of(f"key {name}"),
            taken.of("key floor"),
        )
        for name in ("10", "10000")
    ]
    lost = taken.of("lost 10") + taken.of("lost 10000")
    return [
        *figures,
        Figure(
            "B1", "keys lost that were typed before it", "", lost, taken.of("lost floor"), statistic="worst", limit=0
        ),
        Figure(
            "B1", "memory after the start, 10000 sessions", "MB", taken.of("memory 10000"), taken.of("memory floor")
        ),
    ]


def _start(taken: Samples, name: str, env: dict[str, str]) -> None:
    argv = _FLOOR if name == "floor" else [str(PALAVER)]
    with Watched(argv, env=env) as program:
        for letter in _TYPED:
            program.type(letter)
        program.wait_for(_TYPED[-1], 0, 6)
        program.wait_quiet(0.4)
        taken.add(f"memory {name}", program.memory())
        last = "\n".join(program.screen())
        frame = program.first_shown(lambda text: _SHOWN[name] in text)
        key = program.first_shown(lambda text: _TYPED in text)
        taken.add(f"lost {name}", 0.0 if _TYPED in last else float(sum(letter not in last for letter in _TYPED) or 1))
        if frame is not None:
            taken.add(f"frame {name}", (frame - program.began) * 1e3)
        if key is not None:
            taken.add(f"key {name}", (key - program.began) * 1e3)
