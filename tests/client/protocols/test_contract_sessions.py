"""The contract of all protocols, on sessions: stopped anywhere, two at once, and conversations that move."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import httpx
import pytest

from tests.chatting import Chatting
from tests.client.conftest import tasks
from tests.client.protocols.contract import (
    CANCELLED,
    DONE,
    Case,
    Stand,
    is_beginning,
    mapping_of,
    payload,
    said,
    shape,
    standing,
)
from tests.client.protocols.contract_cases import every, those
from tests.client.protocols.wire import Held, altered
from tui.chat import TurnChanged
from tui.continuity import MOVED
from tui.errors import UsageError
from tui.model import Session, Turn
from tui.traits import Can, Telling

pytestmark = pytest.mark.usefixtures("nothing_left")

HELD_NOTE = "The server still holds what was said last without an answer."


async def stopped(s: Stand, t: Chatting, session: Session, after: int) -> Turn:
    """A turn that was stopped once the client had so many events, if it was not at its end by then. Nothing of it stays
    open."""
    before = tasks()
    held = Held(after, s.case.border)
    s.net.change = held
    t.chat.send(session, s.case.rich)
    await t.until(lambda: held.here.is_set() or not t.chat.is_running(session.id))
    t.chat.cancel(session.id)
    turn = await t.ended(session)
    # The server may still be told of the stop.
    assert s.net.streaming == 0
    await t.until(lambda: tasks() <= before)
    assert s.net.open == 0
    await s.idle(t)
    s.net.change = None
    return turn


@every
@pytest.mark.fault("C02", "C03", "C10")
async def test_a_turn_is_stopped_after_any_event_and_the_next_one_goes_on(
    case: Case, tmp_path: Path, history: Path
) -> None:
    with standing(case, tmp_path) as s:
        told = 0
        async with s.chatting(history) as t:
            session = await t.chat.open("whole")
            await t.say(session, "one")
            whole = await t.say(session, case.rich)
            events = bytes(s.net.bodies[-1]).split(case.border)[:-1]
            for after in sorted({*range(0, len(events), 4), len(events) - 1, len(events)}):
                session = await t.chat.open(f"after {after}")
                await t.say(session, "one")
                turn = await stopped(s, t, session, after)
                seen = shape(turn)
                is_over = any(case.ends(payload(event)) for event in events[:after])
                assert turn.status in ((CANCELLED, DONE) if is_over else (CANCELLED,))
                assert turn.error is None
                assert is_beginning(seen, shape(whole))
                assert turn.run == ""
                assert told <= len(str(seen))
                told = len(str(seen))
                await assert_goes_on(s, t, session, turn)
                _, kept, _ = await t.chat.turns(session.id)
                assert (kept.status, shape(kept)) == (turn.status, seen)
            assert seen == shape(whole)


async def assert_goes_on(s: Stand, t: Chatting, session: Session, turn: Turn) -> None:
    """That the next turn works, and carries what its protocol does after `turn` was stopped."""
    case, traits = s.case, s.case.traits
    mapping = await mapping_of(t, session)
    after = await t.say(session, "two")
    assert (after.status, after.error) == (DONE, None)
    sent = s.net.turns[-1]
    unheard = [case.rich] if turn.is_context else []
    match traits.telling:
        case Telling.ALL:
            assert case.told_in(sent) == ["one", *unheard]
        case Telling.MISSED:
            assert case.told_in(sent) == ([] if turn.status is DONE else unheard)
        case _:
            assert case.told_in(sent) == []
    if not traits.keeps:
        assert (mapping, case.id_in(sent)) == (None, "")
        return
    assert mapping is not None
    goes_on = traits.survives_stop or turn.status is DONE
    assert (case.id_in(sent) == mapping.conversation_id) == goes_on
    holds = traits.telling is Telling.AT_FIRST and turn.status is not DONE
    assert after.notes == ((HELD_NOTE,) if holds else ())
    assert after.conversation_id == case.id_in(sent) or case.protocol == "responses"


@every
@pytest.mark.fault("C03")
async def test_a_server_is_let_go_of_by_a_stop(case: Case, tmp_path: Path, history: Path) -> None:
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session = await t.chat.open("work")
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().has_output)
            t.chat.cancel(session.id)
            turn = await t.ended(session)
            assert (turn.status, turn.has_output, turn.error) == (CANCELLED, True, None)
            await t.until(lambda: s.service.let_go == 1)
            await s.idle(t)
            assert (await t.say(session, "two")).status is DONE


@every
@pytest.mark.fault("C01")
async def test_a_turn_stopped_at_once_sends_nothing(case: Case, tmp_path: Path, history: Path) -> None:
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session = await t.chat.open("work")
            t.chat.send(session, "one")
            t.chat.cancel(session.id)
            turn = await t.ended(session)
            assert (turn.status, turn.items, turn.error) == (CANCELLED, (), None)
            assert s.net.sent == []
            assert (await t.say(session, "two")).text == said("two")


@every
async def test_two_sessions_at_once_do_not_mix(case: Case, tmp_path: Path, history: Path) -> None:
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:

            def speaking() -> set[str]:
                turns = [change.turn for change in t.changes if isinstance(change, TurnChanged)]
                return {turn.session_id for turn in turns if turn.has_output}

            one, other = await t.chat.open("one"), await t.chat.open("other")
            t.chat.send(one, "hang one")
            t.chat.send(other, "hang other")
            await t.until(lambda: speaking() == {one.id, other.id})
            count = len(s.net.sent)
            with pytest.raises(UsageError, match="still answering"):
                t.chat.send(one, "again")
            assert set(t.chat.running()) == {one.id, other.id}
            s.service.go_on.set()
            first, second = await t.ended(one), await t.ended(other)
            assert (first.status, second.status) == (DONE, DONE)
            assert first.text.endswith(said("hang one"))
            assert second.text.endswith(said("hang other"))
            assert len(s.net.sent) == count
            ids = {case.id_in(sent) for sent in s.net.turns} | {first.conversation_id, second.conversation_id}
            assert len(ids - {""}) == (2 if case.traits.keeps else 0)
            for session, prompt, turn in ((one, "hang one", first), (other, "hang other", second)):
                await t.say(session, "and now?")
                sent = s.net.turns[-1]
                assert case.id_in(sent) == turn.conversation_id
                assert case.told_in(sent) == ([prompt] if case.traits.telling is Telling.ALL else [])


@those(lambda case: case.may_move)
@pytest.mark.fault("S11")
async def test_a_conversation_moves_where_its_server_says_so(case: Case, tmp_path: Path, history: Path) -> None:
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session = await t.chat.open("work")
            first = await t.say(session, "one")
            moved = f"conv_{uuid.uuid4().hex}" if case.protocol == "genie" else str(uuid.uuid4())
            if case.protocol == "agent-server":
                # Only an answer that is not streamed names the conversation.
                s.service.plain = True

            def change(event: bytes) -> bytes:
                return event.replace(first.conversation_id.encode(), moved.encode())

            s.net.change = altered(change, case.border)
            second = await t.say(session, "two")
            assert second.status is DONE
            assert second.text.endswith("You said: two")
            assert second.notes == ((MOVED,) if case.protocol != "responses" else ())
            mapping = await mapping_of(t, session)
            assert mapping is not None
            assert mapping.conversation_id == second.conversation_id != first.conversation_id
            assert mapping.conversation_id == moved or case.protocol == "responses"
            s.net.change = None
            count = len(s.net.turns)
            third = await t.say(session, "three")
            assert case.id_in(s.net.turns[count]) == second.conversation_id
            assert MOVED not in (*first.notes, *third.notes)


@those(lambda case: Can.DETACH in case.traits.can)
@pytest.mark.fault("C10", "C11")
async def test_the_next_turn_waits_until_the_server_has_stopped_the_one_before(
    case: Case, tmp_path: Path, history: Path
) -> None:
    """Where it stops whatever runs in a session, a stop that comes late would end the next turn."""
    may_stop = asyncio.Event()

    async def before(request: httpx.Request) -> None:
        if not case.is_turn(request) and request.method == "POST":
            await may_stop.wait()

    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session = await t.chat.open("work")
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().has_output)
            s.net.before = before
            t.chat.cancel(session.id)
            assert (await t.ended(session)).status is CANCELLED
            t.chat.send(session, "two")
            await t.until(lambda: t.newest().depth == 1 and s.net.sent[1:])
            for _ in range(1000):
                await asyncio.sleep(0)
            assert len(s.net.turns) == 1
            may_stop.set()
            assert (await t.ended(session)).text == said("two", 2)
            paths = [sent.url.path for sent in s.net.sent]
            assert paths[0] == paths[2] == s.net.turns[0].url.path
