"""Turns, run one at a time in each session: sent, followed, saved, stopped. The turn belongs to no window."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from tui.attachments import pictures_in
from tui.changes import SessionChanged, TurnChanged
from tui.client import Client, Request
from tui.clock import Clock
from tui.config import Config, Profile
from tui.continuity import MOVED, Start, has_moved, mapping_after, take_up
from tui.errors import PalaverError, StoreError, UsageError
from tui.events import (
    AttemptStarted,
    ConversationIssued,
    ConversationUnsupported,
    ItemDelta,
    ItemWhole,
    Noted,
    Placed,
    TurnEvent,
    WindowTold,
)
from tui.figures import Figures, figures_of
from tui.model import (
    Branch,
    Mapping,
    Provenance,
    Session,
    Turn,
    TurnStatus,
    Variants,
    new_id,
    title_from,
)
from tui.pictures import Picture
from tui.runner import run, to_end
from tui.runs import NO_SILENCE, Outline, Run, Silence, outline
from tui.sessions import Sessions
from tui.shown_pictures import pictures_shown, refuse_pictures
from tui.store import Store
from tui.titles import Namer
from tui.traits import Can

log = logging.getLogger(__name__)

IMPORTED_PREFACE = (
    "The conversation up to here was begun by someone else, and handed on as a file. What they could see and use may "
    "differ from what the present user can."
)
"""What a model is told of a conversation that came from someone else, before it is told what was said in it."""

STOP_PATIENCE = 5.0
"""Seconds the server's own call for stopping a run may take."""

LAST_MOMENT = 1.2
"""Seconds that all such calls may take together once Palaver is about to end."""


