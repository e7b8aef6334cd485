"""What painting loads on first use, loaded ahead of it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from tui.app.transcript.parsing import parser
from tui.app.transcript.preloading import preload
from tui.markup import find_lexer

preload()
known = set(sys.modules)
parser().parse("# Title\\n\\n- one\\n\\n| a | b |\\n| - | - |\\n| 1 | 2 |\\n")
for language in ("python", "py", "sh", "bash", "json", "js", "sql", "yaml", "ts", "go", "rust"):
    list(find_lexer(language).get_tokens("if x == 1: return 'a' # b\\n"))
print(*sorted(set(sys.modules) - known))
"""


def test_painting_the_commonest_languages_loads_nothing_any_more() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == []
