"""Every payload through every entry of the program: its commands on a terminal and through pipes, and its window."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.payloads import payloads
from tests.torture.report import Report
from tests.untrusted import commands, windows
from tests.untrusted.commands import Found

BATCH = 20
"""Payloads that go through the program together."""

MEMORY = Path("/dev/shm")
"""Where folders are in memory: what is tested here is not the disk."""

Scene = Callable[[Path, list[str]], Found]
SCENES: tuple[Scene, ...] = (commands.sweep, *windows.SCENES)


def _as_sent(text: str) -> str:
    """What arrives of a text in JSON: of two halves of a character, that character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def run(count: int, seed: int, scenes: Sequence[Scene] = SCENES, batch: int = BATCH) -> Report:
    """Have `count` payloads, or all there are, go through every entry."""
    report = Report("payloads")
    some = [_as_sent(one) for one in payloads()]
    random.Random(seed).shuffle(some)
    some = some[:count]
    through = Found()
    for start in range(0, len(some), batch):
        for scene in scenes:
            with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
                found = scene(Path(folder), some[start : start + batch])
            through.reading.add(found.reading)
            through.looked_for += found.looked_for
            for entry, number in found.entries.items():
                through.note(entry, number)
    report.counts |= {
        "payloads": len(some),
        "entries": len(through.entries),
        "payloads through entries": sum(through.entries.values()),
        "bytes read": through.reading.bytes,
        "texts looked for on the screen": through.looked_for,
    }
    report.counts |= {f"sequences for {kind}": number for kind, number in sorted(through.reading.seen.items())}
    report.wrong += through.reading.wrong
    return report
