"""Sessions shared with other processes: one sends at a time, the others see it live, and each can take over."""

from __future__ import annotations

import asyncio
from typing import Any

from tui.changes import LeaseChanged, SessionChanged, TurnChanged
from tui.client import Client, Request
from tui.clock import Clock
from tui.config import Config
from tui.errors import StoreError
from tui.model import Queued, Session, SessionLease, Turn, TurnStatus
from tui.queues import Queues
from tui.runs import Run, outline
from tui.store import Store
from tui.store.watch import Changes

FOLLOW_EVERY = 0.1
"""Seconds between two looks at what other processes did."""

FOLLOW_CLOSELY = 0.04
"""The same while one of them is sending: its text is to be seen with the next frame. A look costs one `stat`."""

BEAT_EVERY = 5.0
"""Seconds without a save after which a running turn says that it goes on."""

LOOK_EVERY = 1.0
"""Seconds between two looks at whether those who send elsewhere are still alive."""

YIELDED = "Stopped: the session was taken over."
"""What is noted of a turn that was stopped for another process."""

DELETED = "Stopped: the session was put into the trash."
"""What is noted of a turn whose session another process deleted."""

PATIENCE = 8.0
"""Seconds another process is given to let go of a session; telling its server to stop may take five of them."""

ASK_EVERY = 0.05
"""Seconds between two looks at whether it has."""


