"""The list of sessions: under which headings they stand, and how those of one title are told apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.app.driving import Window, window
from tests.fake_server import delta
from tests.store.histories import a_session, a_turn, said
from tui.app.screens.sessions import SessionList
from tui.app.screens.status import outcome
from tui.app.widgets.key_bar import KeyBar
from tui.app.widgets.sidebar import alike, entries_of, named
from tui.model import Session, TurnStatus

TODAY = date(2026, 11, 27)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def a_row(label: str, days: float, **fields: Any) -> Session:
    """A session that something was said in so many days ago."""
    at = NOON - days * DAY
    return a_session(label, **{"created_at": at, "last_turn_at": at, "turns": 1} | fields)


def rows(*sessions: Session) -> list[str]:
    return [one.heading or (one.session.label if one.session else "") for one in entries_of(sessions, TODAY)]


def test_sessions_stand_under_the_day_of_their_last_use() -> None:
    kept = a_row("kept", 300, pinned=True)
    found = rows(a_row("new", 0), a_row("day", 1), kept, a_row("week", 5), a_row("month", 30))
    assert found == [
        "Pinned", "kept", "", "Today", "new", "", "Yesterday", "day", "", "Previous 7 days", "week", "", "Earlier", "month",
    ]  # fmt: skip


def test_a_fork_of_old_turns_leaves_the_others_where_they_are() -> None:
    assert rows(a_row("fork", 40, created_at=NOON), a_row("new", 0)) == ["Today", "fork", "new"]


def test_only_those_of_one_name_are_told_apart() -> None:
    sessions = [a_row("one", 0, title="Same"), a_row("two", 0, title="Same"), a_row("three", 0, title="Other")]
    assert alike(sessions) == {"Same"}


def test_the_label_is_seen_beside_a_long_title() -> None:
    assert named("A parser for small queries", "parser-2", 26) == "A parser for s… · parser-2"
    assert named("A parser for small queries", "", 26) == "A parser for small queries"
    assert named("Same", "a-very-long-label-indeed-it-is", 26) == "Same · a-very-long-…"
    assert named("A parser for small queries indeed", "", 26) == "A parser for small querie…"


def test_one_that_comes_back_stands_where_it_was() -> None:
    listed = SessionList()
    listed.reset([a_row("new", 0), a_row("old", 20)])
    listed.put(a_row("back", 10))
    listed.put(a_row("oldest", 30))
    listed.put(a_row("newest", -1))
    assert [one.label for one in listed.sessions] == ["newest", "new", "back", "old", "oldest"]


async def test_the_session_shown_stays_in_view_where_it_goes_in_the_list(history: Path) -> None:
    async with window(history) as w:
        for number in range(40):
            await w.talk.chat.open(f"number {number}")
        await w.until(lambda: len(w.screen.sidebar._entries) > 40)
        await w.screen.visit(w.screen._list.sessions[-1])
        await w.until(lambda: w.screen.sidebar.scroll_offset.y > 0)
        await w.press("f4")
        await w.until(lambda: "Pinned" in w.picture)


async def test_a_session_whose_answer_broke_off_is_marked(history: Path) -> None:
    async with window(history) as w:
        await w.send("tell me")
        (await w.server.request()).respond().event(delta("Once upon")).end()
        await w.until(lambda: "■ tell me" in w.picture)


def test_how_long_is_not_told_where_it_is_not_known() -> None:
    turn = said(a_turn(a_session()), "half", status=TurnStatus.INTERRUPTED)
    assert outcome(turn) == "interrupted"
    assert outcome(replace(turn, ended_at=turn.created_at + 2)) == "interrupted after 2.0 s"


async def test_a_long_title_takes_one_line_in_the_switcher(history: Path) -> None:
    async with window(history) as w:
        session = await w.talk.chat.open("long")
        await w.talk.chat.set_title(session.id, "many words " * 6 + "END")
        await w.until(lambda: "many words" in w.picture)
        await w.press("ctrl+o")
        await w.until(lambda: "Switch session" in w.picture)
        await w.until(lambda: "long — many words many words" in w.picture)
        assert "END" not in w.picture


OVER = [(60, 16), (40, 12)]


async def open_over(w: Window) -> None:
    await w.press("ctrl+b")
    assert w.screen.sidebar.display
    assert w.screen.sidebar.has_focus


@pytest.mark.parametrize("size", OVER)
async def test_escape_closes_the_list_over_the_transcript_and_goes_to_the_input(
    size: tuple[int, int], history: Path
) -> None:
    async with window(history, size=size) as w:
        await open_over(w)
        assert "esc Back" in w.screen.query_one(KeyBar).text
        await w.press("escape")
        assert not w.screen.sidebar.display
        await w.type("hello")
        assert w.screen.prompt.text == "hello"


async def test_escape_in_the_sidebar_beside_the_transcript_goes_to_the_input(history: Path) -> None:
    async with window(history) as w:
        await w.press("tab", "tab")
        assert w.screen.sidebar.has_focus
        await w.press("escape")
        assert w.screen.sidebar.display
        await w.type("hello")
        assert w.screen.prompt.text == "hello"


@pytest.mark.parametrize("size", [(100, 30), *OVER])
async def test_escape_in_the_sidebar_stops_an_answer_first(size: tuple[int, int], history: Path) -> None:
    async with window(history, size=size) as w:
        await w.send("tell me")
        (await w.server.request()).respond().event(delta("Once upon"))
        await w.until(lambda: "Once upon" in w.transcript)
        await w.press(*(["ctrl+b"] if size in OVER else ["tab", "tab"]))
        assert w.screen.sidebar.has_focus
        assert "esc Stop" in w.screen.query_one(KeyBar).text
        await w.press("escape")
        await w.until(lambda: not w.talk.chat.running())
        assert w.screen.sidebar.has_focus
        await w.press("escape")
        assert w.screen.prompt.has_focus
        assert w.screen.sidebar.display is (size not in OVER)


async def test_escape_in_the_sidebar_does_not_give_up_a_message_being_changed(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", "fine")
        await w.press("tab", "e")
        assert w.screen.prompt.text == "first"
        w.screen.sidebar.focus()
        await w.press("escape")
        assert w.screen.prompt.has_focus
        assert w.screen.prompt.text == "first"
        await w.press("escape")
        assert w.screen.prompt.text == ""


@pytest.mark.parametrize(
    ("keys", "part"),
    [(["tab"], "prompt"), (["shift+tab"], "transcript"), (["ctrl+b"], "prompt"), (["f2", "escape"], "sidebar")],
)
async def test_the_list_is_over_the_transcript_as_long_as_it_has_the_focus(
    keys: list[str], part: str, history: Path
) -> None:
    async with window(history, size=(60, 16)) as w:
        await w.exchange("hello", "An answer.")
        await open_over(w)
        await w.press(*keys)
        assert w.screen.focused is getattr(w.screen, part)
        assert w.screen.sidebar.display is (part == "sidebar")


async def test_finding_closes_the_list_over_the_transcript(history: Path) -> None:
    async with window(history, size=(60, 16)) as w:
        await w.exchange("hello", "An answer.")
        await open_over(w)
        await w.press("ctrl+f")
        assert not w.screen.sidebar.display
        await w.type("answer")
        await w.until(lambda: "1 of 1" in w.picture)
        await w.press("escape")
        await w.type("hello")
        assert w.screen.prompt.text == "hello"


async def test_a_click_beside_the_list_closes_it(history: Path) -> None:
    async with window(history, size=(60, 16)) as w:
        await open_over(w)
        await w.pilot.click("#prompt", offset=(50, 1))
        assert not w.screen.sidebar.display
        assert w.screen.prompt.has_focus


async def test_the_list_stays_over_the_transcript_while_the_terminal_is_left(history: Path) -> None:
    async with window(history, size=(60, 16)) as w:
        await open_over(w)
        w.app.app_focus = False
        await w.pilot.pause()
        assert w.screen.sidebar.display
        w.app.app_focus = True
        await w.pilot.pause()
        assert w.screen.sidebar.display
        assert w.screen.sidebar.has_focus


async def test_shift_tab_goes_from_the_input_to_the_sidebar(history: Path) -> None:
    async with window(history) as w:
        w.screen.prompt.focus()
        await w.press("shift+tab")
        assert w.app.focused is w.screen.sidebar
        await w.press("pagedown", "tab")
        assert w.app.focused is w.screen.prompt
