"""Two working trees beside each other, by turns: `python -m tests.bench beside DIRECTORY [--rounds N]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from tests.bench.program import PYTHON, ROOT, install
from tests.bench.server import Stand
from tests.bench.streams import Cost, Stream, measure


def main(argv: list[str]) -> int:
    """Stream answers into both programs, and print what each cost, and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench beside", description=__doc__)
    parser.add_argument("other", type=Path, help="a working tree of another state of the program")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--shapes", default="mixed,paragraph,fence,list,table")
    parser.add_argument("--rates", default="1000")
    parser.add_argument("--typing", action="store_true", help="with someone who types meanwhile")
    args = parser.parse_args(argv)
    if not PYTHON.exists():
        install()
    names = ["cpu", "first", "second", "core", "frames", "written", "echo", "echo_p95", "late"]
    print(f"{'':24}" + "".join(f"{name:>22}" for name in names))
    with Stand() as stand:
        for rate in map(int, args.rates.split(",")):
            for shape in args.shapes.split(","):
                stream = Stream(shape, args.seconds, rate, args.typing)
                before: list[Cost] = []
                after: list[Cost] = []
                for _ in range(args.rounds):
                    before.append(measure(stand, stream, args.other.resolve()))
                    after.append(measure(stand, stream, ROOT))
                print(f"{stream!s:24}" + "".join(f"{_beside(name, before, after):>22}" for name in names), flush=True)
    return 0


def _beside(name: str, before: list[Cost], after: list[Cost]) -> str:
    old, new = (median(getattr(cost, name) for cost in costs) for costs in (before, after))
    ratio = f" ×{new / old:.2f}" if old else ""
    return f"{old:,.1f}→{new:,.1f}{ratio}"
