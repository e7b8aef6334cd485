"""The program's commands, one after the other in one process: `python -m tests.untrusted.many FILE`.

FILE is JSON: a list of jobs, each with its arguments and what is different in the environment. Before each, a line on
standard output, and on standard error where that is another file, gives its number. They are run in the file's folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from tests.untrusted.blinded import blind


def main(file: str) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if os.environ.get("PALAVER_TESTS_BLINDED"):
        blind()
    from tui.cli import main as palaver

    jobs = json.loads(Path(file).read_text(encoding="utf-8"))
    os.chdir(Path(file).parent)
    for number, job in enumerate(jobs):
        for stream in (sys.stdout,) if os.path.sameopenfile(1, 2) else (sys.stdout, sys.stderr):
            stream.write(f"\n@@ {number} @@\n")
            stream.flush()
        before = dict(os.environ)
        os.environ.update(job["env"])
        with contextlib.suppress(SystemExit):
            palaver(job["argv"])
        os.environ.clear()
        os.environ.update(before)
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
