"""Some of the kills in `tests.torture.core_kills`, in two halves, so that two workers share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.histories import a_session, opened, told
from tests.torture import core_kills
from tests.torture.core_kills import WORD, Ledger, Life

COUNT = 500


@pytest.mark.fault("C19", "L18", "S06")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_chat_killed_at_any_moment_has_kept_what_it_told(seed: int) -> None:
    report = core_kills.run(COUNT, seed)
    assert report.wrong == []
    assert report.counts["kills"] == COUNT
    assert report.counts["told"] > COUNT // 4
    assert report.counts["answers cut short"] > COUNT // 20


async def test_the_look_around_would_notice(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "first", WORD)
    ledger = Ledger()
    life = Life(history, 1, ledger, lambda _: None, 0)
    assert life.missed() == []
    for lost, says in (
        ({"sent": "second"}, "second was sent, and is there 0 times"),
        ({"kept": ["first", 2, ""]}, "first: 3002 characters, no end were told; there is done 1501"),
        ({"kept": ["first", 1, "cancelled"]}, "first: 1501 characters, cancelled were told; there is done 1501"),
        ({"saved": [session.id, "renamed", True]}, f"session {session.id} is ['work', 1, 1], and may be"),
    ):
        life._ledger = Ledger()
        life._ledger.note(lost)
        assert [one.startswith(says) for one in life.missed()] == [True]


def test_a_change_that_was_cut_short_may_have_happened_or_not() -> None:
    ledger = Ledger()
    ledger.note({"trying": ["a", "new", True], "before": ["old", True]})
    assert ledger.fields == {"a": [["old", True], ["new", True]]}
    ledger.note({"saved": ["a", "new", True]})
    ledger.note({"trying": ["a", "new", False], "before": ["new", True]})
    assert ledger.fields == {"a": [["new", True], ["new", False]]}
