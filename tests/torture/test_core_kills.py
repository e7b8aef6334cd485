"""Some of the kills in `tests.torture.core_kills`, in two halves, so that two workers share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.histories import a_session, content, opened, told
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
    assert report.counts["histories of the first version"] > COUNT // 50
    assert min(report.counts[name] for name in ("files written", "files being taken in")) > 0


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


async def test_the_look_around_would_notice_what_is_there_by_half(history: Path) -> None:
    session = a_session(f"{core_kills.TAKEN}a file")
    async with opened(history) as store:
        await told(store, session, "first", WORD)
    ledger = Ledger(taken={session.label: 1})
    life = Life(history, 1, ledger, lambda _: None, 0)
    assert life.missed() == []
    ledger.note({"taking": [session.label, 2]})
    ledger.note({"written": "gone.jsonl"})
    (history.parent.parent / "half.jsonl").write_text('{"palaver": 1}\n')
    history.with_name("history.db.backup-v1-1").write_bytes(content(history)[:-20_000])
    assert life.missed() == [
        "in a file was taken in with 1 of 2 turns, and tells of 1",
        "gone.jsonl was written and is gone",
        "half.jsonl is there by half",
        "history.db.backup-v1-1 is there by half",
    ]


def test_a_change_that_was_cut_short_may_have_happened_or_not() -> None:
    ledger = Ledger()
    ledger.note({"trying": ["a", "new", True], "before": ["old", True]})
    assert ledger.fields == {"a": [["old", True], ["new", True]]}
    ledger.note({"saved": ["a", "new", True]})
    ledger.note({"trying": ["a", "new", False], "before": ["new", True]})
    assert ledger.fields == {"a": [["new", True], ["new", False]]}
