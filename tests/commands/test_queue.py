"""What waits in a session, as `palaver sessions show` tells it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.store.histories import NOW, a_session, a_turn, opened
from tui.cli import main
from tui.model import Queued


async def _fill(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await store.begin(a_turn(session, "first"), session)
        for number, prompt in enumerate(("second", "third\nwith \x1b[31mred")):
            await store.queues.add(Queued(f"q{number}", session.id, prompt, NOW, turn.id), session)


def test_show_tells_what_waits(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_fill(history))
    assert main(["sessions", "show", "work"]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.endswith("· waits, 1 of 2"))
    assert lines[place + 1 : place + 3] == ["second", ""]
    assert lines[place + 3].endswith("· waits, 2 of 2")
    assert lines[place + 4 :] == ["third", "with ␛[31mred"]


def test_show_tells_what_waits_to_scripts(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_fill(history))
    assert main(["sessions", "show", "work", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queue"] == [
        {"prompt": "second", "created_at": "2027-01-15T08:00:00.000+00:00"},
        {"prompt": "third\nwith \x1b[31mred", "created_at": "2027-01-15T08:00:00.000+00:00"},
    ]
