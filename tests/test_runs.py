"""What is learnt of a running turn beside its stream, and told with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fake_server import PROFILE
from tui.model import Turn
from tui.runs import Run


@pytest.mark.parametrize("streamed", [(), ("as it streamed",)])
def test_notes_are_told_once_however_often_a_turn_is_told_of(streamed: tuple[str, ...]) -> None:
    turn = Turn("t", "", 0, "hello", created_at=0.0, notes=streamed)
    run = Run(None, turn, PROFILE)
    for number, note in enumerate(("one", "two", "two"), 1):
        run.notes.append(note)
        run.turn = run.seen(run.turn)
        assert run.turn.notes == run.seen(turn).notes == (*streamed, *("one", "two", "two")[:number])
    more = replace(turn, notes=(*streamed, "new"))
    assert run.seen(more).notes == (*streamed, "new", "one", "two", "two")
