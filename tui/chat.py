"""Chat, the front ends' only door: it runs turns, keeps what they say, and tells subscribers how things stand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tui.client import Client, Request
from tui.clock import SYSTEM, Clock
from tui.config import Config, Profile
from tui.continuity import Start, mapping_after, take_up
from tui.conversations import Conversations
from tui.errors import LabelTaken, PalaverError, StoreError, UsageError
from tui.events import ConversationUnsupported, Noted, Placed, TurnEvent
from tui.model import (
    Item,
    ItemState,
    Mapping,
    Provenance,
    Scroll,
    Session,
    TitleSource,
    Turn,
    TurnStatus,
    Verdict,
    check_label,
    new_id,
    title_from,
)
from tui.runner import run, to_end
from tui.store import Health, Store
from tui.traits import Can

log = logging.getLogger(__name__)

STOP_PATIENCE = 5.0
"""Seconds the server's own call for stopping a run may take."""

FOLLOW_EVERY = 0.1
"""Seconds between two looks at what other windows did."""


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """A turn, as it stands now."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session, as it stands now; one with `deleted_at` is gone from the list."""

    session: Session


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """How the history fares now."""

    health: Health


Change = TurnChanged | SessionChanged | HealthChanged


@dataclass(slots=True)
class _Run:
    """A turn that is running.

    `saved` is its state on disk; `stop` is what a cancellation would mean, `lets_go` whether the server's work is to go on
    after one. `name` is the server's for that work. `states` and `notes` are what was learnt of the turn beside its
    stream; `is_resumed` is whether it had been interrupted before.
    """

    session: Session | None
    turn: Turn
    profile: Profile
    task: asyncio.Task[Turn] | None = None
    saved: Turn | None = None
    stop: TurnStatus | None = None
    lets_go: bool = False
    is_stateless: bool = False
    is_resumed: bool = False
    name: str = ""
    states: dict[str, ItemState] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def seen(self, turn: Turn) -> Turn:
        """`turn` with what was learnt beside its stream."""
        self.name = turn.run or self.name
        if self.notes:
            turn = replace(turn, notes=(*turn.notes, *self.notes))
        if self.states:
            items = (replace(item, state=self.states.get(item.key, item.state)) for item in turn.items)
            turn = replace(turn, items=tuple(items))
        if self.is_resumed and turn.error is not None and turn.error.kind == "refused":
            # The server does not know the run any more: there is nothing to take up a third time.
            turn = replace(turn, run="")
        return turn


