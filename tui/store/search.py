"""Searching the history: by its index where that knows the words, through the text itself where it does not.

A search goes on in short steps, the newest messages first, so that it never keeps others from reading or writing for long.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from tui.found import Found, Hit, SessionHits
from tui.matching import matcher_of, passage_of
from tui.model import Session, Turn
from tui.query import ASSISTANT, USER, Query
from tui.store.sql import messages, words
from tui.store.sql import sessions as session_sql
from tui.store.sql.names import Names
from tui.values import dataclass

NEWEST = 500
"""Messages that fit which are ranked, the newest ones: ranking all that hold a common word takes a second."""

BEYOND = 4000
"""Messages that fit which are looked at in a step beyond those, for other sessions."""

FARTHEST = 20_000
"""Messages that fit which are looked at, where those before are of too few sessions to be all that is shown."""

RANKED = 50
"""Messages of one session that are ranked among those beyond the newest; further ones of it are counted."""

HEAD = 4000
"""The part of a message that is looked into for its rank, in characters."""

IN_A_SESSION = 5
"""Messages shown of one session, so that it does not push the others out."""

NAMED = 8
"""Sessions shown for nothing but their name where there are messages to show as well."""

PROMPT_WEIGHT = 2.0
"""How much more a prompt counts than an answer."""

STEP = 0.02
"""Seconds a step through text that no index helps with is to take."""

_OFTEN = 2000
"""SQLite's instructions between two looks at whether the search was given up."""


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
        self._rest = [term for term in query.terms if not words.index_words(term) and not term.is_short]
        self._rows: list[_Row] = []
        self._counts: Counter[str] = Counter()
        self._passages: dict[int, str] = {}
        self._chosen: list[str] | None = None
        self._fitting: list[str] = []
        self._known: set[tuple[str, str]] = set()
        self._ranges: messages.Ranges | None = None
        self._next = messages.END
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
        self._expression = words.expression(conn, query.terms)
        self._fitting = self._names.fitting(self._matcher)
        self._chosen = self._names.labelled(query.labels)
        if query.labels:
            self._ranges = {}
            for session_id in self._chosen:
                for branch, low, high in session_sql.lineage(conn, session_id):
                    self._ranges.setdefault(branch, []).append((low, high, session_id))
            self._least, self._next = messages.bounds(conn, self._ranges)
        elif query.before is not None:
            # Most messages lie in the order of their times; those that were imported are seen to afterwards.
            self._next = messages.first_after(conn, query.before)
            self._boundary = self._next
            self._postponed = messages.END
        for turn, session in self._live:
            if session.deleted_at is None and (not query.labels or session.id in self._chosen):
                for role, text in ((USER, turn.prompt), (ASSISTANT, turn.text)):
                    if self._matcher and self._is_meant(role, turn.created_at) and self._matcher.fits(text):
                        row = _Row(0, 0.0, session.id, turn.id, turn.depth, role, turn.created_at, text)
                        row.score = self._score(role, text[:HEAD], len(text))
                        self._rows.append(row)
                        self._counts[session.id] += 1
                        self._known.add((turn.id, role))

    def _look_up(self, conn: Connection) -> None:
        """Look at the next newest messages that the index has for the words."""
        most = BEYOND if self._is_beyond else NEWEST
        rows = messages.look_up(conn, self._expression, self._rest, self._least, self._next, most)
        self._take(conn, [row for *row, fits in rows if fits])
        self._next = min((row[0] for row in rows), default=self._least)
        self._settle(is_last=len(rows) < most, is_enough=self._has_enough())

    def _look_through(self, conn: Connection) -> None:
        """Go through the next newest messages themselves."""
        end = messages.after_last(conn)
        began = time.perf_counter()
        stop = min(self._next, end)
        low = max(self._least, stop - self._window)
        self._take(conn, messages.look_through(conn, self._rest, low, stop))
        took = time.perf_counter() - began
        self._window = max(200, min(200_000, int(self._window * min(4.0, STEP / max(took, STEP / 8)))))
        self._next = low
        self._settle(is_last=low <= self._least, is_enough=self._is_beyond and self._has_enough())

    @property
    def _is_beyond(self) -> bool:
        """Whether the newest messages are all ranked."""
        return self._counts.total() >= NEWEST

    def _has_enough(self) -> bool:
        """Whether as many messages as are wanted can be shown of what is found. Of a session with many no more than some
        are, so that others are looked for beyond it."""
        if self._query.labels or self._counts.total() >= FARTHEST:
            return self._counts.total() >= self._limit
        return sum(min(IN_A_SESSION, count) for count in self._counts.values()) >= self._limit

    def _settle(self, *, is_last: bool, is_enough: bool) -> None:
        """Note whether to go on, and where."""
        if is_last and not is_enough and self._postponed:
            self._least, self._next, self._postponed = self._boundary, self._postponed, 0
            return
        self.is_done = is_last or is_enough
        self._is_more = self.is_done and (not is_last or bool(self._postponed))

    def _take(self, conn: Connection, places: list[Any]) -> None:
        """Count messages that fit, and rank those of sessions that have not enough of them."""
        ranks_all = not self._is_beyond or bool(self._query.labels)
        new: list[_Row] = []
        for item_id, kind, turn_id, branch, depth, session_id, created_at in places:
            role = USER if kind == "prompt" else ASSISTANT
            if not self._is_meant(role, created_at) or (turn_id, role) in self._known:
                continue
            home = self._home(conn, branch, depth, session_id)
            if home:
                if ranks_all or self._counts[home] < RANKED:
                    new.append(_Row(item_id, 0.0, home, turn_id, depth, role, created_at))
                self._counts[home] += 1
        heads = {id_: (head, length) for id_, head, length in messages.heads_of(conn, [row.id for row in new], HEAD)}
        for row in new:
            row.score = self._score(row.role, *heads[row.id])
        self._rows += new

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
                self._ranges = messages.derived(conn)
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
            count = self._counts[session_id]
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
        self._passages |= messages.texts_of(conn, ids)

    def _hit(self, row: _Row) -> Hit:
        text = self._passages[row.id] if row.id else row.text
        return Hit(row.turn_id, row.depth, row.role, row.created_at, *passage_of(text, self._matcher))
