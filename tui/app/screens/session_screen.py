"""A screen that shows one session, kept up with what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.widgets import TextArea

from tui.app.once import Once
from tui.app.run import Wish
from tui.app.screens.beginning import first_words, hint, shortened, wished_session
from tui.app.screens.early_keys import EarlyKeys
from tui.app.screens.forecast import Forecast
from tui.app.screens.journey import FIRST_TURNS, Way
from tui.app.screens.keeper import Keeper
from tui.app.screens.standing_screen import StandingScreen
from tui.app.transcript.blocks import NamedKeys
from tui.app.transcript.view import TranscriptView
from tui.chat import Change, Chat, HealthChanged, QueueChanged, SessionChanged, TurnChanged
from tui.drafts import Change as PromptChange
from tui.drafts import change_in, written
from tui.errors import PalaverError, StoreError
from tui.model import Queued, Session, Turn, TurnStatus
from tui.store import Store
from tui.store.access import Health

if TYPE_CHECKING:
    from tui.app.screens.help import Key

NOT_SAVED = "NOT SAVED"
"""What is said as long as nothing can be written."""

TOLD_FOR = 30.0
"""Seconds for which what is told of the history, or at the start, stays in a corner, unless it is clicked away."""


class SessionScreen(StandingScreen):
    """Shows one session, and goes from one to another. What the user does is for those who derive from it.

    `begun` is set once the first session is shown.
    """

    def __init__(self, chat: Chat, store: Store, wish: Wish) -> None:
        super().__init__(chat)
        self._store = store
        self._wish = wish
        self._queue: tuple[Queued, ...] = ()
        self._way = Way(chat, self.transcript, self.prompt, self)
        self.early_keys = EarlyKeys(self, self.prompt, self._way)
        self.begun = asyncio.Event()
        self._keeper = Keeper(chat, self.as_it_stands, partial(Once, self))
        self._forecast = Forecast(chat, lambda: self._session, partial(Once, self), self.do, self.show_forecast)
        # Prompts that were not sent, as drafts, by their sessions: until they are kept, and for one on its way to be shown.
        self._unsent: dict[str, str] = {}
        self._is_told = False
        self._notices_told: int | None = None
        self._since = 0
        self._room = 0
        self._unsubscribe: Callable[[], None] = lambda: None

    def is_shown(self, session_id: str) -> bool:
        """Whether a session is shown, or on its way to be."""
        return self._way.place == session_id

    # Beginning

    def on_mount(self) -> None:
        self.screen_layout_refresh_signal.subscribe(self, lambda _: self._laid_out())
        self.call_after_refresh(self._begin)

    def _laid_out(self) -> None:
        """Everything has its place: what depends on how much room there is can be told."""
        if self._room != self.prompt.outer_size.width:
            self._room = self.prompt.outer_size.width
            self.show_forecast()

    def _begin(self) -> None:
        """Once the first frame is out: read what there is, and show where the user left off."""
        self.do(self._load())

    async def _load(self) -> None:
        try:
            await self._way.begin(self._first())
        finally:
            self.call_after_refresh(self.begun.set)
        self._chat.follow(self._since)
        if self._chat.health.message:
            self._standing.trouble = NOT_SAVED
        self._notices_told = len(self._chat.health.notices)
        self._tell_first(first_words(self._chat, self._store, self.app.warnings))  # type: ignore[attr-defined]

    def _tell_first(self, said: list[str]) -> None:
        """Tell the first thing in the status bar, and all in a corner where that holds too little."""
        if not said:
            return
        self.say(said[0])
        if len(said) > 1 or not self.status_bar.holds(said[0]):
            for words in shortened(said):
                self.app.notify(words, severity="warning", timeout=TOLD_FOR)

    async def _first(self) -> Session:
        """The session to begin with, once the history is open."""
        await self._store.open()
        self._unsubscribe = self._chat.subscribe(self._changed)
        self._since = await self._chat.revision()
        self._list.reset(await self._chat.sessions())
        try:
            return await wished_session(self._chat, self._wish)
        except PalaverError as error:
            self.say(str(error))
            return await self._chat.new()

    # Showing a session

    def visit(self, to: Session | Coroutine[Any, Any, Session]) -> Coroutine[Any, Any, None]:
        """Leave the session shown, at once; the coroutine given then goes to another one.

        Whatever is typed from here on belongs to that other one.
        """
        return self._way.visit(to)

    def enter(self, to: Session | Coroutine[Any, Any, Session]) -> Coroutine[Any, Any, None]:
        """Go to a session to say something in it: as `visit` does, with the input ready to be typed into."""
        self.prompt.focus()
        return self.visit(to)

    @property
    def queue(self) -> tuple[Queued, ...]:
        """What waits in the session shown."""
        return self._queue

    def leave(self, left: Session) -> None:
        """Show no session any more, `left` being the last one."""
        self.do(self._keeper.keep())
        self._list.put(left)
        self._session = None
        self.prompt.replace_text("")

    def settle(self, session: Session, queue: tuple[Queued, ...]) -> None:
        """Have everything else on the screen tell of the session that the transcript shows now."""
        self._session = session
        self._keeper.begin(session)
        self._chat.attend(session.id)
        self.app.come_back = session.label  # type: ignore[attr-defined]
        keys = self._first_keys
        again = f"{keys['view.next']}, then {keys['transcript.resend']}"
        verdict = f"{keys['transcript.approve']} approves, {keys['transcript.deny']} denies"
        self.transcript.name_keys(NamedKeys(again, verdict))
        self.transcript.hint = hint(self._chat, session, keys)
        draft = self._unsent.pop(session.id, "")
        draft = session.draft or draft
        change = change_in(draft)
        if draft:
            self.prompt.restore_before(draft if change is None else change.text)
        self.remove_class("-over")
        self._standing.clear()
        self._forecast.clear()
        self._forecast.ask_soon()
        self._refresh_all()
        self.show_queue(session.id, queue)
        if change is not None:
            self.go_on_changing(change)

    async def show_again(self, session_id: str) -> None:
        """Show a session's turns as they are now, if it is the one shown: others are on its present branch."""
        count = await self._chat.count(session_id)
        variants = await self._chat.variants(session_id)
        depth = count if self.transcript.following else min(count, self.transcript.place.depth + FIRST_TURNS)
        turns = await self._chat.turns(session_id, max(0, depth - 2 * FIRST_TURNS), depth)
        if self.is_attached and self._session is not None and self._session.id == session_id:
            self.transcript.mark_variants(variants)
            self.transcript.show_again(count, turns)
            self._refresh_all()

    @cached_property
    def _first_keys(self) -> dict[str, str]:
        """The first key of each action, as it is bound."""
        return {key.name: key.shown.split(" ")[0] for keys in self._keys().values() for key in keys}

    def _go_to(self, session: Session) -> None:
        self.remove_class("-over")
        if session.id != self._way.place:
            self.do(self.enter(session))
        else:
            self.prompt.focus()

    @on(TranscriptView.Needed)
    def _bring(self, event: TranscriptView.Needed) -> None:
        if self._session is not None:
            self.do(self._bring_turns(self._session.id, event.start, event.until))

    async def _bring_turns(self, session_id: str, start: int, until: int) -> None:
        turns = await self._chat.turns(session_id, start, until)
        if self._session is not None and self._session.id == session_id:
            self.transcript.put(turns)

    # What Chat says

    def _changed(self, change: Change) -> None:
        match change:
            case TurnChanged(turn):
                self._turn_changed(turn)
            case SessionChanged(session):
                self._session_changed(session)
            case QueueChanged(session_id, queue):
                self._way.shelf.note_queue(session_id, queue)
                self.show_queue(session_id, queue)
            case HealthChanged(health):
                self._health_changed(health)

    def _turn_changed(self, turn: Turn) -> None:
        self._way.note(turn)
        if self._session is not None and turn.session_id == self._session.id:
            self.transcript.put([turn])
            if turn.status.is_final:
                self._turn_ended(turn)
                self._forecast.ask_soon()
            elif not turn.has_output:
                self._forecast.clear()
            self._keep_time()
            if not self._is_told or not turn.has_output or turn.status.is_final:
                self._refresh_status()
            # From here on the clock is enough.
            self._is_told = turn.has_output and not turn.status.is_final
        elif _is_unsent(turn) and self._chat.is_typed_here(turn.id):
            self._unsent[turn.session_id] = written(turn.prompt)
            self.do(self._keep_unsent(turn.session_id))
        if turn.status.is_final or not turn.has_output:
            self.refresh_queue()
            self._refresh_sidebar_soon()

    def _turn_ended(self, turn: Turn) -> None:
        if not turn.profile:
            return  # it ended elsewhere, and was imported
        self._standing.end(turn, self.waiting_words)
        is_back = _is_unsent(turn) or (turn.status is TurnStatus.CANCELLED and not turn.has_output)
        if is_back and self._chat.is_typed_here(turn.id) and not self.prompt.text:
            self.prompt.replace_text(turn.prompt)

    async def _keep_unsent(self, session_id: str) -> None:
        """Keep a prompt that was not sent as the draft of its session, which is not shown, where that has none."""
        draft = self._unsent.get(session_id)
        if draft:
            await self._chat.offer_draft(session_id, draft)
        if not self.is_shown(session_id):
            self._unsent.pop(session_id, None)

    def _health_changed(self, health: Health) -> None:
        was_troubled = bool(self._standing.trouble)
        self._standing.trouble = NOT_SAVED if health.message else ""
        if health.message or was_troubled:
            self.say(health.message or "The history is saved again.")
        if self._notices_told is None:
            return  # they are among what is told at the start
        for notice in health.notices[self._notices_told :]:
            # In a corner: an answer that comes leaves the status bar no room for it, and a dialog may be over that.
            self.app.notify(notice, severity="warning", timeout=TOLD_FOR)
        self._notices_told = len(health.notices)

    def _session_changed(self, session: Session) -> None:
        before = self._list.get(session.id)
        self._list.put(session)
        if self._session is not None and session.id == self._session.id:
            if session.branch != self._session.branch or session.turns < self._session.turns:
                self.do(self.show_again(session.id))
            self._session = replace(session, scroll=self._session.scroll, draft=self._session.draft)
            self.app.come_back = session.label  # type: ignore[attr-defined]
            self.transcript.mark(session.notice, session.shared)
            if session.unread:
                self.do(self._chat.mark_read(session.id))
            self._refresh_status()
            self._forecast.ask_soon()
            self.do(self._way.remember(session.id))
        # A draft, or a place, is not seen there.
        if before is None or replace(session, draft=before.draft, scroll=before.scroll) != before:
            self._refresh_sidebar_soon()

    def send_text(self, session: Session, text: str) -> None:
        """Say something in a session."""
        raise NotImplementedError

    def go_on_changing(self, change: PromptChange) -> None:
        """Take what is in the input for what is being made of another prompt."""
        raise NotImplementedError

    def show_queue(self, session_id: str, queue: tuple[Queued, ...]) -> None:
        """Show what waits in a session, if it is the one shown."""
        raise NotImplementedError

    def refresh_queue(self) -> None:
        """Show what waits as it stands now, and the keys that do something."""
        raise NotImplementedError

    def show_forecast(self) -> None:
        """Show what the next prompt takes along, where nothing else is said of it above the input."""
        raise NotImplementedError

    @property
    def waiting_words(self) -> str:
        """What waits for the user, in words; nothing, where nothing does."""
        raise NotImplementedError

    def _keys(self) -> dict[str, list[Key]]:
        from tui.app.screens.help import keys_of

        return keys_of(self.app, [self.prompt, self, self.transcript, self.sidebar, self.app], self._chat.config.keys)

    # Drafts and places

    @on(TextArea.Changed, "#prompt")
    def _typed(self) -> None:
        self._keeper.keep_soon(self._keep)
        self._forecast.ask_if_old()

    @on(TranscriptView.Moved)
    def _moved(self) -> None:
        self._keeper.keep_soon(self._keep)

    def _keep(self) -> None:
        self.do(self._keeper.keep())

    def as_it_stands(self) -> Session | None:
        """The session shown, with the draft and the place as they are on the screen."""
        if self._session is not None:
            now = replace(self._session, draft=self.draft, scroll=self.transcript.place)
            if now != self._session:
                self._session = now
                self._list.put(now)
        return self._session

    @property
    def draft(self) -> str:
        """What was typed and is to be kept."""
        return self.prompt.written

    async def on_unmount(self) -> None:
        self._unsubscribe()
        if self._session is None:
            # What was typed on the way to a session is that one's draft.
            await self._chores.finish()
        await self._keeper.keep()
        await self._chores.finish()


def _is_unsent(turn: Turn) -> bool:
    """Whether nothing was sent of a turn, as the history could not be read or written."""
    is_refused = turn.error is not None and turn.error.kind == StoreError.kind
    return turn.status.is_final and is_refused and not turn.has_output
