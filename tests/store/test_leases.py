"""Who is sending in a session: one process at a time, for as long as it lives, and until another takes over."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.store.histories import NOW, a_session, a_turn, change, is_whole, opened, rows, said, set_back
from tests.store.other import Other
from tui.clock import Clock
from tui.errors import SessionBusy
from tui.model import HolderKind, Queued, Session, Turn, TurnStatus, new_id
from tui.store import Store, schema
from tui.store.lease import this_computer
from tui.store.sql.leases import STALE_AFTER


@dataclass
class Hands:
    """Clocks that are moved by hand."""

    now: float = NOW
    uptime: float = 1000.0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.uptime)


def statuses(file: Path) -> list[str]:
    return [status for (status,) in rows(file, "SELECT status FROM turns ORDER BY depth")]


async def held(store: Store, session: Session) -> str:
    lease = await store.leases.get(session.id)
    return lease.holder if lease is not None else ""


async def ended(store: Store, turn: Turn, session: Session, *, keeps: bool = False) -> None:
    await store.save(said(turn, "done", status=TurnStatus.DONE), turn, session, keeps=keeps)


async def test_a_session_is_held_from_the_moment_a_turn_is_there_until_it_has_ended(history: Path) -> None:
    hands, session = Hands(), a_session()
    async with opened(history, kind=HolderKind.ASK, clock=hands.clock) as store:
        turn = await store.begin(a_turn(session), session)
        lease = await store.leases.get(session.id)
        assert lease is not None
        assert (lease.turn_id, lease.holder, lease.kind) == (turn.id, store.holder, HolderKind.ASK)
        assert (lease.process, lease.computer) == (os.getpid(), this_computer())
        assert (lease.since, lease.heartbeat, lease.uptime) == (NOW, NOW, 1000.0)
        assert rows(history, "SELECT started_at FROM leases") == [(NOW,)]
        hands.now, hands.uptime = NOW + 3, 1003.0
        await store.save(said(turn, "half"), turn, session)
        assert await store.leases.all() == (replace(lease, heartbeat=NOW + 3, uptime=1003.0),)
        await ended(store, turn, session)
        assert await store.leases.all() == ()


async def test_looking_at_a_session_holds_nothing(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await store.create(session)
        await store.update(session.id, draft="typing", label="other")
        assert await store.leases.all() == ()


async def test_what_is_about_to_go_on_keeps_others_out_between_two_turns(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        turn = await store.begin(a_turn(session), session)
        await ended(store, turn, session, keeps=True)
        assert statuses(history) == ["done"]
        with pytest.raises(SessionBusy):
            await other.begin(a_turn(session, "mine"), session)
        kept = await other.queues.add(Queued(new_id(), session.id, "mine", NOW), session)
        assert kept is not None
        begun = await store.queues.begin(kept, a_turn(session, "mine"), session, "")
        assert begun is not None
        assert await held(other, session) == store.holder
        await ended(store, begun, session)
        assert await held(other, session) == ""


async def test_what_goes_on_no_more_is_let_go_of(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        turn = await store.begin(a_turn(session), session)
        await other.leases.release(session.id)
        assert await held(other, session) == store.holder
        await ended(store, turn, session, keeps=True)
        before = await other.watch.revision()
        await store.leases.release(session.id)
        changes = await other.watch.poll(before)
        assert changes is not None
        assert (changes.leases, [one.id for one in changes.sessions]) == ((), [session.id])
        assert (await other.begin(a_turn(session, "mine"), session)).depth == 1


async def test_leases_are_told_with_what_has_changed(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        first = await other.watch.poll(None)
        assert first is not None
        assert first.leases == ()
        turn = await store.begin(a_turn(session), session)
        changes = await other.watch.poll(first.revision)
        assert changes is not None
        assert [(lease.turn_id, lease.holder) for lease in changes.leases] == [(turn.id, store.holder)]
        anew = await other.watch.poll(None)
        assert anew is not None
        assert anew.leases == changes.leases
        # A heartbeat alone is no news.
        await store.leases.beat(session.id, turn.id)
        assert await other.watch.poll(changes.revision) is None


async def test_leases_alone_are_read_only_where_the_file_has_changed(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        await store.begin(a_turn(session), session)
        assert [lease.holder for lease in await other.watch.poll_leases()] == [store.holder]
        os.utime(history, ns=(0, 1_700_000_000_000_000_000))
        assert len(await other.watch.poll_leases()) == 1
        assert await other.watch.poll_leases() == ()


# Taking over


async def test_who_is_asked_for_a_session_hears_of_it_with_the_next_save(history: Path) -> None:
    session, wanted = a_session(), []
    async with opened(history) as store, opened(history) as other:
        store.on_wanted = lambda *of: wanted.append(of)
        turn = await store.begin(a_turn(session), session)
        half = said(turn, "half")
        await store.save(half, turn, session)
        assert wanted == []
        asked = await other.leases.ask_for(session.id)
        assert asked is not None
        assert (asked.holder, asked.turn_id) == (store.holder, turn.id)
        assert [lease.wanted_by for lease in await store.leases.all()] == [other.holder]
        more = said(half, "half and more")
        await store.save(more, half, session)
        await store.leases.beat(session.id, turn.id)
        assert wanted == [(session.id, turn.id)] * 2
        await store.save(replace(more, status=TurnStatus.CANCELLED), more, session)
        assert len(wanted) == 2
        assert await other.leases.ask_for(session.id) is None
        assert (await other.begin(a_turn(session, "mine"), session)).depth == 1
        assert statuses(history) == ["cancelled", "pending"]


async def test_a_queue_does_not_go_on_in_a_session_that_is_wanted(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        turn = await store.begin(a_turn(session), session)
        kept = await store.queues.add(Queued(new_id(), session.id, "next", NOW, turn.id), session)
        assert kept is not None
        await ended(store, turn, session, keeps=True)
        assert await other.leases.ask_for(session.id) is not None
        assert await store.queues.begin(kept, a_turn(session, "next"), session, "") is None
        # A turn that was begun in that moment is still wanted.
        await store.begin(a_turn(session, "at once"), session)
        assert [lease.wanted_by for lease in await other.leases.all()] == [other.holder]


async def test_who_does_not_answer_is_not_waited_for(history: Path) -> None:
    """What it says afterwards is kept, and runs beside nothing: it is told that the session is another's."""
    session, wanted = a_session(), []
    async with opened(history) as store, opened(history) as other:
        store.on_wanted = lambda *of: wanted.append(of)
        turn = await store.begin(a_turn(session), session)
        half = said(turn, "half")
        await store.save(half, turn, session)
        assert await other.leases.ask_for(session.id, seizes=True) is None
        assert statuses(history) == ["interrupted"]
        (cut,) = await other.turns(session.id)
        assert cut.error is not None
        assert (cut.text, cut.error.message) == ("half", "Another window took the session over; what came is kept.")
        await other.begin(a_turn(session, "mine"), session)
        more = said(half, "half and more")
        await store.save(more, half, session)
        assert statuses(history) == ["interrupted", "pending"]
        assert wanted == [(session.id, turn.id)]
        await store.save(said(more, "half and more.", status=TurnStatus.CANCELLED), more, session)
        assert [one.text for one in await other.turns(session.id)] == ["half and more.", ""]
        assert statuses(history) == ["cancelled", "pending"]
        assert await held(store, session) == other.holder
    assert is_whole(history)


