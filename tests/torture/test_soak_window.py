"""What `tests.torture.soak_window` does, for a few seconds."""

from __future__ import annotations

import pytest

from tests.torture import soak_window


@pytest.mark.fault("D40", "D05")
def test_a_window_in_use_grows_by_nothing_and_loses_nothing() -> None:
    report = soak_window.run(6, 1)
    assert report.wrong == []
    assert min(report.counts[name] for name in ("turns", "stopped", "switches", "resizes", "disks lost")) > 0
