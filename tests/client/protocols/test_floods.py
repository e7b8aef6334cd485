"""Floods in all protocols: they end in words, hold neither the loop nor much memory, and can be stopped at any time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.client.protocols.contract import Case
from tests.client.protocols.contract_cases import every
from tests.client.protocols.floods import KINDS, STOPPABLE, bear, wrong, wrong_when_stopped
from tests.client.protocols.talks import told_by_stand_in

pytestmark = pytest.mark.usefixtures("nothing_left")

ANSWER = 1_000_000
"""The longest answer, in characters: a small part of what it really is, so that the test is fast."""

TINY = 20_000


@every
@pytest.mark.fault("N13", "N20", "N25", "N26", "N27", "N28", "N30")
async def test_a_flood_ends_in_words_and_can_be_stopped(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.runner.ANSWER_LIMIT", ANSWER)
    talk = await told_by_stand_in(case, "plain one", tmp_path)
    async with asyncio.timeout(110):
        for kind in KINDS:
            if kind.status is not None:
                borne = await bear(talk, kind, events=TINY, answer=ANSWER)
                assert wrong(talk, kind, borne, ANSWER) == [], kind.name
            if kind.name in STOPPABLE:
                borne = await bear(talk, kind, events=50 * TINY, answer=ANSWER, stop_after=2)
                assert wrong_when_stopped(kind, borne, ANSWER) == [], f"{kind.name}, stopped"


def test_floods_without_an_end_are_stopped() -> None:
    assert {kind.name for kind in KINDS if kind.status is None} <= STOPPABLE
