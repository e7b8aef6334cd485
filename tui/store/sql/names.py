"""The SQL of the names of sessions, by which they are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from sqlite3 import Connection

from tui.found import SessionHits
from tui.matching import Matcher, fold
from tui.store.sql import sessions as session_sql
from tui.values import dataclass


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

    def labelled(self, labels: Sequence[str]) -> list[str]:
        """The sessions meant by labels: those that have them, or where none has, those that have them but for capitals, or
        those whose label begins that way."""
        meant: list[str] = []
        for label in labels:
            wanted = label.casefold()
            known = [(session_id, one.label.casefold()) for session_id, (one, _) in self.sessions.items()]
            exact = [session_id for session_id, (one, _) in self.sessions.items() if one.label == label]
            exact = exact or [session_id for session_id, name in known if name == wanted]
            meant += exact or [session_id for session_id, name in known if name.startswith(wanted)]
        return list(dict.fromkeys(meant))
