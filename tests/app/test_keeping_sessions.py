"""Sessions put away and brought back, messages picked to be changed, and what is known of a conversation, in the window."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import OptionList

from tests.app.driving import Window, window
from tests.chatting import answer_well
from tui.app.screens.account import AccountScreen
from tui.app.screens.picker import Picker
from tui.app.widgets.dialogs import TextDialog
from tui.app.widgets.key_bar import KeyBar


def keys(w: Window) -> str:
    return w.screen.query_one(KeyBar).text


async def test_escape_twice_picks_a_message_to_change(history: Path) -> None:
    async with window(history) as w:
        await w.press("escape")
        assert "Esc again" not in w.status
        await w.exchange("first\nwith more", "one", "resp_1")
        await w.exchange("second", "two", "resp_2")
        await w.press("escape")
        await w.until(lambda: "Esc again" in w.status)
        await w.press("escape")
        await w.until(lambda: isinstance(w.app.screen, Picker))
        options = w.app.screen.query_one(OptionList)
        assert [str(options.get_option_at_index(n).prompt) for n in range(2)] == ["second", "first with more"]
        await w.press("down", "enter")
        await w.until(lambda: w.screen.prompt.text == "first\nwith more")
        assert "esc Back" in keys(w)
        assert "esc Stop" not in keys(w)
        await w.press("escape")
        await w.until(lambda: w.screen.prompt.text == "")
        assert "esc" not in keys(w)
        await w.press("escape", "escape")
        await w.until(lambda: isinstance(w.app.screen, Picker))
        await w.type("firs")
        await w.press("enter")
        await w.until(lambda: w.screen.prompt.text == "first\nwith more")
        await w.press("enter")
        exchange = await w.server.request()
        await w.until(lambda: "esc Stop" in keys(w))
        answer_well(exchange, "three", "resp_3")
        await w.until(lambda: "‹ 2/2 ›" in w.said and "three" in w.said)


async def test_escape_in_a_text_or_between_texts_picks_nothing(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "one", "resp_1")
        await w.press("escape")
        await w.type("draft")
        await w.press("escape", "escape")
        assert w.screen.prompt.text == "draft"
        assert w.app.screen is w.screen


async def test_a_session_is_archived_and_brought_back(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "one", "resp_1")
        await w.press("f9")
        await w.until(lambda: "Archived" in w.status and w.label == "chat-2")
        assert "first" not in w.said
        (kept,) = await w.talk.chat.sessions()
        assert kept.archived_at is not None
        assert "Bring back" in keys(w)
        await w.press("alt+z")
        await w.until(lambda: w.label == "chat-1")
        (kept,) = await w.talk.chat.sessions()
        assert kept.archived_at is None


async def test_archive_and_trash_are_listed(history: Path) -> None:
    async with window(history) as w:
        for label in ("old", "gone", "here"):
            session = await w.talk.chat.open(label)
            if label == "old":
                await w.talk.chat.archive(session.id)
            elif label == "gone":
                await w.talk.chat.delete(session.id)
        w.screen._actions.list_hidden()
        await w.until(lambda: isinstance(w.app.screen, Picker))
        options = w.app.screen.query_one(OptionList)
        shown = [str(options.get_option_at_index(n).prompt) for n in range(options.option_count)]
        assert shown == ["old (archive)", "gone (trash)"]
        await w.press("down", "enter")
        await w.until(lambda: w.label == "gone")
        assert {session.label for session in await w.talk.chat.sessions()} == {"old", "gone", "here"}


async def test_a_conversation_is_taken_over_by_its_id(history: Path) -> None:
    async with window(history) as w:
        await w.send("/adopt")
        await w.until(lambda: "Which one?" in w.status)
        await w.send("/adopt resp_77")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        await w.press("ctrl+u")
        await w.type("theirs")
        await w.press("enter")
        await w.until(lambda: w.label == "theirs")
        await w.send("and now?")
        exchange = await w.server.request()
        assert exchange.json["previous_response_id"] == "resp_77"
        answer_well(exchange, "more", "resp_78")
        await w.until(lambda: "more" in w.said)


async def test_what_is_known_of_the_conversation(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "one", "resp_1")
        await w.press("f6")
        await w.until(lambda: isinstance(w.app.screen, AccountScreen))
        assert "resp_1" in w.picture
        assert "turn 1: asked without an id: done" in w.picture
        assert "received   resp_1" in w.picture
        assert "Conversation: first" in w.picture
        await w.press("escape")
        await w.until(lambda: w.app.screen is w.screen)
