"""A pytest plugin for runs against a mutant: the quickest tests first, as many as fit in the time there is.

Tests are timed in seconds of CPU time, so that a busy machine makes no difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 20.0
"""How long all tests of one mutant may have taken when they were last timed."""

LONGEST = 3.0
"""How long one of them may have."""

FAILING = Path("failing.txt")
"""The tests that failed without a mutant: what they say of one means nothing."""

_CALL = pytest.StashKey[float]()


def _spent() -> float:
    """The CPU time of this process and the ones it has waited for."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    before = _spent()
    try:
        return (yield)
    finally:
        item.stash[_CALL] = _spent() - before


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have mutmut keep the time that was spent instead of the time that went by, and note what fails by itself."""
    if call.when == "call":
        call.duration = item.stash.get(_CALL, call.duration)
    report = yield
    if report.failed and os.environ.get("MUTANT_UNDER_TEST") in ("stats", ""):
        with FAILING.open("a") as file:
            print(item.nodeid, file=file)
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests by the times mutmut took, and leave out those that say nothing, or are too slow."""
    timed = Path("mutmut-stats.json")
    mutant = os.environ.get("MUTANT_UNDER_TEST", "stats")
    if mutant in ("stats", "fail") or not timed.exists():
        return
    times: dict[str, float] = json.loads(timed.read_bytes())["duration_by_test"]
    failing = FAILING.read_text().splitlines() if FAILING.exists() else []
    items.sort(key=lambda item: times.get(item.nodeid, 0.0))
    left = SECONDS if mutant else float("inf")
    kept, dropped = [], []
    for item in items:
        spent = times.get(item.nodeid, 0.0)
        if item.nodeid in failing or spent > min(LONGEST, left):
            dropped.append(item)
        else:
            kept.append(item)
            left -= spent
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)
