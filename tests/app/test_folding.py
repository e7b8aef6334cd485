"""Long pastes in the input: a placeholder that is sent whole, shown in full by a key, and kept with the draft."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from tests.app.driving import Window, window
from tests.app.driving import input_seen as seen
from tests.app.driving import prompt_sent as sent
from tests.chatting import talk
from tests.store.histories import change
from tui.app.widgets.key_bar import KeyBar

PASTE = "".join(f"line {number}\n" for number in range(1234))


async def paste(w: Window, text: str) -> None:
    w.screen.prompt.post_message(events.Paste(text))
    await w.pilot.pause()


@pytest.mark.fault("G18")
async def test_a_long_paste_is_a_placeholder_and_sent_whole(history: Path) -> None:
    async with window(history) as w:
        await w.type("read: ")
        await paste(w, PASTE)
        await w.type(" thanks")
        assert seen(w) == "read: [Pasted 1,234 lines] thanks"
        assert w.screen.prompt.size.height < 4
        await w.press("enter")
        assert await sent(w) == f"read: {PASTE} thanks"
        await w.press("escape")
        await w.until(lambda: "Cancelled before anything came." in w.transcript)
        assert seen(w) == "read: [Pasted 1,234 lines] thanks"


async def test_a_key_shows_it_in_full_and_undo_folds_it_again(history: Path) -> None:
    async with window(history) as w:
        await paste(w, "x" * 2001)
        await w.type("=")
        await paste(w, PASTE)
        assert "f7 Show the paste" in w.screen.query_one(KeyBar).text
        await w.press("f7")
        assert w.screen.prompt.text.endswith("=" + PASTE)
        assert w.screen.prompt.whole == "x" * 2001 + "=" + PASTE
        await w.press("ctrl+z")
        assert seen(w) == "[Pasted 2,001 characters]=[Pasted 1,234 lines]"
        await w.press("home", "f7")
        assert w.screen.prompt.text.startswith("x" * 2001 + "=")
        await w.press("f7")
        assert w.screen.prompt.text == "x" * 2001 + "=" + PASTE
        assert "f7" not in w.screen.query_one(KeyBar).text


EDITS = (
    (("backspace",), "ab"),
    (("left", "delete"), "ab"),
    (("ctrl+w",), "ab"),
    (("shift+left", "x"), "axb"),
    (("left", "left", "right", "right", "x"), "a[Pasted 1,234 lines]xb"),
    (("ctrl+left", "y"), "ay[Pasted 1,234 lines]b"),
)


async def test_it_is_taken_out_and_passed_as_one(history: Path) -> None:
    async with window(history) as w:
        for keys, left in EDITS:
            w.screen.prompt.replace_text("ab")
            await w.press("left")
            await paste(w, PASTE)
            await w.press(*keys)
            assert seen(w) == left, keys
            assert w.screen.prompt.whole == left.replace("[Pasted 1,234 lines]", PASTE)


async def test_half_of_it_cannot_be_taken_out(history: Path) -> None:
    async with window(history) as w:
        await w.type("a")
        await paste(w, PASTE)
        w.screen.prompt.delete((0, 3), (0, 5))
        assert w.screen.prompt.text == "a"
        await w.press("ctrl+z")
        w.screen.prompt.insert("b", (0, 4))
        assert seen(w) == "a[Pasted 1,234 lines]b"


async def test_what_only_looks_like_one_is_text(history: Path) -> None:
    async with window(history) as w:
        await paste(w, PASTE)
        await w.type(" [Pasted 1,234 lines]")
        await paste(w, "\ufdd0Pasted 1,234 lines\ufdd1")
        await w.press("enter")
        assert await sent(w) == f"{PASTE} [Pasted 1,234 lines]\ufffdPasted 1,234 lines\ufffd"


async def test_it_survives_with_the_draft_and_is_copied_whole(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.type("read: ")
        await paste(w, PASTE)
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-2")
        assert seen(w) == "Type a message"
        await w.press("alt+down")
        await w.until(lambda: w.label == "chat-1")
        assert seen(w) == "read: [Pasted 1,234 lines]"
    async with window(history) as w:
        assert seen(w) == "read: [Pasted 1,234 lines]"
        w.screen.prompt.select_all()
        await w.press("ctrl+c")
        assert w.app.clipboard == f"read: {PASTE}"
        await w.press("ctrl+x")
        assert w.app.clipboard == f"read: {PASTE}"
        await w.press("ctrl+v")
        assert seen(w) == "[Pasted 1,234 lines #2]"
        assert w.screen.prompt.whole == f"read: {PASTE}"


async def test_a_draft_that_is_sent_is_one_no_more(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await paste(w, PASTE)
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-2")
    async with talk(history) as t:
        session = await t.chat.find("chat-1")
        assert session is not None
        assert session.draft == f"\ufdd0{PASTE}\ufdd1"
        t.chat.send(session, PASTE)
        await t.server.request()
        after = await t.chat.session(session.id)
        assert after is not None
        assert after.draft == ""


async def test_clearing_it_is_undone_by_up(history: Path) -> None:
    async with window(history) as w:
        await paste(w, PASTE)
        await w.press("ctrl+c")
        assert w.screen.prompt.text == ""
        await w.press("up")
        assert seen(w) == "[Pasted 1,234 lines]"
        assert w.screen.prompt.whole == PASTE


@pytest.mark.parametrize("lines", [3, 18])
async def test_many_lines_are_undone_and_redone(history: Path, lines: int) -> None:
    text = "line\n" * lines
    async with window(history) as w:
        await w.type("a")
        await paste(w, text)
        await w.press("ctrl+z")
        assert w.screen.prompt.text == "a"
        await w.press("ctrl+y")
        assert w.screen.prompt.text == f"a{text}"
        await w.press("ctrl+home", "ctrl+shift+end", "delete")
        w.screen.prompt.select_all()
        await w.press("delete", "ctrl+z")
        assert w.screen.prompt.text == f"a{text}"
        w.screen.prompt.move_cursor(w.screen.prompt.document.end)
        await w.press("ctrl+y")
        assert w.screen.prompt.text == ""


# What was said before


async def test_up_goes_on_to_what_was_said_in_other_sessions(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "a", "resp_1")
        for number, prompt in enumerate(("second", "third"), 2):
            await w.press("ctrl+n")
            await w.until(lambda number=number: w.label == f"chat-{number}")
            await w.exchange(prompt, "b", f"resp_{number}")
        await w.press("alt+down")
        await w.until(lambda: w.label == "chat-2")
        await w.type("mine")
        found = []
        for _ in range(4):
            await w.press("up")
            await w.pilot.pause()
            await w.until(lambda: not w.screen.prompt._steps)
            found.append(w.screen.prompt.text)
        assert found == ["second", "third", "first", "first"]
        for _ in range(3):
            await w.press("down")
        assert w.screen.prompt.text == "mine"
        await w.press("up", "up")
        await w.type("!")
        await w.press("up")
        assert w.screen.prompt.text == "!third"


async def test_others_words_are_not_recalled(history: Path) -> None:
    async with talk(history) as t:
        for number, label in enumerate(("mine", "theirs", "thrown away", "here"), 1):
            session = await t.chat.open(label)
            await t.answered(session, f"said in {label}", "a", f"resp_{number}")
            if label == "thrown away":
                await t.chat.delete(session.id)
        await t.answered(session, "x" * 100_001, "a", "resp_9")
        assert await t.chat.prompts_elsewhere(session.id) == ["said in theirs", "said in mine"][::-1]
        change(history, "UPDATE sessions SET provenance = 'imported' WHERE label = 'theirs'")
        assert await t.chat.prompts_elsewhere(session.id) == ["said in mine"]
        assert await t.chat.prompts_elsewhere("") == ["said in mine", "said in here"]
