"""A slice of the sweep in `tests.torture.io_faults`: one disk operation fails, falls short, or is the last one."""

from __future__ import annotations

import shutil

import pytest

from tests.torture.io_faults import FATAL, MODES, STEPS, states, sweep

EVERY = 49
"""Which points are tried: no multiple of the number of modes, so that all of them come up everywhere."""

needs_compiler = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc")), reason="the shim needs a C compiler"
)


def test_the_script_and_what_is_expected_of_it_agree() -> None:
    assert len(states()) == len(STEPS) + 1
    assert EVERY % len(MODES) == 1


@needs_compiler
@pytest.mark.fault("D06", "D08", "D18", "D19", "D42", "L18", "F15")
def test_nothing_that_was_said_to_be_saved_is_ever_lost() -> None:
    result = sweep(every=EVERY, workers=1)
    assert result is not None
    assert result.wrong == []
    assert result.runs >= len(MODES) * result.points // EVERY
    assert result.killed >= result.runs * len(FATAL) // len(MODES) - 2


@needs_compiler
def test_the_sweep_would_notice() -> None:
    """The same without ever waiting for the disk: then a loss of power does lose what was said to be saved."""
    result = sweep(every=67, modes=["power loss"], workers=1, careless=True)
    assert result is not None
    assert any("steps" in one for one in result.wrong)
