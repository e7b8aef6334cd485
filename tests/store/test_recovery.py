"""What the dead have left, marked by those who go on from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.histories import a_session, a_turn, change, found, is_whole, opened, rows, said, saved
from tui.model import Failure, TurnStatus

CUT_SHORT = Failure(
    "crash", "Palaver ended before the answer did; what came is kept.", "press r to send it again", None, 7
)


@pytest.mark.parametrize("status", [TurnStatus.PENDING, TurnStatus.STREAMING])
async def test_what_the_dead_left_is_marked_as_cut_short_in_words(history: Path, status: TurnStatus) -> None:
    session, other = a_session(), a_session("other")
    async with opened(history) as store:
        mine = await store.begin(a_turn(other, "mine"), other)
        begun = await store.begin(a_turn(session, "apples?"), session)
        half = said(begun, "pears", status=status)
        await store.save(half, begun, session)
        change(
            history,
            f"UPDATE turns SET holder = '1:gone' WHERE id = '{begun.id}'",
            f"UPDATE leases SET holder = '1:gone' WHERE turn_id = '{begun.id}'",
        )
        seen = rows(history, "SELECT revision FROM turns WHERE id = ?", begun.id)
        async with opened(history) as later:
            assert later.recovered == 1
            assert await saved(later, begun) == replace(half, status=TurnStatus.INTERRUPTED, error=CUT_SHORT)
            assert await saved(later, mine) == mine, "its window is alive"
            sessions = {one.label: (one.turns, one.last_status) for one in await later.sessions()}
        assert sessions == {"work": (1, TurnStatus.INTERRUPTED), "other": (1, TurnStatus.PENDING)}
        assert found(history, "pears") == ["pears"]
        changed = "SELECT t.revision > ?, s.revision = t.revision FROM turns t JOIN sessions s ON s.id = t.session_id"
        assert rows(history, f"{changed} WHERE t.id = ?", seen[0][0], begun.id) == [(1, 1)], "windows look again"
    assert is_whole(history)


async def test_who_goes_on_after_the_dead_marks_their_answer(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        begun = await store.begin(a_turn(session, "apples?"), session)
        change(history, "UPDATE turns SET holder = '1:gone'", "UPDATE leases SET holder = '1:gone'")
        assert (await other.begin(a_turn(session, "again"), session)).depth == 1
        assert await saved(other, begun) == replace(begun, status=TurnStatus.INTERRUPTED, error=CUT_SHORT)
        assert other.recovered == 0, "it was no crash that a start had to mend"
