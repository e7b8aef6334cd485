"""What is made of a message, or of a prompt that waits, and not sent: it is there again, or Up brings it back."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.app.driving import Window, input_seen, window
from tests.app.test_queue import answering, ends_well, sent, waiting
from tests.chatting import answer_well
from tests.loopback import loopback, profile_text
from tests.store.histories import change
from tests.store.other import Other
from tests.terminal import terminal, wait_for
from tui.app.run import Wish
from tui.app.screens.shelf import MOST
from tui.model import TurnStatus

REWRITTEN = "one a long careful rewrite"


async def two_sessions(w: Window) -> None:
    """One in which two things were said, shown, and a newer one."""
    await w.exchange("one", "first answer", "resp_1")
    await w.exchange("two", "second answer", "resp_2")
    here = w.label
    await w.press("ctrl+n")
    await w.exchange("elsewhere", "another answer", "resp_3")
    await w.press("alt+down")
    await w.until(lambda: w.label == here and "second answer" in w.transcript)


async def rewrite(w: Window) -> None:
    """Change the first message, as far as can be told from its text."""
    await w.press("tab", "up", "up", "up", "e")
    assert w.screen.prompt.text == "one"
    await w.type(REWRITTEN.removeprefix("one"))


async def there_and_back(w: Window) -> None:
    here = w.label
    await w.press("alt+up")
    await w.until(lambda: w.label != here and w.screen.session is not None)
    assert w.screen.prompt.text == ""
    assert not w.screen.prompt.border_title
    await w.press("alt+down")
    await w.until(lambda: w.label == here and w.screen.session is not None)


def is_changing(w: Window) -> bool:
    return "Changes a message" in w.picture


async def draft_on_disk(w: Window) -> str:
    session = await w.talk.store.session(w.screen.session.id)
    assert session is not None
    return session.draft


# A message


async def test_another_session_and_back_goes_on_with_the_change(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await rewrite(w)
        await there_and_back(w)
        assert w.screen.prompt.text == REWRITTEN
        assert is_changing(w)
        await w.press("enter")
        assert w.screen.prompt.text == "mine"
        exchange = await w.server.request()
        assert [one["content"] for one in exchange.json["input"]] == [REWRITTEN]
        assert "previous_response_id" not in exchange.json
        answer_well(exchange, "in its place", "resp_4")
        await w.until(lambda: "‹ 2/2 ›" in w.said and "in its place" in w.said)
        assert "second answer" not in w.said


async def test_what_was_sent_in_place_is_no_longer_being_changed(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await rewrite(w)
        await there_and_back(w)
        await w.press("enter")
        exchange = await w.server.request()
        assert await draft_on_disk(w) == ""
        answer_well(exchange, "in its place", "resp_4")
        await w.until(lambda: "in its place" in w.said and not w.talk.chat.running())
    async with window(history) as w:
        assert w.screen.prompt.text == ""
        assert not is_changing(w)


@pytest.mark.parametrize("comes_back", [False, True])
async def test_what_could_not_be_sent_from_a_session_that_is_not_shown_is_its_draft(
    history: Path, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.5)
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 0.1)
    async with window(history) as w:
        await two_sessions(w)
        here = w.screen.session
        await rewrite(w)
        async with asyncio.timeout(20):
            while not await draft_on_disk(w):
                await w.pilot.pause(0.05)
        with Other(history) as other:
            other.do("hold")
            await w.press("enter")
            await w.press("alt+up")
            await w.until(lambda: w.screen.session is not None and w.screen.session.id != here.id)
            await w.until(lambda: w.talk.turns[-1].status is TurnStatus.FAILED)
            assert w.screen.prompt.text == ""
            if comes_back:
                await w.press("alt+down")
                await w.until(lambda: w.screen.session is not None and w.screen.session.id == here.id)
                await w.until(lambda: w.screen.prompt.text == REWRITTEN)
            other.do("let_go")
        if not comes_back:
            await w.until(lambda: not w.talk.store._writing.locked())
            await w.press("alt+down")
            await w.until(lambda: w.screen.session is not None and w.screen.session.id == here.id)
            assert w.screen.prompt.text == REWRITTEN
    async with window(history, wish=Wish(label=here.label)) as w:
        await w.until(lambda: w.screen.prompt.text == REWRITTEN)
        await w.press("enter")
        answer_well(await w.server.request(), "sent now", "resp_4")
        await w.until(lambda: "sent now" in w.said and not w.talk.chat.running())
        assert await draft_on_disk(w) == ""


async def test_a_draft_there_is_stays_where_another_prompt_could_not_be_sent(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.5)
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 0.1)
    async with window(history) as w:
        await two_sessions(w)
        here = w.screen.session
        await rewrite(w)
        with Other(history) as other:
            other.do("hold")
            await w.press("enter")
            await w.type("what comes next")
            await w.press("alt+up")
            await w.until(lambda: w.screen.session is not None and w.screen.session.id != here.id)
            await w.until(lambda: w.talk.turns[-1].status is TurnStatus.FAILED)
            other.do("let_go")
    async with window(history, wish=Wish(label=here.label)) as w:
        await w.until(lambda: w.screen.prompt.text == "what comes next")


async def test_escape_after_coming_back_has_the_draft_and_up_the_change(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await rewrite(w)
        await there_and_back(w)
        await w.press("escape")
        assert w.screen.prompt.text == "mine"
        assert "Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == REWRITTEN
        assert not is_changing(w)
        await w.press("down")
        assert w.screen.prompt.text == "mine"


async def test_looking_through_what_was_said_loses_no_draft(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await w.press("up")
        assert w.screen.prompt.text == "two"
        await there_and_back(w)
        assert w.screen.prompt.text == "mine"
        await w.press("up")
    async with window(history) as w:
        assert w.screen.prompt.text == "mine"
        await w.press("up")
        assert w.screen.prompt.text == "two"
        await w.press("ctrl+c", "up")
        assert w.screen.prompt.text == "mine"


async def test_sending_what_was_recalled_brings_back_what_was_being_written(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await w.press("up", "enter")
        assert w.screen.prompt.text == "mine"
        answer_well(await w.server.request(), "an answer once more", "resp_4")
        await w.until(lambda: "an answer once more" in w.said)
        await w.type(", too")
        await w.press("up")
        assert w.screen.prompt.text == "two"
        await w.type("more")
        await w.press("enter")
        assert w.screen.prompt.text == "mine, too"
        exchange = await w.server.request()
        assert [one["content"] for one in exchange.json["input"]] == ["moretwo"]
        answer_well(exchange, "the last one", "resp_5")
        await w.until(lambda: "the last one" in w.said)
        here = w.label
        await w.press("alt+down")
        await w.until(lambda: w.label != here and w.screen.prompt.text == "")
        await w.press("alt+up")
        await w.until(lambda: w.label == here and w.screen.prompt.text == "mine, too")
    async with window(history) as w:
        assert w.screen.prompt.text == "mine, too"


async def test_what_is_sent_is_not_a_draft_as_well(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("two")
        await w.press("up", "enter")
        assert w.screen.prompt.text == ""


async def test_a_prompt_recalled_in_place_of_a_change_leaves_the_change_to_up(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await rewrite(w)
        await w.press("up", "enter")
        exchange = await w.server.request()
        assert [one["content"] for one in exchange.json["input"]] == ["two"]
        assert not is_changing(w)
        assert w.screen.prompt.text == "mine"
        await w.press("up", "up")
        assert w.screen.prompt.text == REWRITTEN


async def test_looking_through_what_was_said_loses_no_change(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await rewrite(w)
        await w.press("up")
        assert w.screen.prompt.text == "two"
        await there_and_back(w)
        assert w.screen.prompt.text == REWRITTEN
        assert is_changing(w)
        await w.press("up", "escape", "up")
        assert w.screen.prompt.text == REWRITTEN


async def test_what_was_brought_back_over_a_draft_is_kept_and_up_has_the_draft(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await rewrite(w)
        await w.press("escape", "up")
        assert w.screen.prompt.text == REWRITTEN
        await there_and_back(w)
        assert w.screen.prompt.text == REWRITTEN
        await w.press("up")
        assert w.screen.prompt.text == "mine"


async def test_one_that_was_only_looked_at_is_left(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await w.press("tab", "up", "e")
        await there_and_back(w)
        assert w.screen.prompt.text == "mine"
        assert not is_changing(w)
        await w.press("tab", "up", "e", "escape")
        assert w.screen.prompt.text == "mine"
        assert "brings it back" not in w.status


async def test_the_next_start_goes_on_with_the_change(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await rewrite(w)
    async with window(history) as w:
        assert w.screen.prompt.text == REWRITTEN
        assert is_changing(w)
        await w.press("escape")
        assert w.screen.prompt.text == "mine"
        await w.press("up")
        assert w.screen.prompt.text == REWRITTEN
    async with window(history) as w:
        assert w.screen.prompt.text == REWRITTEN
        assert not is_changing(w)


async def test_sessions_left_longer_ago_go_on_with_it_too(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        here = w.label
        await rewrite(w)
        for number in range(MOST + 1):
            await w.press("ctrl+n")
            await w.exchange(f"prompt {number}", "Fine.", f"resp_{number}")
        await w.press(*["alt+down"] * (MOST + 2))
        await w.until(lambda: w.label == here and w.screen.session is not None)
        assert w.screen.prompt.text == REWRITTEN
        assert is_changing(w)
        await w.press("escape")
        assert w.screen.prompt.text == ""


async def test_a_message_that_is_no_longer_there_leaves_a_prompt_of_its_own(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await w.type("mine")
        await rewrite(w)
        here = w.screen.session
        await w.press("alt+up")
        await w.until(lambda: w.screen.session is not None and w.screen.session.id != here.id)
        w.talk.chat.send(await w.talk.chat.session(here.id), "otherwise", at=0)
        answer_well(await w.server.request(), "otherwise, well", "resp_4")
        await w.until(lambda: not w.talk.chat.running())
        await w.press("alt+up")
        await w.until(lambda: w.label == here.label and "no longer here" in w.status)
        assert w.screen.prompt.text == REWRITTEN
        assert not is_changing(w)
        await w.press("up")
        assert w.screen.prompt.text == "mine"
        await w.press("down", "enter")
        exchange = await w.server.request()
        assert exchange.json["previous_response_id"] == "resp_4"
        assert exchange.json["input"] == [{"role": "user", "content": REWRITTEN}]
        answer_well(exchange, "fine", "resp_5")
        await w.until(lambda: not w.talk.chat.running())


async def test_escape_brings_back_what_was_folded_in_it(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await rewrite(w)
        w.screen.prompt.paste("line\n" * 30)
        await there_and_back(w)
        assert input_seen(w) == f"{REWRITTEN}[Pasted 30 lines]"
        await w.press("escape", "up")
        assert input_seen(w) == f"{REWRITTEN}[Pasted 30 lines]"
        assert w.screen.prompt.whole == REWRITTEN + "line\n" * 30


async def test_changing_another_message_leaves_the_first_change_to_up(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await rewrite(w)
        await w.press("tab", "down", "down", "e")
        assert w.screen.prompt.text == "two"
        assert "Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == REWRITTEN
        assert is_changing(w)


async def test_a_change_gone_on_with_is_kept_again(history: Path) -> None:
    async with window(history) as w:
        await two_sessions(w)
        await rewrite(w)
        await there_and_back(w)
        await w.type("!")
        await there_and_back(w)
        assert w.screen.prompt.text == f"{REWRITTEN}!"


def test_a_change_outlives_a_killed_process(write_config: Callable[[str], Path], history: Path) -> None:
    def kept() -> bool:
        with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as conn:
            return any(REWRITTEN in draft for (draft,) in conn.execute("SELECT draft FROM sessions"))

    with loopback(lambda call: call.well("an answer")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("one\r")
            t.shows("done in")
            t.type("\te")
            t.shows("Changes a message")
            t.type(REWRITTEN.removeprefix("one"))
            wait_for(kept, "the change is not kept")
            os.kill(t.pid, signal.SIGKILL)
        with terminal() as t:
            t.shows(REWRITTEN)
            t.shows("Changes a message")
            t.type("\x11")
            assert t.leaves() == 0


# A prompt that waits


async def third_thoughts(w: Window) -> None:
    """Change the newest of two that wait."""
    await w.press("up")
    assert w.screen.prompt.text == "third"
    await w.type(" thoughts")


async def elsewhere(w: Window) -> None:
    await w.press("ctrl+n")
    await w.until(lambda: w.label == "chat-1" and w.screen.session is not None)
    assert w.screen.prompt.text == ""


async def back(w: Window) -> None:
    await w.press("alt+down")
    await w.until(lambda: w.label == "one" and w.screen.session is not None)


async def test_up_brings_back_what_was_made_of_a_prompt_that_waits(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second", "third")
        await third_thoughts(w)
        await w.press("escape")
        await w.until(lambda: waiting(w) == ["↳ 1 second", "↳ 2 third"])
        assert w.screen.prompt.text == ""
        assert "Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == "third thoughts"
        assert "(being changed)" not in w.screen.queue_list.text
        # Only the first Up is for it.
        await w.press("ctrl+k", "up")
        assert w.screen.prompt.text == "third"
        assert "(being changed) third" in w.screen.queue_list.text


async def test_interrupting_leaves_a_prompt_that_waits_as_escape_does(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second", "third")
        await w.press("escape")
        await w.until(lambda: waiting(w) == ["□ 1 second", "□ 2 third"])
        await third_thoughts(w)
        await w.press("ctrl+c")
        assert w.screen.prompt.text == ""
        assert "Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == "third thoughts"


async def test_what_was_cleared_comes_back_before_what_waits(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second")
        await w.press("escape")
        await w.until(lambda: waiting(w) == ["□ 1 second"])
        await w.type("a thought")
        await w.press("ctrl+c")
        assert "Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == "a thought"


async def test_one_taken_out_while_it_was_changed_comes_back_as_it_was_by_then(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second", "third")
        await third_thoughts(w)
        await w.press("alt+x")
        await w.until(lambda: waiting(w) == ["↳ 1 second"])
        assert "Taken out; Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == "third thoughts"
        await w.press("up")
        assert w.screen.prompt.text == "third"


async def test_one_being_changed_is_held_while_another_session_is_shown(history: Path) -> None:
    async with window(history, wish=Wish(label="one")) as w:
        first = await answering(w, "second", "third")
        await w.press("up", "up")
        await w.type("!")
        await elsewhere(w)
        ends_well(first)
        await w.until(lambda: not w.talk.chat.running())
        await back(w)
        assert w.screen.prompt.text == "second!"
        assert w.screen.prompt.border_title == "Enter puts it back · Alt+X takes it out"
        assert waiting(w) == ["□ 1 (being changed) second", "□ 2 third"]
        assert sent(w) == ["first"]
        await w.press("enter")
        assert w.screen.prompt.text == ""
        for number in range(2):
            answer_well(await w.server.request(), f"answer {number}", f"resp_{number}")
        await w.until(lambda: not w.talk.chat.running())
        assert sent(w) == ["first", "second!", "third"]
        assert await draft_on_disk(w) == ""


async def test_leaving_sends_no_prompt_that_was_looked_at(history: Path) -> None:
    async with window(history) as w:
        first = await answering(w, "second")
        await w.press("up")
        ends_well(first)
        await w.until(lambda: not w.talk.chat.running())
    assert sent(w) == ["first"]
    async with window(history) as w:
        await w.until(lambda: waiting(w) == ["□ 1 second"])
        assert w.screen.prompt.text == ""
        assert [one.is_held for one in w.screen.queue] == [False]


async def test_one_only_looked_at_goes_on_while_another_session_is_shown(history: Path) -> None:
    async with window(history, wish=Wish(label="one")) as w:
        first = await answering(w, "second")
        await w.press("up")
        await elsewhere(w)
        ends_well(first)
        answer_well(await w.server.request(), "to second", "resp_2")
        await w.until(lambda: not w.talk.chat.running())
        await back(w)
        assert w.screen.prompt.text == ""
        assert sent(w) == ["first", "second"]


async def test_what_was_made_of_one_that_is_sent_elsewhere_meanwhile_is_a_new_prompt(history: Path) -> None:
    async with window(history, wish=Wish(label="one")) as w:
        await answering(w, "second")
        await w.press("up")
        await w.type("!")
        await elsewhere(w)
        change(history, "DELETE FROM queue", "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
               "UPDATE sessions SET revision = (SELECT value FROM meta WHERE key = 'revision')")  # fmt: skip
        await back(w)
        await w.until(lambda: waiting(w) == [])
        assert w.screen.prompt.text == "second!"
        await w.until(lambda: "no longer waiting" in w.status)
        assert not w.screen.prompt.border_title


async def test_the_next_start_goes_on_with_what_was_made_of_one_that_waits(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "second", "third")
        await third_thoughts(w)
    async with window(history) as w:
        await w.until(lambda: waiting(w) == ["□ 1 second", "□ 2 (being changed) third"])
        assert w.screen.prompt.text == "third thoughts"
        await w.press("enter")
        await w.until(lambda: waiting(w) == ["□ 1 second", "□ 2 third thoughts"])
        assert w.screen.prompt.text == ""
        assert sent(w) == []
        assert await draft_on_disk(w) == ""
        await w.press("enter")
        answer_well(await w.server.request(), "to second", "resp_2")
        answer_well(await w.server.request(), "to third", "resp_3")
        await w.until(lambda: "to third" in w.transcript)
        assert sent(w) == ["second", "third thoughts"]
