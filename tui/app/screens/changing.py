"""A message of the user's that is being changed in the input, to be sent in its place."""

from __future__ import annotations

import time
from typing import Protocol

from tui.app.screens.session_actions import Stage as ActionStage
from tui.app.widgets.prompt import Prompt
from tui.chat import Chat
from tui.model import Provenance, Turn
from tui.text import one_line

PICK_WITHIN = 1.5
"""Seconds in which a second Esc belongs to the first."""


class Stage(ActionStage, Protocol):
    """What it needs of the screen it happens on."""

    def leave_queued(self) -> None: ...

    def show_forecast(self) -> None: ...


class Changing:
    """Holds the turn being changed, with the draft that was in the input before."""

    def __init__(self, chat: Chat, prompt: Prompt, stage: Stage) -> None:
        self.turn: Turn | None = None
        self.draft = ""
        self._chat = chat
        self._prompt = prompt
        self._stage = stage
        self._wants_to_pick = 0.0

    def begin(self, turn: Turn) -> None:
        """Bring a turn's prompt into the input, if its session is one to say something in."""
        session = self._stage.session
        if session is None or session.provenance is Provenance.FOREIGN:
            return
        self.leave()
        self._stage.leave_queued()
        self.turn, self.draft = turn, self._prompt.kept
        self._prompt.replace_text(turn.prompt)
        self._prompt.border_title = "Changes a message: Enter sends, Esc leaves it"
        self._prompt.focus()
        self._stage.refresh_bindings()

    def leave(self) -> None:
        """Back to what was being written before."""
        if self.turn is not None:
            self.turn = None
            self._stage.show_forecast()
            self._prompt.restore(self.draft)
            self._stage.refresh_bindings()

    def pick(self) -> None:
        """Asked for twice in short: choose one of the messages said so far, to change it."""
        if time.monotonic() - self._wants_to_pick > PICK_WITHIN:
            self._wants_to_pick = time.monotonic()
            self._stage.say("Esc again: choose one of your messages, to change it")
        elif self._stage.session is not None:
            self._wants_to_pick = 0.0
            self._stage.say("")
            self._stage.do(self._pick(self._stage.session.id))

    async def _pick(self, session_id: str) -> None:
        from tui.app.screens.picker import Choice, Picker

        prompts = await self._chat.prompts(session_id)
        first = await self._chat.count(session_id) - len(prompts)

        def done(choice: str | None) -> None:
            if choice is not None:
                self._stage.do(self._begin_at(session_id, int(choice)))

        choices = [Choice(str(first + place), one_line(prompt, 100)) for place, prompt in enumerate(prompts)][::-1]
        picker = Picker("Change a message", choices, hint="A few letters of it", empty="Nothing was said yet.")
        self._stage.app.push_screen(picker, done)

    async def _begin_at(self, session_id: str, depth: int) -> None:
        for turn in await self._chat.turns(session_id, depth, depth + 1):
            if self._stage.session is not None and self._stage.session.id == session_id:
                self.begin(turn)
