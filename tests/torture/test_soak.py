"""A small part of what `tests.torture.soak` and `tests.torture.large` do."""

from __future__ import annotations

import pytest

from tests.torture import large, soak


@pytest.mark.fault("D40")
def test_turns_leave_nothing_behind() -> None:
    report = soak.run(100, 1)
    assert report.wrong == []
    assert report.counts["turns"] == 100
    assert min(report.counts[status] for status in ("done", "cancelled", "interrupted", "failed")) > 0


@pytest.mark.fault("D37")
def test_a_history_is_used_as_the_long_run_does() -> None:
    report = large.run(8, 1)
    assert report.wrong == []
    assert report.counts["turns"] > 400
