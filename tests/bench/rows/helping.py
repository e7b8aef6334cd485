"""B9: what the program says of itself, beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import time

from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, PYTHON, home
from tests.bench.rows import Setting

_COMMANDS = {
    "nothing": [str(PYTHON), "-c", "pass"],
    "--help": [str(PALAVER), "--help"],
    "--version": [str(PALAVER), "--version"],
}


def measure(setting: Setting) -> list[Figure]:
    env = home("help")
    taken = Samples()
    for _ in range(setting.rounds(40)):
        for name, argv in _COMMANDS.items():
            began = time.monotonic()
            subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, check=True)
            taken.add(name, (time.monotonic() - began) * 1e3)
    floor = taken.of("nothing")
    return [
        Figure("B9", f"palaver {name}", "ms", taken.of(name), floor, "python -c pass", times=3.0)
        for name in ("--help", "--version")
    ]
