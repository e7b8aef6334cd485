"""Two hundred sessions, twenty of which answer behind the one shown: keys are heard, and nothing is painted for nothing."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest
from textual.strip import Strip

from tests.app.driving import window
from tests.fake_server import completed, delta
from tests.store.histories import a_session
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.sidebar import Sidebar
from tui.store.database import Database
from tui.store.lock import Lock
from tui.store.sql import sessions as session_sql

SESSIONS = 200
ANSWERING = 20
WORDS = 40


def fill(conn: Connection) -> None:
    for number in range(SESSIONS):
        session_sql.put_session(conn, a_session(f"session {number}", title=f"Title {number}", turns=1))


def made(history: Path) -> None:
    lock = Lock(history)
    db = Database(history, lock)
    db.write(fill)
    db.close()
    lock.close()


@pytest.mark.fault("U06")
async def test_the_window_goes_on_while_twenty_answer_behind_it(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(history)
    painted: Counter[str] = Counter()

    def counted(kind: type[Any], name: str) -> None:
        paint = getattr(kind, name)

        def counting(self: Any, *args: Any) -> Strip:
            painted[kind.__name__] += 1
            result: Strip = paint(self, *args)
            return result

        monkeypatch.setattr(kind, name, counting)

    async with window(history) as w:
        chat, sidebar = w.talk.chat, w.screen.sidebar
        await w.press("ctrl+n")
        sessions = [one for one in await chat.sessions() if one.id != w.screen.prompt.id][:ANSWERING]
        for session in sessions:
            chat.send(session, "go on")
        exchanges = [(await w.server.request()).respond() for _ in sessions]
        for exchange in exchanges:
            exchange.event(delta("begun "))
        await w.until(
            lambda: sum(bool(turn.text) for turn in {turn.id: turn for turn in w.talk.turns}.values()) == ANSWERING
        )
        await w.until(lambda: w.picture.count("◌") >= min(ANSWERING, sidebar.size.height - 2))

        counted(Sidebar, "render_line")
        counted(TranscriptView, "render_line")
        for number in range(WORDS):
            for exchange in exchanges:
                exchange.event(delta(f"word-{number} "))
            await w.press("x")
            assert w.screen.prompt.text == "x" * (number + 1)
        # Words behind the screen change nothing on it.
        assert painted["Sidebar"] <= 2 * sidebar.size.height
        assert painted["TranscriptView"] <= 2 * w.screen.transcript.size.height
        times = []
        for _ in range(5):
            begun = time.thread_time()
            for y in range(sidebar.size.height):
                sidebar.render_line(y)
            times.append(time.thread_time() - begun)
        assert min(times) < 0.05

        text = "begun " + "".join(f"word-{number} " for number in range(WORDS))
        for number, exchange in enumerate(exchanges):
            exchange.event(completed(text, f"resp_{number}")).end()
        await w.until(lambda: not chat.running())
        for session in sessions:
            (turn,) = await chat.turns(session.id)
            assert (turn.status, turn.text) == ("done", text)
        await w.until(lambda: w.picture.count("●") >= min(ANSWERING, sidebar.size.height - 2))
        assert w.screen.prompt.text == "x" * WORDS
