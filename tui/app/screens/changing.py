"""A message of the user's that is being changed in the input, to be sent in its place."""

from __future__ import annotations

import time
from typing import Protocol

from textual.content import Content

from tui.app.screens.queue_screen import LEFT
from tui.app.screens.session_actions import Stage as ActionStage
from tui.app.widgets.prompt import Prompt
from tui.chat import Chat
from tui.drafts import Change, sent
from tui.model import Provenance, Turn
from tui.text import one_line

PICK_WITHIN = 1.5
"""Seconds in which a second Esc belongs to the first."""


class Stage(ActionStage, Protocol):
    """What it needs of the screen it happens on."""

    def leave_queued(self) -> None: ...

    def show_forecast(self) -> None: ...


class Changing:
    """Holds which turn is being changed, `at` which depth, with the draft that was in the input before.

    What is being made of it is kept with that draft: going to another session, or leaving, ends no change.
    """

    def __init__(self, chat: Chat, prompt: Prompt, stage: Stage) -> None:
        self.at: int | None = None
        self._id = ""
        self._said = ""
        self._draft = ""
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
        draft = self._prompt.written
        self._prompt.replace_text(turn.prompt)
        self._prompt.focus()
        self._begin(turn.depth, turn.id, turn.prompt, draft)

    def _begin(self, at: int, turn_id: str, said: str, draft: str) -> None:
        self.at, self._id, self._said, self._draft = at, turn_id, said, draft
        key = self._stage.key
        self._prompt.border_title = Content(
            f"Changes a message: {key('prompt.send')} sends, {key('turn.back')} cancels"
        )
        self._stage.refresh_bindings()

    def go_on(self, change: Change, at: int) -> None:
        """Take what is in the input for a change begun earlier."""
        session = self._stage.session
        if session is not None:
            self._begin(at, change.of, "", change.draft)
            self._stage.do(self._recognise(session.id, change, at))

    async def _recognise(self, session_id: str, change: Change, at: int) -> None:
        """Learn how the message was that is being changed; without it the change is a prompt of its own."""
        turns = await self._chat.turns(session_id, at, at + 1)
        session = self._stage.session
        if session is None or session.id != session_id or (self._id, self.at) != (change.of, at):
            return
        if [turn.id for turn in turns] == [change.of]:
            self._said = turns[0].prompt
            return
        self.drop()
        if self._draft:
            self._prompt.add_history(sent(self._draft))
        self._stage.say("That message is no longer here; sending makes a new one")

    @property
    def kept(self) -> str:
        """What was typed, as a draft is kept: what was being written before, and what is being made of the message."""
        if self.at is None or not self._prompt.is_rewritten(self._said):
            return self._draft
        return Change(self._id, self.at, self._prompt.written, self._draft).kept

    def leave(self) -> None:
        """Back to what was being written before; what was made of the message Up brings back."""
        if self.at is not None:
            if self._prompt.is_rewritten(self._said):
                self._prompt.put_by()
                self._stage.say(LEFT)
            self._prompt.replace_text("")
            self.end()

    def end(self, aside: str = "") -> None:
        """The change is over: back to what was being written before, with what was typed since.

        What was being made of the message when another prompt was taken for it is `aside`, and Up brings it back.
        """
        self.drop()
        if aside.strip():
            self._prompt.add_history(sent(aside))
        self._prompt.restore(self._draft + self._prompt.kept.removeprefix(aside))

    def drop(self) -> None:
        """Change nothing any more; what is in the input is something else."""
        if self.at is not None:
            self.at = None
            self._stage.show_forecast()
            self._stage.refresh_bindings()

    def pick(self) -> None:
        """Asked for twice in short: choose one of the messages said so far, to change it."""
        if time.monotonic() - self._wants_to_pick > PICK_WITHIN:
            self._wants_to_pick = time.monotonic()
            self._stage.say(f"{self._stage.key('turn.pick')} again: choose one of your messages, to change it")
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
