"""Leaving the window: what is said before it stops anything, and what counts as having insisted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.chatting import talk
from tests.exchange import files
from tests.exchange.taking import written
from tests.fake_server import PROFILE, delta
from tests.virtual_time import skip
from tui.app.screens.help import HelpScreen

IN_BACKGROUND = replace(PROFILE, options={"background": True})
STARTED = {
    "type": "response.created",
    "response": {"id": "resp_1", "object": "response", "status": "in_progress", "background": True, "output": []},
    "sequence_number": 0,
}


async def answering(w: Window, *prompts: str) -> None:
    """Have a session for each prompt that its answer is coming in. The last one is shown."""
    for prompt in prompts:
        if prompt is not prompts[0]:
            await w.press("ctrl+n")
        await w.send(prompt)
        (await w.server.request()).respond().event(delta(f"Of {prompt}"))
        await w.until(lambda prompt=prompt: f"Of {prompt}" in w.said)


@asynccontextmanager
async def importing(history: Path, folder: Path, *prompts: str) -> AsyncIterator[Window]:
    """A window in which an import waits for another program that is writing to the history."""
    file = written(folder / "some.json", [files.claude(("human", "a"), ("assistant", "b"))])
    async with talk(history) as t:
        await t.chat.sessions()
    with closing(sqlite3.connect(history, isolation_level=None)) as other:
        async with window(history) as w:
            await answering(w, *prompts)
            other.execute("BEGIN IMMEDIATE")
            w.screen.prompt.replace_text(f"/import {file}")
            await w.press("enter")
            await w.until(lambda: "Reading the file" in w.status)
            yield w


@pytest.mark.fault("C22")
async def test_what_leaving_stops_is_said_with_the_sessions_that_are_not_shown(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "boil an egg", "a poem that is longer than most titles", "third", "fourth")
        await w.press("ctrl+q")
        said = w.status
        assert "Ctrl+Q again stops 4 answers and quits: " in said
        assert {"boil an egg", "a poem that is longer t…", "third"} == set(said.split("quits: ")[1].split(", ")[:3])
        assert said.split(", ")[-1].startswith("1 more")
        assert not w.app._exit
        await w.press("ctrl+q")
        assert w.app._exit
    async with talk(history) as t:
        for session in await t.chat.sessions():
            (turn,) = await t.chat.turns(session.id)
            assert turn.text == f"Of {turn.prompt}"
            assert turn.status.is_final


async def test_nothing_is_asked_where_nothing_runs(history: Path) -> None:
    async with window(history) as w:
        await w.press("ctrl+q")
        assert w.app._exit


@pytest.mark.fault("C22")
async def test_ctrl_c_stops_the_answer_shown_and_then_tells_of_the_others(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "first", "second")
        await w.press("ctrl+c")
        await w.until(lambda: len(w.talk.chat.running()) == 1)
        await w.press("ctrl+c")
        assert "Ctrl+C again stops 1 answer and quits: first" in w.status
        assert not w.app._exit
        await w.press("ctrl+c")
        assert w.app._exit


@pytest.mark.fault("C22")
async def test_one_key_is_not_taken_for_the_others_second_press(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "first")
        await w.press("ctrl+n")
        await w.press("ctrl+c")
        assert "Ctrl+C again stops" in w.status
        await w.press("ctrl+q")
        assert "Ctrl+Q again stops" in w.status
        await w.press("ctrl+c")
        assert not w.app._exit


@pytest.mark.fault("C22")
@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
async def test_any_other_key_is_a_sign_of_staying(history: Path, key: str) -> None:
    async with window(history) as w:
        await answering(w, "first")
        await w.press("ctrl+n")
        await w.press(key)
        assert "again stops" in w.status
        await w.press("left")
        assert "again stops" not in w.status
        await w.press(key)
        assert not w.app._exit
        assert "again stops" in w.status


@pytest.mark.fault("C22")
@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
async def test_a_press_long_ago_counts_no_more(history: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with window(history) as w:
        await answering(w, "first")
        await w.press("ctrl+n")
        await w.press(key)
        skip(6, monkeypatch)
        await w.until(lambda: "again stops" not in w.status)
        await w.press(key)
        assert not w.app._exit


async def test_ctrl_c_that_cleared_something_is_not_the_second_press(history: Path) -> None:
    async with window(history) as w:
        await w.press("ctrl+c")
        assert "Press Ctrl+C again to quit" in w.status
        w.screen.prompt.replace_text("by another way than keys")
        await w.press("ctrl+c")
        assert "Cleared" in w.status
        await w.press("ctrl+c")
        assert not w.app._exit


@pytest.mark.fault("C22")
async def test_an_answer_that_was_not_told_of_is_not_stopped(history: Path) -> None:
    async with window(history) as w:
        await w.press("ctrl+c")
        session = await w.talk.chat.open("other")
        w.talk.chat.send(session, "begun meanwhile")
        await w.server.request()
        await w.press("ctrl+c")
        assert not w.app._exit
        assert "Ctrl+C again stops 1 answer" in w.status


@pytest.mark.fault("C22")
async def test_it_is_said_over_a_dialog_too(history: Path) -> None:
    async with window(history, size=(100, 40)) as w:
        await answering(w, "first")
        await w.press("f1")
        await w.until(lambda: isinstance(w.app.screen, HelpScreen))
        await w.press("ctrl+q")
        await w.until(lambda: "Ctrl+Q again stops 1 answer" in w.picture)
        await w.press("ctrl+q")
        assert w.app._exit


@pytest.mark.fault("C22")
async def test_an_import_is_told_of_and_stopped(history: Path, tmp_path: Path) -> None:
    """All else would take as long as the file is."""
    async with importing(history, tmp_path) as w:
        await w.press("ctrl+q")
        assert "Ctrl+Q again stops the import and quits" in w.status
        assert not w.app._exit
        await w.press("ctrl+q")
        assert w.app._exit
    async with talk(history) as t:
        assert await t.chat.sessions() == []


async def test_ctrl_c_stops_an_import(history: Path, tmp_path: Path) -> None:
    async with importing(history, tmp_path) as w:
        await w.press("ctrl+c")
        assert "Stopped the import" in w.status
        await w.press("ctrl+c")
        assert "Press Ctrl+C again to quit" in w.status
    async with talk(history) as t:
        assert await t.chat.sessions() == []


@pytest.mark.fault("C22")
async def test_how_far_an_import_is_does_not_take_the_place_of_the_question(history: Path) -> None:
    async with window(history) as w:
        await answering(w, "first")
        w.screen.tell_progress("Importing: 50 of 100")
        assert "Importing: 50 of 100" in w.status
        await w.press("ctrl+q")
        w.screen.tell_progress("Importing: 100 of 100")
        assert "again stops" in w.status
        await w.press("left")
        w.screen.tell_progress("Importing: 100 of 100")
        assert "Importing: 100 of 100" in w.status


@pytest.mark.fault("C22")
async def test_an_import_beside_an_answer(history: Path, tmp_path: Path) -> None:
    async with importing(history, tmp_path, "boil an egg") as w:
        await w.press("ctrl+q")
        assert "Ctrl+Q again stops 1 answer, stops the import and quits: boil an egg" in w.status


@pytest.mark.fault("C22")
async def test_work_that_goes_on_at_its_server_is_not_said_to_be_stopped(history: Path) -> None:
    async with window(history, IN_BACKGROUND) as w:
        await w.send("long work")
        (await w.server.request()).respond().event(STARTED).event(delta("Half"))
        await w.until(lambda: "Half" in w.said)
        await w.press("ctrl+q")
        assert "Ctrl+Q again lets go of 1 answer and quits: long work" in w.status


@pytest.mark.fault("C22")
@pytest.mark.parametrize("waiting", ["a turn", "the server"])
async def test_leaving_does_not_wait_for_what_the_window_waits_for(history: Path, waiting: str) -> None:
    async with asyncio.timeout(20), window(history) as w:
        if waiting == "a turn":
            await w.exchange("first", "Well.")
            await w.press("tab", "up", "e")
            await w.until(lambda: w.screen.prompt.text == "first")
            await w.press("enter")
            (await w.server.request()).respond().event(delta("Half"))
            await w.until(lambda: "Half" in w.said)
            await w.press("ctrl+q")
        else:
            await w.send("/model")
            await w.server.request()
        await w.press("ctrl+q")
        assert w.app._exit
