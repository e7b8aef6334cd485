"""Branches of a session: made with a turn, told of, gone back to, and nothing lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.conftest import Disk
from tests.store.histories import NOW, a_mapping, a_session, a_turn, opened, rows, said, told
from tui.errors import SessionBusy, StoreError
from tui.model import Branch, Session, Turn, TurnStatus, Variants, new_id
from tui.store import Store


async def instead(store: Store, session: Session, at: int, prompt: str) -> Turn:
    """A finished turn in the place of the one at depth `at`."""
    turn = await store.begin(a_turn(session, prompt), session, at=at)
    ended = said(turn, f"re: {prompt}", status=TurnStatus.DONE)
    assert await store.save(ended, turn, session)
    return ended


async def prompts(store: Store, session: Session) -> list[str]:
    return [turn.prompt for turn in await store.turns(session.id)]


async def test_what_comes_after_the_place_stays_on_a_branch_of_its_own(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        old = [await told(store, session, prompt) for prompt in ("one", "two", "three")]
        new = await instead(store, session, 1, "zwei")
        assert await prompts(store, session) == ["one", "zwei"]
        assert await store.count(session.id) == 2
        found = await store.session(session.id)
        assert found is not None
        assert (found.turns, found.last_status) == (2, TurnStatus.DONE)
        assert await store.branches.variants(session.id) == {1: Variants((old[1].id, new.id), 1)}
        chosen = await store.branches.choose(session.id, old[1].id)
        assert (chosen.turns, chosen.branch != found.branch) == (3, True)
        assert await prompts(store, session) == ["one", "two", "three"]
        assert await store.branches.variants(session.id) == {1: Variants((old[1].id, new.id), 0)}
        await told(store, session, "four")
        assert await prompts(store, session) == ["one", "two", "three", "four"]
        await store.branches.choose(session.id, new.id)
        assert await prompts(store, session) == ["one", "zwei"]
    async with opened(history) as store:
        assert await prompts(store, session) == ["one", "zwei"]


async def test_an_answer_that_is_saved_late_is_of_its_own_branch(history: Path) -> None:
    """A session is free before an answer's last words are on disk, so it may be on another branch by then."""
    session = a_session()
    async with opened(history) as store:
        one = await told(store, session, "one")
        two = await told(store, session, "two")
        late = await store.begin(a_turn(session, "three"), session)
        zwei = await store.begin(a_turn(session, "zwei"), session, at=1)
        point = a_mapping(session, "resp_one", depth=0)
        await store.conversations.keep(point)
        ended = said(late, "re: three", status=TurnStatus.DONE)
        assert await store.save(ended, late, session, a_mapping(session, "resp_three", depth=2))
        found = await store.session(session.id)
        assert found is not None
        assert (found.turns, found.last_status) == (2, TurnStatus.PENDING)
        assert await store.conversations.get(session.id, point.origin, point.protocol, "") == point
        await store.branches.choose(session.id, two.id)
        kept = await store.conversations.get(session.id, point.origin, point.protocol, "")
        assert kept is not None
        assert kept.conversation_id == "resp_three"
        await store.branches.choose(session.id, zwei.id)
        await store.branches.choose(session.id, one.id)
    # What a crash cut short does not tell of a session that is on another branch either.
    async with opened(history) as store:
        await store.branches.choose(session.id, two.id)
        found = await store.session(session.id)
        assert found is not None
        assert (found.turns, found.last_status) == (3, TurnStatus.DONE)


