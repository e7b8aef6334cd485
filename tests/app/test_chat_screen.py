"""The window in use: what is typed, what is shown, and what is there the next day."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.command import CommandList
from textual.geometry import Size
from textual.screen import Screen
from textual.style import Style

from tests.app.driving import Window, window
from tests.chatting import talk
from tests.fake_server import PROFILE, completed, delta
from tests.store.histories import a_session, change, opened, told
from tui.app.fuzzy import WordMatcher
from tui.app.run import Wish
from tui.app.screens.help import HelpScreen
from tui.app.screens.session_screen import SessionScreen
from tui.app.screens.switcher import Switcher
from tui.app.widgets.dialogs import TextDialog
from tui.model import TurnStatus

STALE = {"error": {"message": "Previous response with id 'resp_1' not found.", "code": "previous_response_not_found"}}


async def test_a_prompt_and_its_answer(history: Path) -> None:
    async with window(history) as w:
        await w.type("hello there")
        await w.press("enter")
        assert w.screen.prompt.text == ""
        exchange = await w.server.request()
        assert exchange.json["input"][-1]["content"] == "hello there"
        await w.until(lambda: "Waiting for an answer" in w.transcript)
        exchange.respond().event(delta("Once upon "))
        await w.until(lambda: "Once upon" in w.transcript)
        assert "Waiting for an answer" not in w.transcript
        assert "answering" in w.status
        exchange.event(delta("a time.")).event(
            completed("Once upon a time.", usage={"input_tokens": 1, "output_tokens": 4})
        )
        await w.until(lambda: "done in" in w.status)
        assert "1 in · 4 out · first word " in w.status
        await w.until(lambda: "Once upon a time." in w.transcript)
        assert "hello there" in w.picture.splitlines()[1]


@pytest.mark.fault("C03")
async def test_escape_stops_and_keeps_what_came(history: Path) -> None:
    async with window(history) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond().event(delta("Once upon a time"))
        await w.until(lambda: "Once upon" in w.transcript)
        await w.type("my next")
        await w.press("escape")
        await w.until(lambda: "Cancelled; what came is kept." in w.transcript)
        assert exchange.closed.is_set()
        assert "Once upon a time" in w.transcript
        assert w.screen.prompt.text == "my next"
        assert "stopped after" in w.status
        await w.press("enter")
        assert (await w.server.request()).json["input"][-1]["content"] == "my next"


@pytest.mark.fault("D20", "D21")
async def test_a_prompt_that_is_not_sent_as_the_history_cannot_be_read_is_given_back(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session(), "hello", "hi")
    async with window(history) as w:
        await w.until(lambda: "hi" in w.transcript)
        change(history, "ALTER TABLE items RENAME TO gone")
        await w.send("more")
        await w.until(lambda: "Nothing was sent; Tab, then r sends the prompt again." in w.transcript)
        assert "History cannot be read" in w.transcript
        assert w.screen.prompt.text == "more"
        assert w.server.seen == []
        change(history, "ALTER TABLE gone RENAME TO items")
        await w.press("enter")
        exchange = await w.server.request()
        assert [one["content"] for one in exchange.json["input"]] == ["hello", "hi", "more"]
        exchange.respond().event(delta("gladly")).event(completed("gladly")).end()
        await w.until(lambda: "gladly" in w.transcript)
        assert "Nothing was sent" not in w.transcript
        assert w.transcript.count("more") == 1


async def test_escape_before_anything_came_gives_the_prompt_back(history: Path) -> None:
    async with window(history) as w:
        await w.send("hello")
        await w.server.request()
        await w.press("escape")
        await w.until(lambda: "Cancelled before anything came." in w.transcript)
        assert w.screen.prompt.text == "hello"
        await w.press("enter")
        await w.server.request()
        await w.type("other")
        await w.press("escape")
        await w.until(lambda: w.transcript.count("Cancelled before anything came.") == 2)
        assert w.screen.prompt.text == "other"


@pytest.mark.fault("C23")
async def test_switching_never_stops_an_answer(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first session", "An answer.", "resp_1")
        await w.send("tell me more")
        exchange = (await w.server.request()).respond().event(delta("It goes"))
        await w.until(lambda: "It goes" in w.transcript)
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-2")
        assert "It goes" not in w.transcript
        assert "◌ first session" in w.picture
        exchange.event(delta(" on and on")).event(completed("It goes on and on", "resp_2")).end()
        await w.until(lambda: "● first session" in w.picture)
        await w.press("alt+down")
        await w.until(lambda: "It goes on and on" in w.transcript)
        await w.until(lambda: "● first session" not in w.picture)


async def test_drafts_and_places_are_the_sessions_own_and_survive(history: Path) -> None:
    lines = "\n\n".join(f"Line {number}." for number in range(60))
    async with window(history) as w:
        await w.exchange("first", lines, "resp_1")
        await w.press("pageup", "pageup")
        place = w.transcript
        await w.type("half a thought")
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-2")
        assert w.screen.prompt.text == ""
        await w.exchange("second", "Short.", "resp_2")
        await w.press("alt+down")
        await w.until(lambda: w.label == "chat-1")
        assert w.screen.prompt.text == "half a thought"
        assert w.transcript == place
    async with window(history) as w:
        assert w.label == "chat-1"
        assert w.screen.prompt.text == "half a thought"
        assert w.transcript == place


async def test_a_forgotten_conversation_is_told_of(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi", "resp_1")
        await w.send("again")
        (await w.server.request()).answer(400, STALE)
        fresh = await w.server.request()
        fresh.respond().event(completed("new talk", "resp_2")).end()
        await w.until(lambda: "new talk" in w.transcript)
        assert (
            "◆ The server no longer knew this conversation; a new one was started, with 1 earlier turn sent" in w.said
        )


async def test_how_to_send_again_is_told_with_the_keys_as_they_are_bound(history: Path) -> None:
    keys = {"view.next": "f5", "transcript.resend": "x"}
    async with window(history, keys=keys) as w:
        await w.send("hello")
        (await w.server.request()).answer(400, {"error": {"message": "no luck"}})
        await w.until(lambda: "F5, then x sends the prompt again." in w.transcript)
        await w.press("f5", "x")
        assert (await w.server.request()).json["input"][-1]["content"] == "hello"


async def test_a_failed_prompt_is_sent_again_with_one_key(history: Path) -> None:
    async with window(history) as w:
        await w.send("hello")
        (await w.server.request()).answer(400, {"error": {"message": "no [bold]luck[/] today"}})
        await w.until(lambda: "✗" in w.transcript)
        assert "no [bold]luck[/] today" in w.transcript
        assert "Tab, then r sends the prompt again." in w.transcript
        await w.until(lambda: "✗ hello" in w.picture)
        await w.press("tab")
        assert w.screen.focused is w.screen.transcript
        await w.press("r")
        exchange = await w.server.request()
        assert exchange.json["input"] == [{"role": "user", "content": "hello"}]
        exchange.respond().event(completed("now it works")).end()
        await w.until(lambda: "now it works" in w.transcript)
        statuses = [turn.status for turn in await w.talk.chat.turns(w.screen._session.id)]
        assert statuses == [TurnStatus.FAILED, TurnStatus.DONE]


async def test_ctrl_c_copies_stops_clears_and_quits_in_that_order(history: Path) -> None:
    async with window(history) as w:
        await w.send("hello")
        (await w.server.request()).respond().event(delta("Once"))
        await w.until(lambda: "Once" in w.transcript)
        await w.type("some words")
        await w.press("ctrl+a")
        w.screen.prompt.select_all()
        await w.press("ctrl+c")
        assert w.app.clipboard == "some words"
        assert w.talk.chat.running()
        w.screen.prompt.move_cursor((0, 0))
        await w.press("ctrl+c")
        await w.until(lambda: not w.talk.chat.running())
        assert w.screen.prompt.text == "some words"
        await w.press("ctrl+c")
        assert w.screen.prompt.text == ""
        assert "Up brings it back" in w.status
        await w.press("up")
        assert w.screen.prompt.text == "some words"
        w.screen.prompt.replace_text("")
        await w.press("ctrl+c")
        assert "Press Ctrl+C again to quit" in w.status
        await w.press("ctrl+c")
        assert w.app._exit


# The prompt


async def test_lines_are_made_and_sent_together(history: Path) -> None:
    async with window(history) as w:
        await w.type("one")
        await w.press("ctrl+j")
        await w.type("two")
        await w.press("shift+enter")
        await w.type("three")
        await w.press("alt+enter")
        await w.type("four\\")
        await w.press("enter")
        await w.type("five")
        assert w.screen.prompt.text == "one\ntwo\nthree\nfour\nfive"
        await w.press("enter")
        assert (await w.server.request()).json["input"][-1]["content"] == "one\ntwo\nthree\nfour\nfive"


async def test_keys_typed_faster_than_they_are_handled_keep_their_order(history: Path) -> None:
    async with window(history) as w:
        await w.pilot.press(*"abc", "enter", *"def", "left", "X")
        await w.pilot.pause()
        assert (await w.server.request()).json["input"][-1]["content"] == "abc"
        assert w.screen.prompt.text == "deXf"


@pytest.mark.fault("U05")
async def test_enter_twice_sends_once(history: Path) -> None:
    async with window(history) as w:
        await w.type("hello")
        await w.pilot.press("enter", "enter")
        await w.server.request()
        await w.pilot.pause()
        assert len(w.server.seen) == 1


async def test_the_newest_line_stays_in_view_when_the_input_grows_and_shrinks(history: Path) -> None:
    async with window(history, size=(80, 24)) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond().event(delta("line\n\n" * 30))
        await w.until(lambda: w.transcript.count("line") > 5)
        w.screen.prompt.replace_text("one\ntwo\nthree\nfour")
        await w.pilot.pause()
        w.screen.prompt.replace_text("")
        await w.pilot.pause()
        assert w.screen.transcript.following
        exchange.event(delta("the newest"))
        await w.until(lambda: "the newest" in w.transcript)


@pytest.mark.fault("G18")
async def test_a_paste_never_sends_and_is_clean(history: Path) -> None:
    from textual import events

    async with window(history) as w:
        w.screen.prompt.post_message(events.Paste("one\r\ntwo\rthree\n\x1b[201~\x1b]0;x\x07\ttab\n"))
        await w.pilot.pause()
        assert w.screen.prompt.text == "one\ntwo\nthree\n␛[201~␛]0;x␇\ttab\n"
        assert w.server.seen == []


async def test_the_prompt_remembers_what_was_said(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "a", "resp_1")
        await w.exchange("second\nwith two lines", "b", "resp_2")
        await w.type("unsent")
        await w.press("up")
        assert w.screen.prompt.text == "second\nwith two lines"
        await w.press("up")
        assert w.screen.prompt.text == "first"
        await w.press("up")
        assert w.screen.prompt.text == "first"
        await w.press("down")
        assert w.screen.prompt.text == "second\nwith two lines"
        await w.press("down")
        assert w.screen.prompt.text == "unsent"
    async with window(history) as w:
        w.screen.prompt.replace_text("")
        await w.press("up")
        assert w.screen.prompt.text == "second\nwith two lines"


async def test_the_prompt_grows_and_the_transcript_stays_at_its_end(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "\n\n".join(f"Line {number}." for number in range(40)), "resp_1")
        low = w.screen.prompt.size.height
        for _ in range(4):
            await w.press("ctrl+j")
        assert w.screen.prompt.size.height == low + 4
        assert w.transcript.endswith("Line 39.")
        for _ in range(40):
            await w.press("ctrl+j")
        assert w.screen.prompt.outer_size.height <= 12
        assert w.transcript.endswith("Line 39.")


# Sessions


async def test_renaming_titling_pinning(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.press("f2")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        await w.press("backspace", "enter")
        assert "The label is empty" in w.picture
        await w.type("work")
        await w.press("enter")
        await w.until(lambda: w.label == "work")
        await w.press("f3")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        await w.press("backspace")
        await w.type("My work")
        await w.press("enter")
        await w.until(lambda: "My work" in w.picture)
        await w.press("f4")
        await w.until(lambda: "Pinned" in w.picture)
        assert "is pinned" in w.status
        await w.press("f4")
        await w.until(lambda: "Pinned" not in w.picture)


async def test_deleting_can_be_undone(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "a", "resp_1")
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-2")
        await w.exchange("second", "b", "resp_2")
        assert "alt+z" not in w.screen.query_one("#keys").text
        await w.press("f8")
        await w.until(lambda: w.label == "chat-1")
        await w.until(lambda: "second" not in w.picture.replace("Deleted second", ""))
        assert "Deleted second; Alt+Z brings it back" in w.status
        await w.press("alt+z")
        await w.until(lambda: w.label == "chat-2")
        assert "b" in w.transcript
        await w.press("f8")
        await w.until(lambda: w.label == "chat-1")
        await w.press("f8")
        await w.until(lambda: "A new session" in w.picture)


async def test_switching_by_a_few_letters(history: Path) -> None:
    async with window(history) as w:
        for number, name in enumerate(("alpha", "beta", "gamma"), 1):
            await w.exchange(f"about {name}", "a", f"resp_{number}")
            await w.press("ctrl+n")
            await w.until(lambda number=number: w.label == f"chat-{number + 1}")
        await w.press("ctrl+o")
        await w.until(lambda: isinstance(w.app.screen, Switcher))
        await w.type("betaxq")
        assert "No session matches." in w.picture
        await w.press("backspace", "backspace")
        await w.until(lambda: "chat-2 — about beta" in w.picture)
        await w.until(lambda: "chat-1 — about alpha" not in w.picture)
        await w.press("enter")
        await w.until(lambda: w.label == "chat-2")
        assert "about beta" in w.transcript
        await w.press("ctrl+o")
        await w.until(lambda: isinstance(w.app.screen, Switcher))
        await w.type("brand new")
        assert "Enter creates “brand new”" in w.picture
        await w.press("enter")
        await w.until(lambda: w.label == "brand new")


async def test_however_a_session_is_begun_it_talks_to_the_server_of_the_one_shown(history: Path) -> None:
    other = replace(PROFILE, name="other", base_url="http://other.localhost:2/v1")
    wish = Wish(label="work", profile="other", model="bigger")
    async with window(history, PROFILE, other, wish=wish) as w:
        await w.exchange("hello", "hi")
        for keys in (["ctrl+n"], ["ctrl+o", *"else", "enter"]):
            label = w.label
            await w.press(*keys)
            await w.until(lambda label=label: w.label != label)
            session = w.screen.session
            assert session is not None
            assert (session.profile, session.model) == ("other", "bigger"), keys


async def test_what_ask_does_beside_the_window_appears_in_it(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi", "resp_1")
        async with talk(history) as other:
            session = await other.chat.find("chat-1")
            assert session is not None
            other.chat.send(session, "from elsewhere")
            exchange = (await other.server.request()).respond().event(delta("live "))
            await w.until(lambda: "from elsewhere" in w.transcript and "live" in w.transcript)
            exchange.event(completed("live and whole", "resp_2")).end()
            await other.chat.settled(session.id)
            await w.until(lambda: "live and whole" in w.transcript)
            new = await other.chat.open("made there")
            await other.answered(new, "hello", "hi", "resp_3")
            await w.until(lambda: "hello" in w.picture)


# Keys and help


async def test_what_the_key_bar_says_is_true(history: Path) -> None:
    async with window(history) as w:
        bar = w.screen.query_one("#keys")
        assert "esc Stop" not in bar.text
        await w.send("hello")
        exchange = (await w.server.request()).respond().event(delta("Once"))
        await w.until(lambda: "esc Stop" in bar.text)
        exchange.event(completed("Once")).end()
        await w.until(lambda: "esc Stop" not in bar.text)
        assert "Send again" not in bar.text
        await w.press("tab")
        assert "y Copy" in bar.text
        assert "Send again" in bar.text
        assert "⏎ Send" not in bar.text


async def test_help_names_every_key_there_is_now(history: Path) -> None:
    async with window(history, keys={"session.new": "ctrl+t"}, size=(100, 44)) as w:
        await w.press("f1")
        await w.until(lambda: isinstance(w.app.screen, HelpScreen))
        for words in ("Ctrl+T", "session.new", "Enter", "Send", "prompt.send", "F2", "turn.stop", "Sessions"):
            assert words in w.picture
        assert "Ctrl+N" not in w.picture
        await w.press("escape")
        await w.press("ctrl+t")
        await w.until(lambda: w.label == "chat-1")


async def test_in_a_narrow_window_each_key_of_the_help_has_its_name_beside_it(history: Path) -> None:
    async with window(history, size=(80, 60)) as w:
        await w.press("f1")
        await w.until(lambda: isinstance(w.app.screen, HelpScreen))
        lines = [" ".join(line.strip(" │").split()) for line in w.picture.splitlines()]
        assert "A Approve all transcript.approve-all" in lines
        at = next(place for place, line in enumerate(lines) if line.endswith("New line prompt.newline"))
        assert lines[at : at + 2] == ["Ctrl+J Shift+Enter New line prompt.newline", "Alt+Enter"]


async def test_keys_that_mean_nothing_are_told(history: Path) -> None:
    async with window(history, keys={"session.nwe": "ctrl+t"}) as w:
        await w.until(lambda: "there is no action 'session.nwe'" in w.status)


async def test_in_a_narrow_window_the_keys_told_of_longest_are_those_that_stop_and_send(history: Path) -> None:
    async with window(history, size=(40, 20)) as w:
        await w.send("hello")
        await w.server.request()
        await w.until(lambda: "Stop" in w.picture.splitlines()[-1])
        last = w.picture.splitlines()[-1]
        assert all(key in last for key in ("⏎ Send", "esc Stop", "f1 Help")), last


@pytest.mark.parametrize("width", [40, 60, 100])
async def test_the_help_can_be_read_at_any_width(history: Path, width: int) -> None:
    async with window(history, size=(width, 60)) as w:
        await w.press("f1")
        await w.until(lambda: "─ Keys ─" in w.picture)
        lines = [line.strip(" │▁▂▃▄▅▆▇█") for line in w.picture.splitlines()]
        told = ["Ctrl+J Shift+Enter", "Alt+Enter"] if width > 80 else ["Ctrl+J Shift+Enter Alt+Enter"]
        assert all(any(line.startswith(words) for line in lines) for words in told)
        assert any(line.endswith("prompt.newline") for line in lines)
        assert any(line.startswith("New line") or " New line " in line for line in lines)


async def test_the_command_palette_offers_what_there_is(history: Path) -> None:
    async with window(history) as w:
        await w.press("ctrl+p")
        await w.type("pin")
        await w.until(lambda: "Keep this session on top" in w.picture)


async def choose(w: Window, words: str, note: str) -> None:
    """Choose a command by its words, once few others are listed; `note` is what stands below it."""
    await w.press("ctrl+p")
    await w.type(words)
    await w.until(lambda: 0 < w.app.screen.query_one(CommandList).option_count <= 3 and note in w.picture)
    await w.press("enter")


async def test_the_command_palette_does_what_the_keys_of_the_transcript_do(history: Path) -> None:
    async with window(history) as w:
        titles = [command.title for command in w.app.palette_commands()]
        assert not {"Stop", "Copy answer", "Copy code", "Send again", "Edit a message"} & set(titles)
        await w.exchange("hello", "Do:\n\n```sh\ntrue\n```\n")
        await choose(w, "copy a", "The newest, or the one you are on")
        await w.until(lambda: w.app.clipboard == "Do:\n\n```sh\ntrue\n```\n")
        await choose(w, "copy c", "The next code block")
        await w.until(lambda: w.app.clipboard == "true\n")
        await choose(w, "edit a", "Change the newest")
        await w.until(lambda: w.screen.prompt.text == "hello")
        await w.press("escape")
        await choose(w, "send", "The newest prompt")
        exchange = await w.server.request()
        assert exchange.json["input"][-1]["content"] == "hello"
        await w.until(lambda: w.talk.chat.running())
        await choose(w, "stop", "Stop the answer; what came is kept")
        await w.until(lambda: not w.talk.chat.running())


@pytest.mark.parametrize(
    ("query", "text", "fit"),
    [
        ("stop", "Stop sharing", 3),
        ("sto", "Don't stop", 2),
        ("sw sess", "Switch session", 3),
        ("top", "Stop sharing", 1),
        ("stop", "Import: make sessions of a bundle, or of another program's", 0),
        ("stop", "Model: choose what answers next; to prompts", 0),
        ("stop no", "Stop sharing", 0),
        ("copy c", "Copy answer", 0),
        ("copy c", "Copy code", 3),
        ("[x](", "a [x](b)", 2),
    ],
)
def test_commands_are_found_by_the_words_in_them(query: str, text: str, fit: int) -> None:
    assert WordMatcher(query, Style()).match(text) == fit


# Sizes


@pytest.mark.fault("G15")
async def test_sizes(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "An answer.")
        assert w.screen.sidebar.display
        await w.pilot.resize_terminal(79, 24)
        await w.pilot.pause()
        assert not w.screen.sidebar.display
        assert "An answer." in w.transcript
        await w.press("ctrl+b")
        assert w.screen.sidebar.display
        assert w.screen.focused is w.screen.sidebar
        await w.press("enter")
        await w.until(lambda: not w.screen.sidebar.display)
        await w.pilot.resize_terminal(40, 12)
        await w.pilot.pause()
        assert "An answer." in w.picture
        for size in ((20, 5), (1, 1), (39, 30)):
            await w.pilot.resize_terminal(*size)
            await w.pilot.pause()
        assert "Palaver needs 40×10" in w.picture
        await w.pilot.resize_terminal(300, 80)
        await w.pilot.pause()
        assert w.screen.sidebar.display
        assert "An answer." in w.transcript


EVIL = "[b]x[/b][@click=app.quit]y[/] [/"


@pytest.mark.fault("T10", "T11", "T12")
async def test_markup_is_only_text_wherever_it_comes_from(history: Path) -> None:
    evil = replace(PROFILE, name=EVIL, model=EVIL)
    async with window(history, evil, wish=Wish(label=EVIL)) as w:
        await w.exchange(EVIL, EVIL)
        await w.until(lambda: w.transcript.count(EVIL) == 2)
        assert EVIL in w.status
        for key in ("f2", "f3", "f1", "ctrl+o", "ctrl+p"):
            await w.press(key)
            await w.press("escape")
        await w.send("again")
        (await w.server.request()).answer(400, {"error": {"message": EVIL}})
        await w.until(lambda: f"refused the request: {EVIL}" in w.said)
        await w.press("f8")
        await w.until(lambda: f"Deleted {EVIL}" in w.status)
        assert not w.app._exit


async def test_what_is_pasted_while_the_transcript_has_the_focus_is_typed_text(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "a", "resp_1")
        await w.type("see ")
        await w.press("tab")
        assert w.screen.transcript.has_focus
        w.app.post_message(events.Paste("rq\nthis"))
        await w.until(lambda: w.screen.prompt.text == "see rq\nthis")
        assert w.screen.prompt.has_focus
        assert len(w.server.seen) == 1


@pytest.mark.parametrize("key", ["", "f1", "f2", "ctrl+o", "ctrl+r"])
async def test_a_size_is_told_once_and_sent_by_no_layout(
    key: str, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with window(history) as w:
        await w.exchange("first", "fine")
        if key:
            await w.press(key)
        screen = w.app.screen
        assert isinstance(screen, SessionScreen) is (not key)
        told: list[Size] = []
        real = Screen._screen_resized

        def resized(of: Screen[Any], size: Size) -> None:
            if of is screen:
                told.append(size)
            real(of, size)

        monkeypatch.setattr(Screen, "_screen_resized", resized)
        sizes = [Size(100, 30), Size(90, 28)]
        for size in sizes:
            screen.post_message(events.Resize(size, size))
            # With something between them neither takes the other's place.
            screen.call_later(lambda: None)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert told == sizes


async def test_a_size_that_changes_behind_a_dialog_is_seen_once_that_is_closed(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "fine")
        assert w.screen.sidebar.display
        await w.press("f1")
        await w.pilot.resize_terminal(60, 24)
        await w.press("escape")
        await w.until(lambda: not w.screen.sidebar.display)
        await w.press("f1")
        await w.pilot.resize_terminal(120, 24)
        await w.press("escape")
        await w.until(lambda: w.screen.sidebar.display)
