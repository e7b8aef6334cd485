"""Queries and tables among what tools say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.app.transcript.drawing import shown
from tui.app.transcript.blocks import Ground, draw_piece
from tui.app.transcript.data import MOST_ROWS, Query, Table, query_of, table_of
from tui.app.transcript.palette import Palette
from tui.app.transcript.pieces import Splitter


def drawn(table: Table, width: int = 60) -> list[str]:
    splitter = Splitter()
    splitter.feed(table.markdown())
    pieces = splitter.sealed + splitter.open()
    return shown(line for piece in pieces for line in draw_piece(piece, Ground(width, Palette()), {}))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"sql": "SELECT 1"}, Query("SELECT 1", "")),
        (
            {"query": " with x as (select 1) select * from x ", "thought": "hm"},
            Query("with x as (select 1) select * from x", '{"thought": "hm"}'),
        ),
        ({"sql": "-- all\nselect 1", "title": ""}, Query("-- all\nselect 1", "")),
        ({"query": "best restaurants in town"}, None),
        ({"sql": 7}, None),
        ({"city": "Hamburg"}, None),
        (["sql"], None),
        ("SELECT 1", None),
    ],
)
def test_queries(arguments: Any, found: Query | None) -> None:
    assert query_of(json.dumps(arguments)) == found


def test_what_is_no_json_is_no_query() -> None:
    assert query_of('{"sql": "SELECT') is None
    assert query_of("[" * 100_000) is None
    assert table_of("{" * 100_000) is None


@pytest.mark.parametrize(
    ("result", "columns", "rows"),
    [
        ({"columns": ["a", "b"], "rows": [["x", 1]]}, ("a", "b"), [("x", "1")]),
        (
            {"columns": ["a", "b"], "rows": [["x"], ["y", None, True]]},
            ("a", "b", ""),
            [("x", "", ""), ("y", "null", "true")],
        ),
        ({"columns": ["a"], "rows": []}, ("a",), []),
        ({"data": [{"a": 1}, {"b": "two\nlines"}]}, ("a", "b"), [("1", "null"), ("null", "two lines")]),
        ([{"a": 2.0, "b": {"c": [1]}}], ("a", "b"), [("2.0", '{"c": [1]}')]),
    ],
)
def test_tables(result: Any, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    assert table_of(json.dumps(result)) == Table(columns, tuple(rows))


@pytest.mark.parametrize(
    "result",
    [
        "17 degrees",
        {"columns": ["a"], "rows": [1]},
        {"columns": [], "rows": []},
        {"data": []},
        [],
        [1],
        {"data": [{}]},
        {},
    ],
)
def test_what_is_no_table(result: Any) -> None:
    assert table_of(json.dumps(result) if not isinstance(result, str) else result) is None


def test_a_table_is_drawn_with_numbers_to_the_right() -> None:
    table = Table(("city", "n"), (("Hamburg", "2,496"), ("Berlin", "960")))
    assert drawn(table) == [
        "city    │     n",
        "────────┼──────",
        "Hamburg │ 2,496",
        "Berlin  │   960",
    ]
    assert table.size == "2 rows of 2 columns"


@given(st.lists(st.text("ab1 `*_|[]()<>&#~$\\!-+:/.;", min_size=1, max_size=16), min_size=1, max_size=4))
def test_nothing_in_a_cell_is_markup(cells: list[str]) -> None:
    """A cell says what it said; nothing in it makes another cell, a link or a style."""
    table = table_of(json.dumps({"columns": ["x"], "rows": [[f"x{cell}x"] for cell in cells]}))
    assert table is not None
    assert [line.strip() for line in drawn(table, 400)[2:]] == [" ".join(f"x{cell}x".split()) for cell in cells]


def test_a_huge_table_is_drawn_in_part() -> None:
    table = table_of(json.dumps({"columns": ["n"], "rows": [[number] for number in range(MOST_ROWS + 10)]}))
    assert table is not None
    assert table.markdown().count("\n") == MOST_ROWS + 1
    assert table.size == "510 rows of 1 column"
