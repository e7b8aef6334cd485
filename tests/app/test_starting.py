"""What is loaded when: little before the first frame, the rest behind it, and nothing by the first key that needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BEGINNING = "import sys; import tui.app.run, tui.app.app, tui.app.driver; print(*sys.modules)"

LATER = {
    "httpx", "httpcore", "anyio", "h11", "sqlite_utils", "markdown_it", "pygments", "yaml", "hashlib", "secrets", "email",
    "logging.handlers",
    "tui.agent_items", "tui.app.browser", "tui.app.preloading", "tui.app.screens.account",
    "tui.app.screens.help", "tui.app.screens.picker", "tui.app.screens.search", "tui.app.screens.switcher",
    "tui.app.transcript.code", "tui.app.transcript.find", "tui.app.transcript.inline", "tui.app.transcript.markdown",
    "tui.app.widgets.dialogs", "tui.client.http", "tui.client.protocols", "tui.exchange", "tui.found", "tui.guide",
    "tui.matching", "tui.query", "tui.store.find", "tui.store.finds", "tui.store.search",
}  # fmt: skip

MOST = 155
"""Modules of ours the first frame may cost: a few dozen of them are a tenth of a start."""

OPENING = """
import asyncio, gc, sys
from pathlib import Path
from tui.app.app import PalaverApp
from tui.app.run import Wish
from tui.chat import Chat
from tui.client import Client
from tui.config import GUIDE, Config
from tui.store import Store

async def main():
    store = Store(Path(sys.argv[1]))
    chat = Chat(store, Client(), Config({"guide": GUIDE}, "guide"))
    app = PalaverApp(chat, store, Wish())
    async with app.run_test(size=(100, 30)) as pilot:
        while not gc.get_freeze_count():  # the last thing that starting does
            await asyncio.sleep(0.01)
        known = set(sys.modules)
        for keys in ("f1 escape", "ctrl+o x escape", "f2 escape", "ctrl+f x escape", "ctrl+r x y escape", "f6 escape"):
            for key in keys.split():
                await pilot.press(key)
        print(len(app.screen_stack), *sorted(set(sys.modules) - known))
    await chat.aclose()
    await store.close()

asyncio.run(main())
"""


def printed(*argv: str) -> list[str]:
    """What a fresh interpreter prints, in words."""
    done = subprocess.run([sys.executable, "-c", *argv], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def test_little_is_loaded_before_the_first_frame() -> None:
    loaded = printed(BEGINNING)
    assert sorted(LATER & set(loaded)) == []
    assert len([name for name in loaded if name.partition(".")[0] == "tui"]) <= MOST


def test_what_keys_open_is_loaded_before_they_are_pressed(tmp_path: Path) -> None:
    assert printed(OPENING, str(tmp_path / "history.db")) == ["1"]
