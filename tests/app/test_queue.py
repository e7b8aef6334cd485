"""The window with prompts that wait: seen, changed, taken out, sent in order, and stopped until the user says go."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.chatting import answer_well
from tests.fake_server import Exchange, completed, delta
from tests.store.conftest import Disk
from tests.store.histories import change
from tui.app.run import Wish
from tui.app.widgets.key_bar import KeyBar
from tui.model import TurnStatus


async def answering(w: Window, *prompts: str) -> Exchange:
    """A first prompt that is being answered, and these said meanwhile."""
    await w.send("first")
    exchange = (await w.server.request()).respond().event(delta("Once upon"))
    await w.until(lambda: "Once upon" in w.transcript)
    for count, prompt in enumerate(prompts, 1):
        await w.send(prompt)
        await w.until(lambda count=count: len(w.screen._queue) == count)
    return exchange


def ends_well(exchange: Exchange) -> None:
    exchange.event(completed("Once upon", "resp_first")).end()


def waiting(w: Window) -> list[str]:
    return [line.strip() for line in w.screen.queue_list.text.splitlines()]


def sent(w: Window) -> list[str]:
    return [str(exchange.json["input"][-1]["content"]) for exchange in w.server.seen]


def keys(w: Window) -> str:
    return w.screen.query_one(KeyBar).text


async def test_prompts_wait_under_the_transcript_and_are_sent_in_order(history: Path) -> None:
    async with window(history) as w:
        first = await answering(w, "second", "third\nline")
        assert waiting(w) == ["↳ 1 second", "↳ 2 third line"]
        assert w.screen.prompt.text == ""
        lines = w.picture.splitlines()
        assert next(place for place, line in enumerate(lines) if "↳ 1 second" in line) > next(
            place for place, line in enumerate(lines) if "Once upon" in line
        )
        ends_well(first)
        for prompt, left in (("second", 1), ("third\nline", 0)):
            exchange = await w.server.request()
            assert exchange.json["input"][-1]["content"] == prompt
            await w.until(lambda left=left: len(waiting(w)) == left)
            answer_well(exchange, f"to {prompt}", f"resp_{left}")
        await w.until(lambda: "done in" in w.status and not w.talk.chat.running())
        assert not w.screen.queue_list.display
        assert sent(w) == ["first", "second", "third\nline"]


async def test_more_than_three_are_counted(history: Path) -> None:
    async with window(history, size=(80, 24)) as w:
        await answering(w, "a", "b", "c", "d", "e")
        assert waiting(w) == ["↳ 1 a", "↳ 2 b", "↳ 3 c", "+2 more"]
        assert "+2 more" in w.picture


async def test_up_in_the_empty_input_changes_one_in_its_place(history: Path) -> None:
    async with window(history) as w:
        first = await answering(w, "second", "third", "fourth")
        await w.press("up")
        assert w.screen.prompt.text == "fourth"
        await w.press("up")
        assert w.screen.prompt.text == "third"
        assert waiting(w) == ["↳ 1 second", "↳ 2 (being changed) third", "↳ 3 fourth"]
        assert "esc Back" in keys(w)
        assert w.screen.prompt.border_title == "Enter puts it back · Alt+X takes it out"
        await w.type(" try")
        await w.press("enter")
        await w.until(lambda: waiting(w) == ["↳ 1 second", "↳ 2 third try", "↳ 3 fourth"])
        assert w.screen.prompt.text == ""
        ends_well(first)
        for number in range(3):
            answer_well(await w.server.request(), f"answer {number}", f"resp_{number}")
        await w.until(lambda: not w.talk.chat.running())
        assert sent(w) == ["first", "second", "third try", "fourth"]


async def test_escape_leaves_it_as_it_was_with_the_draft_as_it_was(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second")
        await w.press("up")
        await w.type("!")
        await w.press("escape")
        assert w.screen.prompt.text == ""
        await w.until(lambda: waiting(w) == ["↳ 1 second"])
        assert w.talk.chat.running()
        # In a text of its own Up looks back in what was said.
        await w.type("a draft")
        await w.press("up")
        assert w.screen.prompt.text == "second!"
        await w.press("up")
        assert w.screen.prompt.text == "second"
        assert "(being changed)" not in w.screen.queue_list.text
        assert w.screen.prompt.border_title == ""


async def test_one_is_taken_out(history: Path) -> None:
    async with window(history) as w:
        first = await answering(w, "second", "third")
        await w.press("alt+x")
        await w.until(lambda: waiting(w) == ["↳ 1 second"])
        await w.press("up")
        await w.press("alt+x")
        await w.until(lambda: waiting(w) == [])
        assert w.screen.prompt.text == ""
        assert "Taken out; Up brings it back" in w.status
        ends_well(first)
        await w.until(lambda: not w.talk.chat.running())
        await w.press("up")
        assert w.screen.prompt.text == "second"
        assert sent(w) == ["first"]


async def test_a_stop_lets_them_wait_and_enter_says_go(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second", "third")
        await w.press("escape")
        await w.until(lambda: "2 prompts wait: Enter sends the next" in w.status)
        assert "stopped after" in w.status
        assert waiting(w) == ["□ 1 second", "□ 2 third"]
        assert "⏎ Send the next" in keys(w)
        await w.type("x")
        assert "⏎ Send the next" not in keys(w)
        await w.press("backspace", "enter")
        answer_well(await w.server.request(), "to second", "resp_2")
        answer_well(await w.server.request(), "to third", "resp_3")
        await w.until(lambda: "to third" in w.transcript)
        assert sent(w) == ["first", "second", "third"]


async def test_an_error_lets_them_wait_and_what_is_said_now_goes_first(history: Path) -> None:
    async with window(history) as w:
        await w.send("first")
        exchange = await w.server.request()
        await w.send("second")
        await w.until(lambda: waiting(w) == ["↳ 1 second"])
        exchange.answer(400, {"error": {"message": "no"}})
        await w.until(lambda: "1 prompt waits: Enter sends it" in w.status)
        await w.send("instead")
        answer_well(await w.server.request(), "well", "resp_1")
        await w.until(lambda: "done in" in w.status)
        assert "1 prompt waits: Enter sends it" in w.status
        assert sent(w) == ["first", "instead"]


async def test_the_next_start_shows_them_and_sends_nothing_by_itself(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second", "third")
        await w.press("up")
    async with window(history) as w:
        await w.until(lambda: waiting(w) == ["□ 1 second", "□ 2 third"])
        assert "2 prompts wait: Enter sends the next" in w.status
        assert w.screen.prompt.text == ""
        assert sent(w) == []
        await w.press("enter")
        answer_well(await w.server.request(), "to second", "resp_2")
        answer_well(await w.server.request(), "to third", "resp_3")
        await w.until(lambda: "to third" in w.transcript)
        assert [turn.status for turn in await w.talk.chat.turns(w.screen.session.id)] == [
            TurnStatus.INTERRUPTED,
            TurnStatus.DONE,
            TurnStatus.DONE,
        ]


async def test_each_session_has_its_own(history: Path) -> None:
    async with window(history, wish=Wish(label="one")) as w:
        await answering(w, "second")
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-1")
        assert waiting(w) == []
        await w.press("alt+down")
        await w.until(lambda: w.label == "one")
        await w.until(lambda: waiting(w) == ["↳ 1 second"])


async def test_two_windows_see_one_queue(history: Path) -> None:
    async with window(history, wish=Wish(label="one")) as here, window(history, wish=Wish(label="one")) as there:
        first = await answering(here)
        await there.until(lambda: "Once upon" in there.transcript)
        await there.send("from there")
        await there.until(lambda: waiting(there) == ["↳ 1 from there"])
        await here.until(lambda: waiting(here) == ["↳ 1 from there"])
        ends_well(first)
        answer_well(await here.server.request(), "well", "resp_2")
        await there.until(lambda: "well" in there.transcript and waiting(there) == [])
        assert (sent(here), sent(there)) == (["first", "from there"], [])


async def test_what_was_sent_while_it_was_changed_elsewhere_is_a_new_prompt(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second")
        await w.press("up")
        await w.type("!")
        change(history, "DELETE FROM queue", "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
               "UPDATE sessions SET revision = (SELECT value FROM meta WHERE key = 'revision')")  # fmt: skip
        await w.until(lambda: waiting(w) == [])
        assert w.screen.prompt.text == "second!"
        assert "no longer waiting" in w.status


async def test_where_nothing_can_be_written_the_prompt_stays_in_the_input(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    monkeypatch.setattr(sqlite3, "connect", disk.connect)
    async with window(history) as w:
        first = await answering(w)
        await disk.protect(w.talk.store)
        await w.send("second")
        await w.until(lambda: w.screen.prompt.text == "second")
        assert "read-only" in w.status
        assert waiting(w) == []
        first.end()
