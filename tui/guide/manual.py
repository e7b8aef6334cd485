"""The manual, cut into passages and searched by words (SQLite FTS5)."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be been but by can cannot could did do does doing for from get give "
    "go has have how i if in into is it its just like made make may me more my no not of off on one or out please s so "
    "some t tell than that the their them then there these they this to up us use used using want was way we what when "
    "where which while who whom why will with without would you your palaver".split()
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A section of the manual. `number` is its place, from 0."""

    number: int
    title: str
    text: str


@lru_cache(maxsize=1)
def passages() -> tuple[Passage, ...]:
    """The manual's sections, in order."""
    text = files("tui.guide").joinpath("manual.md").read_text(encoding="utf-8")
    parts = re.split(r"(?m)^## +(.+)\n", text)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return tuple(Passage(number, title.strip(), body.strip()) for number, (title, body) in enumerate(pairs))


def search(question: str, limit: int = 4) -> list[Passage]:
    """The passages that fit a question best, best first; none where no word of it occurs."""
    words = [word for word in re.findall(r"\w+", question.lower()) if word not in _STOP_WORDS]
    if not words:
        return []
    query = " OR ".join(f'"{word}"' + ("*" if len(word) > 3 else "") for word in words[:32])
    index = _index()
    try:
        found = index.execute(
            "SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY bm25(passage, 8.0, 1.0) LIMIT ?", (query, limit)
        ).fetchall()
    finally:
        index.close()
    return [passages()[number - 1] for (number,) in found]


def _index() -> sqlite3.Connection:
    """A new index: a few milliseconds, and no connection outlives the thread that made it."""
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE passage USING fts5(title, text, tokenize='porter unicode61')")
    rows = [(passage.number + 1, passage.title, passage.text) for passage in passages()]
    index.executemany("INSERT INTO passage(rowid, title, text) VALUES (?, ?, ?)", rows)
    return index
