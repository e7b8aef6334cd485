"""Searching the history: by its index where that knows the words, through the text itself where it does not.

A search goes on in short steps, the newest messages first, so that it never keeps others from reading or writing for long.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from sqlite3 import Connection

from tui.found import Found, Hit, Places, SessionHits
from tui.matching import Matcher, fold, matcher_of, passage_of
from tui.model import Session, Turn
from tui.query import ASSISTANT, USER, Query, Term
from tui.store.sql import sessions as session_sql
from tui.store.sql import turns as turn_sql

NEWEST = 500
"""Messages that fit which are ranked, the newest ones: ranking all that hold a common word takes a second."""

HEAD = 4000
"""The part of a message that is looked into for its rank, in characters."""

IN_A_SESSION = 5
"""Messages shown of one session, so that it does not push the others out."""

NAMED = 8
"""Sessions shown for nothing but their name where there are messages to show as well."""

PROMPT_WEIGHT = 2.0
"""How much more a prompt counts than an answer."""

ENDINGS = 16
"""Words that the beginning of one may stand for, up to which the index is asked for each of them. For a beginning it puts
all that holds any of them together before it gives the newest: 30 ms of a million messages instead of one."""

_INDEXED = 3
"""Letters of a beginning that the index has a list of its own for."""

STEP = 0.02
"""Seconds a step through text that no index helps with is to take."""

_OFTEN = 2000
"""SQLite's instructions between two looks at whether the search was given up."""

_END = 1 << 62

_COLUMNS = (
    "i.id, i.kind, t.id, t.branch_id, t.depth, t.session_id, t.created_at, substr(i.text, 1, 4000), length(i.text)"
)


@dataclass(slots=True)
class Names:
    """The sessions there are, kept from one search to the next while nothing changes."""

    revision: int = -1
    sessions: dict[str, tuple[SessionHits, str]] = field(default_factory=dict)
    folded: list[tuple[str, str]] = field(default_factory=list)

    def refresh(self, conn: Connection) -> None:
        """Bring them up to date. With each goes the branch it is on."""
        now = session_sql.revision(conn)
        if now == self.revision:
            return
        rows = conn.execute(
            "SELECT id, label, title, coalesce(last_turn_at, created_at), branch_id FROM sessions "
            "WHERE deleted_at IS NULL ORDER BY touched DESC, id DESC"
        )
        self.sessions = {row[0]: (SessionHits(*row[:4]), row[4]) for row in rows}
        self.folded = [(one.session_id, fold(f"{one.label}\n{one.title}")) for one, _ in self.sessions.values()]
        self.revision = now

    def fitting(self, matcher: Matcher) -> list[str]:
        """The sessions whose label or title holds all that is looked for, the one used last first."""
        return [session_id for session_id, name in self.folded if matcher.fits_folded(name)] if matcher else []


@dataclass(slots=True)
class _Row:
    """A message that fits. `id` is its item's; 0 for one that is not on disk yet."""

    id: int
    score: float
    session_id: str
    turn_id: str
    depth: int
    role: str
    created_at: float
    text: str = ""


