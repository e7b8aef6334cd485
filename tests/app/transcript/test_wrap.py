"""Text broken into lines: all of it, none too wide, and knowing where it was broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tests.app.transcript.drawing import assert_fits, cut_cells, shown, text_of
from tui.app.transcript.wrap import Run, chop, longest_word, plain_lines, wrap
from tui.text import clean

NONE, BOLD = Style(), Style(bold=True)

WORDS = st.sampled_from(
    "a to the word, longer-word incomprehensibilities src/app/view.py https://example.com/a/b?c=d привет größer "
    "日本語の文章です。 「引用」 한국어 مرحبا שלום e\u0301\u0302 👩‍👩‍👧 🇩🇪🇫🇷 ❤️ 👍🏽 1️⃣ क्षि … (漢字) “漢”".split()
)


def texts_of(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(words, st.sampled_from(["", " ", "  "])), max_size=30)
    return pairs.map(lambda pairs: "".join(word + blank for word, blank in pairs).strip(" "))


TEXTS = texts_of(WORDS)
WIDTHS = st.integers(2, 40)


@given(texts_of(WORDS | st.sampled_from(["\u0301", "\u200d", "\u00a0", "\u3000"])), WIDTHS)
def test_nothing_is_lost_and_nothing_is_too_wide(text: str, width: int) -> None:
    lines = wrap([Run(text, NONE)], width)
    assert_fits(lines, width)
    assert text_of(lines) == text


@given(st.lists(st.tuples(TEXTS, st.booleans()), max_size=6), WIDTHS)
def test_styles_do_not_change_where_lines_are_broken(parts: list[tuple[str, bool]], width: int) -> None:
    runs = [Run(text, BOLD if is_bold else NONE) for text, is_bold in parts if text.strip(" ")]
    lines = wrap(runs, width)
    whole = "".join(run.text for run in runs)
    assert text_of(lines) == whole
    assert_fits(lines, width)
    assert shown(lines) == shown(wrap([Run(whole, NONE)], width))


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 3, ["one", "two", "thr", "ee"]),
        ("exactly ten", 11, ["exactly ten"]),
        ("Привет, как дела?", 11, ["Привет, как", "дела?"]),
        ("schöne Übergrößenträger überall", 16, ["schöne", "Übergrößenträger", "überall"]),
        ("naïve façade", 9, ["naïve", "façade"]),
        ("한국어 문장도 있습니다", 9, ["한국어", "문장도", "있습니다"]),
        ("日本語の文章", 7, ["日本語", "の文章"]),
        ("長い文章です。次", 13, ["長い文章で", "す。次"]),
        ("これは「引用」です", 8, ["これは", "「引用」", "です"]),
        ("see 日本語", 8, ["see 日本", "語"]),
        ("👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧", 5, ["👩‍👩‍👧👩‍👩‍👧", "👩‍👩‍👧"]),
        ("🇩🇪🇫🇷🇮🇹", 5, ["🇩🇪🇫🇷", "🇮🇹"]),
        ("👍🏽👍🏽", 3, ["👍🏽", "👍🏽"]),
        ("src/app/transcript/view.py", 16, ["src/app/", "transcript/", "view.py"]),
        ("a b c", 1, ["a", "b", "c"]),
        ("", 5, [""]),
    ],
)
def test_where_lines_are_broken(text: str, width: int, lines: list[str]) -> None:
    assert shown(wrap([Run(text, NONE)], width)) == lines


def test_a_word_of_several_styles_stays_together() -> None:
    lines = wrap([Run("see ", NONE), Run("bold", BOLD), Run("ly, and", NONE)], 9)
    assert shown(lines) == ["see", "boldly,", "and"]
    assert lines[1].segments == [Segment("bold", BOLD), Segment("ly,", NONE)]


def test_a_line_feed_among_runs_ends_the_line() -> None:
    lines = wrap([Run("one", NONE), Run("\n", NONE), Run("\n", NONE), Run("two", NONE)], 20)
    assert shown(lines) == ["one", "", "two"]
    assert text_of(lines) == "one\n\ntwo"


@given(TEXTS, TEXTS, TEXTS, WIDTHS)
def test_links_know_their_place(before: str, text: str, after: str, width: int) -> None:
    target = "http://example.com"
    runs = [Run(f"{before} ", NONE), Run(text, BOLD, target), Run(f" {after}", NONE)]
    lines = wrap([run for run in runs if run.text.strip(" ")], width)
    said = "".join(cut_cells(line, link.start, link.end) for line in lines for link in line.links)
    assert "".join(said.split(" ")) == "".join(text.split(" "))
    assert {link.url for line in lines for link in line.links} <= {target}


def test_links_beside_each_other_stay_apart() -> None:
    (line,) = wrap([Run("漢", NONE, "http://a"), Run("b", BOLD, "http://a"), Run("c", NONE, "http://c")], 20)
    assert line.links == ((0, 3, "http://a"), (3, 4, "http://c"))


@given(st.text(st.characters(exclude_categories=["Cs"])).map(clean), WIDTHS)
def test_plain_text_keeps_its_lines(text: str, width: int) -> None:
    lines = plain_lines(text, width, NONE)
    assert_fits(lines, width)
    assert [line.strip() for line in text_of(lines).split("\n")] == [line.strip() for line in text.split("\n")]


def test_plain_text_goes_on_below_its_indent() -> None:
    lines = plain_lines("if x:\n    return one and two and three\n\nend", 20, NONE)
    assert shown(lines) == ["if x:", "    return one and", "    two and three", "", "end"]
    assert text_of(lines) == "if x:\n    return one and two and three\n\nend"


def test_an_empty_line_of_plain_text_is_drawn_as_part_of_it() -> None:
    assert [segment.style for segment in plain_lines("a\n\nb", 20, BOLD)[1].segments] == [BOLD]


@given(st.lists(TEXTS, max_size=5), WIDTHS)
def test_chopped_segments_keep_every_blank(texts: list[str], width: int) -> None:
    rows = chop([Segment(text, BOLD if number % 2 else NONE) for number, text in enumerate(texts)], width)
    assert "".join(segment.text for row in rows for segment in row) == "".join(texts)
    assert all(sum(cell_len(segment.text) for segment in row) <= width for row in rows)


@pytest.mark.parametrize(
    ("text", "cells"), [("", 0), ("a bcd ef", 3), ("größer als", 6), ("日本語のとても長い文章", 8), ("abc日本", 7)]
)
def test_the_longest_word_is_as_long_as_what_has_to_stay_together(text: str, cells: int) -> None:
    assert longest_word(text) == cells
