"""The way from one session to another: what is sent or changes meanwhile is said, or shown, on arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import field
from typing import Any, Protocol

from tui.app.screens.shelf import Shelf
from tui.app.transcript.at_hand import Marks
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.prompt import Prompt
from tui.chat import Chat
from tui.errors import PalaverError
from tui.model import Queued, Session, Turn
from tui.values import dataclass

FIRST_TURNS = 24
"""Turns read before a session is shown; the rest comes when it is looked at."""


class Stage(Protocol):
    """Where sessions are shown, one at a time."""

    @property
    def session(self) -> Session | None:
        """The session shown."""
        ...

    def as_it_stands(self) -> Session | None:
        """The session shown, with the draft and the place as they are on the screen."""
        ...

    @property
    def queue(self) -> tuple[Queued, ...]:
        """What waits in it."""
        ...

    def leave(self, left: Session) -> None:
        """Show no session any more, `left` being the last one."""
        ...

    def settle(self, session: Session, queue: tuple[Queued, ...]) -> None:
        """Have everything else tell of the session that the transcript shows now."""
        ...

    async def show_again(self, session_id: str) -> None:
        """Show a session's turns as they are now, if it is the one shown."""
        ...

    def send_text(self, session: Session, text: str) -> None:
        """Say something in a session."""
        ...

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something that takes a moment."""
        ...


@dataclass(slots=True)
class Journey:
    """From the session `left` to another one, by its id where that is known.

    `over` is set on arrival, or once there will be none.
    """

    left: Session | None = None
    to: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[str] = field(default_factory=list)
    changed: dict[str, Turn] = field(default_factory=dict)


class Way:
    """Goes from session to session, one journey after the other. Only the newest one is shown the end of."""

    def __init__(self, chat: Chat, transcript: TranscriptView, prompt: Prompt, stage: Stage) -> None:
        self.shelf = Shelf()
        self._chat = chat
        self._transcript = transcript
        self._prompt = prompt
        self._stage = stage
        self._journey = Journey()
        self._moving = asyncio.Lock()
        self._remembered = ""

    @property
    def place(self) -> str:
        """The session shown, or the one on the way to which we are; for what counts from there."""
        session = self._stage.session
        if session is not None:
            return session.id
        return self._journey.to or (self._journey.left.id if self._journey.left else "")

    @property
    def arrival(self) -> asyncio.Event | None:
        """What is set once the session is there that we are on the way to; None where one is shown."""
        journey = self._journey
        return None if self._stage.session is not None or journey.over.is_set() else journey.over

    # What happens on the way

    def send_there(self, text: str) -> None:
        """Say something in the session we are on the way to, once it is there."""
        self._journey.sent.append(text)

    def note(self, turn: Turn) -> None:
        """A turn is different now: of another session than the one shown, or of one we are on the way to."""
        session = self._stage.session
        if session is None or turn.session_id != session.id:
            self.shelf.note(turn)
        if session is None:
            self._journey.changed[turn.id] = turn

    # Going

    def begin(self, to: Coroutine[Any, Any, Session]) -> Coroutine[Any, Any, None]:
        """What shows the first session."""
        return self._travel(self._journey, to)

    def visit(self, to: Session | Coroutine[Any, Any, Session]) -> Coroutine[Any, Any, None]:
        """Leave the session shown, at once; the coroutine given then goes to another one.

        Whatever is typed from here on belongs to that other one.
        """
        left = self._stage.as_it_stands()
        if left is not None:
            self.shelf.keep(left, self._transcript.port, self._prompt.said, self._stage.queue)
            self._stage.leave(left)
        journey = self._journey = Journey(left or self._journey.left, to.id if isinstance(to, Session) else "")
        if isinstance(to, Session) and not self._moving.locked() and self._show_kept(to):
            return self._catch_up(journey, to)
        return self._travel(journey, to)

    async def _travel(self, journey: Journey, to: Session | Coroutine[Any, Any, Session]) -> None:
        # One after the other, so that what was sent on the way to one session is said there before the next is made.
        async with self._moving:
            try:
                await self._arrive(journey, to if isinstance(to, Session) else await to)
            except PalaverError:
                if journey is self._journey and journey.left is not None:
                    # The transcript still shows it.
                    await self._arrive(journey, journey.left)
                raise
            finally:
                journey.over.set()

    async def _arrive(self, journey: Journey, session: Session) -> None:
        if journey is self._journey:
            await self._show(journey, session)
        if journey.sent:
            first, *others = journey.sent
            journey.sent.clear()
            self._stage.send_text(session, first)
            if others:
                self._prompt.give_back("\n".join(others))

    async def _show(self, journey: Journey, session: Session) -> None:
        if self._show_kept(session):
            self._stage.do(self._catch_up(journey, session))
            return
        at_end, depth = session.scroll.at_end, session.scroll.depth
        # How many turns there are is read beside them: what is known of it is right but for what others just said.
        until = session.turns if at_end else min(session.turns, depth + FIRST_TURNS)
        start = max(0, until - FIRST_TURNS)
        count, turns, variants, queue = await asyncio.gather(
            self._chat.count(session.id),
            self._chat.turns(session.id, start, None if at_end else until),
            self._chat.variants(session.id),
            self._chat.queue(session.id),
        )
        if journey is not self._journey:
            return
        marks: Marks = {"notice": session.notice, "shared": session.shared, "variants": variants}
        count = max(count, *(turn.depth + 1 for turn in turns[-1:]), 0)
        self._transcript.show(count, session.scroll, turns, **marks)
        self._transcript.put([turn for turn in journey.changed.values() if turn.session_id == session.id])
        self._prompt.set_history([])
        self._stage.settle(session, queue)
        self._stage.do(self._catch_up(journey, session, is_read=True))

    def _show_kept(self, session: Session) -> bool:
        """Show a session at once, if it is one of those left last."""
        kept = self.shelf.take(session)
        if kept is None:
            return False
        self._transcript.show_kept(kept.port)
        self._prompt.set_history(kept.prompts)
        self._stage.settle(session, kept.queue)
        return True

    async def _catch_up(self, journey: Journey, session: Session, *, is_read: bool = False) -> None:
        """What a session just shown, read anew or kept, needs besides, as long as it is looked at."""
        if session.unread:
            await self._chat.mark_read(session.id)
        if is_read:
            said = await self._chat.prompts(session.id)
            if journey is self._journey:
                self._prompt.fill_history(said)
        elif journey is self._journey and await self._chat.count(session.id) > self._transcript.count:
            await self._stage.show_again(session.id)
        if journey is self._journey:
            await self.remember(session.id)
        newest = self._transcript.turn_at(self._transcript.count - 1)
        if journey is self._journey and newest is not None and newest.run and not self._chat.is_running(session.id):
            await self._chat.resume(session)

    async def remember(self, session_id: str) -> None:
        """Have this session shown at the next start. One that is new is kept, and remembered, once it is said something in."""
        if session_id != self._remembered and await self._chat.remember(session_id):
            self._remembered = session_id
