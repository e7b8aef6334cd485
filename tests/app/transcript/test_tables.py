"""Tables: columns as narrow as they have to be, words kept whole, and a list where there is no room for columns."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from tests.app.transcript.drawing import PLAIN, assert_fits, shown, squash, text_of
from tui.app.transcript.markdown import render, render_rows
from tui.app.transcript.tables import Row, table_lines
from tui.app.transcript.wrap import Run

NONE = Style()
CELLS = st.text(st.sampled_from("abc de fgh漢字👩\u0301"), max_size=30).map(lambda text: " ".join(text.split()))


def cell(text: str) -> tuple[Run, ...]:
    return (Run(text, NONE),) if text else ()


def rows(*lines: str) -> list[Row]:
    """Rows whose cells are told apart by "|"; the first one is the head."""
    return [Row(tuple(cell(text) for text in line.split("|")), not number) for number, line in enumerate(lines)]


def draw(source: str, width: int = 40) -> list[str]:
    return shown(render(source, width, PLAIN))


@pytest.mark.parametrize(
    ("source", "width", "lines"),
    [
        ("| a | b |\n|---|---|\n| 1 | 22 |", 40, ["a │ b", "──┼───", "1 │ 22"]),
        ("| a | b | c |\n|:--|--:|:-:|\n| xxx | xxx | xxx |", 40, ["a   │   b │  c", "────┼─────┼────", "xxx │ xxx │ xxx"]),
        ("| a |\n|---|\n| one two three |", 7, ["a", "───────", "one two", "three"]),
        ("| a | b |\n|---|---|\n| | x |\n| y |", 40, ["a │ b", "──┼──", "  │ x", "y │"]),
        ("| | |\n|---|---|\n| x | y |\n| z | |", 40, ["x │ y", "z │"]),
        ("| a |\n|---|", 40, ["a", "─"]),
        ("| 漢字 | b |\n|---|--:|\n| x | 日本 |", 40, ["漢字 │    b", "─────┼─────", "x    │ 日本"]),
        ("| a \\| b | `c \\| d` |\n|---|---|\n| 1 | 2 |", 40, ["a | b │ c | d", "──────┼──────", "1     │ 2"]),
        (
            "| key | words |\n|---|---|\n| retries | one two three four |\n| x | y |",
            20,
            [
                *["key     │ words", "────────┼───────────", "retries │ one two", "        │ three four"],
                *["╌╌╌╌╌╌╌╌┼╌╌╌╌╌╌╌╌╌╌╌", "x       │ y"],
            ],
        ),
        (
            "| first | second | third |\n|---|---|---|\n| alpha | beta | |\n| gamma | delta and more | epsilon |",
            18,
            ["first: alpha", "  second: beta", "", "first: gamma", "  second: delta", "  and more", "  third: epsilon"],
        ),
        ("| first | second | third |\n|---|---|---|", 14, ["first │ second", "│ third"]),
        ("| | | |\n|-|-|-|\n| alpha | beta | gamma |", 12, ["alpha", "  beta", "  gamma"]),
    ],
)  # fmt: skip
def test_what_is_drawn(source: str, width: int, lines: list[str]) -> None:
    assert draw(source, width) == lines


@given(st.lists(st.lists(CELLS, min_size=1, max_size=7), min_size=1, max_size=5), st.integers(10, 80))
def test_every_table_fits_and_tells_all_its_cells(texts: list[list[str]], width: int) -> None:
    table = [Row(tuple(cell(text) for text in line), not number) for number, line in enumerate(texts)]
    lines = table_lines(table, [], width, PLAIN)
    assert_fits(lines, width)
    head, *body = (Counter(squash("".join(line))) for line in texts)
    drawn = Counter(squash(text_of(lines)).replace("│", ""))
    assert sum(body, Counter()) <= drawn
    if any("─" in line.text for line in lines):
        assert sum(body, head) == drawn


@given(st.integers(1, 60), st.integers(10, 200))
def test_any_number_of_columns_fits(columns: int, width: int) -> None:
    names = "|".join(f"column-{number}" for number in range(columns))
    lines = table_lines(rows(names, names), [], width, PLAIN)
    assert_fits(lines, width)
    assert all(f"column-{number}" in text_of(lines).replace("column-\n", "column-") for number in range(columns))


def test_a_column_is_never_narrower_than_its_words_unless_they_are_very_long() -> None:
    table = rows("option|meaning", "idle_timeout|how long the server may be silent before the turn is given up")
    for width in range(10, 80):
        text = " ".join(shown(table_lines(table, [], width, PLAIN)))
        assert "idle_timeout" in text or "idle_" in text
        assert "silent" in text


def test_long_words_give_way_before_columns_do() -> None:
    table = rows("path|what", f"src/{'directory/' * 6}|the file")
    lines = shown(table_lines(table, [], 40, PLAIN))
    assert lines[0].startswith("path")
    assert "│ the file" in lines[2]


def test_rows_that_come_later_keep_the_columns() -> None:
    head = "| key | words |\n|:--|--:|\n| first | one |"
    first, more = render(head, 40, PLAIN), render_rows(head, "| 2 | two |\n| much longer than before | x |", 40, PLAIN)
    assert shown(first) == ["key   │ words", "──────┼──────", "first │   one"]
    assert shown(more) == ["2     │   two", "much  │     x", "longer│"][:2] + shown(more)[2:]
    assert {line.text.index("│") for line in [*first[2:], *more]} == {6}


def test_rows_that_come_later_go_on_with_the_list() -> None:
    head = "| first | second | third |\n|---|---|---|\n| a | b | c |"
    whole = f"{head}\n| d | e | f |\n| g | h | i |"
    first, more = render(head, 14, PLAIN), render_rows(head, "| d | e | f |\n| g | h | i |", 14, PLAIN)
    assert shown(first) + shown(more) == draw(whole, 14)


def test_where_cells_take_several_lines_rules_tell_the_rows_apart() -> None:
    head = "| a | b |\n|---|---|\n| x | one<br>two |\n| y | z |"
    rule = "╌╌┼╌╌╌╌"
    assert draw(head) == ["a │ b", "──┼────", "x │ one", "  │ two", rule, "y │ z"]
    assert shown(render_rows(head, "| v | w |", 40, PLAIN)) == [rule, "v │ w"]
    assert text_of(render(head, 40, PLAIN)) == "a │ b\nx │ one\n  │ two\ny │ z"


def test_a_copied_table_has_no_rules_and_no_padding_at_its_ends() -> None:
    lines = render("| a | b |\n|:-:|:-:|\n| long cell | x |\n| y | |", 40, PLAIN)
    assert text_of(lines) == "    a     │ b\nlong cell │ x\n    y     │"
