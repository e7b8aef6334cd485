"""The conversations servers keep: found by everything that tells them apart, and replaced by nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.conftest import Disk
from tests.store.histories import NOW, a_mapping, a_session, a_turn, change, opened, said, told
from tui.errors import StoreError
from tui.model import Mapping, MappingState, Session, TurnStatus
from tui.store import Store


async def keep(store: Store, session: Session, *mappings: Mapping) -> None:
    """Save a turn with each of these conversations."""
    for mapping in mappings:
        turn = await told(store, session)
        assert await store.save(turn, turn, session, mapping)


def key(like: Mapping) -> tuple[str, str, str, str]:
    return like.session_id, like.origin, like.protocol, like.principal


@contextmanager
def unreadable(file: Path) -> Iterator[None]:
    """For a while conversations cannot be read."""
    change(file, "ALTER TABLE conversations RENAME TO gone")
    yield
    change(file, "ALTER TABLE gone RENAME TO conversations")


async def get(store: Store, like: Mapping) -> Mapping | None:
    return await store.conversations.get(*key(like))


@pytest.mark.fault("L12", "S07")
async def test_a_conversation_is_replaced_only_by_its_own_key(history: Path) -> None:
    session, other = a_session(), a_session("other")
    base = a_mapping(session)
    apart = [
        base,
        replace(base, origin="http://host:443", conversation_id="by scheme"),
        replace(base, origin="https://host:444", conversation_id="by port"),
        replace(base, protocol="chat", conversation_id="by protocol"),
        replace(base, principal="someone", conversation_id="by principal"),
        replace(base, session_id=other.id, conversation_id="by session"),
    ]
    async with opened(history) as store:
        await store.create(session)
        await store.create(other)
        for mapping in apart:
            await keep(store, session if mapping.session_id == session.id else other, mapping)
        assert [await get(store, mapping) for mapping in apart] == apart
        newer = replace(base, conversation_id="newer", depth=4, issued_at=NOW + 1, used_at=NOW + 1)
        await keep(store, session, newer)
        assert [await get(store, mapping) for mapping in apart] == [newer, *apart[1:]]
        assert await store.conversations.get(session.id, "https://elsewhere", "responses", "") is None


async def test_a_conversation_used_again_keeps_the_time_it_was_issued(history: Path) -> None:
    session = a_session()
    first = a_mapping(session)
    async with opened(history) as store:
        await keep(store, session, first, replace(first, depth=1, issued_at=NOW + 9, used_at=NOW + 9))
        assert await get(store, first) == replace(first, depth=1, used_at=NOW + 9)
        gone = replace(first, conversation_id="another", depth=2, issued_at=NOW + 20, used_at=NOW + 20)
        await keep(store, session, gone)
        assert await get(store, first) == gone


async def test_one_that_knows_less_takes_no_ones_place(history: Path) -> None:
    """A window that was taken over, and wakes, saves the end of its answer after those that came since."""
    session = a_session()
    newer = a_mapping(session, "of the one that took over", depth=2)
    async with opened(history) as store:
        slept = await store.begin(a_turn(session, "slept"), session)
        await store.save(said(slept, "hi", status=TurnStatus.INTERRUPTED), slept, session)
        later = await told(store, session)
        assert await store.save(later, later, session, newer)
        done = said(slept, "hi", status=TurnStatus.DONE)
        assert await store.save(done, None, session, a_mapping(session, "of the one that slept", depth=0))
        assert await get(store, newer) == newer


@pytest.mark.parametrize("state", list(MappingState))
async def test_its_state_is_kept(history: Path, state: MappingState) -> None:
    session = a_session()
    mapping = a_mapping(session, state=state)
    async with opened(history) as store:
        await keep(store, session, mapping)
    async with opened(history) as store:
        assert await get(store, mapping) == mapping
        change(history, "UPDATE conversations SET state = 'unheard of'")
        assert await get(store, mapping) == replace(mapping, state=MappingState.DETACHED)


async def test_all_of_them_with_the_labels_of_their_sessions(history: Path) -> None:
    first, second, gone = (a_session(label) for label in ("first", "second", "gone"))
    kept = [a_mapping(first, "one", used_at=NOW + 1), a_mapping(second, "two", used_at=NOW + 2)]
    async with opened(history) as store:
        await keep(store, first, kept[0])
        await keep(store, second, kept[1])
        await keep(store, gone, a_mapping(gone, "three"))
        await store.update(gone.id, deleted_at=NOW)
        assert await store.conversations.all() == [("second", kept[1]), ("first", kept[0])]
        await store.update(first.id, label="renamed")
        assert await store.conversations.all() == [("second", kept[1]), ("renamed", kept[0])]


async def test_a_conversation_belongs_to_the_branch_it_was_held_on(history: Path) -> None:
    session = a_session()
    mapping = a_mapping(session)
    async with opened(history) as store:
        await keep(store, session, mapping)
        change(
            history,
            f"INSERT INTO branches SELECT 'fork', '{session.id}', branch_id, 1 FROM sessions",
            "UPDATE sessions SET branch_id = 'fork'",
        )
        assert await get(store, mapping) is None
        assert await store.conversations.all() == []


@pytest.mark.fault("D34")
async def test_an_id_sqlite_cannot_keep_is_mended(history: Path) -> None:
    session = a_session()
    mapping = a_mapping(session, "a\ud800b\x00c")
    async with opened(history) as store:
        await keep(store, session, mapping)
        assert await get(store, mapping) == replace(mapping, conversation_id="a\ufffdb\u2400c")


@pytest.mark.fault("D20", "D21")
async def test_one_that_cannot_be_read_is_as_it_was_known_last(history: Path) -> None:
    session, other = a_session(), a_session("other")
    async with opened(history) as store:
        point, later = a_mapping(session, "point"), a_mapping(session, "later", depth=2)
        await told(store, session, "one")
        await store.conversations.keep(point)
        late = await store.begin(a_turn(session, "two"), session)
        with unreadable(history):
            assert await get(store, point) == point
        await store.begin(a_turn(session, "zwei"), session, at=1)
        with unreadable(history):
            # The session is on another branch, of which nothing is known.
            assert await get(store, point) is None
            with pytest.raises(StoreError, match="History cannot be read"):
                await store.conversations.get(*key(point), must_read=True)
        assert await get(store, point) is None
        await store.save(said(late, "late", status=TurnStatus.DONE), late, session, later)
        with unreadable(history):
            assert await store.conversations.get(*key(point), must_read=True) is None
        await store.branches.choose(session.id, late.id)
        with unreadable(history), pytest.raises(StoreError):
            await store.conversations.get(*key(point), must_read=True)
        assert await get(store, point) == later
        with unreadable(history):
            assert await get(store, point) == later
            assert await get(store, a_mapping(other)) is None


@pytest.mark.fault("D05", "D43")
async def test_one_is_let_go_of_in_memory_while_that_cannot_be_written(history: Path, disk: Disk) -> None:
    session = a_session()
    mapping = a_mapping(session)
    gone = replace(mapping, state=MappingState.DETACHED)
    async with opened(history) as store:
        await told(store, session)
        await store.conversations.keep(mapping)
        async with disk.broken(store):
            await store.conversations.let_go(mapping)
            assert store.health.unsaved
            assert await get(store, mapping) == gone
        await store._heal()
        assert not store.health.message
        assert await get(store, mapping) == gone
        await store.conversations.keep(mapping)
        await store.conversations.let_go(mapping)
        with unreadable(history):
            assert await get(store, mapping) == gone
