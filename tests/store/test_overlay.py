"""What could not be written: shown with the rest while it waits, and written in order, whole and once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.conftest import Disk
from tests.store.histories import (
    NOW,
    a_mapping,
    a_session,
    a_turn,
    change,
    found,
    is_whole,
    opened,
    rows,
    said,
    told,
)
from tests.store.other import Other
from tui.errors import LabelTaken, SessionBusy
from tui.model import HolderKind, Item, ItemKind, Scroll, TitleSource, TurnStatus
from tui.store import overlay
from tui.store.overlay import Overlay


async def test_a_session_that_is_not_saved_is_there(history: Path, disk: Disk) -> None:
    async with opened(history) as store:
        kept = await store.create(a_session("kept"))
        async with disk.broken(store):
            session = a_session("new", draft="d")
            assert await store.create(session) == session
            with pytest.raises(LabelTaken):
                await store.create(a_session("new"))
            with pytest.raises(LabelTaken):
                await store.create(a_session("kept"))
            assert [one.label for one in await store.sessions()] == ["new", "kept"]
            assert await store.session(session.id) == await store.find("new") == await store.last() == session
            changed = await store.update(session.id, label="newer", scroll=Scroll(1, 2, 3, at_end=False))
            assert changed == replace(session, label="newer", scroll=Scroll(1, 2, 3, at_end=False))
            assert await store.find("new") is None
            assert await store.find("newer") == changed
            with pytest.raises(LabelTaken):
                await store.update(session.id, label="kept")
            assert await store.update(session.id, deleted_at=NOW) == replace(changed, deleted_at=NOW)
            assert await store.sessions() == [kept]
            assert [one.label for one in await store.sessions(deleted=True)] == ["newer"]
            await store.update(session.id, deleted_at=None)
        await store._heal()
        assert not store.health.unsaved
        assert [one.label for one in await store.sessions()] == ["newer", "kept"]
        assert rows(history, "SELECT label, draft FROM sessions ORDER BY label") == [("kept", ""), ("newer", "d")]


async def test_changes_that_are_not_saved_are_seen_everywhere(history: Path, disk: Disk) -> None:
    first, second = a_session("first"), a_session("second")
    async with opened(history) as store:
        await store.create(first)
        await store.create(second)
        async with disk.broken(store):
            await store.update(first.id, label="renamed", draft="typing")
            await store.update(first.id, draft="typing on")
            await store.update(second.id, deleted_at=NOW)
            expected = replace(first, label="renamed", draft="typing on")
            assert await store.session(first.id) == await store.find("renamed") == expected
            assert await store.find("first") is await store.find("second") is None
            assert await store.find("second", deleted=True) == replace(second, deleted_at=NOW)
            assert await store.sessions() == [expected]
            assert await store.sessions(deleted=True) == [replace(second, deleted_at=NOW)]
            with pytest.raises(LabelTaken):
                await store.create(a_session("renamed"))
            await store.create(a_session("first"))
        await store._heal()
        assert rows(history, "SELECT label, draft, deleted_at FROM sessions ORDER BY label") == [
            ("first", "", None),
            ("renamed", "typing on", None),
            ("second", "", NOW),
        ]


async def test_changes_that_are_saved_late_do_not_move_a_session(history: Path, disk: Disk) -> None:
    first, last = a_session("first"), a_session("last")
    async with opened(history) as store:
        await store.create(first)
        await store.create(last)
        async with disk.broken(store):
            await store.update(first.id, title="late", label="renamed")
        await store._heal()
        assert not store.health.unsaved
        assert [(one.label, one.title) for one in await store.sessions()] == [("last", ""), ("renamed", "late")]


async def test_turns_that_are_not_saved_are_seen_everywhere(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        saved = await told(store, session, "p0", "a0")
        async with disk.broken(store):
            begun = await store.begin(a_turn(session, "p1"), session)
            assert begun.depth == 1
            half = said(begun, "half")
            assert not await store.save(half, begun, session)
            assert await store.turns(session.id) == [replace(saved, attempts=()), half]
            done = said(begun, "half and half", status=TurnStatus.DONE)
            assert not await store.save(done, half, session, a_mapping(session))
            second = await store.begin(a_turn(session, "p2"), session)
            assert second.depth == 2
            assert await store.turn(begun.id) == done
            assert [turn.prompt for turn in await store.turns(session.id)] == ["p0", "p1", "p2"]
            assert [turn.prompt for turn in await store.turns(session.id, 1, 2)] == ["p1"]
            assert await store.prompts(session.id) == ["p0", "p1", "p2"]
            assert await store.count(session.id) == 3
            assert await store.conversations.get(session.id, "https://host:443", "responses", "") == a_mapping(session)
            listed = await store.session(session.id)
            assert listed is not None
            assert (listed.turns, listed.last_status) == (3, TurnStatus.PENDING)
        assert rows(history, "SELECT text FROM messages") == [("p0",), ("a0",)]
        assert await store.save(said(second, "a2", status=TurnStatus.DONE), second, session)
        assert not store.health.unsaved
        assert [text for (text,) in rows(history, "SELECT text FROM messages ORDER BY position")] == [
            "p0", "a0", "p1", "half and half", "p2", "a2",
        ]  # fmt: skip
        assert await store.conversations.get(session.id, "https://host:443", "responses", "") == a_mapping(session)
        assert found(history, "half") == ["half and half"]
    assert is_whole(history)


async def test_what_waited_goes_before_what_comes(history: Path, disk: Disk) -> None:
    """Whatever is written next, it finds on disk what was said before it."""
    session = a_session()
    async with opened(history) as store:
        async with disk.broken(store):
            for number in range(3):
                await told(store, session, f"p{number}", f"a{number}")
        last = await store.begin(a_turn(session, "p3"), session)
        assert last.depth == 3
        assert [turn.prompt for turn in await store.turns(session.id)] == ["p0", "p1", "p2", "p3"]
        assert rows(history, "SELECT depth FROM turns ORDER BY depth") == [(0,), (1,), (2,), (3,)]
        assert store.health.message == ""


async def test_what_waited_never_goes_over_what_is_newer(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        half = said(begun, "half")
        async with disk.broken(store):
            await store.save(half, begun, session, a_mapping(session, "older"))
            await store.update(session.id, draft="older", model="m")
        healing = asyncio.ensure_future(store._heal())
        done = said(begun, "half and half", status=TurnStatus.DONE)
        newer = a_mapping(session, "newer", used_at=NOW + 1)
        await asyncio.gather(store.save(done, half, session, newer), store.update(session.id, draft="newer"), healing)
        assert await store.turns(session.id) == [done]
        kept = await store.session(session.id)
        assert kept is not None
        assert (kept.draft, kept.model, kept.last_status) == ("newer", "m", TurnStatus.DONE)
        mapping = await store.conversations.get(session.id, "https://host:443", "responses", "")
        assert mapping is not None
        assert mapping.conversation_id == "newer"
        assert not store.health.unsaved
    assert is_whole(history)


async def test_a_turn_that_goes_on_after_it_was_written_late_is_not_doubled(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        one = said(begun, "one")
        await store.save(one, begun, session)
        async with disk.broken(store):
            assert not await store.save(said(begun, "one two"), one, session)
        await store._heal()
        # The caller still believes that `one` was the last thing written.
        assert await store.save(said(begun, "one two three"), one, session)
        assert rows(history, "SELECT text FROM messages WHERE role = 'assistant'") == [("one two three",)]
        (turn,) = await store.turns(session.id)
        assert turn.text == "one two three"


async def test_what_changes_while_it_is_being_written_is_not_forgotten(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        async with disk.broken(store):
            await store.create(session)
            await store.update(session.id, draft="one")

        def change(statement: str) -> None:
            # As the loop may, between the commit and the moment it hears of it.
            if statement == "COMMIT":
                store.overlay.add_changes(session.id, {"draft": "two"})

        disk.on_statement = change
        await store._heal()
        disk.on_statement = lambda _statement: None
        assert store.health.unsaved
        kept = await store.session(session.id)
        assert kept is not None
        assert kept.draft == "two"
        await store._heal()
        assert not store.health.unsaved
        assert rows(history, "SELECT draft FROM sessions") == [("two",)]


async def test_a_title_and_a_sent_draft_do_not_get_lost(history: Path, disk: Disk) -> None:
    old, new = a_session("old", draft="hello"), a_session("new")
    async with opened(history) as store:
        await store.create(old)
        async with disk.broken(store):
            for session in (old, new):
                await store.begin(a_turn(session, "hello"), session, "A title")
        await store._heal()
        for session in (old, new):
            kept = await store.session(session.id)
            assert kept is not None
            assert (kept.title, kept.title_source, kept.draft) == ("A title", TitleSource.GENERATED, "")


async def test_a_label_taken_meanwhile_gets_a_number(history: Path, disk: Disk) -> None:
    mine, renamed = a_session("work"), a_session("plain")
    async with opened(history) as store, opened(history) as other:
        await store.create(renamed)
        async with disk.broken(store):
            await told(store, mine, "hello", "hi")
            await store.update(renamed.id, label="taken", draft="d")
        await other.create(a_session("work"))
        await other.create(a_session("taken"))
        await store._heal()
        assert not store.health.unsaved
        assert [turn.text for turn in await store.turns(mine.id)] == ["hi"]
        assert rows(history, "SELECT label, draft FROM sessions ORDER BY label") == [
            ("plain", "d"),
            ("taken", ""),
            ("work", ""),
            ("work-2", ""),
        ]


async def test_a_busy_session_is_still_busy(history: Path, disk: Disk) -> None:
    session, other_session = a_session(), a_session("other")
    async with opened(history) as store, opened(history) as other:
        await other.begin(a_turn(session), session)
        async with disk.broken(store):
            await told(store, other_session, "kept", "in memory")
        with pytest.raises(SessionBusy):
            await store.begin(a_turn(session), session)
        assert store.health.unsaved
        await store._heal()
        assert [turn.text for turn in await other.turns(other_session.id)] == ["in memory"]


async def test_a_session_removed_by_another_hand_comes_back_with_its_unsaved_turn(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        async with disk.broken(store):
            await store.save(said(begun, "hi", status=TurnStatus.DONE), begun, session)
        change(history, "DELETE FROM items", "DELETE FROM turns", "DELETE FROM sessions", "DELETE FROM branches")
        await store._heal()
        assert rows(history, "SELECT session, text FROM messages") == [("work", "hello"), ("work", "hi")]


@pytest.mark.fault("D21")
def test_memory_has_a_limit_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "LIMIT", 1000)
    session = a_session()
    kept = Overlay()
    running = replace(a_turn(session, "r" * 100), status=TurnStatus.STREAMING)
    kept.add_turn(running, session)
    finished = []
    for number in range(5):
        item = Item("m", ItemKind.MESSAGE, "x" * 300)
        finished.append(replace(a_turn(session, depth=number + 1), items=(item,), status=TurnStatus.DONE))
        kept.add_turn(finished[-1], session)
    assert list(kept.turns.values()) == [running, finished[3], finished[4]]
    huge = replace(a_turn(session, "h" * 5000, depth=9), status=TurnStatus.DONE)
    kept.add_turn(huge, session)
    assert list(kept.turns.values()) == [running, huge]
    assert kept.given_up == 5


@pytest.mark.fault("D21")
async def test_turns_that_memory_had_no_room_for_are_told_of(
    history: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "LIMIT", 1000)
    session = a_session()
    async with opened(history) as store:
        async with disk.broken(store):
            await told(store, session, "one", "x" * 600)
            assert "given up" not in store.health.message
            await told(store, session, "two", "x" * 600, depth=1)
            assert store.health.message.endswith("Memory has no room for all of it: 1 turn is given up.")
            await told(store, session, "three", "x" * 600, depth=2)
            assert store.health.message.endswith("Memory has no room for all of it: 2 turns are given up.")
        await store._heal()
        assert store.health.message == ""
        assert store.health.notices == (
            "2 turns are not in the history: memory had no room for them while it could not be written.",
        )
        assert [one.prompt for one in await store.turns(session.id)] == ["three"]


async def test_a_first_label_that_is_taken_is_refused(history: Path, disk: Disk) -> None:
    async with opened(history) as store:
        await store.create(a_session("kept"))
        async with disk.broken(store):
            with pytest.raises(LabelTaken):
                await store.create(a_session("kept"))
        assert [one.label for one in await store.sessions()] == ["kept"]


@pytest.mark.parametrize("is_broken", [True, False])
async def test_the_profile_chosen_last_is_the_next_turns(history: Path, disk: Disk, is_broken: bool) -> None:
    """A turn gives its session its own profile as it begins, not later: another one may be chosen while it is answered."""
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "one", profile="first")
        if is_broken:
            await disk.protect(store)
        begun = await store.begin(a_turn(session, "two", profile="second", created_at=NOW - 60), session)
        now = await store.session(session.id)
        assert now is not None
        assert (now.profile, now.last_turn_at) == ("second", NOW)
        await store.update(session.id, profile="third")
        await store.save(said(begun, "hi", status=TurnStatus.DONE), begun, session)
        for _ in range(2):
            now = await store.session(session.id)
            assert now is not None
            assert now.profile == "third"
            await disk.mend(store)
            await store._heal()


async def test_a_session_spoken_in_meanwhile_is_the_one_used_last(history: Path, disk: Disk) -> None:
    old, new = a_session("old"), a_session("new")
    async with opened(history) as store:
        await told(store, old)
        await told(store, new)
        async with disk.broken(store):
            await told(store, old, "again")
        await store._heal()
        assert [one.label for one in await store.sessions()] == ["old", "new"]


async def test_what_is_saved_late_of_another_branch_is_not_shown_on_this_one(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session)
        left = await store.begin(a_turn(session, "left"), session)
        here = await store.begin(a_turn(session, "here"), session, at=0)
        async with disk.broken(store):
            assert not await store.save(said(left, "late", status=TurnStatus.CANCELLED), left, session)
            assert [turn.prompt for turn in await store.turns(session.id)] == ["here"]
            assert await store.prompts(session.id) == ["here"]
            assert await store.count(session.id) == 1
            shown = await store.session(session.id)
            assert shown is not None
            assert (shown.turns, shown.last_status) == (1, TurnStatus.PENDING)
        assert await store.save(said(here, "now", status=TurnStatus.DONE), here, session)
        assert not store.health.unsaved
        assert not store.overlay.elsewhere
        assert await store.branches.variants(session.id)
    assert found(history, "late") == ["late"]


async def test_the_clock_set_back_meanwhile_makes_no_session_older(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        async with disk.broken(store):
            await told(store, session, created_at=NOW + 200.0)
            await told(store, session, created_at=NOW + 100.0)
            unsaved = await store.session(session.id)
        await store._heal()
        assert await store.session(session.id) == unsaved
        assert unsaved is not None
        assert (unsaved.last_turn_at, unsaved.turns) == (NOW + 200.0, 2)


# What a command names while the history cannot be read


@pytest.fixture
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)


@pytest.mark.fault("D20", "D43")
@pytest.mark.parametrize("is_free_before", [True, False], ids=["before its turn", "after it"])
@pytest.mark.usefixtures("in_no_time")
async def test_what_a_command_says_in_a_session_of_a_locked_history_is_kept_in_that_session(
    history: Path, is_free_before: bool
) -> None:
    async with opened(history) as store:
        await told(store, a_session("work"), "hello", "one")
    with Other(history) as other:
        other.do("hold")
        async with opened(history, kind=HolderKind.ASK) as store:
            assert not store.is_readable
            session = await store.create(a_session("work"))
            if is_free_before:
                other.do("let_go")
            begun = await store.begin(a_turn(session, "more"), session)
            assert begun.session_id == session.id
            if not is_free_before:
                other.do("let_go")
            half = said(begun, "tw")
            assert await store.save(half, begun, session)
            await store.leases.beat(session.id, begun.id)
            kept = store.kept_in[session.id]
            assert rows(history, "SELECT session_id, turn_id FROM leases") == [(kept.id, begun.id)]
            assert await store.save(said(half, "two", status=TurnStatus.DONE), half, session)
            assert not store.health.unsaved
    assert rows(history, "SELECT session, text, status FROM messages") == [
        ("work", "hello", "done"),
        ("work", "one", "done"),
        ("work", "more", "done"),
        ("work", "two", "done"),
    ]
    assert rows(history, "SELECT label FROM sessions") == [("work",)]
    assert rows(history, "SELECT depth FROM turns ORDER BY depth") == [(0,), (1,)]
    assert rows(history, "SELECT count(*) FROM leases") == [(0,)]
    assert is_whole(history)


@pytest.mark.fault("D20", "D43")
@pytest.mark.usefixtures("in_no_time")
async def test_where_another_answers_in_that_session_it_is_kept_beside_it(history: Path) -> None:
    with Other(history) as other, Other(history) as third:
        other.do("open")
        other.do("begin", "work", "hello")
        third.do("hold")
        async with opened(history, kind=HolderKind.ASK) as store:
            session = await store.create(a_session("work"))
            third.do("let_go")
            begun = await store.begin(a_turn(session, "more"), session)
            assert await store.save(said(begun, "two", status=TurnStatus.DONE), begun, session)
            assert store.kept_in[session.id].label == "work-2"
        other.do("say", "work", "one", "done")
    assert rows(history, "SELECT session, text FROM messages ORDER BY session, position") == [
        ("work", "hello"),
        ("work", "one"),
        ("work-2", "more"),
        ("work-2", "two"),
    ]


@pytest.mark.fault("D08")
async def test_a_session_whose_making_failed_after_it_was_made_is_not_in_its_own_way(history: Path, disk: Disk) -> None:
    async with opened(history) as store:
        session = await store.create(a_session("work"))
        await disk.protect(store)
        assert (await store.create(session)).id == session.id
        await disk.mend(store)
        await store._heal()
        assert store.health.message == ""
        assert [(one.id, one.label) for one in await store.sessions()] == [(session.id, "work")]


async def test_a_session_restored_while_nothing_can_be_written(history: Path, disk: Disk) -> None:
    first, second, archived, here = a_session(), a_session(), a_session("other", archived_at=NOW), a_session("here")
    async with opened(history) as store, opened(history) as other:
        for session in (first, second, archived, here):
            await store.create(session)
            if session.label == "work":
                await store.update(session.id, deleted_at=NOW)
        async with disk.broken(store):
            # Where nothing has to be written, nothing is amiss.
            assert await store.restore(here.id, from_archive=True) == here
            assert await store.restore(archived.id) == archived
            assert await store.restore("no-such-id") is None
            assert (store.health.message, store.health.unsaved) == ("", False)
            expected = [first, replace(second, label="work-2"), replace(archived, archived_at=None)]
            for _ in range(2):
                restored = [await store.restore(one.id, from_archive=True) for one in (first, second, archived)]
                assert restored == expected
            assert store.health.unsaved
            assert await other.find("work") is None
        await store._heal()
        assert not store.health.unsaved
        assert [await other.session(one.id) for one in (first, second, archived)] == expected


async def test_a_session_brought_back_under_a_label_that_is_taken(history: Path, disk: Disk) -> None:
    """While nothing can be written it is refused like at any time; taken by another window meanwhile, it gets a number."""
    async with opened(history) as store, opened(history) as other:
        gone = await store.create(a_session("work"))
        await store.update(gone.id, deleted_at=NOW)
        there = await store.create(a_session("work"))
        await disk.protect(store)
        with pytest.raises(LabelTaken):
            await store.update(gone.id, deleted_at=None)
        await store.update(gone.id, label="play")
        await store.update(gone.id, label="work")
        await store.update(there.id, label="another")
        await store.update(gone.id, deleted_at=None)
        disk._state = ()
        await other.create(a_session("play"))
        await disk.mend(store)
        await store._heal()
        assert store.health.message == ""
        assert sorted(one.label for one in await store.sessions()) == ["another", "play", "work"]
        await store.update(gone.id, deleted_at=NOW)
        await disk.protect(store)
        await store.update(gone.id, deleted_at=None)
        disk._state = ()
        await other.create(a_session("work"))
        await disk.mend(store)
        await store._heal()
        assert store.health.message == ""
        assert sorted(one.label for one in await store.sessions()) == ["another", "play", "work", "work-2"]


async def test_a_turn_that_was_begun_though_that_was_reported_to_have_failed_has_its_place(
    history: Path, disk: Disk
) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "one")
        disk.lied_about = "COMMIT"
        begun = await store.begin(a_turn(session, "two"), session)
        assert disk.lied_about == ""
        assert begun.depth == 1
        mapping = a_mapping(session, "of two", depth=1)
        assert await store.save(said(begun, "yes", status=TurnStatus.DONE), begun, session, mapping)
        assert [(one.prompt, one.depth) for one in await store.turns(session.id)] == [("one", 0), ("two", 1)]
        assert await store.conversations.all() == [(session.label, mapping)]
