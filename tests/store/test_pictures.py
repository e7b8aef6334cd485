"""Pictures on disk: each once, by its key, and not lost where it could not be written."""

from __future__ import annotations

from pathlib import Path

from tests.store.conftest import Disk
from tests.store.histories import change, opened, rows
from tui.pictures import Picture
from tui.store import Store
from tui.store.upkeep import check, repair

ONE, OTHER = Picture("image/png", b"\x89PNG\x00one"), Picture("image/gif", b"GIF89a\xff\x00other")


async def test_a_picture_is_kept_once_and_found_by_its_key(history: Path) -> None:
    async with opened(history) as store:
        for picture in (ONE, OTHER, ONE):
            await store.pictures.add(picture)
        assert await store.pictures.get([ONE.key, "f" * 16]) == {ONE.key: ONE}
        assert await store.pictures.get([]) == {}
    async with opened(history) as store:
        assert await store.pictures.get({ONE.key, OTHER.key}) == {ONE.key: ONE, OTHER.key: OTHER}
    assert rows(history, "SELECT key, kind, data FROM pictures ORDER BY kind DESC") == [
        (picture.key, picture.kind, picture.data) for picture in (ONE, OTHER)
    ]


async def test_one_that_cannot_be_written_is_there_and_is_written_later(history: Path, disk: Disk) -> None:
    async with opened(history) as store:
        await store.pictures.add(OTHER)
        async with disk.broken(store):
            await store.pictures.add(ONE)
            assert store.health.unsaved
            assert await store.pictures.get([ONE.key, OTHER.key]) == {ONE.key: ONE, OTHER.key: OTHER}
        await store._heal()
        assert not store.health.unsaved
        assert await store.pictures.get([ONE.key]) == {ONE.key: ONE}
    assert rows(history, "SELECT count(*) FROM pictures") == [(2,)]


async def test_one_is_there_in_a_chat_without_a_history(history: Path) -> None:
    store = Store(history)
    await store.pictures.add(ONE)
    assert await store.pictures.get([ONE.key, OTHER.key]) == {ONE.key: ONE}
    assert not list(history.parent.glob("history.db"))


async def test_a_repaired_history_has_its_pictures(history: Path) -> None:
    async with opened(history) as store:
        await store.pictures.add(ONE)
    change(history, "INSERT INTO attempts (turn_id, number, kind, started_at) VALUES ('nowhere', 1, 'first', 0)")
    assert check(history).wrong
    assert repair(history)
    assert check(history).wrong == ()
    assert rows(history, "SELECT key, data FROM pictures") == [(ONE.key, ONE.data)]
