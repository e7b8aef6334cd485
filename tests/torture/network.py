"""Every answer there is, broken at every byte in every way: what is done, shown, sent and left open is right each time."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.client.protocols.breaking import SETTLE, Breaking
from tests.client.protocols.contract_cases import CASES
from tests.client.protocols.floods import KINDS, STOPPABLE, Borne, Kind, bear, wrong, wrong_when_stopped
from tests.client.protocols.talks import FRAMINGS, Talk, recorded, told_by_stand_in, told_by_stand_ins
from tests.torture.report import Report
from tests.virtual_time import play
from tui.runner import ANSWER_LIMIT

Part = tuple[int, str, int, int]
"""The number of a talk, the framing of its answers, every how many bytes they are broken, and from where on."""

_talks: list[Talk] = []


def run(stride: int, seed: int, *, brief: bool = False) -> Report:
    """With a stride of 1 every byte has its turn. `brief`: only one answer of each protocol."""
    report = Report("network")
    with tempfile.TemporaryDirectory(prefix="palaver-network-") as name:
        _talks[:] = asyncio.run(told_by_stand_ins(Path(name), rich_only=brief))
    _talks.extend([] if brief else recorded())
    parts = [(number, framing, stride, seed % stride) for number in range(len(_talks)) for framing in FRAMINGS]
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        _gather(report, pool.imap_unordered(_broken, parts))
    return report


def floods(events: int, _seed: int) -> Report:
    """Every flood in every protocol, with so many tiny events and as long an answer as there may be."""
    report = Report("floods")
    asyncio.run(_floods(report, events))
    return report


async def _floods(report: Report, events: int) -> None:
    with tempfile.TemporaryDirectory(prefix="palaver-floods-") as name:
        talks = [await told_by_stand_in(case, "plain one", Path(name)) for case in CASES]
    # As the window does: what the tests have loaded is not looked through for garbage while a turn runs, and all else seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    for talk in talks:
        for kind in KINDS:
            if kind.status is not None:
                borne = await bear(talk, kind, events=events, answer=ANSWER_LIMIT)
                _note(report, talk, kind, borne, wrong(talk, kind, borne, ANSWER_LIMIT))
            if kind.name in STOPPABLE:
                borne = await bear(talk, kind, events=events, answer=ANSWER_LIMIT, stop_after=2)
                _note(report, talk, kind, borne, wrong_when_stopped(kind, borne, ANSWER_LIMIT))


def _note(report: Report, talk: Talk, kind: Kind, borne: Borne, found: list[str]) -> None:
    how = "stopped" if borne.stopping else "borne"
    report.counts[f"{talk.protocol} {how}"] += 1
    report.wrong += [f"{talk.name}: {kind.name}, {how}: {one}" for one in found]
    print(
        f"  {talk.protocol}, {kind.name}, {how}: loop held {borne.held * 1000:.0f} ms, "
        f"stopped in {borne.stopping * 1000:.0f} ms, memory grew {borne.grown / 1024 / 1024:.0f} MiB",
        flush=True,
    )


def _gather(report: Report, results: Iterable[tuple[int, str, Counter[str], list[str]]]) -> None:
    for number, framing, counts, found in results:
        talk = _talks[number]
        faults = sum(count for name, count in counts.items() if name != "next turns")
        print(f"  {talk.name}, {framing}: {faults:,} faults, {len(found)} wrong", flush=True)
        for name, count in counts.items():
            report.counts[name if name == "next turns" else f"{talk.protocol} {name.partition(',')[0]}"] += count
        report.counts["faults"] += faults
        report.wrong += found


def _broken(part: Part) -> tuple[int, str, Counter[str], list[str]]:
    number, framing, stride, first = part

    async def scene() -> Breaking:
        async with Breaking(_talks[number]) as breaking:
            await breaking.run(breaking.everywhere(stride, first, (framing,)))
            return breaking

    breaking = play(scene, settle=SETTLE)
    return number, framing, breaking.counts, breaking.wrong
