"""Every answer there is, broken at every byte in every way: what is done, shown, sent and left open is right each time."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.client.protocols.breaking import SETTLE, Breaking
from tests.client.protocols.talks import FRAMINGS, Talk, recorded, told_by_stand_ins
from tests.torture.report import Report
from tests.virtual_time import play

Part = tuple[int, str, int, int]
"""The number of a talk, the framing of its answers, every how many bytes they are broken, and from where on."""

_talks: list[Talk] = []


def run(stride: int, seed: int) -> Report:
    """With a stride of 1 every byte has its turn."""
    report = Report("network")
    with tempfile.TemporaryDirectory(prefix="palaver-network-") as name:
        _talks[:] = asyncio.run(told_by_stand_ins(Path(name)))
    _talks.extend(recorded())
    parts = [(number, framing, stride, seed % stride) for number in range(len(_talks)) for framing in FRAMINGS]
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        _gather(report, pool.imap_unordered(_broken, parts))
    return report


def _gather(report: Report, results: Iterable[tuple[int, str, Counter[str], list[str]]]) -> None:
    for number, framing, counts, wrong in results:
        talk = _talks[number]
        faults = sum(count for name, count in counts.items() if name != "next turns")
        print(f"  {talk.name}, {framing}: {faults:,} faults, {len(wrong)} wrong", flush=True)
        for name, count in counts.items():
            report.counts[name if name == "next turns" else f"{talk.protocol} {name.partition(',')[0]}"] += count
        report.counts["faults"] += faults
        report.wrong += wrong


def _broken(part: Part) -> tuple[int, str, Counter[str], list[str]]:
    number, framing, stride, first = part

    async def scene() -> Breaking:
        async with Breaking(_talks[number]) as breaking:
            await breaking.run(breaking.everywhere(stride, first, (framing,)))
            return breaking

    breaking = play(scene, settle=SETTLE)
    return number, framing, breaking.counts, breaking.wrong