class Search:
    """One search: `step` goes on with it, in the store's thread, until it is done; `stop` ends it from any thread.

    `live` are turns that are not, or not wholly, on disk, with their sessions.
    """

    def __init__(self, query: Query, limit: int, names: Names, live: Sequence[tuple[Turn, Session]] = ()) -> None:
        self.is_done = False
        self._query = query
        self._limit = limit
        self._names = names
        self._live = live
        self._matcher = matcher_of(query)
        self._given_up = threading.Event()
        self._expression = ""
        self._rest = [term for term in query.terms if not _index_words(term) and not term.is_short]
        self._rows: list[_Row] = []
        self._passages: dict[int, str] = {}
        self._chosen: list[str] | None = None
        self._fitting: list[str] = []
        self._known: set[tuple[str, str]] = set()
        self._ranges: dict[str, list[tuple[int, int, str]]] | None = None
        self._next = _END
        self._least = 0
        self._boundary = 0
        self._postponed = 0
        self._window = NEWEST
        self._is_more = False

    def stop(self) -> None:
        """Give up; a step that is under way ends at once."""
        self._given_up.set()

    def step(self, conn: Connection) -> Found:
        """Go on. Gives what is found so far."""
        if self._given_up.is_set():
            self.is_done = True
            return Found(is_done=True)
        conn.set_progress_handler(self._given_up.is_set, _OFTEN)
        try:
            return self._go_on(conn)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT":
                raise
            self.is_done = True
            return Found(is_done=True)
        finally:
            conn.set_progress_handler(None, 0)

    def _go_on(self, conn: Connection) -> Found:
        self._names.refresh(conn)
        if self._chosen is None:
            self._begin(conn)
        has_conditions = self._query.is_bounded and not self._query.terms
        can_look = bool(self._expression or self._rest) or has_conditions
        if not can_look or self._query.problem or (self._query.labels and not self._chosen):
            self.is_done = True
        elif self._expression:
            self._look_up(conn)
        else:
            self._look_through(conn)
        return self._found(conn)

    def _begin(self, conn: Connection) -> None:
        """Settle which sessions are meant and where to begin, and look into what is not on disk."""
        query = self._query
        self._expression = _expression(conn, query.terms)
        self._fitting = self._names.fitting(self._matcher)
        self._chosen = _labelled(self._names, query.labels)
        if query.labels:
            self._ranges = {}
            for session_id in self._chosen:
                for branch, low, high in session_sql.lineage(conn, session_id):
                    self._ranges.setdefault(branch, []).append((low, high, session_id))
            self._least, self._next = _bounds(conn, self._ranges)
        elif query.before is not None:
            # Most messages lie in the order of their times; those that were imported are seen to afterwards.
            self._next = _first_after(conn, query.before)
            self._boundary = self._next
            self._postponed = _END
        for turn, session in self._live:
            if session.deleted_at is None and (not query.labels or session.id in self._chosen):
                for role, text in ((USER, turn.prompt), (ASSISTANT, turn.text)):
                    if self._matcher and self._is_meant(role, turn.created_at) and self._matcher.fits(text):
                        row = _Row(0, 0.0, session.id, turn.id, turn.depth, role, turn.created_at, text)
                        row.score = self._score(role, text[:HEAD], len(text))
                        self._rows.append(row)
                        self._known.add((turn.id, role))

    def _look_up(self, conn: Connection) -> None:
        """Rank the next newest messages that the index has for the words."""
        likes, values = _likes(self._rest)
        rows = conn.execute(
            f"""
            SELECT {_COLUMNS}, {likes}
            FROM (SELECT rowid AS id FROM items_fts WHERE items_fts MATCH ? AND rowid >= ? AND rowid < ?
                  ORDER BY rowid DESC LIMIT ?) h
            CROSS JOIN items i ON i.id = h.id CROSS JOIN turns t ON t.id = i.turn_id
            """,  # noqa: S608 - constants only
            (*values, self._expression, self._least, self._next, NEWEST),
        ).fetchall()
        for *row, fits in rows:
            if fits:
                self._take(conn, *row)
        self._next = min((row[0] for row in rows), default=self._least)
        self._settle(is_last=len(rows) < NEWEST, is_enough=len(self._rows) >= self._limit)

    def _look_through(self, conn: Connection) -> None:
        """Go through the next newest messages themselves."""
        newest = 1 + int(conn.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()[0])
        began = time.perf_counter()
        stop = min(self._next, newest)
        low = max(self._least, stop - self._window)
        likes, values = _likes(self._rest)
        rows = conn.execute(
            f"""
            SELECT {_COLUMNS} FROM items i CROSS JOIN turns t ON t.id = i.turn_id
            WHERE i.id >= ? AND i.id < ? AND i.kind IN ('prompt', 'message') AND i.text != '' AND {likes}
            ORDER BY i.id DESC
            """,  # noqa: S608 - constants only
            (low, stop, *values),
        ).fetchall()
        for row in rows:
            self._take(conn, *row)
        took = time.perf_counter() - began
        self._window = max(200, min(200_000, int(self._window * min(4.0, STEP / max(took, STEP / 8)))))
        self._next = low
        self._settle(is_last=low <= self._least, is_enough=len(self._rows) >= NEWEST)

    def _settle(self, *, is_last: bool, is_enough: bool) -> None:
        """Note whether to go on, and where."""
        if is_last and not is_enough and self._postponed:
            self._least, self._next, self._postponed = self._boundary, self._postponed, 0
            return
        self.is_done = is_last or is_enough
        self._is_more = self.is_done and (not is_last or bool(self._postponed))

    def _take(
        self,
        conn: Connection,
        item_id: int,
        kind: str,
        turn_id: str,
        branch: str,
        depth: int,
        session_id: str,
        created_at: float,
        head: str,
        length: int,
    ) -> None:
        role = USER if kind == "prompt" else ASSISTANT
        if not self._is_meant(role, created_at) or (turn_id, role) in self._known:
            return
        home = self._home(conn, branch, depth, session_id)
        if home:
            self._rows.append(_Row(item_id, self._score(role, head, length), home, turn_id, depth, role, created_at))

    def _score(self, role: str, head: str, length: int) -> float:
        return self._matcher.score(head, length) * (PROMPT_WEIGHT if role == USER else 1.0)

    def _is_meant(self, role: str, created_at: float) -> bool:
        query = self._query
        return (
            (not query.role or query.role == role)
            and (query.before is None or created_at < query.before)
            and (query.after is None or created_at >= query.after)
        )

    def _home(self, conn: Connection, branch: str, depth: int, session_id: str) -> str:
        """The session in which a turn can be seen: the one it was said in, or one that goes on from there."""
        if self._ranges is None or not self._query.labels:
            known = self._names.sessions.get(session_id)
            if known is not None and known[1] == branch:
                return session_id
            if self._ranges is None:
                self._ranges = _derived(conn)
        seen_in = [one for low, high, one in self._ranges.get(branch, ()) if low <= depth < high]
        return session_id if session_id in seen_in else next(iter(seen_in), "")

    # What was found, in order

    def _found(self, conn: Connection) -> Found:
        most = self._limit if self._query.labels else IN_A_SESSION
        by_session: dict[str, list[_Row]] = {}
        ranked = sorted(self._rows, key=lambda row: (-row.score, -row.created_at, -row.id))
        for row in ranked:
            by_session.setdefault(row.session_id, []).append(row)
        fitting = set(self._fitting)
        order = [one for one in by_session if one in fitting]
        named = [one for one in self._named() if one not in by_session]
        order += named[: NAMED if by_session else None]
        order += [one for one in by_session if one not in fitting]
        left = self._limit
        shown: list[tuple[str, list[_Row]]] = []
        for session_id in order:
            if left <= 0:
                break
            rows = by_session.get(session_id, [])[: min(most, left)]
            shown.append((session_id, rows))
            left -= max(1, len(rows))
        self._read_passages(conn, [row.id for _, rows in shown for row in rows if row.id not in self._passages])
        live = {session.id: SessionHits(session.id, session.label, session.title, 0.0) for _, session in self._live}
        groups = []
        for session_id, rows in shown:
            known = self._names.sessions.get(session_id)
            base = known[0] if known else live[session_id]
            hits = tuple(self._hit(row) for row in rows)
            count = len(by_session.get(session_id, ()))
            groups.append(replace(base, hits=hits, count=count, is_named=session_id in fitting))
        is_more = self._is_more or len(shown) < len(order) or (bool(by_session) and len(named) > NAMED)
        return Found(tuple(groups), is_more, self.is_done)

    def _named(self) -> list[str]:
        """The sessions to be shown for their label or title, the one used last first."""
        query = self._query
        if query.role or query.labels or query.problem:
            return []
        used = ((one, self._names.sessions[one][0].used_at) for one in self._fitting)
        return [
            session_id
            for session_id, used_at in used
            if (query.before is None or used_at < query.before) and (query.after is None or used_at >= query.after)
        ]

    def _read_passages(self, conn: Connection, item_ids: list[int]) -> None:
        ids = [item_id for item_id in item_ids if item_id]
        marks = ", ".join("?" * len(ids))
        self._passages |= dict(conn.execute(f"SELECT id, text FROM items WHERE id IN ({marks})", ids))  # noqa: S608

    def _hit(self, row: _Row) -> Hit:
        text = self._passages[row.id] if row.id else row.text
        return Hit(row.turn_id, row.depth, row.role, row.created_at, *passage_of(text, self._matcher))


