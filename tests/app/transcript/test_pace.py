"""A key comes before what streams, which is held back for neither a key nor a painting for long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.app.driving import window
from tests.fake_server import completed, delta
from tui.app.transcript.pace import CALM_AFTER, CALM_FRAME, FRAME, LONGEST_REST, SHARE, Pace

LONG = "\n\n".join(f"Paragraph {number} with **strong** words and `code`." for number in range(40))


@dataclass
class _Due:
    """What is to be called when."""

    when: float
    call: Callable[[], None]

    def stop(self) -> None:
        raise AssertionError("it was wanted")


@dataclass
class Stage:
    """A pace in a time of its own, in which nothing takes any but what is said to. `painted` is when it was painted."""

    cost: float = 0.0
    now: float = 100.0
    used: float = 0.0
    due: list[_Due] = field(default_factory=list)
    painted: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pace = Pace(self._paint, self._later, lambda: self.now, lambda: self.used)

    def _paint(self) -> None:
        self.painted.append(self.now)
        self.spend(self.cost)

    def _later(self, seconds: float, call: Callable[[], None]) -> _Due:
        self.due.append(_Due(self.now + seconds, call))
        return self.due[-1]

    def spend(self, seconds: float) -> None:
        self.now += seconds
        self.used += seconds

    def lay_out(self, seconds: float) -> None:
        """Paint something else."""
        with self.pace.timed():
            self.spend(seconds)

    def until(self, when: float) -> None:
        """Let time go by."""
        while self.due and self.due[0].when <= when:
            first = self.due.pop(0)
            self.now = max(self.now, first.when)
            first.call()
        self.now = max(self.now, when)

    def stream(self, seconds: float) -> list[float]:
        """Have something new every few milliseconds, and give when it was painted."""
        end, before = self.now + seconds, len(self.painted)
        while self.now < end:
            self.pace.paint_soon()
            self.until(self.now + 0.005)
        return self.painted[before:]


@pytest.mark.parametrize("layouts", [1, 5, 50])
def test_a_screen_laid_out_now_and_then_holds_nothing_back(layouts: int) -> None:
    """As its status does, and a turn that begins: what comes from another window after that is painted at once."""
    s = Stage()
    for _ in range(layouts):
        s.lay_out(0.025)
        s.until(s.now + 0.2)
    s.lay_out(0.04)
    came = s.now
    s.pace.paint_soon()
    assert s.painted == [came]


def test_what_others_take_of_the_machine_is_no_cost_of_a_painting() -> None:
    s = Stage()
    with s.pace.timed():
        s.now += 1.0
    s.pace.paint_soon()
    assert s.painted == [s.now]


@pytest.mark.parametrize("cost", [0.001, 0.02, 0.04])
def test_painting_on_and_on_leaves_most_of_the_time_to_keys(cost: float) -> None:
    s = Stage(cost)
    s.pace.make_way()
    s.stream(CALM_AFTER)
    painted = []
    for _ in range(10):
        # Someone presses a key now and then, so that it is not calm.
        s.pace.make_way()
        painted += s.stream(CALM_AFTER / 2)
    gaps = [after - before for before, after in pairwise(painted)]
    assert min(gaps) >= FRAME - 1e-9
    # What is new comes every 5 ms, and waits for a frame after a key.
    assert max(gaps) <= max(FRAME, SHARE * cost) + FRAME + 0.006
    assert len(painted) * cost <= 5.0 / SHARE + 0.05


def test_who_only_reads_is_shown_a_dozen_frames_a_second() -> None:
    s = Stage(0.002)
    gaps = [after - before for before, after in pairwise(s.stream(5.0))]
    assert min(gaps) >= CALM_FRAME - 1e-9
    assert max(gaps) <= CALM_FRAME + 0.006


@pytest.mark.parametrize("cost", [0.3, 30.0])
def test_a_painting_that_takes_for_ever_is_followed_by_another_in_good_time(cost: float) -> None:
    s = Stage()
    s.lay_out(cost)
    came = s.now
    s.pace.paint_soon()
    s.until(came + 1.0)
    assert [round(when - came, 6) for when in s.painted] == [LONGEST_REST]


async def test_a_key_comes_before_what_streams(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", LONG)
        await w.send("second")
        exchange = await w.server.request()
        exchange.respond().event(delta("One word "))
        await w.until(lambda: "One word" in w.transcript)
        view, turn = w.screen.transcript, w.talk.turns[-1]
        pace = view.pace
        await w.until(lambda: pace._tick is None)
        pace._busy_until = 0.0

        pace.make_way()
        view.put([replace(turn, items=(replace(turn.items[0], text="One word more"),))])
        assert "One word more" not in w.transcript
        assert pace._tick is not None
        await w.until(lambda: "One word more" in w.transcript)

        await w.until(lambda: pace._tick is None)
        pace.make_way()
        view.put([replace(turn, items=(replace(turn.items[0], text="One word more, and another"),))])
        assert pace._tick is not None
        # Someone keeps a key pressed all the time.
        pace._wanted_at -= LONGEST_REST
        pace._paint_timed()
        assert "and another" in w.transcript
        exchange.event(completed("One word more, and another")).end()
        await w.until(lambda: not w.talk.chat.running())


async def test_a_key_pressed_is_told_to_the_transcript(history: Path) -> None:
    async with window(history) as w:
        before = w.screen.transcript.pace._pressed_at
        await w.press("x")
        assert w.screen.transcript.pace._pressed_at > before
