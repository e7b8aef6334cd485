"""One of the kills in `tests.torture.reattach`."""

from __future__ import annotations

import pytest

from tests.torture import reattach


@pytest.mark.fault("C19")
def test_a_run_that_goes_on_without_a_killed_window_is_whole_after_the_next_start() -> None:
    report = reattach.run(1, 1)
    assert report.wrong == []
    assert report.counts["taken up again by responses"] == 1
