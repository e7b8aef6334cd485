"""Going from session to session: what was shown lately is there at once, as it is by then; the rest is one read away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.fake_server import completed, delta
from tui.app.screens.shelf import MOST
from tui.app.transcript.pieces import Splitter
from tui.model import Session
from tui.store import Store

LONG = "\n\n".join(f"Paragraph {number} of many." for number in range(40))


async def session_of(w: Window, label: str) -> Session:
    session = await w.talk.chat.find(label)
    assert session is not None
    return session


async def go(w: Window, session: Session) -> None:
    listed = w.screen._list.get(session.id)
    assert listed is not None
    w.screen._go_to(listed)


async def two(w: Window) -> tuple[Session, Session]:
    """Two sessions something was said in; the second is shown."""
    await w.exchange("first prompt", LONG)
    one = w.screen.session
    await w.press("ctrl+n")
    await w.exchange("second prompt", "Short.", "resp_2")
    two = w.screen.session
    assert one is not None
    assert two is not None
    return one, two


async def test_a_session_left_lately_is_back_with_the_key(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with window(history) as w:
        one, two_ = await two(w)
        await go(w, one)
        await w.until(lambda: "Paragraph 39" in w.transcript)
        await w.press("pageup")
        await w.pilot.pause()
        there = w.transcript
        await go(w, two_)
        await w.until(lambda: "Short." in w.transcript)

        fed: list[str] = []
        read: list[int] = []
        feed, turns = Splitter.feed, Store.turns

        def feeding(splitter: Splitter, text: str) -> None:
            fed.append(text)
            feed(splitter, text)

        async def reading(store: Store, session_id: str, start: int = 0, stop: int | None = None) -> object:
            read.append(start)
            return await turns(store, session_id, start, stop)

        monkeypatch.setattr(Splitter, "feed", feeding)
        monkeypatch.setattr(Store, "turns", reading)
        await go(w, one)
        # Nothing was awaited since.
        assert w.transcript == there
        assert w.screen.session is not None
        assert w.screen.session.id == one.id
        assert not w.screen.transcript.following
        await w.pilot.pause()
        assert not fed
        assert not read
        assert w.transcript == there


async def test_what_was_said_meanwhile_is_there_when_one_is_back(history: Path) -> None:
    async with window(history) as w:
        one, two_ = await two(w)
        await w.send("third prompt")
        exchange = await w.server.request()
        exchange.respond().event(delta("It begins"))
        await w.until(lambda: "It begins" in w.transcript)
        await go(w, one)
        await w.until(lambda: "Paragraph 39" in w.transcript)
        exchange.event(delta(", goes on"))
        await w.until(lambda: "goes on" in w.talk.turns[-1].text)
        await go(w, two_)
        assert "It begins, goes on" in w.transcript
        await go(w, one)
        exchange.event(completed("It begins, goes on and ends", "resp_3")).end()
        await w.until(lambda: not w.talk.chat.running())
        w.talk.chat.send(await session_of(w, two_.label), "fourth prompt")
        (await w.server.request()).respond().event(completed("And more", "resp_4")).end()
        await w.until(lambda: not w.talk.chat.running())
        await go(w, two_)
        assert "It begins, goes on and ends" in w.transcript
        assert "And more" in w.transcript
        await w.until(lambda: w.screen.session is not None and not w.screen.session.unread)
        await w.press("up")
        assert w.screen.prompt.text == "fourth prompt"
        await w.press("up")
        assert w.screen.prompt.text == "third prompt"


async def test_a_session_that_became_another_is_read_again(history: Path) -> None:
    async with window(history) as w:
        one, two_ = await two(w)
        await go(w, one)
        await w.until(lambda: "Paragraph 39" in w.transcript)
        w.talk.chat.send(await session_of(w, two_.label), "another prompt", at=0)
        (await w.server.request()).respond().event(completed("Another answer", "resp_3")).end()
        await w.until(lambda: not w.talk.chat.running())
        await go(w, two_)
        await w.until(lambda: "Another answer" in w.transcript)
        assert "second prompt" not in w.transcript
        await w.until(lambda: "2/2" in w.transcript)


async def test_a_window_of_another_size_shows_it_as_it_would_have(history: Path) -> None:
    async with window(history) as w:
        one, two_ = await two(w)
        await go(w, one)
        await w.until(lambda: "Paragraph 39" in w.transcript)
        await w.pilot.resize_terminal(60, 24)
        await w.pilot.pause()
        await go(w, two_)
        await w.until(lambda: "Short." in w.transcript)
        await w.pilot.resize_terminal(90, 20)
        w.app.theme = "textual-light"
        await w.pilot.pause()
        await go(w, one)
        await w.pilot.pause()
        kept = w.picture
        w.screen._way.shelf._kept.clear()
        await go(w, two_)
        await w.until(lambda: "Short." in w.transcript)
        w.screen._way.shelf._kept.clear()
        await go(w, one)
        await w.until(lambda: "Paragraph 39" in w.transcript)
        assert w.picture == kept


async def test_prompts_are_recalled_in_a_session_just_read(history: Path) -> None:
    async with window(history) as w:
        one, _ = await two(w)
        w.screen._way.shelf._kept.clear()
        await go(w, one)
        await w.until(lambda: w.screen.prompt.said == ["first prompt"])
        await w.press("up")
        assert w.screen.prompt.text == "first prompt"
        w.screen.prompt.fill_history(["older", "first prompt"])
        await w.press("up")
        assert w.screen.prompt.text == "older"


async def test_only_so_many_are_kept(history: Path) -> None:
    async with window(history) as w:
        for number in range(MOST + 3):
            await w.press("ctrl+n")
            await w.exchange(f"prompt {number}", "Fine.", f"resp_{number}")
        assert len(w.screen._way.shelf._kept) == MOST
