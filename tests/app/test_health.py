"""What a window says of its history while it runs: moved away, damaged, not saved, saved again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.fake_server import completed, delta
from tests.store.histories import rows
from tests.store.other import Other
from tests.store.test_faults import set_aside_file, spoil_in_another_process


def corner(w: Window) -> list[str]:
    """What is told in the corner, oldest first."""
    return [notification.message for notification in w.app._notifications]


def take_away(history: Path, name: str) -> None:
    history.rename(history.with_name(name))


@pytest.mark.fault("D28")
async def test_a_history_that_was_taken_away_is_told_of_where_the_new_one_is(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        take_away(history, "elsewhere.db")
        await w.exchange("more", "well", "resp_2")
        await w.until(lambda: corner(w))
        said = f"The history was moved or replaced while it was open; from now on the new one is used: {history}."
        assert corner(w) == [said]
        assert "saved again" not in w.status
        # Told once, whatever else there is to say of the history later.
        take_away(history, "there.db")
        await w.exchange("and more", "well", "resp_3")
        await w.until(lambda: len(corner(w)) == 2)
        assert corner(w) == [said, said]


@pytest.mark.fault("D12")
async def test_damage_met_in_a_running_window_is_told_with_both_files_and_what_was_recovered(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.send("more")
        exchange = (await w.server.request()).respond().event(delta("It "))
        await w.until(lambda: rows(history, "SELECT 1 FROM messages WHERE text = 'It '"))
        root = rows(history, "SELECT rootpage FROM sqlite_master WHERE name = 'chunks'")[0][0]
        spoil_in_another_process(history, root - 1)
        exchange.event(delta("breaks."))
        await w.until(lambda: corner(w))
        aside = set_aside_file(history)
        said = f"The history was damaged. It is kept as {aside}. 2 turns could be read from it into {history}."
        assert corner(w) == [said]
        exchange.event(completed("It breaks.", "resp_2")).end()
        await w.until(lambda: not w.talk.chat.running())
        assert "saved again" not in w.status
        assert "NOT SAVED" not in w.picture
        assert corner(w) == [said]


@pytest.mark.fault("D20", "D21")
async def test_only_what_was_not_saved_is_told_to_be_saved_again(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    monkeypatch.setattr("tui.store.access.PATIENCE", 0.05)
    async with window(history) as w:
        await w.exchange("hello", "hi")
        with Other(history) as other:
            other.do("take_lock")
            await w.send("more")
            (await w.server.request()).respond().event(completed("well", "resp_2")).end()
            await w.until(lambda: "NOT SAVED" in w.picture)
            other.do("free_lock")
        await w.talk.store._heal()
        await w.until(lambda: "The history is saved again." in w.status)
        assert "NOT SAVED" not in w.picture
        assert corner(w) == []
