"""Looking for a text in one session, step by step."""

from __future__ import annotations

import threading
import time
from sqlite3 import Connection

from tui.found import Places
from tui.matching import Matcher
from tui.store.search import STEP
from tui.store.sql import sessions as session_sql
from tui.store.sql import turns as turn_sql


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
