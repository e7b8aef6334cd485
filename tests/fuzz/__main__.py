"""`python -m tests.fuzz [TARGET...] [--count N] [--seed N] [--seconds S] [--jobs N]`; without a target, all of them.

Prints a line of counts for each. The status is 1 where anything failed; what did is in `.fuzz`, with how to repeat it.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.fuzz import engine
from tests.fuzz.targets import TARGETS, run

COUNT = 1_000_000
SEED = 20260101


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Give targets inputs nobody thought of.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--count", type=int, default=COUNT, help=f"inputs for each target ({COUNT:,})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"to have the same inputs again ({SEED})")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="the most time for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at the same time")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="give the target this one input")
    args = parser.parse_args()
    unknown = set(args.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    names = args.targets or list(TARGETS)
    if args.repeat:
        engine.repeat(TARGETS[names[0]], args.repeat.read_bytes())
        return 0
    failed = False
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = [pool.submit(run, name, args.count, args.seed, args.seconds) for name in names]
        for done in as_completed(running):
            counts = done.result()
            print(counts.line(), flush=True)
            failed = failed or counts.failed
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
