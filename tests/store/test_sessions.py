"""Sessions in the store: made, found, changed, put away, and in the order they were used."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.store.conftest import Disk
from tests.store.histories import NOW, a_session, a_turn, change, found, opened, rows, said, told
from tui.clock import Clock
from tui.errors import LabelTaken
from tui.model import LABEL_LIMIT, Scroll, Session, TitleSource, TurnStatus, check_label
from tui.store import Store

FULL: dict[str, Any] = {
    "title": "A title",
    "title_source": TitleSource.USER,
    "profile": "here",
    "model": "m-1",
    "pinned": True,
    "archived_at": NOW + 1,
    "unread": True,
    "draft": "half a thought\n",
    "scroll": Scroll(3, 2, 1, at_end=False),
}


async def labels(store: Store, **options: Any) -> list[str]:
    return [session.label for session in await store.sessions(**options)]


async def test_a_session_comes_back_as_it_was(history: Path) -> None:
    session = a_session(**FULL)
    async with opened(history) as store:
        assert await store.create(session) == session
        assert await store.session(session.id) == await store.find("work") == session
    async with opened(history) as store:
        assert await store.sessions() == [session]
        assert await store.session("no-such-id") is None
        assert await store.find("other") is None


@pytest.mark.parametrize(("name", "value"), [*FULL.items(), ("label", "new"), ("deleted_at", NOW)])
async def test_every_field_can_be_changed(history: Path, name: str, value: Any) -> None:
    session = a_session()
    async with opened(history) as store:
        await store.create(session)
        changed = replace(session, **{name: value})
        assert await store.update(session.id, **{name: value}) == changed
    async with opened(history) as store:
        assert await store.session(session.id) == changed


async def test_a_field_there_is_not_is_our_own_mistake(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await store.create(session)
        with pytest.raises(ValueError, match="turns"):
            await store.update(session.id, turns=5)
        assert await store.session(session.id) == session
        assert await store.update("no-such-id", pinned=True) is None


@pytest.mark.fault("L08")
async def test_labels_are_unique_among_living_sessions(history: Path) -> None:
    first, second = a_session("work"), a_session("Work")
    async with opened(history) as store:
        await store.create(first)
        await store.create(second)
        with pytest.raises(LabelTaken):
            await store.create(a_session("work"))
        with pytest.raises(LabelTaken):
            await store.update(second.id, label="work", pinned=True)
        assert await store.session(second.id) == second
        await store.update(first.id, deleted_at=NOW)
        third = await store.create(a_session("work"))
        assert await store.find("work") == third
        assert await store.find("work", deleted=True) == replace(first, deleted_at=NOW)
        with pytest.raises(LabelTaken):
            await store.update(first.id, deleted_at=None)


@pytest.mark.parametrize(
    "label", ["'; DROP TABLE sessions;--", "%", "_", '" [x]', "a\\b", "работа", "מחקר", "🦊 日本", "x" * 1024]
)
async def test_a_label_is_only_text(history: Path, label: str) -> None:
    async with opened(history) as store:
        session = await store.create(a_session(label))
        await store.create(a_session("other"))
        assert await store.find(label) == session
        assert rows(history, "SELECT label FROM sessions WHERE id = ?", session.id) == [(label,)]


async def test_what_was_put_away_can_be_brought_back(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
        await store.create(a_session("other"))
        await store.update(session.id, deleted_at=NOW)
        assert await labels(store) == ["other"]
        assert await labels(store, deleted=True) == ["work"]
        assert await store.find("work") is None
        assert await store.last() == await store.find("other")
        await store.update(session.id, deleted_at=None)
        assert await labels(store, deleted=True) == []
        assert [turn.text for turn in await store.turns(session.id)] == ["hi"]


@pytest.mark.parametrize(
    ("put_away", "from_archive", "left"),
    [
        ({}, True, {}),
        ({"deleted_at": NOW}, False, {}),
        ({"archived_at": NOW}, False, {"archived_at": NOW}),
        ({"archived_at": NOW}, True, {}),
        ({"archived_at": NOW, "deleted_at": NOW + 1}, False, {"archived_at": NOW}),
        ({"archived_at": NOW, "deleted_at": NOW + 1}, True, {}),
    ],
)
async def test_a_session_is_restored_from_where_it_is(
    history: Path, put_away: dict[str, Any], from_archive: bool, left: dict[str, Any]
) -> None:
    session = a_session(title="A title", draft="d")
    async with opened(history) as store:
        await store.create(replace(session, **put_away))
        before = await store.watch.poll(None)
        assert before is not None
        restored = await store.restore(session.id, from_archive=from_archive)
        assert restored == await store.session(session.id) == replace(session, **left)
        changes = await store.watch.poll(before.revision)
        assert (changes.sessions if changes else ()) == ((restored,) if put_away != left else ())
        assert await store.restore("no-such-id") is None


async def test_a_restored_session_is_called_otherwise_only_where_another_one_has_its_label(history: Path) -> None:
    first, second, third = (a_session() for _ in range(3))
    async with opened(history) as store:
        for session in (first, second):
            await store.create(session)
            await store.update(session.id, deleted_at=NOW)
        await store.create(third)
        assert [await store.restore(one.id) for one in (first, second, third)] == [
            replace(first, label="work-2"),
            replace(second, label="work-3"),
            third,
        ]
        for session in (first, second, third):
            assert await store.restore(session.id, from_archive=True) == await store.session(session.id)
        assert sorted(await labels(store)) == ["work", "work-2", "work-3"]


@pytest.mark.parametrize(
    "label",
    ["x" * LABEL_LIMIT, "é" * (LABEL_LIMIT // 2), "x" * (LABEL_LIMIT - 2) + "-9"],
    ids=["letters", "wide", "numbered"],
)
async def test_a_label_that_gets_a_number_is_still_one_that_can_be_typed(history: Path, disk: Disk, label: str) -> None:
    first, second, third, fourth = (a_session(label) for _ in range(4))
    async with opened(history) as store:
        for session in (first, second):
            await store.create(session)
            await store.update(session.id, deleted_at=NOW)
        await store.create(third)
        await store.begin(a_turn(fourth), fourth)
        await store.restore(first.id)
        async with disk.broken(store):
            assert await store.restore(second.id)
        named = [await store.find(check_label(one)) for one in await labels(store)]
        assert sorted(one.id for one in named if one) == sorted(one.id for one in (first, second, third, fourth))


async def test_two_windows_restore_a_session_once(history: Path) -> None:
    session = a_session()
    async with opened(history) as here, opened(history) as there:
        await here.create(session)
        await here.update(session.id, deleted_at=NOW)
        assert await there.find("work") is None
        assert await asyncio.gather(here.restore(session.id), there.restore(session.id)) == [session, session]
    assert rows(history, "SELECT label, deleted_at FROM sessions") == [("work", None)]


@pytest.mark.fault("D29")
@pytest.mark.parametrize("now", [NOW - 86400, NOW + 10 * 365 * 86400, 0.0, -1.0, 253402300799.0, 1e12])
async def test_sessions_are_in_the_order_they_were_used_whatever_the_clock_says(history: Path, now: float) -> None:
    hands = [NOW]
    clock = Clock(lambda: hands[0])
    async with opened(history, clock=clock) as store:
        sessions = {label: a_session(label, created_at=clock.now()) for label in ("a", "b", "c")}
        for session in sessions.values():
            await told(store, session, created_at=clock.now())
        assert await labels(store) == ["c", "b", "a"]
        hands[0] = now
        await told(store, sessions["a"], "again", "and again", created_at=clock.now())
        assert await labels(store) == ["a", "c", "b"]
        hands[0] = NOW
        await told(store, sessions["b"], "again", "and again", created_at=clock.now())
        await told(store, sessions["a"], "last", "of all", created_at=clock.now())
        assert await labels(store) == ["a", "b", "c"]
        assert [turn.prompt for turn in await store.turns(sessions["a"].id)] == ["hello", "again", "last"]
    async with opened(history) as store:
        assert await labels(store) == ["a", "b", "c"]
        assert len(rows(history, "SELECT created_at FROM messages")) == 12


async def test_only_using_a_session_moves_it_to_the_front(history: Path) -> None:
    first, second = a_session("first"), a_session("second")
    async with opened(history) as store:
        begun = await store.begin(a_turn(first), first)
        await told(store, second)
        await store.save(said(begun, "late", status=TurnStatus.DONE), begun, first)
        await store.update(first.id, draft="typing", unread=True, pinned=True)
        assert await labels(store) == ["second", "first"]
        await store.update(first.id, touch=True)
        assert await labels(store) == ["first", "second"]


async def test_the_session_looked_at_last(history: Path) -> None:
    first, second, third = (a_session(label) for label in ("first", "second", "third"))
    async with opened(history) as store:
        assert await store.last() is None
        for session in (first, second, third):
            await store.create(session)
        assert await store.last() == third
        await store.remember(first.id)
        assert await store.last() == first
    async with opened(history) as store:
        assert await store.last() == first
        await store.update(first.id, archived_at=NOW)
        assert await store.last() == third
        await store.update(third.id, deleted_at=NOW)
        assert await store.last() == second


async def test_a_session_tells_how_its_newest_turn_stands(history: Path) -> None:
    session = a_session()

    async def now(store: Store) -> tuple[int, float | None, TurnStatus | None]:
        found = await store.session(session.id)
        assert found is not None
        return found.turns, found.last_turn_at, found.last_status

    async with opened(history) as store:
        await store.create(session)
        assert await now(store) == (0, None, None)
        begun = await store.begin(a_turn(session, created_at=NOW + 5), session)
        assert await now(store) == (1, NOW + 5, TurnStatus.PENDING)
        growing = said(begun, "h")
        await store.save(growing, begun, session)
        assert await now(store) == (1, NOW + 5, TurnStatus.STREAMING)
        await store.save(said(begun, "hi", status=TurnStatus.CANCELLED), growing, session)
        assert await now(store) == (1, NOW + 5, TurnStatus.CANCELLED)
        await told(store, session, created_at=NOW)
        assert await now(store) == (2, NOW + 5, TurnStatus.DONE)


async def test_a_first_turn_titles_the_session_and_a_title_of_the_users_stays(history: Path) -> None:
    plain, named = a_session("plain"), a_session("named", title="Mine", title_source=TitleSource.USER)

    async def title(store: Store, session: Session) -> tuple[str, TitleSource]:
        found = await store.session(session.id)
        assert found is not None
        return found.title, found.title_source

    async with opened(history) as store:
        for session in (plain, named):
            await store.begin(a_turn(session), session, "From the prompt")
        assert await title(store, plain) == ("From the prompt", TitleSource.GENERATED)
        assert await title(store, named) == ("Mine", TitleSource.USER)
        await store.begin(a_turn(plain), plain, "From the second prompt")
        assert await title(store, plain) == ("From the prompt", TitleSource.GENERATED)


@pytest.mark.parametrize(
    ("source", "named"),
    [(TitleSource.NONE, "Apples"), (TitleSource.GENERATED, "Apples"), (TitleSource.USER, "before")],
)
async def test_a_title_made_for_a_session_never_replaces_the_users(
    history: Path, source: TitleSource, named: str
) -> None:
    session, other = a_session(title="before", title_source=source), a_session("other", title="other")
    kept = TitleSource.USER if source is TitleSource.USER else TitleSource.GENERATED
    async with opened(history) as store:
        await store.create(session)
        await store.create(other)
        before = await store.watch.poll(None)
        assert before is not None
        assert await store.name(session.id, "Apples") == replace(session, title=named, title_source=kept)
        assert await store.session(session.id) == replace(session, title=named, title_source=kept)
        assert await store.session(other.id) == other
        changes = await store.watch.poll(before.revision)
        assert changes is not None
        assert [one.id for one in changes.sessions] == [session.id] * (source is not TitleSource.USER)
        assert await store.name("no such session", "Apples") is None


@pytest.mark.parametrize(("draft", "left"), [("hello", ""), ("hello, and more", "hello, and more")])
async def test_what_was_sent_is_no_draft_any_more(history: Path, draft: str, left: str) -> None:
    session = a_session(draft=draft)
    async with opened(history) as store:
        await store.create(session)
        await store.begin(a_turn(session, "hello"), session)
        found = await store.session(session.id)
        assert found is not None
        assert found.draft == left


@pytest.mark.fault("D34")
@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\ud800b\udfff", "a\ufffdb\ufffd"), ("a\x00b", "a\u2400b"), ("\x1b[31m\u202e", "\x1b[31m\u202e")],
)
async def test_text_sqlite_cannot_keep_is_mended(history: Path, text: str, kept: str) -> None:
    session = a_session(title=text, draft=text, model=text)
    async with opened(history) as store:
        await store.create(session)
        assert await store.session(session.id) == replace(session, title=kept, draft=kept, model=kept)
        await told(store, session, text, text, profile=text, protocol=text, model=text, origin=text, finish=text)
        (turn,) = await store.turns(session.id)
        assert (turn.prompt, turn.text) == (kept, kept)
        assert {turn.profile, turn.protocol, turn.model, turn.origin, turn.finish} == {kept}
        assert await store.prompts(session.id) == [kept]
    assert found(history, "a*") == ([kept, kept] if kept.startswith("a") else [])


async def test_a_hand_in_the_file_spoils_only_what_it_touched(history: Path) -> None:
    session, other = a_session(**FULL), a_session("other")
    async with opened(history) as store:
        await store.create(session)
        await store.create(other)
        change(
            history,
            "UPDATE sessions SET scroll = '[1e999, 0, 0, true]', title_source = 'aliens', last_status = 'soon', "
            "title = CAST(x'61ff62' AS TEXT) WHERE label = 'work'",
        )
        spoilt = replace(session, scroll=Scroll(), title_source=TitleSource.NONE, title="a\ufffdb")
        assert await store.session(session.id) == spoilt
        assert await store.sessions() == [other, spoilt]
