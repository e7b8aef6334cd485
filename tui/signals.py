"""The signals that end the program, but for those that whoever started it wants left alone."""

from __future__ import annotations

import signal


def heeded(*numbers: int) -> list[int]:
    """Those that are not ignored so far: `nohup` has a program ignore the hang-up, a script what is typed at the terminal
    of one that it runs in the background."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
