"""What is shown first, and what is said then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.app.driving import window
from tests.chatting import talk
from tests.fake_server import PROFILE, completed
from tui.app.run import Wish
from tui.config import GUIDE


async def test_a_first_start_says_what_to_do(history: Path) -> None:
    async with window(history) as w:
        assert "A new session" in w.picture
        assert "Type a message and press Enter." in w.picture
        assert w.label == "chat-1"
        assert "chat-1 · test · m · server.localhost:1" in w.status
        assert w.screen.focused is w.screen.prompt


async def test_a_first_start_names_keys_as_they_are_bound_in_lines_that_fit(history: Path) -> None:
    keys = {"prompt.send": "f5", "app.help": "f12", "app.commands": "ctrl+l"}
    async with window(history, GUIDE, size=(44, 24), keys=keys) as w:
        seen = " ".join(w.picture.split())
        assert "Type a message and press F5." in seen
        assert "F12 shows the keys, Ctrl+L the commands." in seen
        assert "No server is configured yet, so guide answers: Palaver's own manual. Ask it anything." in seen
        await w.press("ctrl+l")
        await w.until(lambda: len(w.app.screen_stack) == 2)


async def test_a_wish_for_a_session_is_heard(history: Path) -> None:
    async with window(history, wish=Wish(label="work")) as w:
        assert w.label == "work"
        await w.exchange("hello", "hi")
    async with window(history, wish=Wish(new=True)) as w:
        assert w.label == "chat-1"
    async with window(history) as w:
        assert w.label == "work"
        assert "hello" in w.transcript


async def test_a_profile_can_be_wished_for(history: Path) -> None:
    other = replace(PROFILE, name="other", base_url="http://other.localhost:2/v1", model="big")
    async with window(history, PROFILE, other, wish=Wish(label="work", profile="other", model="bigger")) as w:
        assert "other · bigger · other.localhost:2" in w.status
        await w.send("hello")
        exchange = await w.server.request()
        assert exchange.request.url.host == "other.localhost"
        assert exchange.json["model"] == "bigger"


async def test_warnings_of_the_configuration_are_shown(history: Path) -> None:
    async with window(history, warnings=("config.toml: unknown key modle",)) as w:
        await w.until(lambda: "unknown key modle" in w.status)


async def test_a_history_that_cannot_be_had_is_visible_and_costs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "history.db"
    folder.mkdir()
    async with window(folder) as w:
        await w.until(lambda: "NOT SAVED" in w.status)
        assert "is a folder" in w.status
        await w.send("hello")
        (await w.server.request()).respond().event(completed("An answer.")).end()
        await w.until(lambda: "An answer." in w.transcript)
        folder.rmdir()
        await w.talk.store._heal()
        await w.until(lambda: "NOT SAVED" not in w.status)
    async with talk(folder) as t:
        (session,) = await t.chat.sessions()
        assert [turn.text for turn in await t.chat.turns(session.id)] == ["An answer."]
