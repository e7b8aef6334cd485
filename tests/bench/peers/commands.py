"""What the compared programs do without a window: one answer on standard output, and what they say of themselves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from tests.bench.figures import Samples
from tests.bench.peers.programs import Peer
from tests.bench.rows.asking import once
from tests.bench.server import Stand

MODEL = "mixed-400-1000"

Add = Callable[[str, str, str, Peer, float | None], None]
"""Takes a sample: the row, the work, the unit, the program, the value."""


def ask(add: Add, peer: Peer, _url: str) -> None:
    """One question, from exec to exit."""
    if peer.asks is None:
        return
    with Stand() as stand:
        samples = Samples()
        once(stand, samples, "ask", peer.argv(MODEL, peer.asks), peer.prepare(100, stand.url, MODEL), 0)
    for what, unit in (("CPU", "ms"), ("first byte after the server's", "ms"), ("from start to end", "ms")):
        name = {"CPU": "cpu ask", "from start to end": "whole ask"}.get(what, "first ask")
        found = samples.of(name)
        add("B8", f"ask: {what}", unit, peer, found[0] if found else None)


def show_help(add: Add, peer: Peer, url: str) -> None:
    """`--help`, from exec to exit."""
    env = peer.prepare(100, url, MODEL)
    began = time.monotonic()
    subprocess.run(peer.argv(MODEL, ("--help",)), env=env, stdout=subprocess.DEVNULL, check=True, timeout=60)
    add("B9", "--help", "ms", peer, (time.monotonic() - began) * 1e3)
