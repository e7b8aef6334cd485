"""B7: searching a history of 1,000,000 messages."""

from __future__ import annotations

import subprocess

from tests.bench.figures import Figure
from tests.bench.program import PALAVER, home
from tests.bench.rows import Setting


def measure(setting: Setting) -> list[Figure]:
    said = subprocess.run([str(PALAVER), "--help"], env=home("help"), capture_output=True, text=True, check=True).stdout
    trouble = "the search is there, its measurement is not" if "palaver search" in said else "not there yet"
    return [Figure("B7", "search in 1,000,000 messages", "ms", trouble=trouble)]
