"""A screen that shows one session: its widgets, the way from one session to another, and how things stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from tui.app.compositor import LeanCompositor
from tui.app.run import Wish
from tui.app.screens import status
from tui.app.screens.chores import Chores
from tui.app.screens.forecast import Forecast
from tui.app.screens.help import Key, keys_of
from tui.app.screens.keeper import Keeper
from tui.app.screens.sessions import SessionList
from tui.app.screens.shelf import Shelf
from tui.app.transcript.at_hand import Marks
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.key_bar import KeyBar
from tui.app.widgets.offer_list import OfferList
from tui.app.widgets.prompt import Prompt
from tui.app.widgets.queue_list import QueueList
from tui.app.widgets.sidebar import Sidebar
from tui.app.widgets.status_bar import StatusBar
from tui.chat import Change, Chat, HealthChanged, QueueChanged, SessionChanged, TurnChanged
from tui.errors import PalaverError
from tui.figures import figure_words
from tui.model import Queued, Session, Turn, TurnStatus
from tui.store import Store

NARROW = 80
"""Columns below which the sidebar is laid over the transcript."""

TINY = (40, 10)
"""Columns and rows below which nothing useful can be shown."""

FIRST_TURNS = 24
"""Turns read before a session is shown; the rest comes when it is looked at."""

NEWS_FOR = 4.0
"""Seconds the outcome of an action is shown beside an answer's progress."""

WAYS_OUT = ("quit", "interrupt")
"""Actions that nothing may keep waiting."""

ANYWHERE = (*WAYS_OUT, "help")
"""Actions that mean the same before there is a session."""


@dataclass(slots=True)
class _Journey:
    """The way from one session to another: what is sent and what changes meanwhile, to be done and shown on arrival.

    `over` is set then, or once there will be none.
    """

    left: Session | None = None
    to: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[str] = field(default_factory=list)
    changed: dict[str, Turn] = field(default_factory=dict)


