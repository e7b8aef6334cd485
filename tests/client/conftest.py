"""What tests with real connections get: proof that they leave none behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest


def sockets() -> set[str]:
    """The sockets this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def tasks() -> set[asyncio.Task[object]]:
    """The loop's tasks, but for the one that asks."""
    here = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not here}


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """No socket and no task outlives the test."""
    open_before, running_before = sockets(), tasks()
    yield
    for _ in range(200):
        if sockets() <= open_before and tasks() <= running_before:
            return
        await asyncio.sleep(0.005)
    assert sockets() <= open_before
    assert tasks() <= running_before
