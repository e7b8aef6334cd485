"""What is loaded when: little before the first frame, the rest behind it, and nothing by the first key that needs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import tui

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

UPGRADING = """
import asyncio, gc, shutil, sys
from pathlib import Path
import tui
from tui.app.app import PalaverApp
from tui.app.run import Wish
from tui.chat import Chat
from tui.client import Client
from tui.config import GUIDE, Config
from tui.store import Store

async def main():
    folder = Path(sys.argv[1])
    store = Store(folder / "history.db")
    chat = Chat(store, Client(), Config({"guide": GUIDE}, "guide"))
    app = PalaverApp(chat, store, Wish())
    async with app.run_test(size=(160, 30)) as pilot:
        screen = app.screen_stack[0]

        async def submit(text, ready):
            screen.prompt.replace_text(text)
            await pilot.press("enter")
            while not ready():
                await asyncio.sleep(0.01)

        while not gc.get_freeze_count():  # the last thing that starting does
            await asyncio.sleep(0.01)
        shutil.rmtree(tui.__path__[0])
        await submit("how do I cancel an answer?", chat.running)
        session = screen.session.id
        await submit("", lambda: not chat.running())
        for form in ("md", "html", "jsonl"):
            file = folder / f"out.{form}"
            await submit(f"/export {file}", file.exists)
        await submit(f"/import {folder / 'old.yaml'}", lambda: screen.session.id != session)
        await pilot.press("ctrl+r", "h", "escape")
        [turn] = await chat.turns(session)
        print(turn.status, *(turn.prompt for turn in await chat.turns(screen.session.id)))
    await chat.aclose()
    await store.close()

asyncio.run(main())
"""


def printed(*argv: str, cwd: Path | None = None) -> list[str]:
    """What a fresh interpreter prints, in words."""
    argv = (sys.executable, "-c", *argv)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_little_is_loaded_before_the_first_frame() -> None:
    loaded = printed(BEGINNING)
    assert sorted(LATER & set(loaded)) == []
    assert len([name for name in loaded if name.partition(".")[0] == "tui"]) <= MOST


def test_what_keys_open_is_loaded_before_they_are_pressed(tmp_path: Path) -> None:
    assert printed(OPENING, str(tmp_path / "history.db")) == ["1"]


def test_a_window_goes_on_when_palaver_is_taken_away(tmp_path: Path) -> None:
    shutil.copytree(Path(tui.__file__).parent, tmp_path / "tui", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "old.yaml").write_text("messages:\n- role: user\n  content: hi\n- role: assistant\n  content: hello\n")
    assert printed(UPGRADING, str(tmp_path), cwd=tmp_path) == ["done", "hi"]
    assert "Cancelled" in (tmp_path / "out.html").read_text()