class Chat:
    """Sessions and their turns. Knows no screen, no wire and no SQL."""

    def __init__(self, store: Store, client: Client, config: Config, *, clock: Clock = SYSTEM) -> None:
        self.config = config
        self._store = store
        self._client = client
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._ending: dict[str, _Run] = {}
        self._mine: set[str] = set()
        self._answered: set[tuple[str, str]] = set()
        self._new: dict[str, Session] = {}
        self._subscribers: list[Callable[[Change], None]] = []
        self._attended: str = ""
        self._following: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.conversations = Conversations(
            store,
            client,
            config,
            clock,
            profile_of=self.profile_of,
            changed=lambda session: self._publish(SessionChanged(session)),
        )

    # Subscribing

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Tell `callback` of every change; it must return at once. Gives what ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    @property
    def health(self) -> Health:
        return self._store.health

    def now(self) -> float:
        """The time all turns are dated by, in seconds since the epoch."""
        return self._clock.now()

    def tell_health(self, health: Health) -> None:
        """For the store: say how it fares."""
        self._publish(HealthChanged(health))

    def follow(self) -> None:
        """From now on, tell what other windows do."""
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow())

    # Sessions

    async def sessions(self, *, deleted: bool = False) -> list[Session]:
        """All sessions, the one used last first."""
        return await self._store.sessions(deleted=deleted)

    async def session(self, session_id: str) -> Session | None:
        return self._new.get(session_id) or await self._store.session(session_id)

    async def find(self, label: str, *, deleted: bool = False) -> Session | None:
        """The session of that label, if there is one."""
        return await self._store.find(check_label(label), deleted=deleted)

    async def last(self) -> Session | None:
        """The session looked at last, if there is one."""
        return await self._store.last()

    async def open(self, label: str, *, profile: str = "", model: str = "") -> Session:
        """The session of that label; a new one, if there is none."""
        session = await self.find(label)
        if session is not None:
            return session
        session = Session(new_id(), check_label(label), profile=profile, model=model, created_at=self._clock.now())
        try:
            session = await self._store.create(session)
        except LabelTaken:
            # Another process has made it at this very moment: it is that one that is meant.
            session = await self.find(label) or session
        self._publish(SessionChanged(session))
        return session

    async def new(self, *, profile: str = "", model: str = "") -> Session:
        """A new session under a label of its own. It is kept once something is said in it; until then there is only one."""
        for session in self._new.values():
            if session.id not in self._runs:
                self._new[session.id] = replace(session, profile=profile, model=model)
                return self._new[session.id]
        taken = {session.label for session in await self._store.sessions()}
        number = 1
        while f"chat-{number}" in taken:
            number += 1
        session = Session(new_id(), f"chat-{number}", profile=profile, model=model, created_at=self._clock.now())
        self._new[session.id] = session
        return session

    async def rename(self, session_id: str, label: str) -> Session:
        """Give a session another label.

        Raises:
            UsageError: The label cannot be one.
            LabelTaken: Another session has it.
        """
        return await self._update(session_id, label=check_label(label))

    async def set_title(self, session_id: str, title: str) -> Session:
        """Give a session the user's own title, or, if it is blank, one made from what is said."""
        title = " ".join(title.split())[:500]
        source = TitleSource.USER if title else TitleSource.NONE
        return await self._update(session_id, title=title, title_source=source)

    async def set_profile(self, session_id: str, profile: str, model: str = "") -> Session:
        """Let a session's next turn go to another profile or model."""
        self.config.profile(profile)
        return await self._update(session_id, profile=profile, model=model)

    async def pin(self, session_id: str, pinned: bool = True) -> Session:
        return await self._update(session_id, pinned=pinned)

    async def archive(self, session_id: str, archived: bool = True) -> Session:
        return await self._update(session_id, archived_at=self._clock.now() if archived else None)

    async def delete(self, session_id: str) -> Session:
        """Put a session into the trash, from where it can be restored. What it was answering is stopped first."""
        self.cancel(session_id)
        await self.settled(session_id)
        return await self._update(session_id, deleted_at=self._clock.now())

    async def restore(self, session_id: str) -> Session:
        """Take a session out of the trash; where its label was given away meanwhile, under a similar one."""
        session = await self.session(session_id)
        if session is None:
            raise StoreError("There is no such session any more.")
        label = session.label
        number = 2
        while await self._store.find(label):
            label = f"{session.label}-{number}"
            number += 1
        return await self._update(session_id, deleted_at=None, label=label)

    async def keep_place(self, session_id: str, draft: str, scroll: Scroll) -> None:
        """Keep what was typed and not sent, and the place the user was at. A place alone does not keep a new session."""
        session = await self.session(session_id)
        if session is None or (session_id in self._new and not draft):
            return
        if session.draft != draft:
            await self._update(session_id, draft=draft, scroll=scroll)
        elif session.scroll != scroll:
            await self._store.update(session_id, scroll=scroll)

    def attend(self, session_id: str) -> None:
        """Say which session is before the user's eyes; what ends in another one is unread."""
        self._attended = session_id

    async def remember(self, session_id: str) -> bool:
        """Have this session shown when Palaver is next opened without a label. False while it is not kept yet."""
        if session_id in self._new:
            return False
        await self._store.remember(session_id)
        return True

    async def mark_read(self, session_id: str) -> None:
        session = await self.session(session_id)
        if session is not None and session.unread:
            await self._update(session_id, unread=False)

    async def mappings(self) -> list[tuple[str, Mapping]]:
        """All conversations servers keep for us, with their sessions' labels."""
        return await self._store.mappings()

    # Turns

    async def count(self, session_id: str) -> int:
        """How many turns a session has."""
        live = [run_.turn.depth + 1 for run_ in self._of(session_id)]
        return max([await self._store.count(session_id), *live])

    async def turns(self, session_id: str, start: int = 0, stop: int | None = None) -> list[Turn]:
        """A session's turns from depth `start` up to, not including, `stop`; a running one as it stands now."""
        turns = {turn.id: turn for turn in await self._store.turns(session_id, start, stop)}
        for run_ in self._of(session_id):
            if run_.turn.depth >= start and (stop is None or run_.turn.depth < stop):
                turns[run_.turn.id] = run_.turn
        return sorted(turns.values(), key=lambda turn: turn.depth)

    async def turn(self, turn_id: str) -> Turn | None:
        """One turn, with its attempts."""
        return await self._store.turn(turn_id)

    async def prompts(self, session_id: str) -> list[str]:
        """What the user said in a session, oldest first."""
        return await self._store.prompts(session_id)

    def is_running(self, session_id: str) -> bool:
        return session_id in self._runs

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
    ) -> Turn:
        """Begin a turn and give its first state; what follows is told to subscribers. Without a session nothing is kept.

        Raises:
            UsageError: There is nothing to say, or the session is answering already.
        """
        if not prompt.strip():
            raise UsageError("The prompt is empty.", hint="say something")
        if session is not None and session.provenance is Provenance.FOREIGN:
            raise UsageError("This conversation is someone else's.", hint="fork it to go on: /fork")
        profile = profile or self.profile_of(session)
        key = session.id if session else ""
        is_forked = session is not None and session.provenance is Provenance.FORKED
        request = Request(profile, prompt, key, allow_fresh=allow_fresh, is_forked=is_forked, budget=budget)
        return self._begin(session, request, with_history)

    def _begin(self, session: Session | None, request: Request, with_history: bool = True) -> Turn:
        profile, key = request.profile, request.session_id
        self._refuse_busy(key)
        turn = Turn(
            id=new_id(),
            session_id=key,
            depth=session.turns if session else 0,
            prompt=request.prompt,
            created_at=self._clock.now(),
            profile=profile.name,
            protocol=profile.protocol,
            model=profile.model,
            origin=profile.origin,
        )
        self._start(_Run(session, turn, profile), request, with_history)
        return turn

    def _refuse_busy(self, session_id: str) -> None:
        if session_id in self._runs:
            raise UsageError("This session is still answering.", hint="wait, or stop it with Esc")
        if self._closed:
            raise UsageError("Palaver is closing.")

    def _start(self, run_: _Run, request: Request, with_history: bool = True) -> None:
        self._runs[run_.turn.session_id] = run_
        self._mine.add(run_.turn.id)
        self._publish(TurnChanged(run_.turn))
        run_.task = asyncio.get_running_loop().create_task(self._run(run_, request, with_history))

    def cancel(self, session_id: str, status: TurnStatus = TurnStatus.CANCELLED, *, lets_go: bool = False) -> bool:
        """Stop a session's running turn, and the server's work on it; or only let go of that, where it can go on without
        us. False where there is nothing to stop."""
        run_ = self._runs.get(session_id)
        if run_ is None or run_.task is None or run_.stop is not None:
            return False
        run_.lets_go = lets_go and Can.RESUME in run_.profile.traits.can and bool(run_.name)
        run_.stop = TurnStatus.INTERRUPTED if run_.lets_go else status
        # One pass of the loop later: a task cancelled before its first step would never clean up.
        asyncio.get_running_loop().call_soon(run_.task.cancel)
        return True

    def lets_go_of(self, session_id: str) -> bool:
        """Whether Ctrl+C means to let go of a session's running turn, not to stop it."""
        run_ = self._runs.get(session_id)
        return run_ is not None and Can.DETACH in run_.profile.traits.can and bool(run_.name)

    async def resume(self, session: Session) -> bool:
        """Take up again the server's work on a session's newest turn, if that went on when the turn broke off.

        Raises:
            UsageError: The session is answering already.
            SessionBusy: It is, in another window.
            StoreError: It cannot be noted.
        """
        count = await self._store.count(session.id)
        newest = await self._store.turns(session.id, max(0, count - 1))
        profile = self._profile_of_turn(newest[-1]) if newest else None
        if profile is None or newest[-1].status is not TurnStatus.INTERRUPTED or not newest[-1].run:
            return False
        if Can.RESUME not in profile.traits.can:
            return False
        self._refuse_busy(session.id)
        turn = await self._store.reopen(newest[-1].id)
        if turn is None or session.id in self._runs:
            return False
        turn = replace(turn, status=TurnStatus.STREAMING, error=None, ended_at=None)
        run_ = _Run(session, turn, profile, is_resumed=True, name=turn.run)
        self._start(run_, Request(profile, turn.prompt, session.id, run=turn.run))
        return True

    def _profile_of_turn(self, turn: Turn) -> Profile | None:
        """Where a turn was sent, if that is still configured as it was then."""
        profile = self.config.profiles.get(turn.profile)
        if profile is None or (profile.origin, profile.protocol) != (turn.origin, turn.protocol):
            return None
        return replace(profile, model=turn.model or profile.model)

    async def answer(self, session: Session | None, turn: Turn, item: Item, verdict: Verdict) -> None:
        """Say what the user thinks of something a turn asks: to the run that waits for it, or as the next turn.

        Raises:
            UsageError: It has been answered already, or the session is busy.
            TurnError, ConfigError: The server cannot be told.
            StoreError: It cannot be noted.
        """
        state = ItemState.APPROVED if verdict.approved else ItemState.DENIED
        run_ = self._runs.get(turn.session_id)
        if (turn.id, item.key) in self._answered:
            raise UsageError("That has been answered already.")
        if run_ is not None and run_.turn.id == turn.id and Can.CONFIRM in run_.profile.traits.can:
            name = run_.name
            await self._answering(
                turn, item, self._client.ask(run_.profile, lambda wire, http: wire.answer(http, name, item, verdict))
            )
            run_.states[item.key] = state
            self._publish(TurnChanged(run_.seen(run_.turn)))
            return
        profile = self._profile_of_turn(turn)
        if session is None or profile is None or Can.APPROVE not in profile.traits.can:
            raise UsageError("The server does not wait for an answer to this any more.")
        self._refuse_busy(session.id)
        self._answered.add((turn.id, item.key))
        said = f"{'Approved' if verdict.approved else 'Denied'}: {item.name}"
        if verdict.reason:
            said += f" ({verdict.reason})"
        request = Request(profile, said, session.id, answers=((item, verdict),), allow_fresh=False)
        self._begin(session, request)
        changed = await self._store.set_item_state(turn.id, item.key, state)
        if changed is not None:
            self._publish(TurnChanged(changed))

    async def _answering(self, turn: Turn, item: Item, telling: Awaitable[None]) -> None:
        """Tell an answer once; where that fails, it may be told again."""
        self._answered.add((turn.id, item.key))
        try:
            await telling
        except PalaverError:
            self._answered.discard((turn.id, item.key))
            raise

    def can_steer(self, session_id: str) -> bool:
        """Whether more can be said to a session that is answering."""
        run_ = self._runs.get(session_id)
        return run_ is not None and Can.STEER in run_.profile.traits.can and bool(run_.name)

    async def steer(self, session_id: str, text: str) -> None:
        """Say more to the server while it answers.

        Raises:
            UsageError: It cannot be told any more now.
            TurnError, ConfigError: It refuses, or cannot be reached.
        """
        run_ = self._runs.get(session_id)
        if run_ is None or not self.can_steer(session_id):
            raise UsageError("This session is not answering any more.", hint="send it as the next prompt")
        name = run_.name
        await self._client.ask(run_.profile, lambda wire, http: wire.steer(http, name, text))
        run_.notes.append(f"You added: {text}")
        if session_id in self._runs:
            self._publish(TurnChanged(run_.seen(run_.turn)))

    async def settled(self, session_id: str) -> Turn | None:
        """The final state of a session's running turn, once it has one and it is on disk."""
        last = None
        for run_ in self._of(session_id):
            if run_.task is not None:
                last = await asyncio.shield(run_.task)
        return last

    async def aclose(self, status: TurnStatus = TurnStatus.INTERRUPTED) -> None:
        """Stop everything that runs, keeping what came."""
        self._closed = True
        if self._following is not None:
            self._following.cancel()
        runs = [*self._runs.values(), *self._ending.values()]
        tasks = [run_.task for run_ in runs if run_.task is not None]
        for session_id in self.running():
            self.cancel(session_id, status, lets_go=True)
        for task in [*tasks, *self._chores]:
            with suppress(Exception):
                await to_end(task)

    # Within

    async def _update(self, session_id: str, **changes: Any) -> Session:
        new = self._new.pop(session_id, None)
        if new is not None:
            try:
                session: Session | None = await self._store.create(replace(new, **changes))
            except StoreError:
                self._new[session_id] = new
                raise
        else:
            session = await self._store.update(session_id, **changes)
        if session is None:
            raise StoreError("There is no such session any more.")
        self._publish(SessionChanged(session))
        return session

    async def _run(self, run_: _Run, request: Request, with_history: bool) -> Turn:
        def publish(turn: Turn) -> None:
            run_.turn = turn = run_.seen(turn)
            if turn.status.is_final:
                # The session is free before its last words are on disk, which may take a locked disk's time.
                self._ending[turn.id] = run_
                del self._runs[turn.session_id]
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
            if run_.turn.status is TurnStatus.CANCELLED and run_.name and Can.STOP in run_.profile.traits.can:
                self._chore(self._stop_at_server(run_))
            self._chore(self._after(run_))

    async def _stop_at_server(self, run_: _Run) -> None:
        """Have the server stop the work that a closed connection does not end."""
        try:
            async with asyncio.timeout(STOP_PATIENCE):
                await self._client.ask(run_.profile, lambda wire, http: wire.stop(http, run_.name))
        except (PalaverError, TimeoutError) as error:
            log.info("the server did not stop its run: %s", error)

    def _of(self, session_id: str) -> list[_Run]:
        """What runs in a session, or has just ended and is being saved."""
        ending = [run_ for run_ in self._ending.values() if run_.turn.session_id == session_id]
        return [*ending, self._runs[session_id]] if session_id in self._runs else ending

    async def _events(self, run_: _Run, request: Request, with_history: bool) -> AsyncGenerator[TurnEvent, None]:
        """Everything that happens in a turn: its place on disk, what the server is told, and what it says."""
        session, turn = run_.session, run_.turn
        if session is not None and not run_.is_resumed:
            begun = await self._store.begin(turn, session, title_from(turn.prompt))
            self._new.pop(session.id, None)
            run_.saved = turn = begun
            yield Placed(begun.depth)
            self._chore(self._tell_session(session.id))
            start = await self._take_up(run_, request, turn, with_history)
            request = start.request
            if start.note and not run_.is_resumed:
                yield Noted(start.note)
        events = self._client.stream(request)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, ConversationUnsupported):
                    run_.is_stateless = True
                yield event

    async def _take_up(self, run_: _Run, request: Request, turn: Turn, with_history: bool) -> Start:
        """The request with its conversation, or with what was said before."""
        profile = request.profile

        async def earlier(after: int) -> list[Turn]:
            return await self.turns(turn.session_id, after + 1, turn.depth) if with_history else []

        mapping = await self._store.mapping(turn.session_id, profile.origin, profile.protocol, profile.key.principal)
        start = await take_up(request, mapping, earlier, now=self._clock.now(), lifetime=self.config.conversation_ttl)
        run_.is_stateless = start.is_stateless
        return start

    async def _save(self, run_: _Run, turn: Turn) -> None:
        session = run_.session
        if session is None:
            return
        principal = run_.profile.key.principal
        mapping = mapping_after(turn, principal, is_stateless=run_.is_stateless, now=self._clock.now())
        if await self._store.save(turn, run_.saved, session, mapping):
            run_.saved = turn

    async def _after(self, run_: _Run) -> None:
        """What a session's row needs once its turn is over."""
        if run_.session is None:
            return
        if run_.turn.session_id != self._attended and run_.turn.status is not TurnStatus.CANCELLED:
            await self._store.update(run_.turn.session_id, unread=True)
        await self._tell_session(run_.turn.session_id)

    async def _tell_session(self, session_id: str) -> None:
        session = await self._store.session(session_id)
        if session is not None:
            self._publish(SessionChanged(session))

    def _chore(self, work: Any) -> None:
        """Do something small beside all else, and have it done before closing."""
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _follow(self) -> None:
        changes = await self._store.poll(None)
        revision = changes.revision if changes else None
        while True:
            await asyncio.sleep(FOLLOW_EVERY)
            changes = await self._store.poll(revision)
            if changes is None:
                continue
            revision = changes.revision
            for turn in changes.turns:
                if turn.id not in self._mine:
                    self._publish(TurnChanged(turn))
            for session in changes.sessions:
                self._publish(SessionChanged(session))

    def _publish(self, change: Change) -> None:
        for callback in list(self._subscribers):
            try:
                callback(change)
            except Exception:
                log.exception("a subscriber failed")
