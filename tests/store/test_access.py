"""The way to the file: what waits, what is cancelled, what is made up for later."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import pytest

from tests.store.conftest import Disk
from tests.store.histories import (
    Healths,
    a_session,
    a_turn,
    change,
    is_whole,
    opened,
    rows,
    said,
    saved,
    stream,
    told,
)
from tests.store.other import Other
from tui.errors import StoreError
from tui.model import Turn, TurnStatus
from tui.store import Store
from tui.store.lock import Lock


async def test_a_write_that_is_cancelled_is_made_all_the_same(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        states = stream(begun)
        for state, before in zip(states, [begun, *states], strict=False):
            saving = asyncio.ensure_future(store.save(state, before, session))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            saving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await saving
            assert await saved(store, state) == state
        assert is_whole(history)


async def test_writes_land_in_the_order_of_the_calls(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await store.create(session)
        await asyncio.gather(*(store.update(session.id, draft=f"draft {number}") for number in range(50)))
        found = await store.session(session.id)
        assert found is not None
        assert found.draft == "draft 49"
        begun = await asyncio.gather(
            *(store.begin(a_turn(session, f"p{number}", status=TurnStatus.DONE), session) for number in range(20))
        )
        assert [turn.depth for turn in begun] == list(range(20))


async def test_a_read_sees_one_moment(history: Path) -> None:
    """Reading takes several queries; another window that ends the turn between two of them has to wait."""
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        half = said(begun, "half")
        await store.save(half, begun, session)
        await store.save(said(begun, "half and half"), half, session)

        def read(conn: sqlite3.Connection) -> str:
            status = conn.execute("SELECT status FROM turns").fetchone()[0]
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                _end_turns(history)
            return f"{status}, {conn.execute('SELECT count(*) FROM chunks').fetchone()[0]}"

        assert await store.read(read, "") == "streaming, 1"
        _end_turns(history)
        assert rows(history, "SELECT status FROM turns") == [("done",)]


def _end_turns(file: Path) -> None:
    conn = sqlite3.connect(file, timeout=0, isolation_level=None)
    try:
        conn.execute("UPDATE turns SET status = 'done'")
    finally:
        conn.close()


@pytest.mark.parametrize("doing", ["create", "begin", "choose", "reopen"])
async def test_what_a_user_waits_for_is_given_up_soon_while_another_program_writes(
    history: Path, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await told(store, session)
        monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
        monkeypatch.setattr("tui.store.access.PATIENCE", 300.0)
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "create": lambda: store.create(a_session("new")),
            "begin": lambda: store.begin(a_turn(session), session),
            "choose": lambda: store.branches.choose(session.id, turn.id),
            "reopen": lambda: store.reopen(turn.id),
        }
        with closing(sqlite3.connect(history, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(20):
                if doing in ("choose", "reopen"):
                    with pytest.raises(StoreError) as caught:
                        await works[doing]()
                    assert caught.value.message == "The history is locked by another process."
                    assert caught.value.transient is True
                else:
                    await works[doing]()
        assert store.health.unsaved is (doing in ("create", "begin"))


async def test_what_a_turn_needs_is_waited_for_once(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it was in vain to wait for another program, nothing is waited for as long again, and nothing is kept."""
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 600.0)
    session = a_session()
    async with opened(history) as store:
        await told(store, session)

        async def ground(turn: Turn) -> None:
            await store.turns(session.id, 0, turn.depth, must_read=True)

        with closing(sqlite3.connect(history, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            async with asyncio.timeout(20):
                with pytest.raises(StoreError, match="History cannot be read"):
                    await store.begin(a_turn(session, "more"), session, ground=ground)
        assert not store.health.unsaved
        assert len(await store.turns(session.id)) == 1


@pytest.mark.parametrize("doing", ["open", "upgrade", "read"])
async def test_no_one_is_waited_for_any_more_once_it_is_about_to_end(
    history: Path, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 600.0)
    monkeypatch.setattr("tui.store.database.UPGRADE_PATIENCE", 600.0)
    monkeypatch.setattr("tui.store.access.CLOSE_PATIENCE", 0.05)
    async with opened(history) as store:
        await told(store, a_session())
    store, others = Store(history), Lock(history)
    if doing == "read":
        await store.open()
    elif doing == "upgrade":
        change(history, "PRAGMA user_version = 1")
    with (
        closing(sqlite3.connect(history, isolation_level=None)) as other,
        others.held() if doing == "upgrade" else nullcontext(),
    ):
        if doing != "upgrade":
            other.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.ensure_future(store.sessions() if doing == "read" else store.open())
        await asyncio.sleep(0)
        store.hasten()
        async with asyncio.timeout(20):
            await waiting
            await store.close()
    others.close()
    assert "locked by another" in store.health.message
    assert rows(history, "SELECT text FROM messages") == [("hello",), ("hi",)]


async def test_closing_writes_what_is_left(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store, disk.broken(store):
        await told(store, session, "hello", "hi")
    assert not store.health.unsaved
    assert rows(history, "SELECT text FROM messages") == [("hello",), ("hi",)]


async def test_it_is_told_once_and_heals_by_itself(history: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.store.access.HEAL_EVERY", 0.01)
    healths = Healths()
    session = a_session()
    async with opened(history, on_health=healths) as store:
        async with disk.broken(store):
            turn = await store.begin(a_turn(session), session)
            for number in range(5):
                await store.save(said(turn, "word " * number), turn, session)
            assert healths.messages == [f"History is not saved: {history} is read-only."]
            assert store.health.unsaved
        async with asyncio.timeout(20):
            while store.health.message:
                await asyncio.sleep(0.001)
        assert healths.messages == [f"History is not saved: {history} is read-only.", ""]
        assert [one.unsaved for one in healths.seen] == [True, False]
        assert rows(history, "SELECT count(*) FROM turns") == [(1,)]
        await store.update(session.id, draft="x")
        assert len(healths.seen) == 2


async def test_a_cancelled_writer_leaves_nothing_half_done(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        async with disk.broken(store):
            await told(store, session, "hello", "hi")
        writing = asyncio.ensure_future(store.update(session.id, draft="x"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        await store._heal()
        assert [turn.text for turn in await store.turns(session.id)] == ["hi"]
        assert rows(history, "SELECT count(*) FROM turns") == [(1,)]
        assert not store.health.unsaved


async def test_where_it_must_be_read_an_error_is_one(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session)
    async with opened(history, must_read=True) as store:
        change(history, "ALTER TABLE items RENAME TO gone")
        for reading in (store.turns(session.id), store.prompts(session.id)):
            with pytest.raises(StoreError, match="History cannot be read: "):
                await reading
        # What can be read is no reason to take the rest for read.
        assert await store.find("work") is not None
        with pytest.raises(StoreError, match="History cannot be read: "):
            await store.turns(session.id)
        change(history, "ALTER TABLE gone RENAME TO items")
        assert len(await store.turns(session.id)) == 1


async def test_where_there_was_never_a_history_there_is_none_to_be_read(tmp_path: Path) -> None:
    # A folder where the file should be.
    async with opened(tmp_path, must_read=True) as store:
        assert store.health.message.startswith("History is off: ")
        assert await store.sessions() == []


async def test_writes_give_up_in_the_order_of_the_calls(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older one that waited longer would come after the newer ones, and put its value over theirs."""
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    session, elsewhere = a_session(), a_session("elsewhere")
    async with opened(history) as store:
        await store.create(session)
        await store.create(elsewhere)
        with Other(history) as other:
            other.do("take_lock")
            older = asyncio.ensure_future(store.update(session.id, draft="I type"))
            await asyncio.sleep(0)
            await store.begin(a_turn(elsewhere), elsewhere)
            await store.update(session.id, draft="I type all of this")
            other.do("free_lock")
            await older
        await store._heal()
        assert rows(history, "SELECT draft FROM sessions WHERE label = 'work'") == [("I type all of this",)]


async def test_what_a_cancelled_write_brought_to_disk_is_not_written_again(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        await store.create(session)
        async with disk.broken(store):
            await store.update(session.id, draft="older")
        writing = asyncio.ensure_future(store.update(session.id, pinned=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        async with asyncio.timeout(20):
            while store.overlay:
                await asyncio.sleep(0)
        await other.update(session.id, draft="newer")
        await store.update(session.id, pinned=False)
        assert rows(history, "SELECT draft FROM sessions") == [("newer",)]


async def test_what_is_cancelled_while_it_waits_for_a_lock_leaves_no_error_behind(history: Path) -> None:
    found: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: found.append(context))
    async with opened(history) as store:
        with Other(history) as other:
            other.do("take_lock")
            writing = asyncio.ensure_future(store.update("none", draft="x"))
            while not store._was_locked:
                await asyncio.sleep(0)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            other.do("free_lock")
        await store.sessions()
    gc.collect()
    assert found == []


async def test_a_draft_that_is_just_being_written_is_the_sessions_draft(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await store.create(session)
        with Other(history) as other:
            other.do("take_lock")
            writing = [asyncio.ensure_future(store.update(session.id, draft=draft)) for draft in ("I", "I type")]
            await asyncio.sleep(0)
            found = await store.session(session.id)
            assert found is not None
            assert (found.draft, [one.draft for one in await store.sessions()]) == ("I type", ["I type"])
            assert await store.find("work") == found
            other.do("free_lock")
        await asyncio.gather(*writing)
        assert store._coming == []
