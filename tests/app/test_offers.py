"""The list above the input: what a command being typed may become, chosen with keys or a click."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual import events

from tests.app.driving import Window, window
from tests.fake_server import PROFILE
from tui.app.screens.slash import Slash, offers, run
from tui.app.widgets.key_bar import KeyBar
from tui.app.widgets.offer_list import Offer, OfferList
from tui.config import GUIDE


def listed(w: Window) -> list[str]:
    return [" ".join(line.split()) for line in w.screen.offer_list.text.splitlines()]


def words(text: str) -> list[str]:
    said: list[str] = []
    commands = {
        "/fork": Slash(said.append, "forks", "[LABEL]"),
        "/forget": Slash(said.append, "forgets"),
        "/adopt": Slash(said.append, "adopts", "ID"),
        "/profile": Slash(said.append, "changes", "[NAME]", {"work": "a", "home": "b", "web": "c"}),
    }
    return [offer.text for offer in offers(text, commands)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/", ["/fork ", "/forget", "/adopt ", "/profile "]),
        ("/fo", ["/fork ", "/forget"]),
        ("/forget", ["/forget"]),
        ("/forgets", []),
        ("fork", []),
        ("/fork some", []),
        ("/fo\n", []),
        ("/profile ", ["/profile work", "/profile home", "/profile web"]),
        ("/profile w", ["/profile work", "/profile web"]),
    ],
)
def test_what_fits(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_a_command_that_needs_an_argument_is_not_whole_without() -> None:
    said: list[str] = []
    commands = {"/adopt": Slash(said.append, "adopts", "ID"), "/fork": Slash(said.append, "forks", "[LABEL]")}
    assert [offer.ends for offer in offers("/", commands)] == [False, True]
    assert run("/adopt  one ", commands)
    assert not run("/adopted", commands)
    assert not run("/adopt\none", commands)
    assert said == ["one"]


async def test_commands_are_listed_as_they_are_typed_and_enter_takes_one(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.type("/")
        assert listed(w)[0] == "› /model [NAME] choose what answers next"
        lines = w.picture.splitlines()
        at = next(place for place, line in enumerate(lines) if "choose what answers" in line)
        assert at < next(place for place, line in enumerate(lines) if place > at and "│ / " in line)
        assert "⏎ Take" in w.screen.query_one(KeyBar).text
        await w.type("fo")
        assert [line.split()[1 if line[0] == "›" else 0] for line in listed(w)] == ["/fork", "/forget"]
        await w.press("down", "down", "up")
        assert listed(w)[1].startswith("› /forget")
        await w.press("enter")
        assert w.screen.prompt.text == ""
        assert listed(w) == []
        await w.until(lambda: "The next prompt begins a new conversation" in w.status)
        assert len(w.server.seen) == 1


async def test_tab_completes_and_an_argument_may_follow(history: Path) -> None:
    other = replace(PROFILE, name="other", base_url="http://other.localhost:2/v1")
    async with window(history, PROFILE, other) as w:
        await w.type("/ad")
        await w.press("enter")
        assert w.screen.prompt.text == "/adopt "
        assert listed(w) == []
        w.screen.prompt.replace_text("")
        await w.type("/pro")
        await w.press("tab")
        assert w.screen.prompt.text == "/profile "
        assert listed(w) == ["› test http://server.localhost:1/v1", "other http://other.localhost:2/v1"]
        await w.type("o")
        await w.press("enter")
        await w.until(lambda: "other · m · other.localhost:2" in w.status)
        assert w.screen.prompt.text == ""


async def test_a_command_the_server_cannot_carry_out_is_not_sent_to_it(history: Path) -> None:
    async with window(history) as w:
        await w.send("/conversations")
        await w.until(lambda: "A server of the responses protocol does not list conversations" in w.status)
        assert w.screen.prompt.text == "/conversations"
        w.screen.prompt.replace_text("")
        await w.send("/share\nis what I type")
        assert (await w.server.request()).json["input"][-1]["content"] == "/share\nis what I type"


async def test_escape_closes_the_list_and_what_no_command_is_is_sent(history: Path) -> None:
    async with window(history) as w:
        await w.type("/fo")
        await w.press("escape")
        assert listed(w) == []
        await w.type("o")
        assert listed(w) == []
        await w.press("enter")
        assert (await w.server.request()).json["input"][-1]["content"] == "/foo"
        await w.type("/f")
        assert listed(w)
        await w.press("left")
        assert listed(w) == []


async def test_a_command_typed_out_is_sent_by_enter_and_the_arrows_stay_in_the_list(history: Path) -> None:
    async with window(history) as w:
        await w.type("/profile")
        assert len(listed(w)) == 1
        await w.press("enter")
        await w.until(lambda: "test (now) — http://server.localhost:1/v1" in w.picture)
        await w.press("escape")
        await w.type("/")
        await w.press("up")
        assert listed(w)[-1].startswith("› /adopt")
        assert w.screen.prompt.text == "/"


async def test_a_click_completes(history: Path) -> None:
    async with window(history) as w:
        await w.type("/e")
        await w.pilot.click(OfferList, offset=(5, 0))
        assert w.screen.prompt.text == "/export "
        assert w.screen.prompt.has_focus


@pytest.mark.parametrize(("size", "most"), [((200, 60), 8), ((40, 10), 3)])
async def test_a_long_list_follows_what_is_chosen_in_any_window(
    history: Path, size: tuple[int, int], most: int
) -> None:
    async with window(history, GUIDE, size=size) as w:
        w.screen.prompt.focus()
        w.screen.offer_list.show([Offer(str(number), f"name {number}", "note " * 50) for number in range(20)])
        await w.pilot.pause()
        assert len(listed(w)) == most
        assert listed(w)[-1].endswith(f"+{20 - most} more")
        w.screen.offer_list.step(-1)
        await w.pilot.pause()
        assert "› name 19" in w.picture
        assert "name 0 " not in w.picture
        assert all(len(line) <= size[0] for line in w.picture.splitlines())


async def test_enter_takes_what_is_listed_for_all_that_was_typed_before_it(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.type("/fo")
        for character in "rk other":
            w.app.post_message(events.Key("space" if character == " " else character, character))
        w.app.post_message(events.Key("enter", "\r"))
        await w.until(lambda: w.label == "other")
        assert w.screen.prompt.text == ""
