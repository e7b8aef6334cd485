"""Looking for a text in one session."""

from __future__ import annotations

from pathlib import Path

from tests.store.histories import a_session, opened, told


async def test_places_in_a_session(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        for number in range(200):
            await told(store, session, f"question {number}", "A Zebra, a zebra" if number % 50 == 0 else "none")
        steps = [one async for one in store.finds.places(session.id, "zebra")]
        assert [place for one in reversed(steps) for place in one.counts] == [(0, 2), (50, 2), (100, 2), (150, 2)]
        assert [one.is_done for one in steps] == [False] * (len(steps) - 1) + [True]
        assert len(steps) > 1
        assert [one async for one in store.finds.places(session.id, "  ")] == []
        assert [one.counts async for one in store.finds.places("nope", "zebra")] == [()]