class Leases(Queues):
    """Turns and queues, of which those that others run are seen, and left alone until they are taken over.

    Only sending is guarded: a turn from its first moment to its last, and a queue from its first turn to its last. Whoever
    only shows a session keeps no one out.
    """

    def __init__(self, store: Store, client: Client, config: Config, clock: Clock) -> None:
        super().__init__(store, client, config, clock)
        self._leases: dict[str, SessionLease] = {}
        self._revision: int | None = None
        self._looking = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._freeing: asyncio.Task[Any] | None = None
        store.on_wanted = self._give_way

    async def revision(self) -> int:
        """The number of the newest change, to follow from."""
        return await self._store.watch.revision()

    def follow(self, since: int | None = None) -> None:
        """From now on, or from a change that was the newest once, tell what other processes do."""
        self.stays = True
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow(since))

    async def aclose(self, status: TurnStatus = TurnStatus.INTERRUPTED) -> None:
        for task in (self._following, self._watching):
            if task is not None:
                task.cancel()
        await super().aclose(status)

    def lease(self, session_id: str) -> SessionLease | None:
        """Who else is sending in a session, as far as is known."""
        return self._leases.get(session_id)

    def answering(self) -> tuple[str, ...]:
        """The sessions that are answering, in this window or elsewhere, as far as is known."""
        return (*self.running(), *self._leases)

    async def take_over(self, session_id: str) -> SessionLease | None:
        """Have another process stop what it sends in a session. Gives who that was; None where none did, or it is gone.

        What had come is kept, and what waits in the session waits for the user. A process that does not answer in time is
        not waited for: its turn is marked as taken over.

        Raises:
            SessionBusy: It is a process that cannot be asked.
            StoreError: Another process sends, or may, and that it is to stop cannot be written.
        """
        try:
            asked = await self._store.leases.ask_for(session_id)
        except StoreError:
            lease = await self._store.leases.get(session_id)
            if self._store.health.is_unreadable or (lease is not None and lease.holder != self._store.holder):
                raise
            asked = None
        if asked is not None and not await self._has_let_go(session_id):
            await self._store.leases.ask_for(session_id, seizes=True)
        if self._following is not None:
            # What it came to is told before anyone goes on from there.
            await self._look()
        self._forget_lease(session_id)
        return asked

    async def _has_let_go(self, session_id: str) -> bool:
        """Whether the process that was asked for a session lets go of it in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while loop.time() < deadline:
            lease = await self._store.leases.get(session_id)
            if lease is None or lease.wanted_by != self._store.holder:
                return True
            await asyncio.sleep(ASK_EVERY)
        return False

    async def enqueue(self, session: Session, prompt: str) -> Queued | None:
        queued = await super().enqueue(session, prompt)
        if queued is None:
            self._forget_lease(session.id)
        return queued

    def _start(self, run_: Run, request: Request, with_history: bool = True) -> None:
        super()._start(run_, request, with_history)
        is_watched = self._watching is not None and not self._watching.done()
        if self._following is None and run_.session is not None and not is_watched:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def _give_way(self, session_id: str, turn_id: str) -> None:
        """Stop what is sent in a session, because another process wants it or has it."""
        run_ = self._runs.get(session_id)
        if run_ is None:
            if session_id in self._between:
                self.cancel(session_id)
        elif run_.turn.id == turn_id and run_.stop is None:
            run_.notes.append(YIELDED)
            self.cancel(session_id)

    def _stop_in_trash(self, session_id: str) -> None:
        """Stop what is sent in a session that was deleted: what is answered in the trash, no one wants."""
        run_ = self._runs.get(session_id)
        if run_ is not None and run_.stop is None:
            run_.notes.append(DELETED)
        self.cancel(session_id)

    # Looking

    async def _watch(self) -> None:
        """While something runs here and nothing else is looked at: say that it goes on, and see whether it is to end."""
        while self._runs and self._following is None:
            await asyncio.sleep(FOLLOW_EVERY)
            self._beat()
            leases = await self._store.watch.poll_leases()
            self._note_wanted(leases)
            for session_id in {lease.session_id for lease in leases} & set(self._runs):
                session = await self._store.session(session_id)
                if session is not None and session.deleted_at is not None:
                    self._stop_in_trash(session_id)

    async def _follow(self, since: int | None) -> None:
        loop = asyncio.get_running_loop()
        self._revision, looked = since, loop.time()
        if since is None:
            changes = await self._store.watch.poll(None)
            self._revision = changes.revision if changes else None
            self._note_leases(changes.leases if changes else ())
        else:
            self._note_leases(await self._store.leases.all())
        while True:
            await self._look()
            self._beat()
            if self._leases and loop.time() - looked > LOOK_EVERY:
                looked = loop.time()
                self._free_dead()
            await asyncio.sleep(FOLLOW_CLOSELY if self._leases else FOLLOW_EVERY)

    async def _look(self) -> None:
        """See what others have done since the last look, and tell of it; one look after the other."""
        async with self._looking:
            changes = await self._store.watch.poll(self._revision)
            if changes is not None:
                self._revision = changes.revision
                self._tell(changes)

    def _tell(self, changes: Changes) -> None:
        """Tell what others did."""
        self._note_leases(changes.leases)
        elsewhere = {lease.turn_id for lease in changes.leases if lease.holder != self._store.holder}
        for turn in changes.turns:
            if self._is_news(turn, elsewhere):
                if turn.id in self._mine:
                    self._mine[turn.id] = outline(turn)
                self._publish(TurnChanged(turn))
        for session in changes.sessions:
            if session.deleted_at is not None:
                self._stop_in_trash(session.id)
            self._publish(SessionChanged(session))
        for session_id, queue in changes.queues:
            self._note_queue(session_id, queue)

    def _is_news(self, turn: Turn, elsewhere: set[str]) -> bool:
        """Whether a turn, as it was read, is not what this window has told of it already."""
        if turn.id not in self._mine:
            return True
        if any(run_.turn.id == turn.id for run_ in self._of(turn.session_id)):
            return False
        if not turn.status.is_final:
            # Its last words here may have come between the reading and now.
            return turn.id in elsewhere
        return outline(turn) != self._mine[turn.id]

    def _note_leases(self, leases: tuple[SessionLease, ...]) -> None:
        """Take in who is sending, and tell of it where it is different."""
        self._note_wanted(leases)
        others = {lease.session_id: lease for lease in leases if lease.holder != self._store.holder}
        before, self._leases = self._leases, others
        for session_id in {**before, **others}:
            lease = others.get(session_id)
            if _who(lease) != _who(before.get(session_id)):
                self._publish(LeaseChanged(session_id, lease))

    def _note_wanted(self, leases: tuple[SessionLease, ...]) -> None:
        for lease in leases:
            if lease.holder == self._store.holder and lease.wanted_by:
                self._give_way(lease.session_id, lease.turn_id)

    def _forget_lease(self, session_id: str) -> None:
        """Take a session as free: it is known to be, before that has been read."""
        if self._leases.pop(session_id, None) is not None:
            self._publish(LeaseChanged(session_id, None))

    def _beat(self) -> None:
        """Say of what has been silent for a while that it goes on."""
        now = asyncio.get_running_loop().time()
        for run_ in self._runs.values():
            is_kept = run_.session is not None and (run_.saved is not None or run_.is_resumed)
            if is_kept and now - run_.beaten > BEAT_EVERY:
                run_.beaten = now
                self._chore(self._store.leases.beat(run_.turn.session_id, run_.turn.id))

    def _free_dead(self) -> None:
        """Free what the dead have held; once at a time, as a locked history may have it wait."""
        if self._freeing is None or self._freeing.done():
            self._freeing = self._chore(self._store.leases.free_dead())


def _who(lease: SessionLease | None) -> tuple[str, float] | None:
    """What of a lease is to be seen."""
    return (lease.holder, lease.since) if lease is not None else None
