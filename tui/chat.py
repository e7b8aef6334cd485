"""Chat, the front ends' only door: sessions, the turns in them, and what servers have to do with both."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from tui.changes import Change, HealthChanged, LeaseChanged, QueueChanged, SessionChanged, TurnChanged
from tui.client import Client, Request
from tui.clock import SYSTEM, Clock
from tui.config import Config, Profile
from tui.conversations import Conversations
from tui.errors import ConfigError, PalaverError, StoreError, UsageError
from tui.leases import Leases
from tui.model import Item, ItemState, Session, Settled, Turn, TurnStatus, Verdict
from tui.runs import Run
from tui.store import Store
from tui.traits import Can

if TYPE_CHECKING:
    from tui.agent_items import AgentItems
    from tui.exchange import Exchange
    from tui.found import Found, Places

log = logging.getLogger(__name__)

__all__ = ["Change", "Chat", "HealthChanged", "LeaseChanged", "QueueChanged", "SessionChanged", "TurnChanged"]


class Chat(Leases):
    """Sessions and their turns. Knows no screen, no wire and no SQL."""

    def __init__(self, store: Store, client: Client, config: Config, *, clock: Clock = SYSTEM) -> None:
        super().__init__(store, client, config, clock)
        self._answered: set[tuple[str, str]] = set()
        self.conversations = Conversations(
            store,
            client,
            config,
            clock,
            profile_of=self.profile_of,
            window_of=self.window_of,
            changed=lambda session: self._publish(SessionChanged(session)),
        )

    # What few starts need is loaded with its first use.

    @cached_property
    def agent_items(self) -> AgentItems:
        """What scripts of the OpenAI Agents SDK say in sessions."""
        from tui.agent_items import AgentItems

        return AgentItems(self._store, self._clock, changed=lambda session: self._publish(SessionChanged(session)))

    @cached_property
    def exchange(self) -> Exchange:
        """Sessions as files, for others and from them."""
        from tui.exchange import Exchange

        return Exchange(
            self._store,
            self.config,
            self._clock,
            changed=lambda session: self._publish(SessionChanged(session)),
            keys=lambda: self._client.keys,
        )

    async def prepare(self, session: Session | None) -> None:
        """Load what a first prompt in a session needs, so that nothing waits for it when there is one."""
        with suppress(ConfigError):
            await self._client.prepare(self.profile_of(session))

    def search(self, text: str, *, labels: Sequence[str] = (), limit: int = 60) -> AsyncGenerator[Found, None]:
        """Look through all sessions for what a user typed: each time all that is found so far, until that is all.

        `labels` are those of the sessions meant, beside those that are named in `text`. Closing it ends the search. What is
        just being said in this window is looked into as well.
        """
        from tui.query import parse_query

        query = parse_query(text, self.now())
        query = replace(query, labels=(*query.labels, *labels))
        live = [(run_.turn, run_.session) for run_ in self._runs.values() if run_.session is not None]
        return self._store.finds.search(query, limit=limit, live=live)

    async def places(self, session_id: str, text: str) -> AsyncGenerator[Places, None]:
        """Where in a session a text is: some more of its turns each time, the newest ones first."""
        from tui.found import Places
        from tui.matching import literal

        matcher = literal(text)
        live = {
            run_.turn.depth: matcher.count(f"{run_.turn.prompt}\n{run_.turn.text}") for run_ in self._shown(session_id)
        }
        async for places in self._store.finds.places(session_id, text):
            counts = dict(places.counts)
            counts |= {depth: live.pop(depth) for depth in list(live) if depth in counts}
            if places.is_done:
                counts |= live
            yield Places(tuple(sorted((depth, count) for depth, count in counts.items() if count)), places.is_done)

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
        # What is said meanwhile waits behind it.
        self._between[session.id], self._done[session.id] = False, newest[-1].id
        try:
            turn = await self._store.reopen(newest[-1].id)
        finally:
            is_stopped = self._between.pop(session.id, False)
            self._done.pop(session.id, None)
        if turn is None:
            return False
        turn = replace(turn, status=TurnStatus.STREAMING, error=None, ended_at=None)
        run_ = Run(session, turn, profile, is_resumed=True, name=turn.run)
        self._start(run_, Request(profile, turn.prompt, session.id, run=turn.run))
        if is_stopped:
            self.cancel(session.id)
        return True

    def _profile_of_turn(self, turn: Turn) -> Profile | None:
        """Where a turn was sent, if that is still configured as it was then, for the same one."""
        profile = self.config.profiles.get(turn.profile)
        if profile is None or (profile.origin, profile.protocol) != (turn.origin, turn.protocol):
            return None
        if turn.principal not in (None, profile.principal):
            return None
        return replace(profile, model=turn.model or profile.model)

    async def answer(self, session: Session | None, turn: Turn, item: Item, verdict: Verdict) -> None:
        """Say what the user thinks of something a turn asks: to the run that waits for it, or as the next turn.

        Raises:
            UsageError: It has been answered already, or the session is busy.
            TurnError, ConfigError: The server cannot be told.
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
        telling = self._begin(session, request, settles=Settled(turn.id, item.key, state))
        self._worded.add(telling.turn.id)
        await self._follow_on(session.id, turn.id, telling.turn.id)
        self._chore(self._reopen_if_untold(telling, turn, item))

    async def _reopen_if_untold(self, telling: Run, turn: Turn, item: Item) -> None:
        """Let a question be answered again, where the turn that was to tell the answer failed."""
        told = telling.turn.id
        after = await self.settled(telling.turn.session_id)
        if after is None or after.id != told:
            after = await self._store.turn(told)
        # Of one that was never begun nothing is kept.
        if after is not None and after.status is not TurnStatus.FAILED:
            return
        self._answered.discard((turn.id, item.key))
        if telling.saved is None:
            return  # it settled nothing
        try:
            changed = await self._store.set_item_state(turn.id, item.key, ItemState.OPEN)
        except StoreError as error:
            log.info("that a question is open again is not noted: %s", error)
            return
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
