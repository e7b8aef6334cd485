"""What is wrong with a history, told in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from tui.store import schema
from tui.store.alike import told_apart
from tui.values import dataclass

LIMIT = 20
"""How many things SQLite is asked to tell of a damaged file."""

_RULES = (
    ("items whose turn is missing", "FROM items WHERE turn_id NOT IN (SELECT id FROM turns)"),
    ("streamed text whose turn is missing", "FROM chunks WHERE turn_id NOT IN (SELECT id FROM turns)"),
    ("attempts whose turn is missing", "FROM attempts WHERE turn_id NOT IN (SELECT id FROM turns)"),
    ("turns whose session is missing", "FROM turns WHERE session_id NOT IN (SELECT id FROM sessions)"),
    ("turns whose branch is missing", "FROM turns WHERE branch_id NOT IN (SELECT id FROM branches)"),
    ("branches whose session is missing", "FROM branches WHERE session_id NOT IN (SELECT id FROM sessions)"),
    ("branches whose parent is missing", "FROM branches WHERE parent_id NOT IN (SELECT id FROM branches)"),
    ("sessions whose branch is missing", "FROM sessions WHERE branch_id NOT IN (SELECT id FROM branches)"),
    ("conversations whose session is missing", "FROM conversations WHERE session_id NOT IN (SELECT id FROM sessions)"),
    (
        "branches that are their own ancestors",
        "FROM (WITH RECURSIVE up (start, id) AS (SELECT id, parent_id FROM branches WHERE parent_id IS NOT NULL "
        "UNION SELECT up.start, b.parent_id FROM up JOIN branches b ON b.id = up.id WHERE b.parent_id IS NOT NULL) "
        "SELECT 1 FROM up WHERE start = id)",
    ),
    (
        "labels of more than one session",
        "FROM (SELECT 1 FROM sessions WHERE deleted_at IS NULL GROUP BY +label HAVING count(*) > 1)",
    ),
    (
        "places with more than one turn",
        "FROM (SELECT 1 FROM turns GROUP BY +branch_id, +depth HAVING count(*) > 1)",
    ),
    (
        "turns before the beginning of their branch",
        "FROM turns t JOIN branches b ON b.id = t.branch_id WHERE t.depth < b.base",
    ),
    (
        "turns without a prompt",
        "FROM turns WHERE NOT EXISTS "
        "(SELECT 1 FROM items WHERE turn_id = turns.id AND position = 0 AND kind = 'prompt')",
    ),
    (
        "places with more than one item",
        "FROM (SELECT 1 FROM items GROUP BY +turn_id, +position HAVING count(*) > 1)",
    ),
    (
        "ended turns with text that is not in their items",
        "FROM turns WHERE status NOT IN ('pending', 'streaming') AND id IN (SELECT turn_id FROM chunks)",
    ),
    (
        "changes with a number that is still to come",
        "FROM (SELECT revision FROM sessions UNION ALL SELECT revision FROM turns) "
        "WHERE revision > (SELECT value FROM meta WHERE key = 'revision')",
    ),
)
"""What must not be there, with what counts it. A `+` keeps SQLite from asking the very index that may be wrong."""

_LATER_RULES = {
    5: (("waiting prompts whose session is missing", "FROM queue WHERE session_id NOT IN (SELECT id FROM sessions)"),),
}
"""The same for tables that are newer, by the version of the schema that made them."""

_REMARKS = (
    ("answers that run, or were cut short by a crash", "FROM turns WHERE status IN ('pending', 'streaming')"),
    (
        "places from which a turn is gone",
        "FROM turns t JOIN branches b ON b.id = t.branch_id WHERE t.depth > b.base "
        "AND NOT EXISTS (SELECT 1 FROM turns WHERE branch_id = t.branch_id AND depth = t.depth - 1)",
    ),
)
"""What may be there, but is worth telling."""

_INDEXED = (
    "FROM items i JOIN turns t ON t.id = i.turn_id "
    "WHERE i.kind IN ('prompt', 'message') AND t.status NOT IN ('pending', 'streaming')"
)
_MISSING = f"{_INDEXED} AND i.id NOT IN (SELECT id FROM items_fts_docsize)"  # noqa: S608 - constants only
_STRAY = f"FROM items_fts_docsize WHERE id NOT IN (SELECT i.id {_INDEXED})"
_DIFFERING = """
FROM (SELECT term FROM (SELECT term, doc, cnt FROM temp.words EXCEPT SELECT term, doc, cnt FROM temp.wanted_words)
UNION SELECT term FROM (SELECT term, doc, cnt FROM temp.wanted_words EXCEPT SELECT term, doc, cnt FROM temp.words))
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of looking at a history: what is `wrong`, and `remarks` on what is not.

    `version` is the number of its schema; `sessions`, deleted ones among them, and `turns` are counts.
    """

    wrong: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    version: int = 0
    sessions: int = 0
    turns: int = 0


def examine(conn: sqlite3.Connection, *, can_write: bool = True) -> Findings:
    """Look at all of a history, within the caller's transaction, which is not to be committed.

    Takes as long as reading the whole file does. The inner order of the index of words is looked at only where the
    transaction `can_write`, because that is how SQLite is asked for it.
    """
    wrong: list[str] = []
    remarks: list[str] = []
    version = sessions = turns = 0
    try:
        wrong += _by_sqlite(conn)
        version = schema.version_of(conn)
        if not wrong and not _names(conn):
            return Findings(remarks=("nothing is in it yet; the next start sets it up",))
        sessions, turns = (_count(conn, f"FROM {table}") for table in ("sessions", "turns"))
        if version > schema.VERSION:
            wrong.append(
                f"it was made by a newer version of Palaver (tables {version}; this one knows {schema.VERSION})"
            )
            return Findings(tuple(wrong), (), version, sessions, turns)
        if version < schema.VERSION:
            remarks.append(f"its tables are of version {version}; the next start brings them to {schema.VERSION}")
        wrong += _by_schema(conn, version)
        wrong += _told(conn, _RULES)
        for since, rules in _LATER_RULES.items():
            wrong += _told(conn, rules) if version >= since else ()
        remarks += _told(conn, _REMARKS)
        remarks += _alike(conn)
        wrong += _by_index(conn, can_write)
    except sqlite3.Error as error:
        wrong.append(f"it cannot be read any further: {error}")
    return Findings(tuple(wrong), tuple(remarks), version, sessions, turns)


def _by_sqlite(conn: sqlite3.Connection) -> Iterator[str]:
    for (said,) in conn.execute(f"PRAGMA main.integrity_check({LIMIT})").fetchall():
        if said != "ok":
            yield f"SQLite: {said}"
    for table, count in _dangling(conn).items():
        yield f"rows of “{table}” that point to nothing: {count:,}"


def _dangling(conn: sqlite3.Connection) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table, *_ in conn.execute("PRAGMA main.foreign_key_check"):
        counts[table] = counts.get(table, 0) + 1
    return counts


def _by_schema(conn: sqlite3.Connection, version: int) -> Iterator[str]:
    noted = _count(conn, "FROM _sqlite_migrations WHERE migration_set = 'palaver'")
    if noted != version:
        yield f"its tables claim to be of version {version}, and {noted} steps to there are noted"
    if version == schema.VERSION:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
            schema.migrate(fresh)
            missing = sorted(_names(fresh) - _names(conn))
        if missing:
            yield f"missing tables, indexes or views: {', '.join(missing)}"


def _names(conn: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in conn.execute("SELECT name FROM main.sqlite_master")}


def _by_index(conn: sqlite3.Connection, can_write: bool) -> Iterator[str]:
    """The index of words has to hold the text of ended turns, once, and nothing else."""
    if can_write:
        try:
            conn.execute("INSERT INTO main.items_fts (items_fts) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            yield f"the index of words is damaged: {error}"
            return
    missing, stray = _count(conn, _MISSING), _count(conn, _STRAY)
    if missing:
        yield f"texts that are not in the index of words: {missing:,}"
    if stray:
        yield f"entries of the index of words without a text: {stray:,}"
    conn.execute("CREATE VIRTUAL TABLE temp.wanted USING fts5(text)")
    conn.execute(f"INSERT INTO temp.wanted (rowid, text) SELECT i.id, i.text {_INDEXED}")
    conn.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, items_fts, row)")
    conn.execute("CREATE VIRTUAL TABLE temp.wanted_words USING fts5vocab(temp, wanted, row)")
    differing = _count(conn, _DIFFERING)
    if differing and not missing and not stray:
        yield f"words that are not in the index as they are in the texts: {differing:,}"


def _alike(conn: sqlite3.Connection) -> Iterator[str]:
    labels = [label for (label,) in conn.execute("SELECT label FROM sessions WHERE deleted_at IS NULL")]
    for group in told_apart(labels)[:LIMIT]:
        yield f"sessions whose labels look the same: {group}"


def _told(conn: sqlite3.Connection, rules: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for words, what in rules:
        count = _count(conn, what)
        if count:
            yield f"{words}: {count:,}"


def _count(conn: sqlite3.Connection, what: str) -> int:
    return int(conn.execute(f"SELECT count(*) {what}").fetchone()[0])
