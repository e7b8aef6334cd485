"""Measures the installed program: `python -m tests.bench [ROW...] [--quick]`, or `profile ...`, `beside ...`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import psutil

from tests.bench.figures import Figure, table
from tests.bench.program import FOLDER, install
from tests.bench.rows import NAMES, Setting
from tests.bench.server import Stand


def machine() -> dict[str, Any]:
    """What it was measured on, and how much else it had to do."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            model = next((line.partition(":")[2].strip() for line in stream if line.startswith("model name")), "")
    except OSError:
        model = platform.processor()
    return {
        "system": platform.platform(),
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load": os.getloadavg(),
    }


def keep(name: str, figures: list[Figure], described: dict[str, Any], *, is_quick: bool) -> str:
    """Write the figures as JSON and as text, and give the text."""
    about = {**described, "load_after": os.getloadavg(), "quick": is_quick}
    text = "\n".join(f"{key}: {value}" for key, value in about.items()) + "\n\n" + table(figures) + "\n"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    for stem in (name,) if name.endswith("so-far") else (f"{name}-{stamp}", name):
        (FOLDER / f"{stem}.txt").write_text(text, encoding="utf-8")
        whole = {"machine": about, "figures": [figure.as_json() for figure in figures]}
        (FOLDER / f"{stem}.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")
    return text


def main(argv: list[str]) -> int:
    """Measure the rows asked for, and say how they compare with their goals."""
    if argv[:1] == ["profile"]:
        from tests.bench import profiles

        return profiles.main(argv[1:])
    if argv[:1] == ["beside"]:
        from tests.bench import beside

        return beside.main(argv[1:])
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rows", metavar="ROW", nargs="*", type=str.upper, help=f"of {', '.join(NAMES)}; all of them")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter streams")
    args = parser.parse_args(argv)
    unknown = [row for row in args.rows if row not in NAMES]
    if unknown:
        parser.error(f"no such row: {unknown[0]}")
    described = machine()
    print("installing the program ...", flush=True)
    install()
    figures: list[Figure] = []
    with Stand() as stand:
        for row in args.rows or NAMES:
            print(f"{row} {NAMES[row]} ...", flush=True)
            began = time.monotonic()
            try:
                module = import_module(f"tests.bench.rows.{NAMES[row]}")
                figures += module.measure(Setting(stand.url, args.quick))
            except Exception as error:  # noqa: BLE001 - one row that cannot be measured shall not cost the others
                trouble = f"could not be measured: {type(error).__name__}: {error}"
                figures.append(Figure(row, NAMES[row], "", trouble=trouble))
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
            keep("bench-so-far", figures, described, is_quick=args.quick)
    print(keep("bench", figures, described, is_quick=args.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
