"""What tests of the client get: proof that they leave nothing open, connections or generators."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import tui

OURS = str(Path(tui.__file__).parent)


@pytest.fixture(autouse=True)
def left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The generators of ours that were begun, and closed by no one before the collector came: there is to be none."""
    found: list[str] = []
    # Private in asyncio, which gives this to Python whenever a loop runs; a test fails when that changes.
    finalize = asyncio.BaseEventLoop._asyncgen_finalizer_hook  # type: ignore[attr-defined]

    def note(loop: asyncio.BaseEventLoop, generator: AsyncGenerator[Any, Any]) -> None:
        if generator.ag_code.co_filename.startswith(OURS):
            found.append(generator.__qualname__)
        finalize(loop, generator)

    monkeypatch.setattr(asyncio.BaseEventLoop, "_asyncgen_finalizer_hook", note)
    yield found
    assert found == []


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


@asynccontextmanager
async def leaving_nothing() -> AsyncIterator[None]:
    """No socket and no task of this loop outlives what is done within."""
    open_before, running_before = sockets(), tasks()
    yield
    for _ in range(200):
        if sockets() <= open_before and tasks() <= running_before:
            return
        await asyncio.sleep(0.005)
    assert sockets() <= open_before
    assert tasks() <= running_before


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """No socket and no task outlives the test."""
    async with leaving_nothing():
        yield