class Turns(Sessions):
    """Runs turns: a task for each, at most one in a session. `stays` is whether it lasts beyond a turn, so that there is
    time to have a model name a session."""

    def __init__(self, store: Store, client: Client, config: Config, clock: Clock) -> None:
        super().__init__(store, config, clock)
        self._client = client
        self._runs: dict[str, Run] = {}
        self._ending: dict[str, Run] = {}
        self._mine: dict[str, Outline] = {}
        self._stopping: dict[str, asyncio.Task[Any]] = {}
        self._patience: set[asyncio.Timeout] = set()
        self._last_moment = math.inf
        # Sessions that are held though their turn has ended.
        self._kept: set[str] = set()
        self._chores: set[asyncio.Task[Any]] = set()
        self._namer = Namer(store, client, lambda session: self._publish(SessionChanged(session)))
        # As servers told them, by origin and profile.
        self._windows: dict[tuple[str, str], int] = {}
        self.stays = False
        self._closed = False

    async def count(self, session_id: str) -> int:
        """How many turns a session has."""
        live = [run_.turn.depth + 1 for run_ in self._of(session_id)]
        return max([await self._store.count(session_id), *live])

    async def turns(
        self, session_id: str, start: int = 0, stop: int | None = None, *, must_read: bool = False
    ) -> list[Turn]:
        """A session's turns from depth `start` up to, not including, `stop`; a running one as it stands now.

        Raises:
            StoreError: They cannot be read, and they `must`.
        """
        turns = {turn.id: turn for turn in await self._store.turns(session_id, start, stop, must_read=must_read)}
        for run_ in self._of(session_id):
            if run_.turn.depth >= start and (stop is None or run_.turn.depth < stop):
                turns[run_.turn.id] = run_.turn
        return sorted(turns.values(), key=lambda turn: turn.depth)

    def is_mine(self, turn_id: str) -> bool:
        """Whether a turn was run in this window."""
        return turn_id in self._mine

    async def turn(self, turn_id: str) -> Turn | None:
        """One turn, with its attempts."""
        return await self._store.turn(turn_id)

    async def prompts(self, session_id: str) -> list[str]:
        """What the user said in a session, oldest first."""
        return await self._store.prompts(session_id)

    async def prompts_elsewhere(self, session_id: str) -> list[str]:
        """What the user said last in other sessions, oldest first."""
        return await self._store.prompts_elsewhere(session_id)

    async def variants(self, session_id: str) -> dict[int, Variants]:
        """Where a session was gone on with in several ways: by the depths at which those on its present branch part."""
        return await self._store.branches.variants(session_id)

    async def branches(self, session_id: str) -> list[Branch]:
        """The ways a session was gone on, the one begun first first."""
        return await self._store.branches.of(session_id)

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

    def window_of(self, turn: Turn) -> int | None:
        """How many tokens the context of the model that answered a turn may have, where the profile or its server says."""
        profile = self.config.profiles.get(turn.profile)
        is_same = profile is not None and (profile.origin, profile.protocol) == (turn.origin, turn.protocol)
        said = profile.context_window if profile is not None and is_same else None
        return said or self._windows.get((turn.origin, turn.profile))

    def figures(self, turn: Turn) -> Figures:
        """What a turn came to in numbers."""
        return figures_of(turn, self.window_of(turn))

    def is_running(self, session_id: str) -> bool:
        return session_id in self._runs

    def silence(self, session_id: str) -> Silence:
        """How long the server has been silent that answers in a session; not at all where none does, in this window."""
        run_ = self._runs.get(session_id)
        if run_ is None or not run_.told:
            return NO_SILENCE
        now = self._clock.monotonic()
        return Silence(now - run_.told, now - max(run_.told, run_.heard))

    def running(self) -> tuple[str, ...]:
        """The sessions that are answering in this window."""
        return tuple(self._runs)

    def profile_of(self, session: Session | None, profile: str = "", model: str = "") -> Profile:
        """Where a session's next turn goes, unless told otherwise.

        Raises:
            ConfigError: There is no such profile.
        """
        known = session.profile if session and session.profile in self.config.profiles else ""
        found = self.config.profile(profile or known)
        model = model or (session.model if session and not profile else "")
        return replace(found, model=model) if model else found

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
        return self._begin(session, request, with_history, at)

    def _begin(
        self, session: Session | None, request: Request, with_history: bool = True, at: int | None = None
    ) -> Turn:
        profile, key = request.profile, request.session_id
        self._refuse_busy(key)
        turn = Turn(
            id=new_id(),
            session_id=key,
            depth=at if at is not None else session.turns if session else 0,
            prompt=request.prompt,
            created_at=self._clock.now(),
            profile=profile.name,
            protocol=profile.protocol,
            model=profile.model,
            origin=profile.origin,
        )
        self._start(Run(session, turn, profile, at=at), request, with_history)
        return turn

    def _refuse_busy(self, session_id: str) -> None:
        if session_id in self._runs:
            raise UsageError("This session is still answering.", hint="wait, or stop it with Esc")
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

    def goes_on(self, session_id: str) -> bool:
        """Whether the server's work on a session's running turn goes on when it is let go of, and can be taken up again."""
        run_ = self._runs.get(session_id)
        return run_ is not None and Can.RESUME in run_.profile.traits.can and bool(run_.name)

    def lets_go_of(self, session_id: str) -> bool:
        """Whether Ctrl+C means to let go of a session's running turn, not to stop it."""
        run_ = self._runs.get(session_id)
        return run_ is not None and Can.DETACH in run_.profile.traits.can and bool(run_.name)

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
        self._last_moment = min(self._last_moment, asyncio.get_running_loop().time() + LAST_MOMENT)
        for patience in self._patience:
            if not patience.expired():
                patience.reschedule(min(patience.when() or math.inf, self._last_moment))

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
        until = min(asyncio.get_running_loop().time() + STOP_PATIENCE, self._last_moment)
        patience = asyncio.timeout_at(until)
        self._patience.add(patience)
        try:
            async with patience:
                await self._client.ask(run_.profile, lambda wire, http: wire.stop(http, run_.name))
        except (PalaverError, TimeoutError) as error:
            log.info("the server did not stop its run: %s", error)
        finally:
            self._patience.discard(patience)
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

    def _of(self, session_id: str) -> list[Run]:
        """What runs in a session, or has just ended and is being saved."""
        ending = [run_ for run_ in self._ending.values() if run_.turn.session_id == session_id]
        return [*ending, self._runs[session_id]] if session_id in self._runs else ending

    async def _events(self, run_: Run, request: Request, with_history: bool) -> AsyncGenerator[TurnEvent, None]:
        """Everything that happens in a turn: its place on disk, what the server is told, and what it says."""
        session, turn = run_.session, run_.turn
        if session is not None and not run_.is_resumed:
            with _unsent():
                point = await self._point_before(run_) if run_.at else None
                title = "" if run_.profile.titles == "off" else title_from(turn.prompt)
                ground = partial(self._take_up, run_, request, with_history=with_history)
                begun = run_.saved or await self._store.begin(
                    turn, session, title, run_.at, ground=ground if self._is_on_disk(session.id) else None
                )
                self._new.pop(session.id, None)
                run_.saved = turn = begun
                run_.beaten = asyncio.get_running_loop().time()
                self._kept.discard(session.id)
                if point is not None:
                    await self._store.conversations.keep(point)
                yield Placed(begun.depth)
                self._chore(self._tell_session(session.id))
                start = await self._take_up(run_, request, turn, with_history=with_history)
                request = start.request
                if start.note and not run_.is_resumed:
                    yield Noted(start.note)
        stopping = self._stopping.pop(turn.session_id, None)
        if stopping is not None:
            # Where a session's work has no name of its own, a stop that came late would end the next turn's.
            await asyncio.wait({stopping})
        if not request.run and not request.answers:
            keys = dict.fromkeys(pictures_in(turn.prompt))
            pictures = await pictures_shown(self._store, run_.profile, turn.prompt)
            if len(pictures) < len(keys):
                yield Noted("A picture that the prompt names is not here; it was not shown.")
            request = replace(request, pictures=pictures)
        request = replace(
            request,
            is_watched=lambda: self._is_watched(turn.session_id),
            heard=lambda: self._hear(run_),
        )
        events = self._client.stream(request)
        sent_id = ""
        async with aclosing(events):
            async for event in events:
                if isinstance(event, AttemptStarted | ItemDelta | ItemWhole):
                    run_.told = self._clock.monotonic()
                if isinstance(event, AttemptStarted):
                    sent_id = event.sent_id
                elif isinstance(event, ConversationIssued) and has_moved(run_.profile, sent_id, event.conversation_id):
                    sent_id = event.conversation_id
                    yield Noted(MOVED)
                elif isinstance(event, ConversationUnsupported):
                    run_.is_stateless = True
                elif isinstance(event, WindowTold):
                    self._windows[turn.origin, turn.profile] = event.tokens
                yield event

    def _hear(self, run_: Run) -> None:
        run_.heard = self._clock.monotonic()

    async def keep_picture(self, picture: Picture) -> None:
        """Keep a picture, so that prompts can name it."""
        await self._store.pictures.add(picture)

    def _is_watched(self, session_id: str) -> bool:
        """Whether a turn is before someone's eyes: a command's always is."""
        return not self.stays or session_id in ("", self._attended)

    async def _point_before(self, run_: Run) -> Mapping | None:
        """The conversation as it was before a turn, where the server's id names that point of it."""
        profile, at = run_.profile, run_.turn.depth
        if not profile.traits.names_point:
            return None
        for last in await self._store.turns(run_.turn.session_id, at - 1, at, must_read=True):
            if last.status is TurnStatus.DONE and (last.origin, last.protocol) == (profile.origin, profile.protocol):
                return mapping_after(last, profile.key.principal, is_stateless=False, now=self._clock.now())
        return None

    def _is_on_disk(self, session_id: str) -> bool:
        """Whether there is anything of a session to be read, as far as is known."""
        return session_id not in self._new and not self._store.is_only_here(session_id)

    async def _take_up(self, run_: Run, request: Request, turn: Turn, *, with_history: bool) -> Start:
        """The request with its conversation, or with what was said before.

        Raises:
            StoreError: They cannot be read.
        """
        profile = request.profile

        async def earlier(after: int) -> list[Turn]:
            # After the newest turn that is known there is none to be read.
            if not with_history or 0 < after + 1 >= turn.depth:
                return []
            return await self.turns(turn.session_id, after + 1, turn.depth, must_read=self._is_on_disk(turn.session_id))

        address = (turn.session_id, profile.origin, profile.protocol, profile.key.principal)
        mapping = await self._store.conversations.get(*address, must_read=self._is_on_disk(turn.session_id))
        if run_.session is not None and run_.session.provenance is Provenance.IMPORTED:
            request = replace(request, preface=IMPORTED_PREFACE)
        pictures = self._store.pictures.get
        start = await take_up(
            request, mapping, earlier, pictures, now=self._clock.now(), lifetime=self.config.conversation_ttl
        )
        run_.is_stateless = start.is_stateless
        return start

    async def _save(self, run_: Run, turn: Turn) -> None:
        session = run_.session
        is_refused = run_.saved is None and turn.error is not None and turn.error.kind == StoreError.kind
        if session is None or is_refused:
            return
        principal = run_.profile.key.principal
        mapping = mapping_after(turn, principal, is_stateless=run_.is_stateless, now=self._clock.now())
        keeps = turn.status.is_final and self._keeps(turn.session_id)
        if keeps:
            self._kept.add(turn.session_id)
        if await self._store.save(turn, run_.saved, session, mapping, keeps=keeps):
            run_.saved, run_.beaten = turn, asyncio.get_running_loop().time()

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

    def _chore(self, work: Any) -> asyncio.Task[Any]:
        """Do something small beside all else, and have it done before closing."""
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task


@contextmanager
def _unsent() -> Iterator[None]:
    """Say of trouble with the history that nothing was sent because of it."""
    try:
        yield
    except StoreError as error:
        raise StoreError(error.message, hint="nothing was sent", transient=error.transient) from None


def _report(task: asyncio.Task[Any]) -> None:
    """Tell a mistake of ours at once: asyncio does when the task is collected, which may be long after, or never."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler({"message": "a turn failed", "exception": error, "task": task})
