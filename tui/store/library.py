"""Which SQLite library the history is read and written with, and whether it can be."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from importlib.machinery import PathFinder

from tui.store.database import OLDEST
from tui.values import dataclass

_OTHERS = ("pysqlite3", "pysqlcipher3", "sqlean", "apsw")
"""Packages that bring an SQLite of their own."""


@dataclass(frozen=True, slots=True)
class Library:
    """The `version` of SQLite, what is `wrong` with it, in words, and which packages with another one are `unused`."""

    version: str
    wrong: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def library() -> Library:
    """Python's own SQLite, which has to be the only one in this process."""
    import sqlite_utils.utils

    wrong = []
    if sqlite3.sqlite_version_info[:2] < OLDEST:
        wrong.append(f"it is too old: it has to be 3.{OLDEST[1]} or newer")
    with closing(sqlite3.connect(":memory:")) as conn:
        try:
            conn.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
        except sqlite3.OperationalError:
            wrong.append("it was built without full-text search (FTS5), which the history needs")
    loaded = [name for name in _OTHERS if sys.modules.get(name)]
    if loaded or vars(sqlite_utils.utils).get("sqlite3") is not sqlite3:
        wrong.append(f"there are two in this process ({', '.join(loaded) or 'sqlite-utils has another'})")
    # What is kept from being imported is found by looking for its files.
    unused = [name for name in _OTHERS if name not in loaded and PathFinder.find_spec(name) is not None]
    return Library(sqlite3.sqlite_version, tuple(wrong), tuple(unused))
