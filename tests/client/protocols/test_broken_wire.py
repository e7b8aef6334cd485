"""Answers of all protocols that break off on a real socket: a sample of what `python -m tests.torture network` tries."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.client.protocols.breaking import SETTLE, Breaking
from tests.client.protocols.contract import Case
from tests.client.protocols.contract_cases import every
from tests.client.protocols.talks import FRAMINGS, Given, told_by_stand_in
from tests.virtual_time import play

SEED = int(os.environ.get("PALAVER_SEED", "20"))
MORE = 9
"""How many places that are no borders are tried in each answer."""


@every
@pytest.mark.fault("N10", "N12", "N15", "N16", "N17", "N18", "N19", "C02", "C03")
def test_an_answer_that_breaks_at_any_border_or_elsewhere(case: Case, tmp_path: Path) -> None:
    talk = asyncio.run(told_by_stand_in(case, case.rich, tmp_path))

    async def scene() -> Breaking:
        async with Breaking(talk) as breaking:
            await breaking.run(breaking.sample(random.Random(f"{SEED} {case}"), MORE))
            return breaking

    breaking = play(scene, settle=SETTLE)
    assert breaking.wrong == []
    borders = sum(len(given.borders) for given in talk.answers.values())
    faults = breaking.counts.total() - breaking.counts["next turns"]
    assert faults == borders + len(talk.answers) * (3 * 4 + MORE)
    assert breaking.counts["next turns"] == (faults + 9) // 10


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_place_in_the_body_is_a_place_on_the_wire(framing: str) -> None:
    given = Given(200, (("content-type", "text/event-stream"),), b"data: 1\n\ndata: 22\n\n")
    framed = given.framed(framing)
    assert given.borders == [0, 8, 9, 18, 19]
    assert [framed.came(count) for count in (0, len(framed.head) - 1)] == [-1, -1]
    assert framed.came(len(framed.head)) == 0
    assert framed.came(len(framed.raw)) == len(given.body)
    for came in range(len(given.body) + 1):
        assert framed.came(framed.place(came)) == came
        assert came == 0 or framed.came(framed.place(came) - 1) == came - 1
