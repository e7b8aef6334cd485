"""A call that comes once, later: it does come, whatever the system does meanwhile."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from textual.timer import Timer

from tests.app.driving import window
from tests.fake_server import completed, delta
from tui.app.once import Once


async def test_textual_forgets_a_call_whose_time_comes_while_it_is_set_up(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it does not any more, its own `set_timer` will do."""
    called: list[str] = []
    async with window(history) as w:
        timer = Timer(w.screen, 0.02, callback=lambda: called.append("Textual's"), repeat=0)
        seconds = count()
        with monkeypatch.context() as patch:
            # The system runs something else for a second between two lines.
            patch.setattr("textual._time.get_time", lambda: float(next(seconds)))
            await timer._run()
    assert called == []


async def test_an_answer_is_shown_to_its_end_where_textual_forgets_calls(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Timer._run

    async def forget(timer: Timer) -> None:
        if timer._repeat != 0:
            await run(timer)

    monkeypatch.setattr(Timer, "_run", forget)
    async with window(history) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond()
        for number in range(20):
            exchange.event(delta(f"word{number} "))
            await w.until(lambda word=f"word{number}": word in w.transcript)
        exchange.event(completed("word", "resp_1")).end()
        await w.until(lambda: "hello" in w.picture.splitlines()[1])


async def test_it_comes_or_is_stopped(history: Path) -> None:
    called: list[str] = []
    async with window(history) as w:
        Once(w.screen, 0.0, lambda: called.append("stopped")).stop()
        for name in ("one", "two"):
            Once(w.screen, 0.0, lambda name=name: called.append(name))
        await w.until(lambda: len(called) == 2)
    assert called == ["one", "two"]
