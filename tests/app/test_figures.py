"""What a turn came to, and what the next prompt takes along, as the window shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.app.driving import Window, window
from tests.fake_server import CHAT_PROFILE, PROFILE, completed, delta
from tui.app.screens.account import AccountScreen


def along(w: Window) -> str:
    """What the border of the input says."""
    return str(w.screen.prompt.border_title or "")


async def answered(w: Window, prompt: str, text: str, **usage: int) -> None:
    await w.send(prompt)
    exchange = await w.server.request()
    exchange.respond().event(delta(text)).event(completed(text, usage=usage)).end()
    await w.until(lambda: "done in" in w.status)


async def test_the_newest_turn_is_told_in_numbers_as_far_as_there_is_room(history: Path) -> None:
    profile = replace(PROFILE, context_window=2000)
    async with window(history, profile, size=(120, 20)) as w:
        await answered(w, "one", "hello", input_tokens=1204, output_tokens=356)
        assert "1,204 in · 356 out · first word 0." in w.status
        assert w.status.endswith(" · 78 % of 2k")
        assert "78 % of 2k" in w.picture.splitlines()[-2]
        await w.pilot.resize_terminal(70, 20)
        await w.until(lambda: "1,204 in · 356 out" in w.picture)
        assert "78 % of 2k" not in w.picture
        await w.press("f6")
        await w.until(lambda: isinstance(w.app.screen, AccountScreen))
        assert "turn 1: 1,204 in · 356 out · first word 0." in w.picture


async def test_what_a_new_conversation_takes_along_is_there_before_it_is_sent(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("one", "first")
        assert along(w) == ""
        await w.send("/forget")
        told = "New conversation: 2 messages (≈ 2 tokens) are sent along"
        await w.until(lambda: along(w) == told)
        assert told in w.picture
        await w.send("two")
        exchange = await w.server.request()
        assert [one["content"] for one in exchange.json["input"]] == ["one", "first", "two"]
        assert along(w) == ""
        exchange.respond().event(delta("second")).event(completed("second", "resp_2")).end()
        await w.until(lambda: "done in" in w.status)
        await w.exchange("three", "third", "resp_3")
        assert along(w) == ""


async def test_in_a_narrow_window_it_is_told_in_short(history: Path) -> None:
    async with window(history, size=(80, 24)) as w:
        await w.exchange("one", "first")
        await w.send("/forget")
        await w.until(lambda: along(w) == "New conversation: 2 messages, ≈ 2 tokens")
        assert along(w) in w.picture
        await w.press("ctrl+b")
        await w.until(lambda: along(w) == "New conversation: 2 messages (≈ 2 tokens) are sent along")
        await w.pilot.resize_terminal(45, 24)
        await w.until(lambda: along(w) == "New: 2 messages, ≈ 2 tokens")


async def test_other_words_above_the_input_come_first(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("one", "first")
        await w.send("/forget")
        await w.until(lambda: along(w).startswith("New conversation"))
        await w.press("escape", "escape")
        await w.until(lambda: len(w.app.screen_stack) > 1)
        await w.press("enter")
        await w.until(lambda: along(w).startswith("Changes a message"))
        await w.press("escape")
        assert along(w).startswith("New conversation: 2 messages")


async def test_each_session_tells_its_own(history: Path) -> None:
    async with window(history, PROFILE, CHAT_PROFILE) as w:
        await w.exchange("one", "first")
        await w.send("/profile chat")
        await w.until(lambda: along(w) == "2 messages (≈ 2 tokens) are sent along")
        await w.press("ctrl+n")
        await w.until(lambda: w.screen.session is not None and not w.screen.session.turns)
        assert along(w) == ""
        await w.press("alt+down")
        await w.until(lambda: along(w) == "2 messages (≈ 2 tokens) are sent along")
