"""The engine: gives a target one input after another, watches what becomes of each, keeps those that failed."""

from __future__ import annotations

import gc
import json
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

FOLDER = Path(".fuzz")
PATIENCE = 1.0
"""Seconds of computing after which an input counts as one that hangs."""

IDLE_PATIENCE = 30.0
"""Seconds, computing or not, after which it does too."""

KEPT = 20
"""Failing inputs of a target that are written down."""

Check = Callable[[bytes], None]


class Differs(AssertionError):
    """The same bytes came to something else when they were split differently."""


class Hangs(BaseException):
    """An input took too long."""


@dataclass(frozen=True)
class Target:
    """What is given inputs. `ready` makes what makes an input, and the check that has to hold for all of them.

    An input may take `patience` seconds; it costs as much as `cost` ordinary ones, of which so many fewer are given. One
    that failed is looked at again with what `closely` makes, where there is that.
    """

    help: str
    ready: Callable[[], tuple[Callable[[Random], bytes], Check]]
    cost: int = 1
    patience: float = 0.0
    closely: Callable[[], tuple[Callable[[Random], bytes], Check]] | None = None


@dataclass
class Counts:
    """What came of a target's inputs. `longest` is in seconds of computing."""

    name: str
    seed: int
    inputs: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.kinds.total())

    def line(self) -> str:
        return (
            f"{self.name}: {self.inputs:,} inputs, {self.kinds['crash']} crashes, {self.kinds['hang']} hangs, "
            f"{self.kinds['difference']} differences, longest {self.longest * 1000:.0f} ms, "
            f"in {self.seconds:.0f} s, seed {self.seed}"
        )


def run(name: str, target: Target, count: int, seed: int, seconds: float) -> Counts:
    """Give a target so many inputs, or as many as there is time for."""
    make, check = target.ready()
    # What is there now stays there: to look through it for garbage again and again takes a tenth of the time.
    gc.freeze()
    counts, chance, begun = Counts(name, seed), Random(), time.monotonic()
    before = signal.signal(signal.SIGVTALRM, _hang), signal.signal(signal.SIGALRM, _hang)
    try:
        for number in range(-(-count // target.cost)):
            chance.seed(seed << 32 | number)
            data = make(chance)
            _one(counts, number, data, check, target.patience or PATIENCE)
            counts.inputs += 1
            if number and not number % -(-100 // target.cost):
                counts.seconds = time.monotonic() - begun
                if not number % 50_000:
                    print(f"{name}: {number:,} of {count:,}, {number / counts.seconds:,.0f}/s", file=sys.stderr)
                if counts.seconds > seconds:
                    break
    finally:
        signal.signal(signal.SIGVTALRM, before[0])
        signal.signal(signal.SIGALRM, before[1])
    counts.seconds = time.monotonic() - begun
    return counts


def repeat(target: Target, data: bytes) -> None:
    """Give a target one input, and let fail what fails."""
    (target.closely or target.ready)()[1](data)


def _one(counts: Counts, number: int, data: bytes, check: Check, patience: float) -> None:
    kind = trace = ""
    begun = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, patience)
        signal.setitimer(signal.ITIMER_REAL, patience + IDLE_PATIENCE)
        try:
            check(data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Hangs:
        kind, trace = "hang", traceback.format_exc()
    except Differs:
        kind, trace = "difference", traceback.format_exc()
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        kind, trace = "crash", traceback.format_exc()
    if kind:
        counts.kinds[kind] += 1
        if counts.kinds[kind] <= KEPT:
            _keep(counts, number, data, kind, trace)
    counts.longest = max(counts.longest, time.process_time() - begun)


def _keep(counts: Counts, number: int, data: bytes, kind: str, trace: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{counts.name}-{kind}-{number}.bin"
    file.write_bytes(data)
    told = {"seed": counts.seed, "number": number, "repeat": f"python -m tests.fuzz {counts.name} --repeat {file}"}
    file.with_suffix(".txt").write_text(f"{json.dumps(told)}\n{trace}", encoding="utf-8")
    print(f"{counts.name}: {kind}: {told['repeat']}", file=sys.stderr)


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise Hangs
