"""A recording of the window's output: `python -m tests.untrusted.recording` makes it anew."""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

from tests.loopback import Call, loopback
from tests.terminal import Terminal
from tests.untrusted.home import Home

FILE = Path(__file__).with_name("recording.ansi.gz")
SIZE = (84, 26)

ANSWER = """# Wide, and narrow

Ideographs 漢字かな交じり文, 한글, accents café naïve e\u0301, arrows → and **bold** `code` · *slanted*.

| name | width |
|---|---|
| 漢字 | four |
| ä | one |

```python
print("漢字")
```

> 1. a quote
> 2. of two
"""


def recorded() -> bytes:
    """All that the window wrote when it was recorded."""
    return gzip.decompress(FILE.read_bytes())


def record() -> bytes:
    """What the window writes while someone asks, leafs, looks for something, looks at the keys, and leaves."""

    def answer(call: Call) -> None:
        call.well(ANSWER)

    with tempfile.TemporaryDirectory() as folder, loopback(answer) as server:
        home = Home(Path(folder))
        home.configure(server.url)
        t = Terminal([sys.executable, "-m", "tui", "recorded"], SIZE, home.environment)
        try:
            t.shows("Type a message")
            for key, shown, gone in (
                ("How wide is 漢字?\r", "done in", ""),
                ("\x0f", "Switch session", ""),
                ("rec", "recorded", ""),
                ("\x1b", "done in", "Switch session"),
                ("\x12", "─ Search ─", ""),
                ("wide", "2 messages in", ""),
                ("\r", "done in", "─ Search ─"),
                ("\x1bOP", "─ Keys ─", ""),
                ("\x1b", "done in", "─ Keys ─"),
                ("\x1b[5~", "How wide", ""),
                ("\x02", "How wide", "Today"),
                ("a draft 漢字\x0aand more of it", "and more", ""),
                ("\x03", "Cleared", "and more"),
                ("\x0e", "A new session", ""),
            ):
                t.type(key)
                t.until(lambda lines, shown=shown, gone=gone: _has(lines, shown) and not (gone and _has(lines, gone)))
            t.type("\x11\x11")
            t.ends(30)
            return t.output
        finally:
            t.close()


def _has(lines: list[str], text: str) -> bool:
    return any(text in line for line in lines)


if __name__ == "__main__":
    FILE.write_bytes(gzip.compress(record(), mtime=0))
