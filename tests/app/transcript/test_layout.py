"""Heights: finding a line and telling where a turn begins are each other's inverse, at any length."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.app.transcript.layout import CHUNK, GUESS, Layout

HEIGHTS = st.lists(st.integers(1, 60), min_size=1, max_size=3 * CHUNK)


def layout_of(heights: list[int]) -> Layout:
    layout = Layout(len(heights))
    for depth, height in enumerate(heights):
        layout.set(depth, height)
    return layout


@given(HEIGHTS, st.data())
def test_every_line_is_found_where_its_turn_says(heights: list[int], data: st.DataObject) -> None:
    layout = layout_of(heights)
    tops = [0, *accumulate(heights)]
    assert layout.total == tops[-1]
    assert len(layout) == len(heights)
    depth = data.draw(st.integers(0, len(heights) - 1))
    within = data.draw(st.integers(0, heights[depth] - 1))
    assert layout.height(depth) == heights[depth]
    assert layout.top_of(depth) == tops[depth]
    assert layout.locate(tops[depth] + within) == (depth, within)


@given(HEIGHTS)
def test_lines_beyond_both_ends_belong_to_the_turns_there(heights: list[int]) -> None:
    layout = layout_of(heights)
    assert layout.locate(-5) == (0, 0)
    depth, within = layout.locate(layout.total + 7)
    assert (depth, within) == (len(heights) - 1, heights[-1] + 7)


@given(
    st.lists(st.tuples(st.sampled_from(["set", "grow"]), st.integers(0, 3 * CHUNK), st.integers(1, 50)), max_size=40)
)
def test_any_changes_leave_it_as_a_plain_list_would_be(changes: list[tuple[str, int, int]]) -> None:
    layout, model = Layout(), list[int]()
    for kind, place, height in changes:
        if kind == "grow":
            layout.grow(place)
            model = (model + [GUESS] * place)[:place]
        elif model:
            layout.set(place % len(model), height)
            model[place % len(model)] = height
        assert len(layout) == len(model)
        assert layout.total == sum(model)
        for depth in {0, len(model) // 2, len(model) - 1} if model else set():
            assert layout.top_of(depth) == sum(model[:depth])
            assert layout.locate(sum(model[:depth])) == (depth, 0)


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 100_000])
def test_nothing_known_is_guessed(count: int) -> None:
    layout = Layout(count, 5)
    assert layout.total == 5 * count
    layout.grow(count + 3)
    assert layout.total == 5 * (count + 3)
    assert layout.locate(layout.total - 1) == (count + 2, 4)
    layout.reset(2, 7)
    assert (len(layout), layout.total) == (2, 14)


def test_a_change_among_very_many_turns_is_a_small_one() -> None:
    layout = Layout(100_000)
    layout.set(70_000, 500)
    assert layout.total == 100_000 * GUESS + 500 - GUESS
    assert layout.top_of(70_001) - layout.top_of(70_000) == 500
    assert layout.locate(layout.top_of(70_000) + 499) == (70_000, 499)
    layout.grow(70_000)
    assert layout.total == 70_000 * GUESS
