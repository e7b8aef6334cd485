"""What looks around after the kills of `tests.torture.core_kills` notices what is not as it was told."""

from __future__ import annotations

from pathlib import Path

from tests.store.histories import a_session, opened, told
from tests.torture.core_kills import WORD, Ledger, Life


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
