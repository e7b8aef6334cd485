"""What happens in a turn, from its place on disk to the last word of its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from tui.attachments import pictures_in
from tui.changes import TurnChanged
from tui.client import Client, Request
from tui.clock import Clock
from tui.config import Config, Profile
from tui.continuity import MOVED, Start, has_moved, mapping_after, point_after, take_up
from tui.errors import StoreError
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
from tui.model import Mapping, MappingState, Provenance, Turn, title_from
from tui.pictures import Picture
from tui.runs import Run
from tui.shown_pictures import pictures_shown
from tui.store import Store
from tui.turn_views import TurnViews

IMPORTED_PREFACE = (
    "The conversation up to here was begun by someone else, and handed on as a file. What they could see and use may "
    "differ from what the present user can."
)
"""What a model is told of a conversation that came from someone else, before it is told what was said in it."""


class TurnEvents(TurnViews):
    """Tells what happens in turns. `stays` is whether it lasts beyond a turn, so that there is time to have a model name a
    session, and that a turn may be before no one's eyes."""

    def __init__(self, store: Store, client: Client, config: Config, clock: Clock) -> None:
        super().__init__(store, config, clock)
        self._client = client
        self._stopping: dict[str, asyncio.Task[Any]] = {}
        # Sessions that are held though their turn has ended.
        self._kept: set[str] = set()
        self._chores: set[asyncio.Task[Any]] = set()
        self.stays = False

    async def _events(self, run_: Run, request: Request, with_history: bool) -> AsyncGenerator[TurnEvent, None]:
        """Everything that happens in a turn: its place on disk, what the server is told, and what it says."""
        session, turn = run_.session, run_.turn
        if session is not None and not run_.is_resumed:
            with _unsent():
                point = await self._point_before(run_) if run_.at else None
                title = "" if run_.profile.titles == "off" else title_from(turn.prompt)
                ground = partial(self._take_up, run_, request, with_history=with_history)
                begun = run_.saved or await self._store.begin(
                    turn,
                    session,
                    title,
                    run_.at,
                    ground=ground if self._is_on_disk(session.id) else None,
                    settles=run_.settles,
                )
                self._new.pop(session.id, None)
                run_.saved = turn = begun
                run_.beaten = asyncio.get_running_loop().time()
                self._kept.discard(session.id)
                if point is not None:
                    await self._store.conversations.keep(point)
                yield Placed(begun.depth)
                self._chore(self._tell_session(session.id))
                if run_.settles is not None:
                    self._chore(self._tell_turn(run_.settles.turn_id))
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
        """The conversation as it was before a turn, where the server's id names that point of it, and it was not let go of."""
        session_id, profile, at = run_.turn.session_id, run_.profile, run_.turn.depth
        if not profile.traits.names_point:
            return None
        known = await self._conversation(session_id, profile, must_read=True)
        if known is None or known.state is not MappingState.LIVE:
            return None
        for last in await self._store.turns(session_id, at - 1, at, must_read=True):
            return point_after(last, profile)
        return None

    async def _conversation(self, session_id: str, profile: Profile, *, must_read: bool) -> Mapping | None:
        """The conversation a profile's server keeps for a session."""
        address = (session_id, profile.origin, profile.protocol, profile.principal)
        return await self._store.conversations.get(*address, must_read=must_read)

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

        mapping = await self._conversation(turn.session_id, profile, must_read=self._is_on_disk(turn.session_id))
        mapping = self._newest(mapping, turn, profile)
        if run_.session is not None and run_.session.provenance is Provenance.IMPORTED:
            request = replace(request, preface=IMPORTED_PREFACE)
        pictures = self._store.pictures.get
        start = await take_up(
            request, mapping, earlier, pictures, now=self._clock.now(), lifetime=self.config.conversation_ttl
        )
        run_.is_stateless = start.is_stateless
        return start

    async def _tell_turn(self, turn_id: str) -> None:
        turn = await self._store.turn(turn_id)
        if turn is not None:
            self._publish(TurnChanged(turn))

    def _newest(self, mapping: Mapping | None, turn: Turn, profile: Profile) -> Mapping | None:
        """The conversation before a turn: as it was read, or as turns left it that have ended and are not on disk yet."""
        for run_ in self._shown(turn.session_id):
            if run_.turn.id == turn.id or run_.turn.depth >= turn.depth or run_.moved_to is not None:
                continue
            left = mapping_after(
                run_.turn, run_.profile.principal, is_stateless=run_.is_stateless, now=self._clock.now()
            )
            address = (profile.origin, profile.protocol, profile.principal)
            if left is None or (left.origin, left.protocol, left.principal) != address:
                continue
            if mapping is None or mapping.depth < left.depth:
                mapping = left
        return mapping

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
