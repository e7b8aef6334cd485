"""A pytest plugin for runs against a mutant: the quickest tests first, as many as fit in the time there is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

SECONDS = 20.0
"""How long all tests of one mutant may have taken when they were last timed."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests by the times mutmut took, and leave out those at the end that are too slow."""
    timed = Path("mutmut-stats.json")
    if os.environ.get("MUTANT_UNDER_TEST", "stats") in ("stats", "", "fail") or not timed.exists():
        return
    times: dict[str, float] = json.loads(timed.read_bytes())["duration_by_test"]
    items.sort(key=lambda item: times.get(item.nodeid, 0.0))
    left = SECONDS
    for place, item in enumerate(items):
        left -= times.get(item.nodeid, 0.0)
        if left < 0:
            config.hook.pytest_deselected(items=items[place:])
            del items[place:]
            return
