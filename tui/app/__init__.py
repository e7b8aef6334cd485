"""The terminal interface."""

from __future__ import annotations

import asyncio
import os


def main(label: str = "", *, new: bool = False, profile: str = "", model: str = "") -> int:
    """Run the terminal interface and give the exit status.

    Raises:
        PalaverError: It cannot begin: the configuration is not usable.
    """
    # Read by Textual when it is imported. At 120 frames a second an echo does not wait for a frame; the rest of a key's
    # sequence may lag 30 ms behind its Esc (Textual's own 100 ms are seen as a delay).
    os.environ.setdefault("ESCDELAY", "30")
    os.environ.setdefault("TEXTUAL_FPS", "120")
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from tui.app.run import Wish, run

    end = asyncio.run(run(Wish(label, new, profile, model)))
    if end.terminal_is_stuck:
        # Everything is saved; Python itself would now wait for the terminal to take what is left.
        os._exit(end.status)
    return end.status
