"""Sessions that were held elsewhere, and what is told of requests: whole, once, and no more than is bearable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
from tui.account import Event
from tui.model import Attempt, AttemptKind, Session, Turn, TurnStatus


def a_thread(label: str = "work", *prompts: str, at: float = NOW, status: TurnStatus = TurnStatus.DONE) -> list[Turn]:
    elsewhere = a_session(label)
    return [
        said(a_turn(elsewhere, prompt, created_at=at - number, depth=7), f"re: {prompt}", status=status)
        for number, prompt in enumerate(prompts)
    ]


async def test_a_thread_is_taken_in_whole_and_once(history: Path) -> None:
    session = a_session(profile="p")
    thread = a_thread("work", "one", "two")
    thread[1] = replace(thread[1], status=TurnStatus.FAILED)
    async with opened(history) as store:
        taken, is_new = await store.take_in(session, thread, "llm:1", on_top=True)
        assert is_new
        assert (taken.turns, taken.last_turn_at, taken.last_status) == (2, NOW, TurnStatus.FAILED)
        expected = [replace(turn, session_id=session.id, depth=depth) for depth, turn in enumerate(thread)]
        assert await store.turns(session.id) == expected
        assert found(history, "re") == ["re: one", "re: two"]
        again = a_session("other")
        assert await store.take_in(again, thread, "llm:1", on_top=True) == (taken, False)
        await store.update(session.id, deleted_at=NOW)
        gone, is_new = await store.take_in(again, thread, "llm:1", on_top=True)
        assert (gone.id, gone.deleted_at, is_new) == (session.id, NOW, False)
        assert await store.session(again.id) is None
        other, is_new = await store.take_in(again, a_thread("x", "three"), "llm:2", on_top=True)
        assert (other.id, is_new) == (again.id, True)
    assert is_whole(history)


async def test_one_without_turns_has_neither_time_nor_status(history: Path) -> None:
    async with opened(history) as store:
        taken, _ = await store.take_in(a_session(), [], "llm:1", on_top=True)
        assert (taken.turns, taken.last_turn_at, taken.last_status) == (0, None, None)


async def test_it_stands_on_top_or_below_all_that_were_used_here(history: Path) -> None:
    async with opened(history) as store:
        await store.create(a_session("mine"))
        await store.take_in(a_session("below"), a_thread("x", "one"), "a", on_top=False)
        await store.take_in(a_session("top"), a_thread("x", "one"), "b", on_top=True)
        assert [one.label for one in await store.sessions()] == ["top", "mine", "below"]


async def test_those_below_are_in_the_order_of_their_last_turns(history: Path) -> None:
    async with opened(history) as store:
        for label, at in (("older", NOW - 500), ("newest", NOW), ("oldest", -5.0), ("old", NOW - 100)):
            await store.take_in(a_session(label, created_at=at - 10), a_thread("x", "one", at=at), label, on_top=False)
        assert [one.label for one in await store.sessions()] == ["newest", "old", "older", "oldest"]


async def test_many_of_one_name_get_the_numbers_that_are_free(history: Path) -> None:
    async def taken(number: int) -> str:
        session, _ = await store.take_in(a_session("same"), [], str(number), on_top=True)
        return session.label

    async with opened(history) as store:
        labels = ["same", *(f"same-{number}" for number in range(2, 20))]
        assert [await taken(number) for number in range(1, 20)] == labels
        await store.create(a_session("one-2"))
        one, _ = await store.take_in(a_session("one"), [], "one", on_top=True)
        two, _ = await store.take_in(a_session("one"), [], "two", on_top=True)
        assert (one.label, two.label) == ("one", "one-3")
        gone = await store.find("same-7")
        assert gone is not None
        await store.update(gone.id, deleted_at=NOW)
        assert await taken(20) in ("same-7", "same-20")


# What is told of requests


def an_attempt(number: int, kind: AttemptKind = AttemptKind.RETRY) -> Attempt:
    return Attempt(number, kind, NOW + number, NOW + number + 0.5, f"sent {number}", f"got {number}", f"why {number}")


def an_event(turn: int, number: int, kind: AttemptKind = AttemptKind.RETRY) -> Event:
    return Event(turn, kind, NOW + number, NOW + number + 0.5, f"sent {number}", f"got {number}", f"why {number}")


async def asked(history: Path, *attempts: tuple[Attempt, ...]) -> Session:
    """A session with a turn for each of the rows of attempts."""
    session = a_session()
    async with opened(history) as store:
        for row in attempts:
            begun = await store.begin(a_turn(session), session)
            await store.save(replace(said(begun, "hi", status=TurnStatus.DONE), attempts=row), begun, session)
        await told(store, a_session("other"))
    return session


async def test_requests_are_told_of_in_their_order_over_all_branches(history: Path) -> None:
    session = await asked(
        history, (an_attempt(1), an_attempt(2, AttemptKind.FRESH)), (an_attempt(3),), (an_attempt(4),)
    )
    async with opened(history) as store:
        zwei = await store.begin(a_turn(session, "zwei"), session, at=2)
        done = replace(said(zwei, "hi", status=TurnStatus.DONE), attempts=(an_attempt(5),))
        await store.save(done, zwei, session)
        first, last = (
            a_mapping(session, "conv_1", used_at=NOW),
            a_mapping(session, "conv_2", protocol="chat", used_at=NOW + 9),
        )
        await store.conversations.keep(first)
        await store.conversations.keep(last)
        change(history, "UPDATE attempts SET kind = 'some other' WHERE number = 3")
        assert await store.conversations.account(session.id) == (
            (last, first),
            (an_event(1, 1), an_event(1, 2, AttemptKind.FRESH), an_event(2, 3), an_event(3, 5)),
        )
        assert await store.conversations.account("no such session") == ((), ())


async def test_only_the_newest_thousand_requests_are_told_of(history: Path) -> None:
    session = await asked(history, tuple(map(an_attempt, range(1, 701))), tuple(map(an_attempt, range(1, 702))))
    async with opened(history) as store:
        _, events = await store.conversations.account(session.id)
    assert rows(history, "SELECT count(*) FROM attempts") == [(1401,)]
    assert len(events) == 1000
    assert (events[0], events[-1]) == (an_event(1, 402), an_event(2, 701))


async def test_a_request_that_ended_with_palaver_is_not_told_as_running(history: Path) -> None:
    session = await asked(history, (replace(an_attempt(1), outcome="", ended_at=None),))
    async with opened(history) as store:
        change(history, "UPDATE turns SET status = 'interrupted'")
        _, (event,) = await store.conversations.account(session.id)
        assert event.outcome == "cut short when Palaver ended"
        change(history, "UPDATE turns SET status = 'streaming'")
        _, (event,) = await store.conversations.account(session.id)
        assert event.outcome == ""
