"""Prompts changed and asked again in the window, and leafing through what came of them."""

from __future__ import annotations

from pathlib import Path

from tests.app.driving import Window, window
from tests.chatting import answer_well


async def two(w: Window) -> None:
    await w.exchange("one", "first answer", "resp_1")
    await w.exchange("two", "second answer", "resp_2")


async def test_a_message_is_changed_and_both_are_kept(history: Path) -> None:
    async with window(history) as w:
        await two(w)
        await w.type("half a thought")
        await w.press("tab", "up", "e")
        assert w.screen.prompt.text == "two"
        assert "Changes a message" in w.picture
        await w.type(" again")
        await w.press("enter")
        assert w.screen.prompt.text == "half a thought"
        exchange = await w.server.request()
        assert exchange.json["previous_response_id"] == "resp_1"
        answer_well(exchange, "third answer", "resp_3")
        await w.until(lambda: "‹ 2/2 ›" in w.said and "third answer" in w.said)
        assert "second answer" not in w.said
        await w.press("tab", "left")
        await w.until(lambda: "‹ 1/2 ›" in w.said)
        assert "second answer" in w.said
        assert "third answer" not in w.said
        await w.press("left", "right")
        await w.until(lambda: "‹ 2/2 ›" in w.said)
        assert "third answer" in w.said


async def test_escape_leaves_a_message_as_it_was(history: Path) -> None:
    async with window(history) as w:
        await two(w)
        await w.type("mine")
        await w.press("tab", "e")
        await w.type(" changed")
        await w.press("escape")
        assert w.screen.prompt.text == "mine"
        assert "Changes a message" not in w.picture
        assert "Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == "two changed"
        assert "‹" not in w.said
        assert len(w.server.seen) == 2


async def test_a_change_waits_for_the_answer_that_is_coming(history: Path) -> None:
    async with window(history) as w:
        await two(w)
        await w.send("three")
        exchange = await w.server.request()
        await w.press("tab", "up", "up", "e")
        changed = w.screen.prompt.text
        assert changed in ("one", "two")
        await w.type("!")
        await w.press("enter")
        assert w.screen.prompt.text == f"{changed}!"
        assert "Changes a message" in w.picture
        assert "still answering" in w.status
        answer_well(exchange, "third answer", "resp_3")
        await w.until(lambda: not w.talk.chat.running())
        await w.press("enter")
        exchange = await w.server.request()
        assert exchange.json["input"][-1]["content"] == f"{changed}!"
        answer_well(exchange, "fourth answer", "resp_4")
        await w.until(lambda: "fourth answer" in w.said)


async def test_an_answer_is_asked_for_again(history: Path) -> None:
    async with window(history) as w:
        await two(w)
        await w.press("tab", "r")
        exchange = await w.server.request()
        assert exchange.json["input"] == [{"role": "user", "content": "two"}]
        answer_well(exchange, "another answer", "resp_3")
        await w.until(lambda: "another answer" in w.said and "‹ 2/2 ›" in w.said)
        assert "second answer" not in w.said


async def test_another_session_does_not_get_what_was_being_changed(history: Path) -> None:
    async with window(history) as w:
        await two(w)
        await w.type("mine")
        await w.press("tab", "e", "ctrl+n")
        await w.until(lambda: w.label == "chat-2")
        assert w.screen.prompt.text == ""
        await w.press("alt+down")
        await w.until(lambda: w.label == "chat-1")
        assert w.screen.prompt.text == "mine"


async def test_what_was_sent_in_place_is_seen_wherever_the_cursor_was(history: Path) -> None:
    async with window(history) as w:
        for number in range(1, 4):
            await w.exchange(f"prompt {number}", "line  \n" * 20, f"resp_{number}")
        await w.press("tab", "up", "up", "up", "up", "up", "up", "escape")
        await w.press("escape", "escape")
        await w.until(lambda: "Change a message" in w.picture)
        await w.press("enter")
        await w.until(lambda: w.screen.prompt.text == "prompt 3")
        await w.type("!")
        await w.press("enter")
        answer_well(await w.server.request(), "the new end", "resp_4")
        await w.until(lambda: not w.talk.chat.running() and "‹ 2/2 ›" in w.transcript)
        assert "the new end" in w.transcript
        assert w.screen.transcript.following


async def test_once_the_newest_line_is_wanted_keys_mean_the_newest_turn(history: Path) -> None:
    async with window(history) as w:
        await two(w)
        await w.press("tab", "up", "up", "up", "ctrl+end", "r")
        exchange = await w.server.request()
        assert exchange.json["input"] == [{"role": "user", "content": "two"}]
        answer_well(exchange, "another answer", "resp_3")
        await w.until(lambda: "another answer" in w.said)
