"""B10: what keeping costs while 5,000 tokens a second come in, alone and beside two other writers."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure
from tests.bench.program import PYTHON, ROOT, environment
from tests.bench.rows import Setting


def measure(setting: Setting) -> list[Figure]:
    seconds = 5 if setting.quick else 20
    alone, beside = _run(seconds, 0), _run(seconds, 2)
    return [
        Figure("B10", "commits a second at 5,000 tokens/s", "/s", (alone["commits"],), limit=4.0),
        Figure("B10", "CPU of the store's thread", "%", (alone["core"],), limit=3.0),
        Figure("B10", "time of a save", "ms", tuple(alone["saves"]), tuple(alone["floor"]), "bare SQLite", "p95", 50.0),
        Figure(
            "B10",
            "time of a save beside two writers",
            "ms",
            tuple(beside["saves"]),
            tuple(beside["floor"]),
            "bare SQLite",
            "p95",
            50.0,
        ),
        Figure("B10", "longest gap of the loop beside two writers", "ms", tuple(beside["gaps"]), (), "", "worst", 50.0),
    ]


def _run(seconds: int, others: int) -> dict[str, Any]:
    env = environment() | {"PYTHONPATH": str(ROOT)}
    script = [str(PYTHON), str(ROOT / "tests" / "bench" / "streamed_saves.py")]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        file = str(Path(folder) / "history.db")
        for _ in range(others):
            process = running.enter_context(subprocess.Popen([*script, file, "write"], env=env))
            running.callback(process.kill)
        done = subprocess.run([*script, file, "stream", str(seconds)], env=env, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