class SessionScreen(Screen[None]):
    """Everything on one screen: sessions, transcript, input, status. What the user does is for those who derive from it."""

    def __init__(self, chat: Chat, store: Store, wish: Wish) -> None:
        super().__init__()
        self._compositor = LeanCompositor()
        self.sidebar = Sidebar(id="sidebar")
        self.transcript = TranscriptView(id="transcript")
        self.queue_list = QueueList(id="queue")
        self.offer_list = OfferList(id="offers")
        self.prompt = Prompt(self.offer_list, id="prompt")
        self.status_bar = StatusBar(id="status")
        self._chat = chat
        self._store = store
        self._wish = wish
        self._list = SessionList()
        self._session: Session | None = None
        self._journey = _Journey()
        self._shelf = Shelf()
        self._queue: tuple[Queued, ...] = ()
        self._moving = asyncio.Lock()
        self._keeper = Keeper(chat, self._as_it_stands, self.set_timer)
        self._chores = Chores(self.say, lambda error: self.app.fail(error))  # type: ignore[attr-defined]
        self._forecast = Forecast(chat, lambda: self._session, self.set_timer, self.do, self.show_forecast)
        self._news = ""
        self._figures: tuple[str, ...] = ()
        self._news_until = 0.0
        self._link = ""
        self._trouble = ""
        self._remembered = ""
        self._is_told = False
        self._unsubscribe: Callable[[], None] = lambda: None
        self._clock: Timer | None = None
        self._sidebar_timer: Timer | None = None

    @property
    def session(self) -> Session | None:
        """The session shown; None until there is one."""
        return self._session

    def name_of(self, session_id: str) -> str:
        """What a session is called; empty where it is not in the list."""
        session = self._list.get(session_id)
        return session.name if session is not None else ""

    def is_shown(self, session_id: str) -> bool:
        """Whether a session is shown, or on its way to be."""
        return self._place == session_id

    def compose(self) -> ComposeResult:
        with Horizontal(id="body"):
            yield self.sidebar
            with Vertical(id="main"):
                yield self.transcript
                yield self.queue_list
                yield self.offer_list
                yield self.prompt
        yield self.status_bar
        yield KeyBar(id="keys")
        yield Static(Content(f"Palaver needs {TINY[0]}×{TINY[1]} characters."), id="too-small")

    # Beginning

    def on_mount(self) -> None:
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Once the first frame is out: read what there is, and show where the user left off."""
        self.do(self._load(self._journey))

    async def _load(self, journey: _Journey) -> None:
        try:
            await self._begin_with(journey)
        finally:
            journey.over.set()

    async def _begin_with(self, journey: _Journey) -> None:
        async with self._moving:
            await self._store.open()
            self._unsubscribe = self._chat.subscribe(self._changed)
            since = await self._chat.revision()
            self._list.reset(await self._chat.sessions())
            try:
                session = await self._wished_session()
            except PalaverError as error:
                self.say(str(error))
                session = await self._chat.new()
            await self._arrive(journey, session)
        self._chat.follow(since)
        self._say_first(self.app.warnings)  # type: ignore[attr-defined]

    async def _wished_session(self) -> Session:
        wish = self._wish
        if wish.label:
            session = await self._chat.open(wish.label, profile=wish.profile, model=wish.model)
        elif wish.new:
            session = await self._chat.new(profile=wish.profile, model=wish.model)
        else:
            session = await self._chat.last() or await self._chat.new(profile=wish.profile, model=wish.model)
        if (wish.profile and wish.profile != session.profile) or (wish.model and wish.model != session.model):
            session = await self._chat.set_profile(session.id, wish.profile or session.profile, wish.model)
        return session

    def _say_first(self, warnings: list[str]) -> None:
        said = [*self._store.notices, *warnings]
        if self._store.recovered:
            plural = "answers were" if self._store.recovered > 1 else "answer was"
            said.append(f"{self._store.recovered} {plural} cut short when Palaver last ended; what came is kept")
        if self._chat.health.message:
            self._trouble = "NOT SAVED"
            said.append(self._chat.health.message)
        if said:
            self.say(said[0])

    # Showing a session

    def visit(self, to: Session | Coroutine[Any, Any, Session]) -> Coroutine[Any, Any, None]:
        """Leave the session shown, at once; the coroutine given then goes to another one.

        Whatever is typed from here on belongs to that other one.
        """
        left = self._as_it_stands()
        if left is not None:
            self.do(self._keeper.keep())
            self._list.put(left)
            self._shelf.keep(left, self.transcript.port, self.prompt.said, self._queue)
            self._session = None
            self.prompt.replace_text("")
        journey = self._journey = _Journey(left or self._journey.left, to.id if isinstance(to, Session) else "")
        if isinstance(to, Session) and not self._moving.locked() and self._show_kept(to):
            return self._catch_up(journey, to)
        return self._travel(journey, to)

    async def _travel(self, journey: _Journey, to: Session | Coroutine[Any, Any, Session]) -> None:
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

    async def _arrive(self, journey: _Journey, session: Session) -> None:
        if journey is self._journey:
            await self._show(journey, session)
        if journey.sent:
            first, *others = journey.sent
            journey.sent.clear()
            self.send_text(session, first)
            if others:
                self.prompt.give_back("\n".join(others))

    async def _show(self, journey: _Journey, session: Session) -> None:
        if self._show_kept(session):
            self.do(self._catch_up(journey, session))
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
        self.transcript.show(max(count, *(turn.depth + 1 for turn in turns[-1:]), 0), session.scroll, turns, **marks)
        self.transcript.put([turn for turn in journey.changed.values() if turn.session_id == session.id])
        self.prompt.set_history([])
        self._has_arrived(session, queue)
        self.do(self._catch_up(journey, session, is_read=True))

    def _show_kept(self, session: Session) -> bool:
        """Show a session at once, if it is one of those left last."""
        kept = self._shelf.take(session)
        if kept is None:
            return False
        self.transcript.show_kept(kept.port)
        self.prompt.set_history(kept.prompts)
        self._has_arrived(session, kept.queue)
        return True

    def _has_arrived(self, session: Session, queue: tuple[Queued, ...]) -> None:
        """Have everything else on the screen tell of the session that the transcript shows now."""
        self._session = session
        self._keeper.begin(session)
        self._chat.attend(session.id)
        self.app.come_back = session.label  # type: ignore[attr-defined]
        self.transcript.hint = self._hint(session)
        if session.draft:
            self.prompt.restore(session.draft + self.prompt.kept)
        self.remove_class("-over")
        self._news, self._figures = "", ()
        self._forecast.clear()
        self._forecast.ask_soon()
        self._refresh_all()
        self.show_queue(session.id, queue)

    async def _catch_up(self, journey: _Journey, session: Session, *, is_read: bool = False) -> None:
        """What a session just shown, read anew or kept, needs besides, as long as it is looked at."""
        if session.unread:
            await self._chat.mark_read(session.id)
        if is_read:
            said = await self._chat.prompts(session.id)
            if journey is self._journey:
                self.prompt.fill_history(said)
        elif journey is self._journey and await self._chat.count(session.id) > self.transcript.count:
            await self.show_again(session.id)
        if journey is self._journey:
            await self._remember(session.id)
        newest = self.transcript.turn_at(self.transcript.count - 1)
        if journey is self._journey and newest is not None and newest.run and not self._chat.is_running(session.id):
            await self._chat.resume(session)

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

    def _hint(self, session: Session) -> tuple[str, ...]:
        """What an empty transcript says."""
        keys = {key.name: key.shown.split(" ")[0] for keys in self._keys().values() for key in keys}
        first = (
            "A new session",
            "",
            f"Type a message and press {keys['prompt.send']}.",
            f"{keys['app.help']} shows the keys, {keys['app.commands']} the commands.",
        )
        if self._chat.profile_of(session).protocol != "guide":
            return first
        return (
            *first,
            "",
            "No server is configured yet, so guide answers:",
            "Palaver's own manual. Ask it anything.",
        )

    async def _remember(self, session_id: str) -> None:
        """Have this session shown at the next start. One that is new is kept, and remembered, once it is said something in."""
        if session_id != self._remembered and await self._chat.remember(session_id):
            self._remembered = session_id

    def _go_to(self, session: Session) -> None:
        self.remove_class("-over")
        if session.id != self._place:
            self.do(self.visit(session))
        self.prompt.focus()

    @property
    def _place(self) -> str:
        """The session shown, or the one on the way to which we are; for what counts from there."""
        if self._session is not None:
            return self._session.id
        return self._journey.to or (self._journey.left.id if self._journey.left else "")

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
                self._shelf.note_queue(session_id, queue)
                self.show_queue(session_id, queue)
            case HealthChanged(health):
                self._trouble = "NOT SAVED" if health.message else ""
                self.say(health.message or "Everything is saved again.")

    def _turn_changed(self, turn: Turn) -> None:
        if self._session is None or turn.session_id != self._session.id:
            self._shelf.note(turn)
        if self._session is None:
            self._journey.changed[turn.id] = turn
        elif turn.session_id == self._session.id:
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
        if turn.status.is_final or not turn.has_output:
            self.refresh_queue()
            self._refresh_sidebar_soon()

    def _turn_ended(self, turn: Turn) -> None:
        if not turn.profile:
            return  # it ended elsewhere, and was imported
        self._news = " · ".join(part for part in (status.outcome(turn), self.waiting_words) if part)
        is_over = turn.status is TurnStatus.DONE and not turn.open_approvals
        self._figures = figure_words(self._chat.figures(turn)) if is_over else ()
        is_back = turn.status is TurnStatus.CANCELLED and not turn.has_output and self._chat.is_mine(turn.id)
        if is_back and not self.prompt.text:
            self.prompt.replace_text(turn.prompt)

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
            self.do(self._remember(session.id))
        # A draft, or a place, is not seen there.
        if before is None or replace(session, draft=before.draft, scroll=before.scroll) != before:
            self._refresh_sidebar_soon()

    def send_text(self, session: Session, text: str) -> None:
        """Say something in a session."""
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
        return keys_of(self.app, [self.prompt, self, self.transcript, self.sidebar, self.app], self._chat.config.keys)

    # Keys that are meant for a session

    @property
    def arrival(self) -> asyncio.Event | None:
        """What is set once the session is there that we are on the way to; None where one is shown."""
        journey = self._journey
        return None if self._session is not None or journey.over.is_set() else journey.over

    def needs_session(self, event: events.Key | events.Paste) -> bool:
        """Whether a key would do nothing, or something else, before its session is there."""
        if isinstance(event, events.Paste):
            return False
        # Private in Textual, whose public list leaves out what can do nothing yet; a test fails when that changes.
        chain = [(node, bindings.key_to_bindings.get(event.key, [])) for node, bindings in self._binding_chain]
        bound = {(node is self.prompt, one.action) for node, found in chain for one in found}
        if self.prompt.has_focus and (True, "submit") in bound:
            text = self.prompt.text.strip()
            return not text or text.startswith("/")
        actions = {action for _, action in bound}
        return not actions.intersection(ANYWHERE) and any(not is_own for is_own, _ in bound)

    def is_way_out(self, event: events.Key | events.Paste) -> bool:
        """Whether a key is to end or stop something."""
        if isinstance(event, events.Paste):
            return False
        found = (maps.key_to_bindings.get(event.key, []) for _, maps in self._binding_chain)
        return any(one.action in WAYS_OUT for bound in found for one in bound)

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

    def _as_it_stands(self) -> Session | None:
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
        return self.prompt.kept

    async def on_unmount(self) -> None:
        self._unsubscribe()
        if self._session is None:
            # What was typed on the way to a session is that one's draft.
            await self._chores.finish()
        await self._keeper.keep()
        await self._chores.finish()

    # Showing how things stand

    def say(self, text: str) -> None:
        """Tell the outcome of the last action."""
        self._news, self._figures, self._news_until = text, (), time.monotonic() + NEWS_FOR
        self._refresh_status()

    def _refresh_all(self) -> None:
        self._keep_time()
        self._refresh_status()
        self._refresh_sidebar()
        self.refresh_bindings()

    def _refresh_status(self) -> None:
        if not self.is_attached:
            return
        session = self._session
        turn = self.transcript.turn_at(self.transcript.count - 1) if session else None
        running = turn is not None and not turn.status.is_final
        news = self._news if not running or time.monotonic() < self._news_until else ""
        progress = status.progress(turn, self._chat.now()) if running and turn else ""
        right = self._link or " · ".join(part for part in (news, progress) if part)
        left = status.destination(self._chat, session) if session else ()
        more = self._figures if news and right == news else ()
        self.status_bar.show(left, right, more, trouble=self._trouble, is_busy=running)

    def _keep_time(self) -> None:
        """Let the time run in the status bar while an answer is awaited, and only then."""
        session_id = self._session.id if self._session is not None else ""
        running = self._chat.is_running(session_id) or self._chat.lease(session_id) is not None
        if running and self._clock is None:
            self._clock = self.set_interval(0.2, self._refresh_status)
        elif not running and self._clock is not None:
            self._clock.stop()
            self._clock = None

    def _refresh_sidebar_soon(self) -> None:
        if self._sidebar_timer is None:
            self._sidebar_timer = self.set_timer(0.05, self._refresh_sidebar)

    def _refresh_sidebar(self) -> None:
        self._sidebar_timer = None
        if self.is_attached:
            current = self._session.id if self._session else ""
            sessions = self._list.with_new(self._session)
            today = datetime.fromtimestamp(self._chat.now()).astimezone().date()
            self.sidebar.show(sessions, current, self._chat.running(), today)

    def _compositor_refresh(self) -> None:
        began = time.perf_counter()
        super()._compositor_refresh()
        self.transcript.pace.rest(time.perf_counter() - began)

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width < TINY[0] or height < TINY[1], "-tiny")

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something that takes a moment, and say what went wrong if it does."""
        self._chores.begin(work)