def _index_words(term: Term) -> tuple[str, ...]:
    """The words of a term that the index is asked for: not a single letter of a word still being typed."""
    if term.is_prefix and term.words and len(term.words[-1]) == 1:
        return term.words[:-1]
    return term.words


def _expression(conn: Connection, terms: Sequence[Term]) -> str:
    """What the index is asked, every word in quotes, so that none of them means anything to it."""
    asked = []
    for term in terms:
        words = _index_words(term)
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


def _bounds(conn: Connection, ranges: dict[str, list[tuple[int, int, str]]]) -> tuple[int, int]:
    """The first item of the turns on these branches, and the one after the last."""
    least, most = _END, 0
    for branch in ranges:
        low, high = conn.execute(
            "SELECT min(i.id), max(i.id) FROM turns t CROSS JOIN items i ON i.turn_id = t.id WHERE t.branch_id = ?",
            (branch,),
        ).fetchone()
        if low is not None:
            least, most = min(least, low), max(most, high)
    return least, most + 1


def _first_after(conn: Connection, moment: float) -> int:
    """The first item of a turn that began at a time or later, if all items lie in the order of their times."""
    low, high = 0, 1 + int(conn.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()[0])
    while low < high:
        middle = (low + high) // 2
        row = conn.execute(
            "SELECT t.created_at FROM items i CROSS JOIN turns t ON t.id = i.turn_id WHERE i.id >= ? ORDER BY i.id LIMIT 1",
            (middle,),
        ).fetchone()
        if row is None or row[0] >= moment:
            high = middle
        else:
            low = middle + 1
    return low


