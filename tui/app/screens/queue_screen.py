"""A session screen on which prompts wait for the answer that is coming: shown, changed, taken out, sent."""

from __future__ import annotations

from contextlib import suppress

from textual import on
from textual.binding import Binding
from textual.content import Content
from textual.widgets import TextArea

from tui.app.screens.lease_screen import FRAME, LeaseScreen
from tui.app.widgets.naming_area import plain
from tui.app.widgets.queue_list import told
from tui.drafts import Change
from tui.errors import PalaverError
from tui.model import Queued, Session

LEFT = "Left as it was; Up brings it back"
"""What is said where something was made of a prompt, which is not to take its place."""

WAITS_NO_MORE = "That prompt is no longer waiting; sending makes a new one"


class QueueScreen(LeaseScreen):
    """In the empty input Up changes a prompt that waits, and Enter sends the first where they wait for the user."""

    BINDINGS = [
        Binding("enter", "send_next", "Send the next", id="queue.send", priority=True),
        Binding("up", "change_queued", "Change", id="queue.change", priority=True),
        Binding("alt+x", "unqueue", "Take out", id="queue.remove", show=False, priority=True),
    ]

    _queue: tuple[Queued, ...] = ()
    _queued: Queued | None = None

    # Showing

    def show_queue(self, session_id: str, queue: tuple[Queued, ...]) -> None:
        if self._session is None or self._session.id != session_id or not self.is_attached:
            return
        is_new = {one.session_id for one in self._queue} != {session_id}
        self._queue = queue
        if self._queued is not None and self._queued.id not in [one.id for one in queue]:
            # It was sent meanwhile, or taken out in another window; what was made of it here is a prompt of its own.
            self._queued = None
            self.show_forecast()
            self.say(WAITS_NO_MORE)
        self.refresh_queue()
        if is_new and self.is_waiting:
            self.say(self.waiting_words)

    def show_forecast(self) -> None:
        if self._queued is None:
            room = self.prompt.outer_size.width - FRAME
            self.prompt.border_title = Content(self._forecast.told.text_within(room))

    def refresh_queue(self) -> None:
        self.show_lease()
        changing = self._queued.id if self._queued is not None else ""
        self.queue_list.show(self._queue, is_waiting=self.is_waiting, changing=changing)
        self.refresh_bindings()

    @property
    def is_answering(self) -> bool:
        """Whether the session shown is answering, here or in another window."""
        if self._session is None:
            return False
        turn = self.transcript.turn_at(self.transcript.count - 1)
        is_coming = turn is not None and not turn.status.is_final
        return self._chat.is_running(self._session.id) or is_coming or self.lease is not None

    @property
    def is_waiting(self) -> bool:
        """Whether something waits until the user says go."""
        return bool(self._queue) and not self.is_answering

    @property
    def waiting_words(self) -> str:
        return told(len(self._queue), self.key("queue.send")) if self.is_waiting else ""

    # Adding

    async def enqueue(self, session: Session, text: str) -> None:
        """Have a prompt sent after the answer that is coming, or at once if that has ended."""
        try:
            queued = await self._chat.enqueue(session, text)
        except PalaverError:
            self.prompt.give_back(text)
            raise
        if queued is None:
            self.send_now(session, text)
            return
        self.prompt.add_history(text)
        self.say("Waits until the answer is done")

    def send_now(self, session: Session, text: str) -> bool:
        """Begin a turn."""
        raise NotImplementedError

    # Sending

    def action_send_next(self) -> None:
        if self._session is not None:
            self.say("")
            self.transcript.go_to_end()
            self.do(self._chat.send_next(self._session.id))

    # Changing

    def action_change_queued(self) -> None:
        before = self._before()
        if before is None:
            return
        if self._queued is not None:
            self.do(self._chat.put_back(self._queued))
        self.prompt.replace_text(before.prompt)
        self._begin_changing(before)

    def _begin_changing(self, queued: Queued) -> None:
        self._queued = queued
        self.do(self._chat.hold(queued))
        back, out = self.key("prompt.send"), self.key("queue.remove")
        self.prompt.border_title = Content(f"{back} puts it back · {out} takes it out")
        self.refresh_queue()

    def go_on_changing(self, change: Change) -> None:
        known = [one for one in self._queue if one.id == change.of]
        if known:
            self._begin_changing(known[0])
        else:
            self.say(WAITS_NO_MORE)

    def _before(self) -> Queued | None:
        """What Up in the input brings: the newest that waits, or the one before the one just brought."""
        if self._queued is None:
            is_free = not self.prompt.text and not self.prompt.has_put_by
            return self._queue[-1] if self._queue and is_free else None
        if self.prompt.whole != plain(self._queued.prompt) or not self.prompt.cursor_at_first_line:
            return None
        place = [one.id for one in self._queue].index(self._queued.id)
        return self._queue[place - 1] if place else None

    def put_back(self, text: str) -> None:
        """Put what was changed back into its place."""
        if self._queued is not None:
            self.do(self._put_back(self._end_changing(), text))

    async def _put_back(self, queued: Queued, text: str) -> None:
        try:
            found = await self._chat.put_back(queued, text)
        except PalaverError:
            self.prompt.give_back(text)
            raise
        if not found:
            self.prompt.give_back(text)
            self.say(WAITS_NO_MORE)

    def leave_queued(self) -> None:
        """Leave what waits as it was; what was made of it Up brings back."""
        if self._queued is not None:
            if self._is_rewritten:
                self.prompt.put_by()
                self.say(LEFT)
            self.prompt.replace_text("")
            self.do(self._chat.put_back(self._end_changing()))

    @property
    def _is_rewritten(self) -> bool:
        """Whether something has been made of the prompt that is being changed."""
        return self._queued is not None and self.prompt.is_rewritten(self._queued.prompt)

    def _end_changing(self) -> Queued:
        assert self._queued is not None
        queued, self._queued = self._queued, None
        self.show_forecast()
        self.refresh_queue()
        return queued

    def action_unqueue(self) -> None:
        if not self._queue:
            return
        queued = self._queued or self._queue[-1]
        is_rewritten = self._is_rewritten
        if is_rewritten:
            self.prompt.add_history(queued.prompt)
            self.prompt.put_by()
        if self._queued is not None:
            self.prompt.replace_text("")
            self._end_changing()
        self.do(self._unqueue(queued, is_rewritten))

    async def _unqueue(self, queued: Queued, is_rewritten: bool) -> None:
        if await self._chat.unqueue(queued):
            if not is_rewritten:
                self.prompt.add_history(queued.prompt)
            self.say("Taken out; Up brings it back" if is_rewritten or not self._queue else "Taken out")

    # Around

    @property
    def draft(self) -> str:
        if self._queued is None:
            return super().draft
        return Change(self._queued.id, None, self.prompt.written).kept if self._is_rewritten else ""

    def leave(self, left: Session) -> None:
        """What something has been made of is not sent meanwhile."""
        is_rewritten = self._is_rewritten
        super().leave(left)
        if self._queued is not None:
            queued = self._end_changing()
            if not is_rewritten:
                self.do(self._chat.put_back(queued))

    async def on_unmount(self) -> None:
        if self._queued is not None and not self._is_rewritten:
            with suppress(PalaverError):
                await self._chat.put_back(self._queued, goes_on=False)

    @on(TextArea.Changed, "#prompt")
    def _typed_beside_queue(self) -> None:
        if self._queue:
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "send_next":
                return self._can_begin and self.is_waiting
            case "change_queued":
                return self._is_at_hand and self._before() is not None
            case "unqueue":
                return self._is_at_hand and bool(self._queue) and (self._queued is not None or self._can_begin)
            case _:
                return super().check_action(action, parameters)

    @property
    def _can_begin(self) -> bool:
        """Whether the input is empty."""
        return self._is_at_hand and not self.prompt.text and self._queued is None

    @property
    def _is_at_hand(self) -> bool:
        """Whether the user is in the input, of the session whose queue is shown."""
        return self._session is not None and self.prompt.has_focus
