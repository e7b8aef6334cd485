"""What `tests.torture.stall` does, for a second."""

from __future__ import annotations

import pytest

from tests.torture import stall


@pytest.mark.fault("U01", "U02")
def test_a_terminal_that_reads_nothing_misses_nothing() -> None:
    report = stall.run(1, 1)
    assert report.wrong == []
    assert report.counts["characters"] > 120_000
