"""Prompts that wait while a session answers: sent in order, each once the answer before it is done."""

from __future__ import annotations

import logging

from tui.changes import QueueChanged
from tui.client import Client, Request
from tui.clock import Clock
from tui.config import Config
from tui.errors import PalaverError, UsageError
from tui.model import Provenance, Queued, Session, Turn, TurnStatus, new_id, title_from
from tui.runs import Run
from tui.shown_pictures import refuse_pictures
from tui.store import Store
from tui.turns import Turns

log = logging.getLogger(__name__)


class Queues(Turns):
    """Turns, and what is to become one after them.

    A prompt waits behind a turn. If that turn is done in this window, the first prompt becomes the next turn by itself, and
    the others wait behind that one. After anything else they wait until the user says go: a stop, an error, a new start.
    """

    def __init__(self, store: Store, client: Client, config: Config, clock: Clock) -> None:
        super().__init__(store, client, config, clock)
        self._queues: dict[str, tuple[Queued, ...]] = {}
        self._done: dict[str, str] = {}
        # Between two turns, and whether it was stopped there.
        self._between: dict[str, bool] = {}

    def is_running(self, session_id: str) -> bool:
        """Whether a session is answering in this window, or about to go on to what waits in it."""
        return super().is_running(session_id) or session_id in self._between

    async def queue(self, session_id: str) -> tuple[Queued, ...]:
        """What waits in a session, in the order in which it is to be sent."""
        queue = await self._store.queues.get(session_id)
        if queue is not None:
            self._note_queue(session_id, queue)
        return self._queues.get(session_id, ())

    async def enqueue(self, session: Session, prompt: str) -> Queued | None:
        """Have a prompt sent once the answer that is coming is done. None where no answer is coming: it can be sent.

        Raises:
            UsageError: There is nothing to say, or something to show that the server cannot be shown.
            StoreError: It cannot be kept.
        """
        if not prompt.strip():
            raise UsageError("The prompt is empty.", hint="say something")
        refuse_pictures(self.profile_of(session), prompt)
        follows = ""
        if session.id in self._runs:
            follows = self._runs[session.id].turn.id
        elif session.id in self._between:
            # The turn it is to follow is just being made: whatever waits is put behind that one.
            follows = self._done.get(session.id) or session.id
        queued = Queued(new_id(), session.id, prompt, self._clock.now(), follows)
        kept = await self._store.queues.add(queued, session)
        if kept is not None:
            await self.queue(session.id)
            # What it follows may have ended while it was being kept.
            await self._go_on(session.id)
        return kept

    async def hold(self, queued: Queued) -> bool:
        """Keep a prompt from being sent while the user changes it. False where it waits no more.

        Raises:
            StoreError: That cannot be kept.
        """
        return await self._change(queued, queued.prompt, is_held=True)

    async def put_back(self, queued: Queued, prompt: str = "", *, goes_on: bool = True) -> bool:
        """Hold a prompt no longer, changed or not: it has kept its place. False where it waits no more.

        Without `goes_on` it is not sent because of that, though its turn has come.

        Raises:
            StoreError: That cannot be kept.
        """
        return await self._change(queued, prompt or queued.prompt, is_held=False, goes_on=goes_on)

    async def _change(self, queued: Queued, prompt: str, *, is_held: bool, goes_on: bool = True) -> bool:
        found = await self._store.queues.change(queued, prompt, is_held=is_held)
        await self.queue(queued.session_id)
        if goes_on:
            await self._go_on(queued.session_id)
        return found

    async def unqueue(self, queued: Queued) -> bool:
        """Take a prompt out of the queue. False where it waits no more.

        Raises:
            StoreError: That cannot be kept.
        """
        found = await self._store.queues.remove(queued)
        await self.queue(queued.session_id)
        await self._go_on(queued.session_id)
        return found

    async def send_next(self, session_id: str) -> Turn | None:
        """Go: begin a turn with the first prompt that waits; the others go on after it. None where nothing waits.

        Raises:
            UsageError: The session is answering already.
            SessionBusy: It is, in another window.
            ConfigError: The server it goes to is not configured.
            StoreError: It cannot be kept.
        """
        self._refuse_busy(session_id)
        self._between[session_id] = False
        try:
            return await self._take(session_id, None)
        finally:
            self._between.pop(session_id, None)

    def cancel(self, session_id: str, status: TurnStatus = TurnStatus.CANCELLED, *, lets_go: bool = False) -> bool:
        if session_id not in self._runs and session_id in self._between:
            self._between[session_id] = True
            self._done.pop(session_id, None)
            return True
        return super().cancel(session_id, status, lets_go=lets_go)

    def _refuse_busy(self, session_id: str) -> None:
        super()._refuse_busy(session_id)
        if session_id in self._between:
            raise UsageError("This session is still answering.", hint="wait, or stop it")

    def _keeps(self, session_id: str) -> bool:
        return session_id in self._between or super()._keeps(session_id)

    def _has_ended(self, run_: Run) -> None:
        turn = run_.turn
        self._done.pop(turn.session_id, None)
        if self.stays and not self._closed and turn.status is TurnStatus.DONE and not turn.open_approvals:
            self._done[turn.session_id] = turn.id
            if self._goes_on(turn.session_id):
                # What is sent from now on comes after what waits.
                self._between[turn.session_id] = False
                run_.is_followed = True

    async def _after(self, run_: Run) -> None:
        session_id = run_.turn.session_id
        if run_.session is not None and session_id not in self._runs:
            await self.queue(session_id)
            if run_.is_followed:
                self._between.pop(session_id, None)
            await self._go_on(session_id)
            await self._let_go(session_id)
        await super()._after(run_)

    def _goes_on(self, session_id: str) -> bool:
        """Whether the first prompt that waits is to be sent by itself."""
        first = self._queues.get(session_id, ())[:1]
        return any(one.follows == self._done.get(session_id) and not one.is_held for one in first)

    async def _go_on(self, session_id: str) -> None:
        """Send what waits behind the turn that was done last here, if that was the last word."""
        if self._closed or self.is_running(session_id) or not self._goes_on(session_id):
            return
        self._between[session_id] = False
        try:
            await self._take(session_id, self._done.get(session_id))
        except PalaverError as error:
            log.info("what waits is not sent: %s", error)
        finally:
            self._between.pop(session_id, None)
            self._publish(QueueChanged(session_id, self._queues.get(session_id, ())))

    async def _take(self, session_id: str, done: str | None) -> Turn | None:
        """Make the first prompt that waits a turn and begin it; with `done` only if it follows that turn."""
        session = await self._store.session(session_id)
        first = next(iter(await self.queue(session_id)), None)
        if session is None or session.deleted_at is not None or first is None:
            return None
        if done is not None and (first.is_held or first.follows != done):
            return None
        profile = self.profile_of(session)
        turn = self._new_turn(session_id, session.turns, first.prompt, profile)
        if self._closed or self._between.get(session_id):
            return None
        title = "" if profile.titles == "off" else title_from(first.prompt)
        begun = await self._store.queues.begin(first, turn, session, title)
        if begun is None:
            await self.queue(session_id)
            return None
        is_forked = session.provenance is Provenance.FORKED
        self._start(
            Run(session, begun, profile, saved=begun), Request(profile, begun.prompt, session_id, is_forked=is_forked)
        )
        if self._closed:
            super().cancel(session_id, TurnStatus.INTERRUPTED)
            await self.settled(session_id)
        elif self._between.get(session_id):
            super().cancel(session_id)
        await self.queue(session_id)
        return begun

    async def _follow_on(self, session_id: str, old: str, new: str) -> None:
        """Let what waits behind one turn wait behind another, which carries it on."""
        if not self._queues.get(session_id):
            return
        try:
            await self._store.queues.follow_on(session_id, old, new)
        except PalaverError as error:
            log.info("what waits is not sent by itself: %s", error)
        await self.queue(session_id)
        # The other one may have ended while that was being kept.
        await self._go_on(session_id)

    def _note_queue(self, session_id: str, queue: tuple[Queued, ...]) -> None:
        """Take a queue as read, and tell of it where it is different."""
        if queue != self._queues.get(session_id, ()):
            self._queues[session_id] = queue
            self._publish(QueueChanged(session_id, queue))
