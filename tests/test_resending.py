"""What the next prompt takes along, told before it is sent: it is what is sent then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chatting import Talk, talk
from tests.fake_server import CHAT_PROFILE, PROFILE, delta
from tests.test_continuity import (
    ALL_TOLD,
    ALL_TOLD_ENDED_BY_A_STOP,
    LIFETIME,
    MISSED,
    NONE_KEPT,
    NOTHING_TOLD,
    NOW,
    THREE,
    TOLD_AT_FIRST,
    mapping,
    start,
    turn,
)
from tui.config import Profile
from tui.continuity import DAY, plan, was_stopped
from tui.model import Item, ItemKind, Mapping, MappingState, Provenance, Session, Turn, TurnStatus, messages_of
from tui.resending import Resending, Said, resending_object, said_in
from tui.store import Store

PROFILES = [MISSED, NONE_KEPT, NOTHING_TOLD, TOLD_AT_FIRST, ALL_TOLD, ALL_TOLD_ENDED_BY_A_STOP]
MAPPINGS = [
    None,
    mapping(0),
    mapping(2),
    mapping(1, idle=LIFETIME + 1),
    mapping(1, state=MappingState.UNSUPPORTED),
    mapping(1, state=MappingState.DETACHED),
]


@pytest.mark.parametrize("status", [TurnStatus.DONE, TurnStatus.CANCELLED, TurnStatus.FAILED])
@pytest.mark.parametrize("known", MAPPINGS)
@pytest.mark.parametrize("replay", [True, False])
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.protocol)
async def test_what_is_planned_is_what_is_sent(
    profile: Profile, replay: bool, known: Mapping | None, status: TurnStatus
) -> None:
    profile = replace(profile, replay=replay)
    turns = [turn(0), turn(1), turn(2, status, text="half" if status is TurnStatus.CANCELLED else "")]

    async def earlier(after: int) -> list[Turn]:
        return [one for one in turns if one.depth > after]

    stopped = await was_stopped(profile, known, earlier)
    planned = plan(profile, known, was_stopped=stopped, now=NOW, lifetime=LIFETIME)
    begun = await start(profile, known, *turns)
    told = messages_of(await earlier(planned.after)) if planned.after is not None else ()
    assert begun.request.history == told
    assert begun.request.conversation_id == ("conv_1" if planned.goes_on else "")
    assert begun.is_stateless == (planned.is_stateless and profile.traits.keeps)


@pytest.mark.parametrize(
    ("profile", "known", "expected"),
    [
        (MISSED, mapping(2), (True, 2, False)),
        (MISSED, None, (False, -1, True)),
        (MISSED, mapping(2, idle=15 * DAY), (False, -1, True)),
        (MISSED, mapping(2, state=MappingState.DETACHED), (False, -1, True)),
        (NONE_KEPT, mapping(2), (False, -1, False)),
        (NOTHING_TOLD, None, (False, None, True)),
        (TOLD_AT_FIRST, mapping(0), (True, None, False)),
    ],
)
def test_when_a_conversation_is_new(
    profile: Profile, known: Mapping | None, expected: tuple[bool, int | None, bool]
) -> None:
    planned = plan(profile, known, was_stopped=False, now=NOW, lifetime=LIFETIME)
    assert (planned.goes_on, planned.after, planned.is_new) == expected


@pytest.mark.parametrize(
    ("resending", "text"),
    [
        (Resending(), ""),
        (Resending(is_new=True), ""),
        (Resending(Said(14, 20_799), True), "New conversation: 14 messages (≈ 5,200 tokens) are sent along"),
        (Resending(Said(14, 20_799)), "14 messages (≈ 5,200 tokens) are sent along"),
        (Resending(Said(1, 1)), "1 message (≈ 1 token) is sent along"),
        (Resending(Said(10_000, 41_234_567)), "10,000 messages (≈ 10,000,000 tokens) are sent along"),
        (Resending(Said(2, 9), True, False), "New conversation: it is not told what was said before"),
        (Resending(Said(2, 9), False, False), ""),
    ],
)
def test_words_for_it(resending: Resending, text: str) -> None:
    assert resending.text == text


def test_scripts_get_numbers() -> None:
    told = Resending(Said(14, 20_799), True)
    assert resending_object(told) == {"new_conversation": True, "messages": 14, "estimated_tokens": 5200}
    untold = replace(told, is_told=False)
    assert resending_object(untold) == {"new_conversation": True, "messages": 0, "estimated_tokens": 0}


def a_turn(session: Session, depth: int, status: TurnStatus, *items: Item) -> Turn:
    return Turn(f"t{depth}", session.id, depth, f"prömpt {depth}", status, items, 1.0, ended_at=2.0)


async def test_the_history_counts_what_a_server_may_be_told(history: Path) -> None:
    """The sums of SQL are those of the messages themselves, for every kind of turn."""
    store, session = Store(history), Session("s", "work", created_at=1.0)
    message, other = Item("m", ItemKind.MESSAGE, "übrig"), Item("n", ItemKind.MESSAGE, "€")
    thought, empty = Item("r", ItemKind.REASONING, "thought"), Item("e", ItemKind.MESSAGE, "")
    turns = [
        a_turn(session, 0, TurnStatus.DONE, thought, message),
        a_turn(session, 1, TurnStatus.CANCELLED),
        a_turn(session, 2, TurnStatus.INTERRUPTED, thought, empty),
        a_turn(session, 3, TurnStatus.CANCELLED, message),
        a_turn(session, 4, TurnStatus.FAILED, message),
        a_turn(session, 5, TurnStatus.DONE),
        a_turn(session, 6, TurnStatus.DONE, message, thought),
    ]
    await store.open()
    try:
        for one in turns:
            await store.save(one, None, session)
        for first in range(8):
            for last in range(first, 8):
                assert await store.said("s", first, last) == said_in(turns[first:last]), (first, last)
        assert await store.said("s", 0, 7) == Said(7, 4 * len("prömpt 0".encode()) + 3 * len("übrig".encode()))
        two = a_turn(session, 7, TurnStatus.DONE, message, other)
        await store.save(two, None, session)
        assert await store.said("s", 7, 8) == Said(2, 9 + 6 + 3)
    finally:
        await store.close()


async def told(t: Talk, session: Session) -> Resending:
    """What is told of a session as the history has it now."""
    return await t.chat.conversations.resending(await t.chat.find(session.label) or session)


async def test_a_conversation_that_goes_on_takes_nothing_along(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        assert await told(t, session) == Resending(is_new=True)
        await t.answered(session, "one", "first", "resp_1")
        assert await told(t, session) == Resending()


async def test_one_let_go_of_or_too_old_is_told_everything(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        await t.answered(session, "one", "first", "resp_1")
        await t.answered(session, "two", "second", "resp_2")
        assert await t.chat.conversations.forget(session)
        everything = Resending(Said(4, len("onefirsttwosecond")), True)
        assert await told(t, session) == everything
        t.chat.send(session, "three")
        exchange = await t.server.request()
        assert [one["content"] for one in exchange.json["input"]] == ["one", "first", "two", "second", "three"]
        t.chat.cancel(session.id)
        await t.chat.settled(session.id)
        assert await told(t, session) == everything
    async with talk(history, ttl=0.0) as t:
        await t.answered(session, "four", "fourth", "resp_4")
        assert (await told(t, session)).said.messages == 6


async def test_only_what_is_new_is_counted_again_and_every_branch_by_itself(history: Path) -> None:
    async with talk(history, CHAT_PROFILE) as t:

        async def say(prompt: str, text: str, **send: object) -> None:
            t.chat.send(await t.chat.open("work"), prompt, **send)  # type: ignore[arg-type]
            exchange = (await t.server.request()).respond()
            exchange.event({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}).end()
            await t.chat.settled(session.id)

        session = await t.chat.open("work")
        for number in range(4):
            await say(f"p{number}", "answer")
            assert await told(t, session) == Resending(Said(2 * (number + 1), 8 * (number + 1)))
        await say("P", "a", at=1)
        assert await told(t, session) == Resending(Said(4, 8 + 2))
        first, *_ = [one for one in await t.chat.branches(session.id) if not one.is_present]
        await t.chat.choose(session.id, first.turn_id)
        assert await told(t, session) == Resending(Said(8, 32))


async def test_of_someone_elses_nothing_is_sent_and_of_an_imported_one_everything(history: Path) -> None:
    async with talk(history) as t:
        turns = [replace(one, session_id="") for one in THREE]
        for provenance, expected in (
            (Provenance.FOREIGN, Resending()),
            (Provenance.IMPORTED, Resending(Said(6, 48), True)),
        ):
            session = Session(f"s{provenance}", provenance.value, provenance=provenance, created_at=1.0)
            session = await t.store.create(session)
            for one in turns:
                await t.store.save(replace(one, id=one.id + provenance, session_id=session.id), None, session)
            assert await told(t, session) == expected


async def test_a_stopped_answer_goes_along_with_the_next_prompt(history: Path) -> None:
    async with talk(history, PROFILE) as t:
        session = await t.chat.open("work")
        await t.answered(session, "one", "first", "resp_1")
        t.chat.send(session, "two")
        (await t.server.request()).respond().event(delta("half"))
        await t.until(lambda: t.turns[-1].text == "half")
        t.chat.cancel(session.id)
        await t.chat.settled(session.id)
        assert (await told(t, session)).text == "2 messages (≈ 2 tokens) are sent along"
