"""What is shown first, and what is said then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets._toast import Toast

from tests.app.driving import Window, window
from tests.chatting import talk
from tests.fake_server import PROFILE, completed
from tui.app.run import Wish
from tui.config import GUIDE
from tui.config_file import load

Write = Callable[[str], Path]


def without_blanks(text: str) -> str:
    """Text that is the same wherever it is broken into lines."""
    return "".join(text.split())


async def toasts(w: Window, count: int) -> list[str]:
    """What is told in the corner, as it is drawn but without blanks, once it is so much."""

    def drawn() -> bool:
        found = w.screen.query(Toast)
        return len(found) == count and all(toast.region.height > 1 for toast in found)

    await w.until(drawn)
    lines = w.picture.split("\n")
    boxes = [toast.content_region for toast in w.screen.query(Toast)]
    return [without_blanks("".join(lines[y][box.x : box.right] for y in box.line_range)) for box in boxes]


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


async def test_guide_does_not_deny_the_servers_there_are(history: Path) -> None:
    async with window(history, PROFILE, GUIDE, wish=Wish(profile="guide", new=True)) as w:
        seen = " ".join(w.picture.split())
        assert "guide answers: Palaver's own manual. Ask it anything." in seen
        assert "No server" not in seen


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


@pytest.mark.fault("G03", "G06")
async def test_all_warnings_are_told_and_can_be_read_to_their_ends(history: Path, write_config: Write) -> None:
    file = write_config(
        '[profiles.work]\nbase_url = "http://127.0.0.1:1/v1"\nmodle = "m"\nheaders = { Authorization = "Bearer sk-1" }\n'
    )
    file.chmod(0o644)
    async with window(history, warnings=load(file, {}).warnings, theme="nrod") as w:
        told = await toasts(w, 3)
        assert not any(one.region.overlaps(w.screen.prompt.region) for one in w.screen.query(Toast))
        for line in (
            f"{file}: unknown key profiles.work.modle (did you mean 'model'?)",
            f"{file} holds a secret header and can be read by others: chmod 600 {file}",
            "theme: there is no theme 'nrod' (did you mean 'nord'?)",
        ):
            assert without_blanks(line) in told


async def test_a_warning_that_is_cut_in_the_status_bar_is_told_whole(history: Path) -> None:
    long = f"config.toml: {'a long way ' * 9}to the end of it"
    async with window(history, warnings=(long,)) as w:
        assert await toasts(w, 1) == [without_blanks(long)]
    async with window(history, warnings=("config.toml: short",)) as w:
        await w.until(lambda: "config.toml: short" in w.status)
        assert not w.screen.query(Toast)


async def test_of_many_warnings_there_is_said_how_many_more_there_are(history: Path) -> None:
    async with window(history, size=(100, 40), warnings=tuple(f"config.toml: wrong {one}" for one in range(9))) as w:
        *told, more = await toasts(w, 5)
        assert told == [f"config.toml:wrong{one}" for one in range(4)]
        assert more == without_blanks("And 5 more; `palaver config` lists those about settings.")


@pytest.mark.fault("G04")
async def test_a_theme_that_there_is_not_is_told(history: Path) -> None:
    async with window(history, theme="zzz") as w:
        await w.until(lambda: "theme: there is no theme 'zzz' (the command “Theme” lists them)" in w.status)


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


async def test_a_session_whose_profile_is_gone_says_so_and_sends_nothing(history: Path) -> None:
    old = replace(PROFILE, name="old")
    async with window(history, old) as w:
        await w.exchange("hello", "hi")
        first = w.label
    async with window(history) as w:
        assert w.label == first
        assert f"{first} · old, which is not configured" in w.status
        await w.type("two")
        await w.press("enter")
        await w.until(lambda: "The profile 'old' is not configured any more — /profile or -p names another" in w.status)
        assert w.screen.prompt.text == "two"
        await w.press("ctrl+n")
        await w.until(lambda: w.label != first)
        assert "test · m" in w.status
        assert w.server.seen == []
