"""What holds for the process from its first moment.

It leaves no memory behind, no error of ours uncleaned, and writes into no file that it took for a terminal.

A memory dump holds keys and everything that was said. An error in a thread, or where Python can only warn, would be
printed with its message, over the window or into a pipe. A file that is opened where standard error is closed would get
its descriptor, and be given what whoever we start says there.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading


def begin() -> None:
    """Leave no core dump, report errors that nothing else catches, and look for garbage seldom. To be called once, by
    what starts the program."""
    # Loading makes objects by the ten thousand, none of them garbage: looking through them was a tenth of a start.
    gc.set_threshold(100_000, 20, 100)
    no_core_dump()
    fill_descriptors()
    threading.excepthook = _in_thread
    sys.unraisablehook = _unraisable


def no_core_dump() -> None:
    """Have the system write no memory of this process, or of those it starts, to disk; PALAVER_CORE=1 lets it.

    A limit of one byte, and not of none: a program that is handed dumps gets them whatever the limit, but not at one.
    """
    if os.environ.get("PALAVER_CORE") == "1":
        return
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))


def fill_descriptors() -> None:
    """Have the three standard descriptors lead nowhere where they are closed. Python's own streams stay None there."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest one that is free: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        from tui import crash

        crash.tell(args.exc_value)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    if args.exc_value is not None:
        from tui import crash

        crash.reports.keep(args.exc_value)
