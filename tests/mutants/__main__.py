"""The mutation score: `python -m tests.mutants [GROUP...] [--sample N | --percent P] [--seed N] [--fresh]`.

Changes the code of a group in one small way after the other, in a copy under `.mutants`, and sees whether a test fails.
What is known of a function that has not changed since is kept, but for the mutants that survived: they are tried again.
The survivors are listed in `.mutants/GROUP/survivors.diff`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.plan import EQUIVALENT, GROUPS, LEFT_OUT, NOT_RUN, Group

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".mutants"
PARTS = ("tui", "tests", "assets", "pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "LICENSE")
ENOUGH = 85.0
"""The score each group is meant to have, in percent."""

PLUGINS = (
    *("-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "tests.mutants.quickest"),
    "--timeout=300",
)
"""Without `unraisableexception`, which has all memory searched for garbage five times a run."""

_TIMED_OUT = {36, 24, -24, 152, 255}


@contextmanager
def scratch() -> Iterator[dict[str, str]]:
    """The environment of a run: what tests write is kept in memory, where that can be had."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="mutants-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield os.environ | {"TMPDIR": folder}


def settings(group: Group) -> str:
    """What mutmut has to know, as part of the copy's pyproject.toml. The time limit is for CPU time, and generous."""
    not_run = [test for test in NOT_RUN if test.partition("::")[0] in group.tests]
    return f"""
[tool.mutmut]
source_paths = ["tui"]
only_mutate = {json.dumps([f"tui/{file}" for file in group.files])}
also_copy = {json.dumps([part for part in PARTS if part not in ("tui", "tests")])}
pytest_add_cli_args_test_selection = {json.dumps([test for test in group.tests if (ROOT / test).exists()])}
pytest_add_cli_args = {json.dumps([*PLUGINS, *(f"--deselect={test}" for test in not_run)])}
timeout_multiplier = 1.0
timeout_constant = 3.0
process_isolation = "forkserver"
use_git_change_detection = false
"""


def refresh(name: str, group: Group) -> Path:
    """A copy of the project as it is now; files that did not change keep their times, so that mutmut knows them."""
    copy = WORK / name
    for part in PARTS:
        source = ROOT / part
        files = [source] if source.is_file() else [one for one in source.rglob("*") if one.is_file()]
        for file in files:
            target = copy / file.relative_to(ROOT)
            if "__pycache__" in file.parts or part == "pyproject.toml":
                continue
            if not target.exists() or target.read_bytes() != file.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    (copy / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings(group))
    for folder in ("tui", "tests"):
        for file in (copy / folder).rglob("*.py"):
            if not (ROOT / file.relative_to(copy)).exists():
                file.unlink()
                (copy / "mutants" / file.relative_to(copy)).unlink(missing_ok=True)
    return copy


def outcome(code: int | None) -> str:
    """What an exit status of pytest says of a mutant."""
    if code is None:
        return "not asked"
    if code in (1, 3):
        return "killed"
    return "timed out" if code in _TIMED_OUT else "survived"


def changed(diff: str) -> str:
    """The line that a mutant has in place of another one."""
    return next((one[1:].strip() for one in diff.splitlines()[2:] if one.startswith("+")), "")


def line(name: str, counts: Counter[str]) -> str:
    """A row of the table. A mutant that hangs is one that was noticed."""
    total = counts["killed"] + counts["survived"] + counts["timed out"]
    score = 100 * (counts["killed"] + counts["timed out"]) / total if total else 0.0
    numbers = "".join(f"{value:>10}" for value in (total, counts["killed"], counts["survived"], counts["timed out"]))
    return f"{name:<26}{numbers}{score:>9.1f}%"


def report(name: str, copy: Path) -> float:
    """Print a group's table, and write its survivors down. Gives its score, in percent."""
    told = json.loads((copy / "chosen.json").read_bytes())
    total: Counter[str] = Counter()
    survivors: list[str] = []
    for path, names in told["chosen"].items():
        codes = json.loads((copy / "mutants" / f"{path}.meta").read_bytes())["exit_code_by_key"]
        same = {one for one in names if outcome(codes[one]) == "survived" and changed(told["diffs"][one]) in EQUIVALENT}
        counts = Counter(outcome(codes[one]) for one in names if one not in same)
        made = told["counts"][path]
        telling = made["made"] - made["case"] - made["left out"]
        less = [f"a sample of {len(names)} of {telling}"] if len(names) < telling else []
        less += [f"{made['case']} that only change case left out"] if made["case"] else []
        less += [f"{made['left out']} that cannot be chosen left out"] if made["left out"] else []
        less += [f"{len(same)} that make no difference left out"] if same else []
        less += [f"{counts['not asked']} not asked yet"] if counts["not asked"] else []
        print(line(path, counts) + (f"  ({', '.join(less)})" if less else ""), flush=True)
        total += counts
        survivors += [
            f"# {one}\n{told['diffs'][one]}\n" for one in names if outcome(codes[one]) == "survived" and one not in same
        ]
    print(line(name.upper(), total), flush=True)
    noticed, asked = total["killed"] + total["timed out"], total.total() - total["not asked"]
    print(f"{name}: killed {noticed} of {asked} ({100 * noticed / max(1, asked):.1f} %)", flush=True)
    (copy / "survivors.diff").write_text("\n".join(survivors), encoding="utf-8")
    return 100 * noticed / max(1, asked)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--sample", type=int, default=0, help="ask about so many mutants of each file (0: all)")
    parser.add_argument("--percent", type=float, default=0, help="ask about this part of the mutants of each file")
    parser.add_argument("--seed", type=int, default=1, help="which ones a sample has")
    parser.add_argument("--fresh", action="store_true", help="forget what is known")
    parser.add_argument("--report", action="store_true", help="only say what is known")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(WORK, ignore_errors=True)
    scores = {}
    print(f"{'':<26}{'mutants':>10}{'killed':>10}{'survived':>10}{'timed out':>10}{'score':>10}", flush=True)
    for name in options.groups or GROUPS:
        copy = WORK / name
        if options.report and not (copy / "chosen.json").exists():
            print(f"{name}: nothing is known yet", flush=True)
            continue
        if not options.report:
            refresh(name, GROUPS[name])
            patterns = [f"{function}__mutmut_*" for function in LEFT_OUT]
            command = [
                sys.executable,
                str(Path(__file__).with_name("inside.py")),
                str(options.sample),
                str(options.percent),
                str(options.seed),
            ]
            with (copy / "log.txt").open("w") as log, scratch() as environment:
                code = subprocess.run(
                    [*command, *patterns], cwd=copy, stdout=log, stderr=log, env=environment, check=False
                ).returncode
            if code:
                print(f"{name}: mutmut failed, see {copy / 'log.txt'}", flush=True)
                return 1
        scores[name] = report(name, copy)
    return 0 if all(score >= ENOUGH for score in scores.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
