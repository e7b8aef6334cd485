"""The long runs: `python -m tests.torture [NAME [--count N | --seconds S | --stride N] [--seed N]]`; without a name, all of them.

Each prints what it counted. The status is 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.torture import (
    agree,
    cancels,
    core_kills,
    hammering,
    io_faults,
    kills,
    large,
    network,
    payloads,
    reattach,
    soak,
    soak_window,
    stall,
    two_chats,
)
from tests.torture.report import Report


@dataclass(frozen=True)
class Run:
    """A long run: what it shows, how much of it is usual (a count, or seconds), and how it is done."""

    help: str
    unit: str
    usual: int
    run: Callable[[int, int], Report]


def _io_faults(seconds: int, _seed: int) -> Report:
    report = Report("io-faults")
    result = io_faults.sweep(seconds=seconds)
    if result is None:
        report.wrong.append("there is no C compiler")
        return report
    report.counts |= {"operations": result.points, "runs": result.runs, "killed": result.killed}
    report.wrong += result.wrong
    return report


RUNS = {
    "cancels": Run("answers stopped at a random moment", "count", 1000, cancels.run),
    "kill-ask": Run("kill -9 of `palaver ask`", "count", 300, kills.ask),
    "kill-core": Run("kill -9 of a chat on its history, without a window", "count", 10_000, core_kills.run),
    "kill-tui": Run("kill -9 of the window", "count", 2000, kills.window),
    "reattach": Run("kill -9 of the window in a run its server goes on with", "count", 30, reattach.run),
    "writers": Run("sixteen processes write one history", "seconds", 60, lambda s, _: hammering.writers(s)),
    "network": Run("every answer breaks at every N-th byte", "stride", 1, network.run),
    "large": Run("a history of a gigabyte is opened, read, searched, looked over", "megabytes", 1000, large.run),
    "agree": Run("two windows and a script in one session, which see the same", "seconds", 60, agree.run),
    "two-chats": Run(
        "two windows' chats, and a lock that is kept from them now and then", "count", 1000, two_chats.run
    ),
    "soak": Run("one turn after the other: threads, descriptors, memory", "count", 20_000, soak.run),
    "soak-window": Run("a window in use: switches, sizes, stops, lost disks; memory", "seconds", 3600, soak_window.run),
    "stall": Run("a terminal reads nothing while an answer streams", "seconds", 600, stall.run),
    "payloads": Run("text made to be obeyed, through every entry", "count", 1000, payloads.run),
    "floods": Run("too much, too slowly or for ever, in every protocol", "count", 1_000_000, network.floods),
    "io-faults": Run("every disk operation fails in turn", "seconds", 3600, _io_faults),
    "many": Run(
        "2, 4 and 16 processes, one stopped and one killed in a transaction",
        "seconds",
        20,
        lambda s, _: hammering.many(s),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="name", metavar="NAME")
    for name, run in RUNS.items():
        command = commands.add_parser(name, help=f"{run.help} ({run.unit}: {run.usual})")
        command.add_argument(f"--{run.unit}", dest="amount", type=int, default=run.usual)
        command.add_argument("--seed", type=int, default=None, help="to have the same chances again")
    args = parser.parse_args()
    failed = False
    for name, run in RUNS.items():
        if args.name in (None, name):
            seed = getattr(args, "seed", None)
            seed = time.time_ns() % 1_000_000 if seed is None else seed
            begun = time.monotonic()
            report = run.run(getattr(args, "amount", run.usual), seed)
            report.figures |= {"in": f"{time.monotonic() - begun:.0f} s", "seed": str(seed)}
            print(report.text(), flush=True)
            failed = failed or bool(report.wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