async def test_nothing_is_asked_of_oneself_or_where_no_one_sends(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await store.create(session)
        assert await store.leases.ask_for(session.id) is None
        await store.begin(a_turn(session), session)
        assert await store.leases.ask_for(session.id, seizes=True) is None
        assert statuses(history) == ["pending"]
        assert await held(store, session) == store.holder


# The dead, and those who seem so


async def test_a_process_that_was_killed_is_freed_by_whoever_looks(history: Path) -> None:
    with Other(history) as other:
        other.do("open")
        other.do("begin", "work", "first")
        other.do("say", "work", "half an ans")
        async with opened(history) as store:
            await store.leases.free_dead()
            assert len(await store.leases.all()) == 1
            os.kill(other.pid, signal.SIGKILL)
            other.process.wait()
            before = await store.watch.revision()
            await store.leases.free_dead()
            changes = await store.watch.poll(before)
            assert changes is not None
            assert changes.leases == ()
            (turn,) = changes.turns
            assert (turn.text, turn.status) == ("half an ans", TurnStatus.INTERRUPTED)
            assert turn.error is not None
            assert turn.error.kind == "crash"
            before = await store.watch.revision()
            await store.leases.free_dead()
            assert await store.watch.revision() == before


@pytest.mark.parametrize("seconds", [STALE_AFTER - 1, STALE_AFTER])
async def test_one_that_is_there_and_does_not_beat_is_freed_after_a_while(history: Path, seconds: float) -> None:
    hands, session = Hands(), a_session()
    async with opened(history, clock=hands.clock) as store, opened(history, clock=hands.clock) as other:
        await store.begin(a_turn(session), session)
        hands.uptime += seconds
        if seconds < STALE_AFTER:
            with pytest.raises(SessionBusy):
                await other.begin(a_turn(session, "mine"), session)
            assert statuses(history) == ["pending"]
        else:
            await other.begin(a_turn(session, "mine"), session)
            assert statuses(history) == ["interrupted", "pending"]
            assert await held(store, session) == other.holder


async def test_a_computer_that_slept_frees_no_one(history: Path) -> None:
    """Hours pass and no one could beat: only the time counts in which one could."""
    hands, session = Hands(), a_session()
    async with opened(history, clock=hands.clock) as store, opened(history, clock=hands.clock) as other:
        await store.begin(a_turn(session), session)
        hands.now += 8 * 3600
        await other.leases.free_dead()
        assert await held(other, session) == store.holder


@pytest.mark.parametrize("seconds", [STALE_AFTER - 1, STALE_AFTER])
async def test_another_computer_is_judged_by_its_heartbeat(history: Path, seconds: float) -> None:
    hands, session = Hands(), a_session()
    async with opened(history, clock=hands.clock) as store:
        await store.begin(a_turn(session), session)
        # Nothing is known there of the processes of this one, nor of its clocks.
        change(history, "UPDATE leases SET computer = 'elsewhere', holder = '1:far', uptime = 0",
               "UPDATE turns SET holder = '1:far'")  # fmt: skip
        hands.now += seconds
        await store.leases.free_dead()
        assert statuses(history) == (["pending"] if seconds < STALE_AFTER else ["interrupted"])


async def test_one_wrongly_taken_for_dead_has_its_session_again_if_no_one_else_has(history: Path) -> None:
    hands, session, wanted = Hands(), a_session(), []
    async with opened(history, clock=hands.clock) as store, opened(history, clock=hands.clock) as other:
        store.on_wanted = lambda *of: wanted.append(of)
        turn = await store.begin(a_turn(session), session)
        hands.uptime += STALE_AFTER
        await other.leases.free_dead()
        assert statuses(history) == ["interrupted"]
        await store.save(said(turn, "back"), turn, session)
        assert statuses(history) == ["streaming"]
        assert await held(other, session) == store.holder
        assert wanted == []
        with pytest.raises(SessionBusy):
            await other.begin(a_turn(session, "mine"), session)


async def test_an_older_palaver_that_still_runs_keeps_no_lease_and_is_not_disturbed(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        await store.begin(a_turn(session), session)
        change(history, "DELETE FROM leases")
        for attempt in (other.begin(a_turn(session, "mine"), session), other.leases.ask_for(session.id)):
            with pytest.raises(SessionBusy, match="another window"):
                await attempt
        assert statuses(history) == ["pending"]


async def test_a_history_from_before_gets_its_leases(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await store.create(session)
    set_back(history, 5)
    async with opened(history) as store:
        await store.begin(a_turn(session), session)
        assert await held(store, session) == store.holder
    assert rows(history, "PRAGMA user_version") == [(schema.VERSION,)]
