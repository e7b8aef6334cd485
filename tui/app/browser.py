"""Opening an address in the user's browser, which is told nothing but the address."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress

PATIENCE = 20.0
"""Seconds until a browser that has not begun counts as one that will."""

_OPEN = "import sys, webbrowser; sys.exit(0 if webbrowser.open(sys.argv[1]) else 1)"


async def open_address(url: str, withheld: Collection[str]) -> bool:
    """Have the system's browser open `url`. Gives False where there is none.

    It is started by a process of its own: without the environment variables `withheld`, which hold keys, away from the
    terminal, on which it might write, and without anything here waiting for it.
    """
    environment = {name: value for name, value in os.environ.items() if name not in withheld}
    # Isolated: nothing is taken for a module that lies in the folder one happens to be in.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", _OPEN, url, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            return await process.wait() == 0
    return True
