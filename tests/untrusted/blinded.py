"""The program without its cleaning, to see that the tests can fail: `python -m tests.untrusted.blinded ARGUMENTS…`."""

from __future__ import annotations

import re
import sys


def blind() -> None:
    """Switch off the cleaning at the door and the gate at the screen, for what is imported from here on."""
    import tui.text

    for name in ("clean", "typed"):
        setattr(tui.text, name, lambda text: text)
    tui.text.one_line = lambda text, limit=500: text[:limit]
    tui.text.FORBIDDEN = re.compile("(?!)")
    tui.text.Cleaner.feed = lambda self, text: text
    tui.text.Cleaner.flush = lambda self: ""


if __name__ == "__main__":
    blind()
    from tui.__main__ import main

    sys.exit(main())
