"""Markdown of any length comes apart whole, and costs what its length is worth."""

from __future__ import annotations

import pytest
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from tui.markup import MOST_AT_ONCE, MOST_CELLS, new_parser


def said(tokens: list[Token]) -> str:
    """The text of paragraphs, with a blank for each line end in them."""
    children = [child for token in tokens for child in token.children or ()]
    return "".join(" " if child.type == "softbreak" else child.content for child in children)


@pytest.mark.parametrize("between", [" ", "\n"])
def test_a_long_paragraph_keeps_its_words_and_its_signs(between: str) -> None:
    words = [f"**word{number}**" for number in range(3 * MOST_AT_ONCE // 10)]
    tokens = new_parser().parse(between.join(words))
    # One that lies across a cut may stay as it is written.
    assert said(tokens).replace("*", "").split() == [word.strip("*") for word in words]
    kinds = [child.type for token in tokens for child in token.children or ()]
    assert kinds.count("strong_open") >= len(words) - 3


@pytest.mark.fault("T31")
def test_a_long_word_is_cut_and_none_of_it_is_lost() -> None:
    word = "x" * (3 * MOST_AT_ONCE + 5)
    assert said(new_parser().parse(word)) == word


@pytest.mark.fault("T30", "T31")
def test_many_tables_of_empty_rows_cost_no_more_than_their_text() -> None:
    one = "|" * 100 + "\n" + "-|" * 100 + "\n" + "|\n" * 90 + "\n"
    source = one * 200
    assert len(new_parser().parse(source)) < 2 * len(source) + 7 * MOST_CELLS
    full = "| a | b |\n|---|---|\n" + "| a | b |\n" * MOST_CELLS
    assert sum(token.type == "td_open" for token in new_parser().parse(full)) == 2 * MOST_CELLS


@pytest.mark.fault("T31")
def test_the_end_of_a_text_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    is_empty = StateBlock.isEmpty

    def counted(state: StateBlock, line: int) -> bool:
        nonlocal looks
        looks += 1
        return is_empty(state, line)

    monkeypatch.setattr(StateBlock, "isEmpty", counted)
    lines = 3 * MOST_CELLS
    new_parser().parse("|||\n" * lines)
    assert looks < 10 * lines
