"""The list of sessions: under which headings they stand, and how those of one title are told apart."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from tests.store.histories import a_session
from tui.app.widgets.sidebar import alike, entries_of, named
from tui.model import Session

TODAY = date(2026, 11, 27)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def a_row(label: str, days: float, **fields: Any) -> Session:
    """A session that something was said in so many days ago."""
    at = NOON - days * DAY
    return a_session(label, **{"created_at": at, "last_turn_at": at, "turns": 1} | fields)


def rows(*sessions: Session) -> list[str]:
    return [one.heading or (one.session.label if one.session else "") for one in entries_of(sessions, TODAY)]


def test_sessions_stand_under_the_day_of_their_last_use() -> None:
    kept = a_row("kept", 300, pinned=True)
    found = rows(a_row("new", 0), a_row("day", 1), kept, a_row("week", 5), a_row("month", 30))
    assert found == [
        "Pinned", "kept", "", "Today", "new", "", "Yesterday", "day", "", "Previous 7 days", "week", "", "Earlier", "month",
    ]  # fmt: skip


def test_a_fork_of_old_turns_leaves_the_others_where_they_are() -> None:
    assert rows(a_row("fork", 40, created_at=NOON), a_row("new", 0)) == ["Today", "fork", "new"]


def test_only_those_of_one_name_are_told_apart() -> None:
    sessions = [a_row("one", 0, title="Same"), a_row("two", 0, title="Same"), a_row("three", 0, title="Other")]
    assert alike(sessions) == {"Same"}


def test_the_label_is_seen_beside_a_long_title() -> None:
    assert named("A parser for small queries", "parser-2", 26) == "A parser for s… · parser-2"
    assert named("A parser for small queries", "", 26) == "A parser for small queries"
    assert named("Same", "a-very-long-label-indeed-it-is", 26) == "Same · a-very-long-…"
    assert named("A parser for small queries indeed", "", 26) == "A parser for small querie…"
