"""Data that tools give, told from other text: queries, and rows and columns."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tui.patterns import pattern
from tui.values import dataclass

MOST_ROWS = 500
"""Rows of a table that are drawn; copying gives all of them."""

LARGEST = 1_000_000
"""Text beyond this size, in characters, is not looked into."""

_MARKUP = pattern(r"([\\`*_{}\[\]<>()#+!|~&$-])")
_QUERIES = ("sql", "query")
_IS_SQL = pattern(r"(?is)\s*(--[^\n]*\n\s*)*(select|with|insert|update|delete|create|show|describe|explain|values)\b")


@dataclass(frozen=True, slots=True)
class Query:
    """A query among a tool's arguments, and what else there is, as JSON or empty."""

    sql: str
    rest: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and columns, all of them text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> str:
        """How large it is, in words."""
        rows, columns = len(self.rows), len(self.columns)
        return f"{rows:,} row{'s' if rows != 1 else ''} of {columns:,} column{'s' if columns != 1 else ''}"

    def markdown(self) -> str:
        """The table as Markdown, with nothing in its cells that could be markup."""
        numeric = [_is_numeric([row[place] for row in self.rows]) for place in range(len(self.columns))]
        lines = [_row(self.columns), _row(["--:" if right else "---" for right in numeric], escape=False)]
        lines += [_row(row) for row in self.rows[:MOST_ROWS]]
        return "\n".join(lines)


def query_of(arguments: str) -> Query | None:
    """The query a tool is called with, if that is what its arguments are."""
    value = _json(arguments)
    if not isinstance(value, dict):
        return None
    for name in _QUERIES:
        sql = value.get(name)
        if isinstance(sql, str) and _IS_SQL.match(sql):
            rest = {key: one for key, one in value.items() if key != name and one not in ("", None)}
            return Query(sql.strip(), json.dumps(rest, ensure_ascii=False) if rest else "")
    return None


@lru_cache(maxsize=64)
def table_of(result: str) -> Table | None:
    """The table in a tool's result, if that is what it is.

    Either `{"columns": […], "rows": [[…], …]}`, or a list of objects, alone or under "data".
    """
    value = _json(result)
    if isinstance(value, dict) and isinstance(value.get("columns"), list) and isinstance(value.get("rows"), list):
        return _from_rows(value["columns"], value["rows"])
    objects = value.get("data") if isinstance(value, dict) else value
    if isinstance(objects, list) and objects and all(isinstance(one, dict) and one for one in objects):
        columns = list(dict.fromkeys(str(name) for one in objects for name in one))
        return _from_rows(columns, [[one.get(name) for name in columns] for one in objects])
    return None


def _from_rows(columns: Sequence[Any], rows: Sequence[Any]) -> Table | None:
    """A table of cells of any type; short rows are filled up, long ones get columns without a name."""
    listed = [row for row in rows if isinstance(row, list)]
    width = max([len(columns), *map(len, listed)])
    if not width or len(listed) != len(rows):
        return None
    names = [*map(_text, columns), *[""] * (width - len(columns))]
    return Table(tuple(names), tuple((*map(_text, row), *[""] * (width - len(row))) for row in listed))


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return " ".join(cell.split())
    if cell is None:
        return "null"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return f"{cell:.1f}"
    return json.dumps(cell, ensure_ascii=False)


def _json(text: str) -> Any:
    if len(text) > LARGEST or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_numeric(cells: Sequence[str]) -> bool:
    known = [cell for cell in cells[:MOST_ROWS] if cell not in ("", "null")]
    return bool(known) and all(re.fullmatch(r"-?[\d,]*\.?\d+(e[+-]?\d+)?%?", cell, re.IGNORECASE) for cell in known)


def _row(cells: Sequence[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(_MARKUP.sub(r"\\\1", cell) if escape else cell for cell in cells) + " |"
