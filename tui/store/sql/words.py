"""The SQL of the index of words: what it is asked for the terms of a query."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from sqlite3 import Connection

from tui.query import Term

ENDINGS = 16
"""Words that the beginning of one may stand for, up to which the index is asked for each of them. For a beginning it puts
all that holds any of them together before it gives the newest: 30 ms of a million messages instead of one."""

_INDEXED = 3
"""Letters of a beginning that the index has a list of its own for."""


def index_words(term: Term) -> tuple[str, ...]:
    """The words of a term that the index is asked for: not a single letter of a word still being typed."""
    if term.is_prefix and term.words and len(term.words[-1]) == 1:
        return term.words[:-1]
    return term.words


def expression(conn: Connection, terms: Sequence[Term]) -> str:
    """What the index is asked, every word in quotes, so that none of them means anything to it."""
    asked = []
    for term in terms:
        words = index_words(term)
        if not words:
            continue
        *before, last = words
        is_open = term.is_prefix and words == term.words
        endings = _endings(conn, last) if is_open else []
        phrases = [f'"{" ".join((*before, ending))}"' for ending in endings or [last]]
        if endings:
            asked.append(f"({' OR '.join(phrases)})")
        else:
            asked.append(f"{phrases[0]} *" if is_open else phrases[0])
    return " AND ".join(asked)


def _endings(conn: Connection, beginning: str) -> list[str]:
    """The words in the index that begin this way; none where it is better asked for the beginning itself."""
    if len(beginning) <= _INDEXED or not beginning.isascii():
        return []
    try:
        conn.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.search_words USING fts5vocab(main, items_fts, instance)")
    except sqlite3.OperationalError as error:
        # Nothing can be made where nothing may be written, or where there is no room for it; the slow way is open.
        if error.sqlite_errorname == "SQLITE_INTERRUPT":
            raise
        return []
    found: list[str] = []
    at = beginning.lower()
    end = f"{at}\U0010ffff"
    while row := conn.execute(
        "SELECT term FROM temp.search_words WHERE term >= ? AND term < ? LIMIT 1", (at, end)
    ).fetchone():
        if len(found) == ENDINGS:
            return []
        found.append(row[0])
        at = f"{row[0]}\x01"
    return found
