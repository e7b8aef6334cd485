"""A slice of the sweep in `tests.torture.io_faults`: one disk operation fails, falls short, or is the last one."""

from __future__ import annotations

import shutil

import pytest

from tests.torture.io_faults import MODES, STEPS, states, sweep

EVERY = 31
"""Which points are tried: no multiple of the number of modes, so that all of them come up everywhere."""


def test_the_script_and_what_is_expected_of_it_agree() -> None:
    assert len(states()) == len(STEPS) + 1
    assert EVERY % len(MODES) in (1, 5)


@pytest.mark.fault("D06", "D08", "D19")
@pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="the shim needs a C compiler")
def test_nothing_that_was_said_to_be_saved_is_ever_lost() -> None:
    result = sweep(every=EVERY, workers=1)
    assert result is not None
    assert result.wrong == []
    assert result.runs >= len(MODES) * result.points // EVERY
    assert result.killed >= result.runs // 4
