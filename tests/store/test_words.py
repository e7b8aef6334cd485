"""What the index of words is asked."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.query import Term
from tui.store.sql.words import ENDINGS, expression

SIGN = Term("->")


def indexed(*texts: str) -> sqlite3.Connection:
    """An index of these texts, in memory."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE VIRTUAL TABLE items_fts USING fts5(text, prefix='2 3')")
    conn.executemany("INSERT INTO items_fts (text) VALUES (?)", [(text,) for text in texts])
    return conn


@pytest.mark.parametrize(
    ("terms", "asked"),
    [
        ([Term("ze", ("ze",), is_prefix=True)], '"ze" *'),
        ([Term("z", ("z",), is_prefix=True)], ""),
        ([Term("z", ("z",))], '"z"'),
        ([Term("a zebra z", ("a", "zebra", "z"), is_prefix=True)], '"a zebra"'),
        ([Term("a zebra ze", ("a", "zebra", "ze"), is_prefix=True)], '"a zebra ze" *'),
        ([Term("zebra", ("zebra",)), SIGN, Term("or", ("or",), is_prefix=True)], '"zebra" AND "or" *'),
        ([SIGN], ""),
    ],
)
def test_the_index_is_not_asked_for_a_single_letter_of_a_word_still_being_typed(terms: list[Term], asked: str) -> None:
    assert expression(indexed(), terms) == asked


def test_a_beginning_is_asked_for_by_the_words_it_may_become() -> None:
    few = indexed("Stream of streams", "STREAMING", "strea", "stress", "streåm")
    assert expression(few, [Term("strea", ("strea",), True)]) == '("strea" OR "stream" OR "streaming" OR "streams")'
    assert expression(few, [Term("a Stre", ("a", "Stress"), True)]) == '("a stress")'
    assert expression(few, [Term("str", ("str",), True)]) == '"str" *', "the index has a list of these"
    assert expression(few, [Term("streå", ("streå",), True)]) == '"streå" *', "only the index knows how it folds that"
    assert expression(few, [Term("stream", ("stream",))]) == '"stream"'
    assert expression(few, [Term("strong", ("strong",), True)]) == '"strong" *'
    for count, asked in ((ENDINGS, False), (ENDINGS + 1, True)):
        many = indexed(*(f"word{number:03}" for number in range(count)))
        assert (expression(many, [Term("word", ("word",), True)]) == '"word" *') == asked


@given(st.lists(st.text("abAB é", max_size=12), max_size=30), st.text("abAB", min_size=4, max_size=6))
@settings(max_examples=60)
def test_both_ways_to_ask_for_a_beginning_find_the_same(texts: list[str], beginning: str) -> None:
    conn = indexed(*texts)
    found = "SELECT rowid FROM items_fts WHERE items_fts MATCH ? ORDER BY rowid"
    for words in ((beginning,), ("a", beginning)):
        asked = expression(conn, [Term(" ".join(words), words, True)])
        plain = f'"{" ".join(words)}" *'
        assert conn.execute(found, (asked,)).fetchall() == conn.execute(found, (plain,)).fetchall()
