"""Finding what was said: in the session shown, in all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.fake_server import completed, delta
from tests.store.histories import a_session, opened, told
from tui.app.run import Wish
from tui.app.screens.search import SearchScreen
from tui.app.widgets.find_bar import FindBar
from tui.model import TitleSource

LONG = "\n\n".join(f"Paragraph {number} of something long." for number in range(40))


async def fill(history: Path) -> None:
    async with opened(history) as store:
        work = a_session("work", title="Databases", title_source=TitleSource.USER)
        await told(store, work, "Which journal is safe?", f"{LONG}\n\nThe **rollback** journal is.\n\n{LONG}")
        for number in range(60):
            await told(store, work, f"question {number}", "no" if number % 20 else f"{LONG}\n\nA zebra and a Zebra.")
        await told(store, a_session("other"), "hello", "A journal of mine")


def bar(w: Window) -> str:
    return w.screen.query_one(FindBar).text


def marks(w: Window) -> list[tuple[str, bool]]:
    """What is marked in view, and whether it is the present match."""
    finding, rows = w.screen.transcript.finding, w.screen.transcript._port.rows
    assert finding is not None
    return [(row.line.text[start:end], now) for row in rows for start, end, now in finding.marks(row)]


async def test_find_in_a_transcript(history: Path) -> None:
    await fill(history)
    async with window(history, wish=Wish("work")) as w:
        await w.until(lambda: "question 59" in w.transcript)
        await w.press("ctrl+f")
        await w.until(lambda: w.screen.query(FindBar))
        await w.type("zebra")
        await w.until(lambda: "5 of 6" in bar(w) or "6 of 6" in bar(w))
        await w.until(lambda: ("zebra", False) in marks(w) or ("zebra", True) in marks(w))
        number = int(bar(w).split()[1])
        assert sum(now for _, now in marks(w)) == 1
        await w.press("enter")
        await w.until(lambda: f"{number % 6 + 1} of 6" in bar(w))
        for _ in range(6):
            await w.press("f3")
            await w.pilot.pause()
        await w.until(lambda: f"{number % 6 + 1} of 6" in bar(w))
        await w.press("up")
        await w.until(lambda: f"{number} of 6" in bar(w))
        assert sum(now for _, now in marks(w)) == 1
        await w.press("escape")
        await w.until(lambda: not w.screen.query(FindBar))
        assert w.screen.transcript.finding is None
        assert "zebra" in w.transcript.lower()
        assert w.screen.prompt.has_focus


async def test_what_is_not_there(history: Path) -> None:
    await fill(history)
    async with window(history, wish=Wish("work")) as w:
        await w.until(lambda: "question 59" in w.transcript)
        before = w.transcript
        await w.press("ctrl+f")
        await w.until(lambda: w.screen.query(FindBar))
        await w.type("unheard")
        await w.until(lambda: "not here" in bar(w))
        await w.press("enter", "escape")
        await w.until(lambda: not w.screen.query(FindBar))
        assert w.screen.focused is w.screen.prompt
        await w.until(lambda: w.transcript == before)


@pytest.mark.parametrize("part", ["prompt", "transcript", "sidebar"])
@pytest.mark.parametrize("session", ["work", "other"])
async def test_closing_the_bar_leaves_the_focus_where_it_was_and_the_place_as_it_is(
    part: str, session: str, history: Path
) -> None:
    await fill(history)
    async with window(history, wish=Wish(session)) as w:
        await w.until(lambda: ("question 59" if session == "work" else "A journal of mine") in w.transcript)
        focused = getattr(w.screen, part)
        w.screen.set_focus(focused)
        await w.press("ctrl+f")
        await w.type("journal")
        await w.until(lambda: "not here" not in bar(w) and " of " in bar(w))
        found = w.transcript
        await w.press("escape")
        await w.until(lambda: not w.screen.query(FindBar))
        assert w.screen.focused is focused
        assert w.transcript.startswith(found)


async def test_what_is_typed_after_finding_is_typed(history: Path) -> None:
    await fill(history)
    async with window(history, wish=Wish("work")) as w:
        await w.until(lambda: "question 59" in w.transcript)
        await w.type("not ")
        await w.press("ctrl+f")
        await w.type("rollback")
        await w.until(lambda: "The rollback journal is." in w.transcript)
        found = w.transcript
        await w.press("escape")
        await w.type("really")
        assert w.screen.prompt.text == "not really"
        assert w.transcript.startswith(found)
        assert not w.server.seen


async def test_the_bar_gives_the_focus_back_to_where_it_was_last(history: Path) -> None:
    await fill(history)
    async with window(history, wish=Wish("work")) as w:
        await w.until(lambda: "question 59" in w.transcript)
        await w.press("tab", "ctrl+f", "ctrl+f")
        await w.press("escape")
        assert w.screen.transcript.has_focus
        await w.press("ctrl+f")
        w.screen.prompt.focus()
        await w.press("ctrl+f", "escape")
        assert w.screen.prompt.has_focus


async def test_find_in_an_answer_that_streams(history: Path) -> None:
    async with window(history) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond().event(delta("A *zeb*ra and a "))
        await w.until(lambda: "zebra and" in w.transcript)
        await w.press("ctrl+f")
        await w.until(lambda: w.screen.query(FindBar))
        await w.type("zebra")
        await w.until(lambda: "1 of 1" in bar(w))
        exchange.event(delta("ZEBRA")).event(completed("A *zeb*ra and a ZEBRA")).end()
        await w.until(lambda: "1 of 2" in bar(w))
        await w.until(lambda: marks(w) == [("zebra", True), ("ZEBRA", False)])
        assert w.screen.prompt.text == ""


async def test_search_goes_to_the_message(history: Path) -> None:
    await fill(history)
    async with window(history, wish=Wish("other")) as w:
        await w.until(lambda: "A journal of mine" in w.transcript)
        await w.type("a draft")
        await w.press("ctrl+r")
        await w.until(lambda: isinstance(w.app.screen, SearchScreen))
        await w.type("rollback")
        await w.until(lambda: "The **rollback** journal" in w.picture)
        assert "Databases" in w.picture
        await w.press("enter")
        await w.until(lambda: w.label == "work")
        await w.until(lambda: "The rollback journal is." in w.transcript)
        assert marks(w) == [("rollback", True)]
        assert w.screen.focused is w.screen.transcript
        await w.press("escape")
        assert w.screen.transcript.finding is None
        await w.press("ctrl+r")
        await w.until(lambda: "The **rollback** journal" in w.picture)
        await w.press("escape")
        assert w.screen.focused is w.screen.prompt
        await w.press("alt+down")
        await w.press("alt+up")


async def test_search_within_the_session_shown_and_back(history: Path) -> None:
    await fill(history)
    async with window(history, wish=Wish("work")) as w:
        await w.until(lambda: "question 59" in w.transcript)
        before = w.transcript
        await w.type("a draft")
        await w.press("ctrl+r")
        await w.type("label:work which jour")
        await w.until(lambda: "Which journal is safe?" in w.picture)
        await w.press("escape")
        assert (w.transcript, w.screen.prompt.text, w.label) == (before, "a draft", "work")
        assert w.screen.focused is w.screen.prompt
        await w.press("ctrl+r")
        await w.type('"which journal"')
        await w.until(lambda: "Which journal is safe?" in w.picture)
        await w.press("enter")
        await w.until(lambda: "Which journal is safe?" in w.transcript)
        assert marks(w) == [("Which journal", True)]


async def test_conditions_that_mean_nothing_are_said_and_names_are_found(history: Path) -> None:
    await fill(history)
    async with window(history, wish=Wish("other")) as w:
        await w.press("ctrl+r")
        await w.type("before:soon")
        await w.until(lambda: "“before:” takes a day" in w.picture)
        await w.press("enter")
        assert isinstance(w.app.screen, SearchScreen)
        await w.press(*["backspace"] * 11)
        await w.type("nothing of the kind")
        await w.until(lambda: "Nothing matches." in w.picture)
        await w.press(*["backspace"] * 19)
        await w.type("datab")
        await w.until(lambda: "Databases" in w.picture and "in 1 session" in w.picture)
        await w.press("enter")
        await w.until(lambda: w.label == "work")
