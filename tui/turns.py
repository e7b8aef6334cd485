"""Turns, run one at a time in each session: sent, followed, saved, stopped. The turn belongs to no window."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tui.changes import SessionChanged, TurnChanged
from tui.client import Client, Request
from tui.clock import Clock
from tui.config import Config, Profile
from tui.continuity import mapping_after
from tui.errors import StoreError, UsageError
from tui.model import Provenance, Session, Settled, Turn, TurnStatus, new_id
from tui.runner import run, to_end
from tui.runs import Run, outline
from tui.shown_pictures import refuse_pictures
from tui.stops import Stops
from tui.store import Store
from tui.titles import Namer
from tui.traits import Can
from tui.turn_events import TurnEvents

_UNKEPT = (StoreError.kind, UsageError.kind)
"""What keeps a turn from being begun at all."""


class Turns(TurnEvents):
    """Runs turns: a task for each, at most one in a session."""

    def __init__(self, store: Store, client: Client, config: Config, clock: Clock) -> None:
        super().__init__(store, client, config, clock)
        self._stops = Stops(client)
        self._namer = Namer(store, client, lambda session: self._publish(SessionChanged(session)))
        self._closed = False

    async def choose(self, session_id: str, turn_id: str) -> Session:
        """Let a session go on with the branch that a turn lies on.

        Raises:
            UsageError: It is answering.
            SessionBusy: It is, in another window.
            StoreError: It has no such turn, or that cannot be kept.
        """
        self._refuse_busy(session_id)
        session = await self._store.branches.choose(session_id, turn_id)
        self._publish(SessionChanged(session))
        return session

    def send(
        self,
        session: Session | None,
        prompt: str,
        *,
        profile: Profile | None = None,
        allow_fresh: bool = True,
        with_history: bool = True,
        budget: float = 60.0,
        at: int | None = None,
    ) -> Turn:
        """Begin a turn and give its first state; what follows is told to subscribers. Without a session nothing is kept.

        With `at` the session goes on from its first `at` turns; those after them stay on a branch of their own.

        Raises:
            UsageError: There is nothing to say, or something to show that the server cannot be shown; the session is
                answering already, or it is in the trash.
        """
        if not prompt.strip():
            raise UsageError("The prompt is empty.", hint="say something")
        if session is not None and session.deleted_at is not None:
            raise UsageError("This session is in the trash.", hint="bring it back first")
        if session is not None and session.provenance is Provenance.FOREIGN:
            raise UsageError("This conversation is someone else's.", hint="fork it to go on: /fork")
        profile = profile or self.profile_of(session)
        refuse_pictures(profile, prompt)
        key = session.id if session else ""
        is_forked = session is not None and session.provenance is Provenance.FORKED
        request = Request(profile, prompt, key, allow_fresh=allow_fresh, is_forked=is_forked, budget=budget)
        return self._begin(session, request, with_history, at).turn

    def _begin(
        self,
        session: Session | None,
        request: Request,
        with_history: bool = True,
        at: int | None = None,
        settles: Settled | None = None,
    ) -> Run:
        profile, key = request.profile, request.session_id
        self._refuse_busy(key)
        depth = at if at is not None else session.turns if session else 0
        turn = self._new_turn(key, depth, request.prompt, profile)
        run_ = Run(session, turn, profile, at=at, settles=settles)
        self._start(run_, request, with_history)
        return run_

    def _new_turn(self, session_id: str, depth: int, prompt: str, profile: Profile) -> Turn:
        """A turn as it is before anything has come of it."""
        return Turn(
            id=new_id(),
            session_id=session_id,
            depth=depth,
            prompt=prompt,
            created_at=self._clock.now(),
            profile=profile.name,
            protocol=profile.protocol,
            model=profile.model,
            origin=profile.origin,
            principal=profile.principal,
        )

    def _refuse_busy(self, session_id: str) -> None:
        if session_id in self._runs:
            raise UsageError("This session is still answering.", hint="wait, or stop it")
        if self._closed:
            raise UsageError("Palaver is closing.")

    def _start(self, run_: Run, request: Request, with_history: bool = True) -> None:
        self._runs[run_.turn.session_id] = run_
        self._mine[run_.turn.id] = outline(run_.turn)
        self._publish(TurnChanged(run_.turn))
        run_.task = asyncio.get_running_loop().create_task(self._run(run_, request, with_history))
        run_.task.add_done_callback(_report)

    def cancel(self, session_id: str, status: TurnStatus = TurnStatus.CANCELLED, *, lets_go: bool = False) -> bool:
        """Stop a session's running turn, and the server's work on it; or only let go of that, where it can go on without
        us. False where there is nothing to stop."""
        run_ = self._runs.get(session_id)
        if run_ is None or run_.task is None or run_.stop is not None:
            return False
        run_.lets_go = lets_go and self.goes_on(session_id)
        run_.stop = TurnStatus.INTERRUPTED if run_.lets_go else status
        # One pass of the loop later: a task cancelled before its first step would never clean up.
        asyncio.get_running_loop().call_soon(run_.task.cancel)
        return True

    async def delete(self, session_id: str) -> Session:
        """Put a session into the trash, from where it can be restored. What it was answering is stopped first."""
        self.cancel(session_id)
        await self.settled(session_id)
        return await super().delete(session_id)

    async def settled(self, session_id: str) -> Turn | None:
        """The final state of a session's running turn, once it has one and it is on disk."""
        last = None
        for run_ in self._of(session_id):
            if run_.task is not None:
                last = await asyncio.shield(run_.task)
        return last

    def hasten(self) -> None:
        """From now on wait only for a moment more in all, for servers and for the history: Palaver is about to end."""
        self._store.hasten()
        self._stops.hasten()

    async def aclose(self, status: TurnStatus = TurnStatus.INTERRUPTED) -> None:
        """Stop everything that runs, keeping what came."""
        self._closed = True
        self.hasten()
        runs = [*self._runs.values(), *self._ending.values()]
        tasks = [run_.task for run_ in runs if run_.task is not None]
        for session_id in self.running():
            self.cancel(session_id, status, lets_go=True)
        await self._namer.stop()
        for task in tasks:
            with suppress(Exception):
                await to_end(task)
        # What ended just now has left some.
        while self._chores:
            with suppress(Exception):
                await to_end(self._chores.pop())

    async def _run(self, run_: Run, request: Request, with_history: bool) -> Turn:
        def publish(turn: Turn) -> None:
            run_.turn = turn = run_.seen(turn)
            if turn.status.is_final:
                # The session is free before its last words are on disk, which may take a locked disk's time.
                self._ending[turn.id] = run_
                self._mine[turn.id] = outline(turn)
                del self._runs[turn.session_id]
                self._has_ended(run_)
                if turn.status is TurnStatus.CANCELLED and run_.name and Can.STOP in run_.profile.traits.can:
                    self._stopping[turn.session_id] = self._chore(self._stop_at_server(run_))
            self._publish(TurnChanged(turn))

        async def save(turn: Turn) -> None:
            await self._save(run_, run_.seen(turn))

        stream = self._events(run_, request, with_history)
        try:
            await run(
                run_.turn,
                stream,
                publish=publish,
                save=save,
                stopped=lambda: run_.stop or TurnStatus.INTERRUPTED,
                clock=self._clock,
            )
            return run_.turn
        finally:
            self._ending.pop(run_.turn.id, None)
            self._chore(self._after(run_))

    def _has_ended(self, run_: Run) -> None:
        """For those who go on from there: a turn has its last state, which is not told yet."""

    async def _stop_at_server(self, run_: Run) -> None:
        """Have the server stop the work that a closed connection does not end."""
        await self._stops.stop(run_)
        # From here on it harms no turn that is begun elsewhere.
        await self._let_go(run_.turn.session_id)

    def _keeps(self, session_id: str) -> bool:
        """Whether a session is to be held on to though its turn has ended."""
        stopping = self._stopping.get(session_id)
        return stopping is not None and not stopping.done() and stopping is not asyncio.current_task()

    async def _let_go(self, session_id: str) -> None:
        """Let others send in a session that was held on to, once there is no reason for that any more."""
        if session_id in self._kept and session_id not in self._runs and not self._keeps(session_id):
            self._kept.discard(session_id)
            await self._store.leases.release(session_id)

    async def _save(self, run_: Run, turn: Turn) -> None:
        session = run_.session
        is_refused = run_.saved is None and turn.error is not None and turn.error.kind in _UNKEPT
        if session is None or is_refused:
            return
        principal, now = run_.profile.principal, self._clock.now()
        # What someone else has said in the turn's place, its conversation was not told.
        is_whole = run_.moved_to is None
        mapping = mapping_after(turn, principal, is_stateless=run_.is_stateless, now=now) if is_whole else None
        keeps = turn.status.is_final and self._keeps(turn.session_id)
        if keeps:
            self._kept.add(turn.session_id)
        stored = await self._store.save(turn, run_.saved, session, mapping, keeps=keeps)
        if stored is None:
            return
        self._new.pop(turn.session_id, None)
        run_.saved, run_.beaten = turn, asyncio.get_running_loop().time()
        if stored.depth != turn.depth:
            self._move(run_, stored.depth)

    def _move(self, run_: Run, depth: int) -> None:
        """Show a turn in the place it has: someone else has said something in that which it was to have."""
        run_.moved_to = depth
        run_.turn = replace(run_.turn, depth=depth)
        self._mine[run_.turn.id] = outline(run_.turn)
        self._publish(TurnChanged(run_.turn))

    async def _after(self, run_: Run) -> None:
        """What a session's row needs once its turn is over."""
        if run_.session is None:
            return
        if run_.turn.session_id != self._attended and run_.turn.status is not TurnStatus.CANCELLED:
            await self._store.update(run_.turn.session_id, unread=True)
        await self._tell_session(run_.turn.session_id)
        turn, profile = run_.turn, run_.profile
        if self.stays and turn.status is TurnStatus.DONE and not turn.depth and turn.text and profile.titles == "model":
            self._namer.begin(turn, profile)


def _report(task: asyncio.Task[Any]) -> None:
    """Tell a mistake of ours at once: asyncio does when the task is collected, which may be long after, or never."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler({"message": "a turn failed", "exception": error, "task": task})
