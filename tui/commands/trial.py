"""Trying a profile: what it has to be able to do, one thing after the other, in a session that is thrown away."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tui.chat import Change, Chat, TurnChanged
from tui.client import Client
from tui.config import Config, Profile
from tui.errors import Exit, NotAllowed, PalaverError, Unreachable
from tui.keys import read_key
from tui.model import Failure, Session, Turn, TurnStatus
from tui.store import Store
from tui.text import one_line
from tui.traits import Can

BUDGET = 10.0
"""Seconds a trial waits for a busy server, in all."""

STOP_AFTER = 20.0
"""Seconds after which an answer that is to be stopped is stopped, even if nothing of it has come."""

Tell = Callable[[str, bool | None, str], None]
"""Is told the name of each thing tried, whether it works (None: there is no such thing), and more in words."""


class Trial:
    """The trial of one profile. `tell` hears of everything as it is tried."""

    def __init__(self, config: Config, profile: Profile, tell: Tell) -> None:
        self._config = config
        self._profile = profile
        self._tell = tell
        self._status = int(Exit.DONE)
        self._pieces = 0

    async def run(self) -> int:
        """Try everything. Gives the exit status of the first failure, or 0."""
        try:
            await read_key(self._profile.key)
        except PalaverError as error:
            self._fail("key", error)
            return self._status
        self._tell("key", True, str(self._profile.key))
        with tempfile.TemporaryDirectory(prefix="palaver-trial-") as folder:
            store = Store(Path(folder) / "history.db")
            chat = Chat(store, Client(on_bytes=self._count), self._config)
            await store.open()
            try:
                await self._models(chat)
                session = await chat.open("trial", profile=self._profile.name)
                if await self._answers(chat, session):
                    await self._goes_on(chat, session)
                    await self._stops(chat, session)
            finally:
                await chat.aclose()
                await store.close()
        return self._status

    async def _models(self, chat: Chat) -> None:
        if Can.MODELS not in self._profile.traits.can:
            self._tell("models", None, "this protocol has no list of them")
            return
        try:
            names = await chat.conversations.models(self._profile)
        except PalaverError as error:
            # Many servers have none; an answer is what counts.
            self._tell("models", None, str(error))
            return
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        self._tell("models", True, ", ".join(names[:5]) + more if names else "none")

    async def _answers(self, chat: Chat, session: Session) -> bool:
        turn = await self._say(chat, session, "Please answer with the one word: ready")
        failure = turn.error
        if turn.status is not TurnStatus.DONE:
            kind = failure.kind if failure else ""
            reached = kind != Unreachable.kind
            self._tell("reach", reached, self._profile.origin if reached else str(failure))
            if reached:
                allowed = kind != NotAllowed.kind
                self._tell("auth", allowed, "" if allowed else str(failure))
                if allowed:
                    self._tell("answer", False, str(failure or turn.status))
            self._note_status(failure)
            return False
        self._tell("reach", True, self._profile.origin)
        self._tell("auth", True, str(self._profile.key))
        first = (turn.first_text_at or turn.created_at) - turn.created_at
        said = f"“{one_line(turn.text, 60)}” from {turn.model or 'the model'} after {first:.1f} s"
        self._tell("answer", True, said)
        pieces = f"{self._pieces} piece{'s' if self._pieces != 1 else ''}"
        self._tell("stream", True if self._pieces > 1 else None, f"it came in {pieces}")
        return True

    async def _goes_on(self, chat: Chat, session: Session) -> None:
        session = await chat.session(session.id) or session
        mapping = await chat.conversations.mapping(session)
        turn = await self._say(chat, session, "Which word did I ask you for? One word, please.")
        if turn.status is not TurnStatus.DONE:
            self._fail_turn("continue", turn)
        elif turn.notes:
            self._tell("continue", None, turn.notes[-1])
        elif mapping is not None and mapping.conversation_id and self._profile.traits.keeps:
            self._tell("continue", True, f"the server keeps the conversation; “{one_line(turn.text, 40)}”")
        else:
            self._tell("continue", True, f"it is told everything each time; “{one_line(turn.text, 40)}”")

    async def _stops(self, chat: Chat, session: Session) -> None:
        session = await chat.session(session.id) or session
        begun = asyncio.Event()

        def heard(change: Change) -> None:
            if isinstance(change, TurnChanged) and (change.turn.has_output or change.turn.status.is_final):
                begun.set()

        unsubscribe = chat.subscribe(heard)
        self._send(chat, session, "Please count from one to three hundred, in words.")
        try:
            async with asyncio.timeout(STOP_AFTER):
                await begun.wait()
        except TimeoutError:
            pass
        finally:
            unsubscribe()
        asked = time.monotonic()
        was_running = chat.cancel(session.id)
        turn = await chat.settled(session.id)
        took = (time.monotonic() - asked) * 1000
        if turn is None or not was_running or turn.status is TurnStatus.DONE:
            self._tell("cancel", None, "the answer was there before it could be stopped")
        elif turn.status is TurnStatus.CANCELLED:
            self._tell("cancel", True, f"stopped within {took:.0f} ms")
        else:
            self._fail_turn("cancel", turn)

    def _send(self, chat: Chat, session: Session, prompt: str) -> None:
        self._pieces = 0
        chat.send(session, prompt, profile=self._profile, budget=BUDGET)

    async def _say(self, chat: Chat, session: Session, prompt: str) -> Turn:
        self._send(chat, session, prompt)
        turn = await chat.settled(session.id)
        if turn is None:
            *_, turn = await chat.turns(session.id)
        return turn

    def _count(self, _chunk: bytes) -> None:
        self._pieces += 1

    def _fail(self, name: str, error: PalaverError) -> None:
        self._tell(name, False, str(error))
        self._status = self._status or int(error.exit_status)

    def _fail_turn(self, name: str, turn: Turn) -> None:
        self._tell(name, False, str(turn.error or turn.status))
        self._note_status(turn.error)

    def _note_status(self, failure: Failure | None) -> None:
        self._status = self._status or (failure.exit_status if failure else int(Exit.REFUSED))
