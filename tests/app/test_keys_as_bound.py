"""Lines that name keys name them as they are bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.containers import VerticalScroll

from tests.app.driving import Window, window
from tests.app.test_queue import answering, ends_well
from tests.fake_server import completed
from tui.app.screens.account import AccountScreen
from tui.app.screens.help import HelpScreen
from tui.app.screens.search import SearchScreen
from tui.app.widgets.dialogs import ConfirmDialog, TextDialog

KEYS = {
    "prompt.send": "ctrl+s",
    "turn.back": "f12",
    "turn.pick": "ctrl+l",
    "view.next": "f10",
    "transcript.approve": "g",
    "transcript.deny": "x",
    "transcript.fold": "o",
    "transcript.leave": "q",
    "help.close": "f11,escape",
    "help.close-account": "z,escape",
    "dialog.cancel": "ctrl+t",
    "dialog.yes": "j",
    "dialog.no": "n",
    "search.close": "ctrl+t",
}


def words(w: Window) -> str:
    return " ".join(w.picture.replace("│", " ").split())


async def say(w: Window, prompt: str, *events: dict[str, Any]) -> None:
    w.screen.prompt.replace_text(prompt)
    await w.press("ctrl+s")
    exchange = (await w.server.request()).respond()
    for event in (*events, completed("Well.")):
        exchange.event(event)
    exchange.end()
    await w.until(lambda: not w.talk.chat.running())


async def test_a_message_being_changed(history: Path) -> None:
    async with window(history, keys=KEYS) as w:
        await say(w, "one")
        w.screen.prompt.focus()
        await w.press("ctrl+l")
        await w.until(lambda: "Ctrl+L again: choose one of your messages, to change it" in w.status)
        await w.press("f10", "up", "up", "e")
        await w.until(lambda: "Changes a message: Ctrl+S sends, F12 cancels" in w.picture)
        await w.press("f12")
        await w.until(lambda: "Changes a message" not in w.picture)


async def test_a_message_changed_while_an_answer_comes(history: Path) -> None:
    async with window(history, keys={"prompt.send": "ctrl+s,enter"}) as w:
        await w.exchange("one", "first")
        response = await answering(w)
        await w.press("tab", "up", "up", "up", "up", "e")
        await w.press("ctrl+s")
        await w.until(lambda: "still answering; wait, then press Ctrl+S" in w.status)
        ends_well(response)


async def test_what_waits_for_approval(history: Path) -> None:
    asked = {"type": "mcp_approval_request", "id": "q", "server_label": "ops", "name": "deploy", "arguments": "{}"}
    async with window(history, keys=KEYS) as w:
        await say(w, "deploy", {"type": "response.output_item.done", "output_index": 0, "item": asked})
        await w.until(lambda: "Waits for your approval: in here, g approves, x denies." in w.said)


async def test_the_help(history: Path) -> None:
    async with window(history, keys=KEYS) as w:
        await w.press("f1")
        await w.until(lambda: isinstance(w.app.screen, HelpScreen))
        box = w.app.screen.query_one(VerticalScroll)
        said = "\n".join(str(child.render()) for child in box.children)
        assert "In the transcript (F10 goes there, q comes back)" in said
        assert "o or a click unfolds it" in said
        assert "the last prompt failed; F10, then r sends it again" in said
        assert "F11 closes this." in said
        await w.press("f11")
        assert w.app.screen is w.screen


async def test_what_is_known_of_a_conversation(history: Path) -> None:
    async with window(history, keys=KEYS) as w:
        await w.press("f6")
        await w.until(lambda: isinstance(w.app.screen, AccountScreen))
        await w.until(lambda: "z closes this." in words(w))


async def test_dialogs_and_the_search(history: Path) -> None:
    async with window(history, keys=KEYS) as w:
        await w.press("f2")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        await w.until(lambda: "Enter confirms, Ctrl+T cancels" in words(w))
        await w.press("ctrl+t", "ctrl+r")
        await w.until(lambda: isinstance(w.app.screen, SearchScreen))
        await w.until(lambda: "Enter goes there, Ctrl+T goes back" in words(w))
        await w.press("ctrl+t")
        w.screen._links.open("http://good.example/")
        await w.until(lambda: isinstance(w.app.screen, ConfirmDialog))
        await w.until(lambda: "j opens it, n cancels" in words(w))
