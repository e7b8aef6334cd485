"""The last gate before the terminal, asked directly: what it changes, what it hands on as it is."""

from __future__ import annotations

import pytest
from rich.segment import ControlType, Segment
from rich.style import Style
from textual.color import Color

from tui.app.gate import Gate
from tui.text import FORBIDDEN

BLACK = Color(0, 0, 0)
BOLD = Style(bold=True)
MOVE = Segment("\x1b[2J", None, [(ControlType.CLEAR,)])


def test_the_gate_is_on() -> None:
    assert Gate().enabled is True


def test_what_a_terminal_could_obey_is_replaced_one_for_one_in_its_own_style() -> None:
    line = [Segment("fine", BOLD), Segment("a\x1b[31m\nb", BOLD), Segment("plain  ")]
    assert Gate().apply(line, BLACK) == [Segment("fine", BOLD), Segment("a\ufffd[31m\ufffdb", BOLD), Segment("plain")]


def test_a_clean_line_is_handed_on_as_it_is() -> None:
    line = [Segment("clean", BOLD), MOVE]
    assert Gate().apply(line, BLACK) is line


def test_what_textual_says_to_the_terminal_passes_beside_text_that_does_not() -> None:
    assert Gate().apply([MOVE, Segment("\x07 ")], BLACK) == [MOVE, Segment("\ufffd")]


@pytest.mark.parametrize(
    "char", ["\x00", "\x07", "\n", "\x1b", "\x7f", "\x9b", "\u202e", "\u2028", "\u115f", "\U000e0041"]
)
def test_each_kind_of_character_is_held_back_and_the_line_stays_as_wide(char: str) -> None:
    line = [Segment(f"<{char * 3}>", BOLD), Segment(" " * 8), Segment("|")]
    passed = Gate().apply(line, BLACK)
    assert passed[0] == Segment("<\ufffd\ufffd\ufffd>", BOLD)
    assert Segment.get_line_length(passed) == Segment.get_line_length(line)


@pytest.mark.parametrize(
    "texts",
    [
        ("\u200d\u200d\u5bbd\ufeff", ""),  # two joiners with nothing before them
        ("\u200d\x07", "a"),
        ("\u2764", "\ufe0f\x07\ufe0f"),
        ("\ufe0f\u115f", "\U0001f469\u200d"),
        ("a\u200d", "\u115f\u200d\u5bbd"),
        ("\x07\u200d", "\u5bbd\U0001f3fd"),
    ],
    ids=ascii,
)
def test_a_line_with_what_joins_characters_in_it_stays_as_wide(texts: tuple[str, str]) -> None:
    line = [Segment(texts[0], BOLD), Segment(texts[1]), MOVE]
    passed = Gate().apply(line, BLACK)
    assert Segment.get_line_length(passed) == Segment.get_line_length(line)
    assert MOVE in passed
    assert not any(FORBIDDEN.search(one.text) for one in passed if not one.control)


def test_a_wide_character_there_is_half_a_place_for_gives_way_to_a_blank() -> None:
    line = [Segment("\x07\u5bbd\u5bbd", BOLD)]
    assert Gate().apply(line, BLACK) == [Segment("\ufffd\u5bbd", BOLD), Segment(" ", BOLD)]


def test_what_there_is_no_room_for_is_left_out_and_what_takes_none_stays() -> None:
    accent = Segment("\u0301")
    assert Gate().apply([Segment("\x07ab"), Segment("x"), accent, MOVE], BLACK) == [
        Segment("\ufffdab"), accent, MOVE,
    ]  # fmt: skip
    assert Gate().apply([Segment("\x07\u5bbd\u5bbd"), accent], BLACK) == [
        Segment("\ufffd\u5bbd"), Segment(" "), accent,
    ]  # fmt: skip


def test_a_link_is_taken_out_of_a_style_and_the_rest_of_it_stays() -> None:
    assert Gate().apply([Segment("x", BOLD + Style(link="http://a\x1b\\\x1b]0;b\x07"))], BLACK) == [Segment("x", BOLD)]
