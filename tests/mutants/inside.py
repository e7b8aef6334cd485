"""One group's mutants, asked about in a copy of the project: `python inside.py SAMPLE PERCENT SEED PATTERN...` in its folder.

Run by its path and not as a module: the tests of the copy must be the only ones that can be imported.
"""

from __future__ import annotations

import difflib
import fnmatch
import gc
import json
import math
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from mutmut import __main__ as mutmut
from mutmut.runners import harness
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, walk_mutatable_files
from mutmut.workers import isolation

KNOWN = (1, 3, 24, -24, 36, 152)
"""Exit statuses of mutants that need not be asked about again: a test failed, or it went round for ever."""

LONGEST = 45
"""Seconds of CPU time after which a mutant is given up: more than twice what its tests may take (see `quickest`)."""


def results() -> dict[str, dict[str, int | None]]:
    """What pytest said about each mutant, by file; None where it was not asked."""
    found: dict[str, dict[str, int | None]] = {}
    for path in walk_mutatable_files():
        meta: dict[str, Any] = json.loads(Path("mutants", f"{path}.meta").read_bytes())
        found[str(path)] = meta["exit_code_by_key"]
    return found


def forget_times() -> None:
    """Have tests timed again that failed without a mutant, or whose file has changed: what they touch is news."""
    stats, failing = Path("mutants", "mutmut-stats.json"), Path("mutants", "failing.txt")
    if not stats.exists():
        return
    told: dict[str, Any] = json.loads(stats.read_bytes())
    failed = set(failing.read_text(encoding="utf-8").splitlines()) if failing.exists() else set()
    changed = stats.stat().st_mtime

    def is_known(test: str) -> bool:
        file = Path(test.partition("::")[0])
        return test not in failed and file.exists() and file.stat().st_mtime <= changed

    told["duration_by_test"] = {test: time for test, time in told["duration_by_test"].items() if is_known(test)}
    stats.write_text(json.dumps(told), encoding="utf-8")
    failing.unlink(missing_ok=True)


class Written:
    """The functions of one file as they were and as they are changed, by the names mutmut gave them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._spans = json.loads(Path("mutants", f"{path}.spans").read_bytes())["spans"]
        self._lines = Path("mutants", path).read_text(encoding="utf-8").split("\n")

    def _both(self, mutant: str) -> tuple[str, str]:
        changed = mutant.rpartition(".")[2]
        name = changed.partition("__mutmut_")[0]
        before, after = (
            "\n".join(self._lines[start - 1 : end]).replace(written, name.rpartition("x_")[2].rpartition("ǁ")[2])
            for written in (f"{name}__mutmut_orig", changed)
            for start, end in [self._spans[written]]
        )
        return before, after

    def differs_in_case_only(self, mutant: str) -> bool:
        """Whether only the case of letters is changed: SQL does not tell it, nor do those who read a message."""
        before, after = self._both(mutant)
        return before.casefold() == after.casefold()

    def diff(self, mutant: str) -> str:
        before, after = (text.splitlines() for text in self._both(mutant))
        return "\n".join(difflib.unified_diff(before, after, self._path, self._path, lineterm=""))


class Runner(harness.PytestRunner):
    """Runs tests quicker: what is imported once is left alone by the collector, and few names are looked for."""

    def warm_up(self) -> None:
        super().warm_up()
        gc.freeze()

    def run_stats(self, *, tests: Iterable[str]) -> int:
        """Time the tests. Those that fail without a mutant are left out from then on (see `quickest`)."""
        code = super().run_stats(tests=tests)
        return 0 if code == pytest.ExitCode.TESTS_FAILED else code

    def _pytest_args_regular_run(self, tests: Iterable[str]) -> list[str]:
        is_without_mutant = os.environ.get("MUTANT_UNDER_TEST") in ("stats", "")
        return [one for one in super()._pytest_args_regular_run(tests) if not (is_without_mutant and one == "-x")]

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """All parameters of the tests are run: which of them touch the mutant makes no difference to the rest."""
        return super().run_tests(mutant_name=mutant_name, tests=sorted({test.partition("[")[0] for test in tests}))


class Server(isolation.ForkServerRunner):
    """Gives a mutant no more time than its tests may take, with some to spare.

    `are_known`: the tests were timed in an earlier run, and may fail by now.
    """

    are_known = False

    def run_clean_tests(self, tests: Iterable[str]) -> int:
        """See which tests fail without a mutant, where they are not about to be timed: they are left out from then on."""
        if self.are_known:
            super().run_clean_tests(tests)
        return 0

    def submit(self, mutant_name: str, tests: list[str], cpu_time_limit: int, estimated_time: float) -> None:
        super().submit(mutant_name, tests, min(cpu_time_limit, LONGEST), estimated_time)


def main() -> None:
    """Make the mutants, choose some of each file, and have those asked about that are not known to be killed."""
    sample, percent, seed, left_out = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    forget_times()
    copy_src_dir()
    copy_also_copy_files()
    for file in walk_mutatable_files():
        if not Path("mutants", f"{file}.meta").exists():
            # A run that was stopped while it wrote this one left half of it.
            Path("mutants", file).unlink(missing_ok=True)
    mutmut.create_mutants(1)
    chosen: dict[str, list[str]] = {}
    counts: dict[str, dict[str, int]] = {}
    diffs: dict[str, str] = {}
    for path, codes in results().items():
        names = [name for name in sorted(codes) if not any(fnmatch.fnmatch(name, one) for one in left_out)]
        written = Written(path)
        telling = [name for name in names if not written.differs_in_case_only(name)]
        wanted = math.ceil(len(telling) * percent / 100) if percent else sample or len(telling)
        some = random.Random(f"{seed} {path}").sample(telling, min(wanted, len(telling)))
        chosen[path] = some
        diffs |= {name: written.diff(name) for name in some}
        counts[path] = {"made": len(codes), "left out": len(codes) - len(names), "case": len(names) - len(telling)}
    known = results()
    to_ask = [name for path, names in chosen.items() for name in names if known[path][name] not in KNOWN]
    Path("chosen.json").write_text(json.dumps({"chosen": chosen, "counts": counts, "diffs": diffs}))
    if to_ask:
        # Only CPU time is limited: on a busy machine a limit on the time that goes by would end mutants no test noticed.
        # One that waits for ever is ended by its test's own limit.
        isolation.register_timeout = lambda pid, timeout_s: None
        Server.are_known = Path("mutants", "mutmut-stats.json").exists()
        isolation.ForkServerRunner = Server
        isolation.PytestRunner = Runner
        # Other settings leave what is known as it is: a test that has come to them can only notice more. (`--fresh` asks anew.)
        mutmut._apply_config_change_invalidation = lambda mutants_caught_by_type_checker: False
        mutmut._run(to_ask, 1)


if __name__ == "__main__":
    main()
