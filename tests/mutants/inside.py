"""One group's mutants, asked about in a copy of the project: `python inside.py SAMPLE SEED PATTERN...` in its folder.

Run by its path and not as a module: the tests of the copy must be the only ones that can be imported.
"""

from __future__ import annotations

import fnmatch
import json
import random
import sys
from pathlib import Path
from typing import Any

from mutmut import __main__ as mutmut
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, walk_mutatable_files

KILLED = (1, 3)


def results() -> dict[str, dict[str, int | None]]:
    """What pytest said about each mutant, by file; None where it was not asked."""
    found: dict[str, dict[str, int | None]] = {}
    for path in walk_mutatable_files():
        meta: dict[str, Any] = json.loads(Path("mutants", f"{path}.meta").read_bytes())
        found[str(path)] = meta["exit_code_by_key"]
    return found


def differs_in_case_only(diff: str) -> bool:
    """Whether only the case of letters is changed: SQL does not tell it, nor do those who read a message."""
    lines = diff.splitlines()[2:]
    gone = [line[1:].casefold() for line in lines if line.startswith("-")]
    come = [line[1:].casefold() for line in lines if line.startswith("+")]
    return gone == come


def main() -> None:
    """Make the mutants, choose some of each file, and have those asked about that are not known to be killed."""
    sample, seed, left_out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    copy_src_dir()
    copy_also_copy_files()
    mutmut.create_mutants(2)
    chosen: dict[str, list[str]] = {}
    counts: dict[str, dict[str, int]] = {}
    diffs: dict[str, str] = {}
    for path, codes in results().items():
        names = [name for name in sorted(codes) if not any(fnmatch.fnmatch(name, one) for one in left_out)]
        diffs |= {name: get_diff_for_mutant(name, path=path) for name in names}
        telling = [name for name in names if not differs_in_case_only(diffs[name])]
        some = random.Random(f"{seed} {path}").sample(telling, min(sample, len(telling)) if sample else len(telling))
        chosen[path] = some
        counts[path] = {"made": len(codes), "left out": len(codes) - len(names), "case": len(names) - len(telling)}
    known = results()
    to_ask = [name for path, names in chosen.items() for name in names if known[path][name] not in KILLED]
    Path("chosen.json").write_text(json.dumps({"chosen": chosen, "counts": counts, "diffs": diffs}))
    if to_ask:
        mutmut._run(to_ask, 2)


if __name__ == "__main__":
    main()
