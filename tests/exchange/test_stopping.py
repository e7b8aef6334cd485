"""An import that is stopped: nothing of the thread it was at is kept, and no one has to wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chatting import talk
from tests.exchange import files
from tests.exchange.taking import take_in, written
from tui.exchange import reading
from tui.exchange.thread import Refusal, Thread


@pytest.mark.fault("C22")
async def test_a_thread_that_is_half_saved_is_given_up_at_once(history: Path, tmp_path: Path) -> None:
    turns = [files.turn(f"prompt {number}") for number in range(500)]
    file = written(tmp_path / "a.palaver", files.bundle(*turns))
    saved: list[int] = []
    unseen: list[object] = []
    is_stopped = threading.Event()
    async with talk(history) as t:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: unseen.append(context))

        async def all_of_it() -> None:
            async for _ in t.chat.exchange.take_in([file], on_saved=on_saved):
                pass

        def stop() -> None:
            task.cancel()
            # By then the import has been told.
            loop.call_soon(loop.call_soon, is_stopped.set)

        def on_saved(done: int, total: int) -> None:
            assert total == 500
            saved.append(done)
            if done > 100:
                loop.call_soon_threadsafe(stop)
                assert is_stopped.wait(10)

        task = asyncio.create_task(all_of_it())
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await t.chat.sessions() == []
        assert saved == [1, 51, 101]
        gc.collect()
        assert unseen == []
        (outcome,) = await take_in(t.chat, file)
        assert outcome.session is not None
        assert outcome.session.turns == 500


@pytest.mark.fault("C22")
async def test_a_file_that_is_being_read_keeps_nothing_from_ending(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow:
        def count(self, go_on: Callable[[], None]) -> int:
            return 1

        def threads(self) -> Iterator[Thread | Refusal]:
            begun.set()
            assert go_on.wait(10)
            yield Refusal("a", "why")

        def close(self) -> None:
            closed.set()

    monkeypatch.setattr(reading, "open_source", lambda _file: Slow())
    async with talk(history) as t:
        task = asyncio.create_task(take_in(t.chat, tmp_path / "a"))
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        readers = [thread for thread in threading.enumerate() if "import" in thread.name or "aside" in thread.name]
        assert readers
        assert all(thread.daemon for thread in readers)
        assert not closed.is_set()
        go_on.set()
        assert await asyncio.to_thread(closed.wait, 10)
