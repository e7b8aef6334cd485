"""B8: `palaver ask` against a server on loopback, beside curl and beside asyncio and httpx alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, PYTHON, home
from tests.bench.rows import Setting
from tests.bench.server import Stand

FLOOR = Path(__file__).parents[1] / "floor_ask.py"
_MODEL = "mixed-400-1000"


def measure(setting: Setting) -> list[Figure]:
    taken = Samples()
    with Stand() as stand:
        env = home("ask", url=stand.url, model=_MODEL)
        body = json.dumps({"model": _MODEL, "stream": True, "messages": []})
        curl = ["curl", "-sN", f"{stand.url}/v1/chat/completions", "-H", "content-type: application/json", "-d", body]
        bare = [str(PYTHON), str(FLOOR), stand.url, _MODEL]
        programs = (("curl", curl), ("ask", [str(PALAVER), "ask", "hello"]), ("bare", bare))
        for number in range(setting.rounds(20)):
            for turn, (name, argv) in enumerate(programs):
                once(stand, taken, name, argv, env, number * len(programs) + turn)
    return [
        Figure("B8", "CPU of palaver ask", "ms", taken.of("cpu ask"), taken.of("cpu bare"), "httpx", limit=250.0),
        Figure(
            "B8",
            "first byte after the server's",
            "ms",
            taken.of("first ask"),
            taken.of("first curl"),
            "curl",
            limit=20.0,
        ),
        Figure("B8", "palaver ask from start to end", "ms", taken.of("whole ask"), taken.of("whole curl"), "curl"),
    ]


def once(stand: Stand, taken: Samples, name: str, argv: list[str], env: dict[str, str], before: int) -> None:
    """Run what asks the server once, which has answered `before` times by then; take what it needs under its `name`."""
    reading, writing = os.pipe()
    began = time.monotonic()
    with open(os.devnull, "rb") as nothing:
        process = subprocess.Popen(argv, env=env, stdin=nothing, stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    first = b""
    at = began
    while data := os.read(reading, 65536):
        if not first:
            first, at = data, time.monotonic()
    os.close(reading)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    taken.add(f"whole {name}", (time.monotonic() - began) * 1e3)
    taken.add(f"cpu {name}", (used.ru_utime + used.ru_stime) * 1e3)
    about = stand.newest(before, "last")
    if first and "first" in about:
        taken.add(f"first {name}", (at - about["first"]) * 1e3)
