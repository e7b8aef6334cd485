"""What a turn came to in numbers, worked out on values, and in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tui.figures import Figures, context_object, figure_words, figures_of
from tui.model import Attempt, AttemptKind, Item, ItemKind, Turn, TurnStatus, Usage
from tui.objects import turn_object

SAID = Item("m", ItemKind.MESSAGE, "hello")
TURN = Turn(
    "t", "s", 0, "hi", TurnStatus.DONE, (SAID,), 100.0, first_text_at=100.8, ended_at=108.8, usage=Usage(1204, 356)
)


def test_all_that_is_known_is_said_in_one_line() -> None:
    figures = figures_of(TURN, 128_000)
    assert (figures.input_tokens, figures.output_tokens, figures.window) == (1204, 356, 128_000)
    assert figures.first_text == pytest.approx(0.8)
    assert figures.speed == pytest.approx(44.5)
    assert (figures.used, figures.share) == (1560, 1560 / 128_000)
    assert " · ".join(figure_words(figures)) == "1,204 in · 356 out · first word 0.8 s · 44 tokens/s · 1 % of 128k"


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (Figures(), ()),
        (Figures(input_tokens=0), ("0 in",)),
        (Figures(output_tokens=7), ("7 out",)),
        (Figures(first_text=61.26), ("first word 61.3 s",)),
        (Figures(speed=4.04), ("4.0 tokens/s",)),
        (Figures(speed=1234.5), ("1,234 tokens/s",)),
        (Figures(window=8192), ()),
        (Figures(output_tokens=9, window=8192), ("9 out",)),
        (Figures(8192, 0, window=8192), ("8,192 in · 0 out", "100 % of 8k")),
        (Figures(1, 0, window=1_048_576), ("1 in · 0 out", "<1 % of 1M")),
        (Figures(3_000_000, None, window=1_500_000), ("3,000,000 in", "200 % of 1.5M")),
        (Figures(99, 1, window=512), ("99 in · 1 out", "20 % of 512")),
    ],
)
def test_what_is_not_known_is_left_out(figures: Figures, words: tuple[str, ...]) -> None:
    assert figure_words(figures) == words


def resumed(kind: AttemptKind) -> tuple[Attempt, ...]:
    return (Attempt(1, AttemptKind.FIRST, 100.0), Attempt(2, kind, 101.0))


@pytest.mark.parametrize(
    ("turn", "speed"),
    [
        (TURN, 44.5),
        (replace(TURN, attempts=resumed(AttemptKind.RETRY)), 44.5),
        (replace(TURN, attempts=resumed(AttemptKind.RESUMED)), None),
        (replace(TURN, ended_at=101.05), 1424.0),
        (replace(TURN, ended_at=101.0), None),
        (replace(TURN, ended_at=99.0), None),
        (replace(TURN, ended_at=None), None),
        (replace(TURN, first_text_at=None), None),
        (replace(TURN, usage=None), None),
        (replace(TURN, usage=Usage(5)), None),
        (replace(TURN, usage=Usage(5, 1)), None),
        (replace(TURN, status=TurnStatus.CANCELLED), None),
        (replace(TURN, usage=Usage(5, 356, reasoning_tokens=276)), 10.0),
        (replace(TURN, usage=Usage(5, 356, 276), items=(Item("r", ItemKind.REASONING, "hm"), SAID)), 44.5),
        (replace(TURN, usage=Usage(5, 356, 276), items=(Item("r", ItemKind.REASONING), SAID)), 10.0),
        (replace(TURN, items=(Item("c", ItemKind.TOOL_CALL, "{}", "look"), SAID)), 44.5),
        (replace(TURN, items=(Item("c", ItemKind.TOOL_RESULT, "42"), SAID)), None),
        (replace(TURN, items=(Item("a", ItemKind.APPROVAL, "", "rm"), SAID)), None),
    ],
)
def test_a_speed_is_told_only_where_the_tokens_came_in_one_go(turn: Turn, speed: float | None) -> None:
    assert figures_of(turn).speed == (None if speed is None else pytest.approx(speed))


def test_a_turn_without_its_attempts_needs_to_be_said_to_be_taken_up_again() -> None:
    assert figures_of(TURN, is_resumed=True) == replace(figures_of(TURN), speed=None)


def test_a_clock_that_went_backwards_makes_no_negative_times() -> None:
    assert figures_of(replace(TURN, first_text_at=90.0)).first_text == 0.0


def test_scripts_get_the_same() -> None:
    made = turn_object(TURN, "work", 2000)
    assert made["context"] == {"used": 1560, "window": 2000, "share": 0.78}
    assert made["timings"]["tokens_per_second"] == 44.5
    assert made["timings"]["first_text"] == 0.8
    assert turn_object(TURN, "work")["context"] is None
    assert context_object(Figures(window=5)) is None