async def test_branches_of_branches(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        one, two = [await told(store, session, prompt) for prompt in ("one", "two")]
        b = await instead(store, session, 1, "b")
        await told(store, session, "c")
        uno = await instead(store, session, 0, "uno")
        assert await prompts(store, session) == ["uno"]
        assert await store.branches.variants(session.id) == {0: Variants((one.id, uno.id), 1)}
        await told(store, session, "due")
        await store.branches.choose(session.id, two.id)
        third = await instead(store, session, 1, "third")
        assert await store.branches.variants(session.id) == {
            0: Variants((one.id, uno.id), 0),
            1: Variants((two.id, b.id, third.id), 2),
        }
        # Of several branches through a turn, the one said something in last.
        await store.branches.choose(session.id, uno.id)
        assert await prompts(store, session) == ["uno", "due"]
        await store.branches.choose(session.id, one.id)
        assert await prompts(store, session) == ["one", "third"]
        await store.branches.choose(session.id, b.id)
        assert await prompts(store, session) == ["one", "b", "c"]


async def test_a_session_tells_how_the_last_turn_of_its_branch_stands(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        one = await told(store, session, "one")
        two = await store.begin(a_turn(session, "two"), session)
        await store.save(said(two, status=TurnStatus.FAILED), two, session)
        zwei = await instead(store, session, 1, "zwei")
        statuses = [(await store.branches.choose(session.id, turn.id)).last_status for turn in (two, zwei)]
        assert statuses == [TurnStatus.FAILED, TurnStatus.DONE]
        await instead(store, session, 0, "uno")
        assert (await store.branches.choose(session.id, one.id)).last_status is TurnStatus.DONE


async def test_every_branch_is_listed_with_where_it_parts(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        assert await store.branches.of(session.id) == []
        for number, prompt in enumerate(("one", "two", "three")):
            three = await told(store, session, prompt, created_at=NOW + number)
        zwei = await instead(store, session, 1, "zwei")
        uno = await store.begin(a_turn(session, "uno", created_at=NOW + 9), session, at=0)
        await told(store, a_session("other"), "elsewhere")
        first = Branch(three.id, 1, 3, "one", NOW + 2, is_present=False)
        second = Branch(zwei.id, 2, 2, "zwei", NOW, is_present=False)
        third = Branch(uno.id, 1, 1, "uno", NOW + 9, is_present=True)
        assert await store.branches.of(session.id) == [first, second, third]
        await store.save(said(uno, status=TurnStatus.FAILED), uno, session)
        await store.branches.choose(session.id, zwei.id)
        assert [one.is_present for one in await store.branches.of(session.id)] == [False, True, False]


async def test_a_turn_at_the_end_makes_no_branch(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "one")
        await instead(store, session, 1, "two")
        assert await store.branches.variants(session.id) == {}
        assert rows(history, "SELECT count(*) FROM branches") == [(1,)]


async def test_a_fork_has_branches_of_its_own(history: Path) -> None:
    session, fork = a_session(), a_session("fork")
    async with opened(history) as store:
        one, two = [await told(store, session, prompt) for prompt in ("one", "two")]
        fork = await store.fork(replace(fork, id=new_id()), two.id)
        new = await instead(store, fork, 1, "zwei")
        assert await prompts(store, fork) == ["one", "zwei"]
        assert await prompts(store, session) == ["one", "two"]
        assert await store.branches.variants(fork.id) == {1: Variants((two.id, new.id), 1)}
        assert await store.branches.variants(session.id) == {}
        await store.branches.choose(fork.id, one.id)
        await store.branches.choose(fork.id, two.id)
        await told(store, fork, "three")
        assert await prompts(store, fork) == ["one", "two", "three"]
        assert await prompts(store, session) == ["one", "two"]


async def test_a_fork_goes_on_from_its_turn_whatever_the_session_goes_on_with(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        one, two, three = [await told(store, session, prompt) for prompt in ("one", "two", "three")]
        zwei = await instead(store, session, 1, "zwei")
        fork = await store.fork(a_session("fork"), three.id)
        assert fork.turns == 3
        await told(store, session, "drei")
        await told(store, session, "vier")
        assert await prompts(store, fork) == ["one", "two", "three"]
        again = await store.fork(a_session("again"), one.id)
        assert await prompts(store, again) == ["one"]
        assert await prompts(store, await store.fork(a_session("other"), zwei.id)) == ["one", "zwei"]
        assert (two.depth, zwei.depth) == (1, 1)


async def test_where_the_turn_is_gone_there_is_no_fork(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session(), "one")
        with pytest.raises(StoreError, match="not in the history any more"):
            await store.fork(a_session("fork"), "gone")
        assert [one.label for one in await store.sessions()] == ["work"]


async def test_a_conversation_belongs_to_its_branch(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        for prompt in ("one", "two"):
            await told(store, session, prompt)
        await store.conversations.keep(a_mapping(session, "conv_1"))
        mapping = a_mapping(session)
        key = (session.id, mapping.origin, mapping.protocol, mapping.principal)
        await instead(store, session, 1, "zwei")
        assert await store.conversations.get(*key) is None
        (first, _) = (await store.branches.variants(session.id))[1].turn_ids
        await store.branches.choose(session.id, first)
        kept = await store.conversations.get(*key)
        assert kept is not None
        assert kept.conversation_id == "conv_1"


async def test_only_the_present_branch_is_read_by_other_programs(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        for prompt in ("one", "two", "three"):
            await told(store, session, prompt)
        await instead(store, session, 1, "zwei")
    read = rows(history, "SELECT text FROM messages WHERE role = 'user' ORDER BY position")
    assert read == [("one",), ("zwei",)]


async def test_no_branch_where_it_cannot_be_kept(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        for prompt in ("one", "two"):
            await told(store, session, prompt)
        async with disk.broken(store):
            with pytest.raises(StoreError):
                await store.begin(a_turn(session, "zwei"), session, at=1)
        assert await prompts(store, session) == ["one", "two"]
        assert await store.branches.variants(session.id) == {}


async def test_a_branch_is_not_left_while_another_window_answers_on_it(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        old = await told(store, session, "one")
        await instead(store, session, 0, "uno")
        await store.begin(a_turn(session, "two"), session)
        with pytest.raises(SessionBusy):
            await other.branches.choose(session.id, old.id)


async def test_a_message_that_is_not_there_is_not_chosen(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "one")
        elsewhere = await told(store, a_session("elsewhere"), "two")
        for turn_id in ("nothing", elsewhere.id):
            with pytest.raises(StoreError, match="no such message"):
                await store.branches.choose(session.id, turn_id)


@pytest.mark.fault("D29")
async def test_branches_are_in_the_order_they_were_made_whatever_the_clock_said(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id begins with the time, and a clock may be set back."""
    session, now = a_session(), NOW
    monkeypatch.setattr("tui.model.time.time", lambda: now)
    async with opened(history) as store:
        first = await told(store, session, "one")
        made = [first]
        for prompt in ("eins", "un"):
            now -= 3600
            made.append(await instead(store, session, 0, prompt))
        assert await store.branches.variants(session.id) == {0: Variants(tuple(one.id for one in made), 2)}
        assert [one.prompt for one in await store.branches.of(session.id)] == ["one", "eins", "un"]
        await told(store, session, "two")
        now -= 3600
        last = await instead(store, session, 1, "deux")
        await store.branches.choose(session.id, first.id)
        await store.branches.choose(session.id, made[-1].id)
        assert [turn.id for turn in await store.turns(session.id)] == [made[-1].id, last.id]
        assert await store.prompts_elsewhere("another") == ["one", "eins", "un", "two", "deux"]


async def test_a_branch_that_was_begun_though_that_was_reported_to_have_failed_is_gone_on_with(
    history: Path, disk: Disk
) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "one")
        turn = a_turn(session, "uno")
        disk.lied_about = "COMMIT"
        begun = await store.begin(turn, session, at=0)
        assert disk.lied_about == ""
        assert begun == turn
        assert await store.save(said(begun, "yes", status=TurnStatus.DONE), begun, session)
        assert [(one.prompt, one.text) for one in await store.turns(session.id)] == [("uno", "yes")]
