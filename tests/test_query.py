"""What is read from a query, whatever is typed, and how words are found in a text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.matching import fold, literal, matcher_of, passage_of
from tui.query import Query, Term, parse_query

NOW = time.mktime((2026, 11, 5, 15, 0, 0, 0, 0, -1))


def day(year: int, month: int, number: int) -> float:
    return time.mktime((year, month, number, 0, 0, 0, 0, 0, -1))


def parsed(text: str) -> Query:
    return parse_query(text, NOW)


def test_words_phrases_and_the_word_being_typed() -> None:
    assert parsed('wal "power loss" jour').terms == (
        Term("wal", ("wal",)),
        Term("power loss", ("power", "loss")),
        Term("jour", ("jour",), True),
    )
    assert parsed('wal "jour"').terms[-1] == Term("jour", ("jour",))
    assert parsed('"power lo').terms == (Term("power lo", ("power", "lo"), True),)
    assert parsed("jour role:user").terms == (Term("jour", ("jour",), True),)
    assert parsed("comp* sqlite").terms[0] == Term("comp", ("comp",), True)
    assert parsed('"c\r\n*" sqlite').terms[0] == Term("c", ("c",), True)
    assert parsed("foo_bar.baz x").terms[0].words == ("foo", "bar", "baz")
    assert parsed("  ").is_empty


@pytest.mark.parametrize("text", ["C++", "🦊", "日本語", "ภาษา", "->", "c#", "a日本"])
def test_what_the_index_does_not_know_is_taken_as_it_stands(text: str) -> None:
    assert parsed(f"{text} end").terms[0] == Term(text)


def test_conditions() -> None:
    query = parsed('label:work label:"my notes" before:2026-11-01 after:2026-10 role:as words')
    assert (query.labels, query.role, query.problem) == (("work", "my notes"), "assistant", "")
    assert (query.before, query.after) == (day(2026, 11, 1), day(2026, 10, 1))
    assert parsed("LABEL:Work").labels == ("Work",)
    assert parsed("after:yesterday").after == day(2026, 11, 4)
    assert parsed("after:2w").after == day(2026, 10, 22)
    assert parsed("before:2026").before == day(2026, 1, 1)
    assert parsed("http://x.y").terms[0].words == ("http", "x", "y")


@pytest.mark.parametrize("text", ["before:soon", "after:2026-13", "role:server", "label:", "before:2026-02-30"])
def test_what_is_not_understood_is_said(text: str) -> None:
    assert parsed(f"word {text}").problem.startswith(f"“{text.split(':')[0]}:” takes ")


@given(st.text(max_size=80))
def test_anything_is_a_query_that_finds_itself_or_nothing(text: str) -> None:
    query = parse_query(text, NOW)
    matcher = matcher_of(query)
    line, marks = passage_of(text, matcher)
    assert "\n" not in line
    assert all(0 <= start < end <= len(line) for start, end in marks)
    if matcher and all(term.words for term in query.terms) and not query.is_bounded and not query.problem:
        assert matcher.fits(text)


def test_words_are_found_whatever_their_capitals_and_accents() -> None:
    matcher = matcher_of(parsed('"cafe" wal'))
    text = "The CAFÉ and the Cafe\u0301: WALs, not cafeteria."
    assert [text[start:end] for start, end in matcher.spans(text)] == ["CAFÉ", "Cafe\u0301", "WAL"]
    assert fold("Straße") == "straße"
    assert literal("Straße ist").spans("STRASSE straße\nist") == [(8, 18)]


@pytest.mark.parametrize(
    ("typed", "text", "count"),
    [
        ("aa", "aaaaa AA", 3),
        ("a.b", "a.b axb A.B", 2),
        ("é", "é E\u0301 e", 3),
        ("two  words", "two words, Two\nWORDS, twowords", 2),
        ("b c d", "bcd", 0),
    ],
)
def test_how_often_a_text_is_in_another(typed: str, text: str, count: int) -> None:
    assert literal(typed).count(text) == count == len(literal(typed).spans(text))


def test_a_passage_is_around_what_was_found() -> None:
    text = "word " * 5000 + "the zebra\n\ncrossed the river " + "word " * 5000
    line, marks = passage_of(text, matcher_of(parsed('zebra "river"')))
    assert [line[start:end] for start, end in marks] == ["zebra", "river"]
    assert line.startswith("…")
    assert line.endswith("…")
    assert "zebra crossed" in line
    assert len(line) < 300
    assert passage_of("a\x1b[2Jb zebra", matcher_of(parsed("zebra")))[0] == "a␛[2Jb zebra"


@pytest.mark.parametrize(("sought", "marks"), [("zebra\u200e\n", ((2, 7),)), ("\u200e", ()), ("\n", ())])
def test_what_is_not_shown_of_what_was_found_is_not_marked(sought: str, marks: tuple[tuple[int, int], ...]) -> None:
    assert passage_of("a zebra\u200e\n\u200e\n", literal(sought)) == ("a zebra", marks)