def _likes(terms: Sequence[Term]) -> tuple[str, list[str]]:
    """The condition that texts are in a message as they stand, with its values."""
    escaped = [term.text.replace("!", "!!").replace("%", "!%").replace("_", "!_") for term in terms]
    return " AND ".join(["i.text LIKE ? ESCAPE '!'"] * len(terms)) or "1", [f"%{text}%" for text in escaped]


def _labelled(names: Names, labels: Sequence[str]) -> list[str]:
    """The sessions meant by labels: those that have them, or where none has, those whose label begins that way."""
    meant: list[str] = []
    for label in labels:
        wanted = label.casefold()
        known = [(session_id, one.label.casefold()) for session_id, (one, _) in names.sessions.items()]
        exact = [session_id for session_id, name in known if name == wanted]
        meant += exact or [session_id for session_id, name in known if name.startswith(wanted)]
    return list(dict.fromkeys(meant))


def _derived(conn: Connection) -> dict[str, list[tuple[int, int, str]]]:
    """The branches that sessions lie on which go on from others': first depth, the depth it stops before, session."""
    rows = conn.execute(
        """
        WITH RECURSIVE line (session_id, id, parent_id, low, high) AS (
            SELECT s.id, b.id, b.parent_id, b.base, 9223372036854775807
            FROM sessions s JOIN branches b ON b.id = s.branch_id WHERE s.deleted_at IS NULL AND b.parent_id IS NOT NULL
            UNION
            SELECT line.session_id, p.id, p.parent_id, p.base, min(line.low, line.high)
            FROM line JOIN branches p ON p.id = line.parent_id
        )
        SELECT id, low, high, session_id FROM line
        """
    )
    found: dict[str, list[tuple[int, int, str]]] = {}
    for branch, low, high, session_id in rows:
        found.setdefault(branch, []).append((low, high, session_id))
    return found


class Find:
    """Looks for a text in one session, its newest turns first. Used as `Search` is."""

    def __init__(self, session_id: str, matcher: Matcher) -> None:
        self.is_done = not matcher
        self._session_id = session_id
        self._matcher = matcher
        self._given_up = threading.Event()
        self._until = -1
        self._window = 64

    def stop(self) -> None:
        """Give up; a step that is under way ends soon."""
        self._given_up.set()

    def step(self, conn: Connection) -> Places:
        """Go on. Gives the places found in this step."""
        if self._until < 0:
            self._until = turn_sql.count_turns(conn, self._session_id)
        began = time.perf_counter()
        low = max(0, self._until - self._window)
        counts: dict[int, int] = {}
        for branch, first, stop in session_sql.lineage(conn, self._session_id):
            for depth, text in conn.execute(
                "SELECT t.depth, i.text FROM turns t CROSS JOIN items i ON i.turn_id = t.id "
                "WHERE t.branch_id = ? AND t.depth >= ? AND t.depth < ? AND i.kind IN ('prompt', 'message')",
                (branch, max(first, low), min(stop, self._until)),
            ):
                if self._given_up.is_set():
                    break
                count = self._matcher.count(text)
                if count:
                    counts[depth] = counts.get(depth, 0) + count
        took = time.perf_counter() - began
        self._window = max(16, min(20_000, int(self._window * min(4.0, STEP / max(took, STEP / 8)))))
        self._until = low
        self.is_done = low == 0 or self._given_up.is_set()
        return Places(tuple(sorted(counts.items())), self.is_done)
