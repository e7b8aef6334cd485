"""The parts of the one screen, with what its bars tell of how things stand."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tui.app.compositor import LeanCompositor
from tui.app.once import Once
from tui.app.screens.chores import Chores
from tui.app.screens.sessions import SessionList
from tui.app.screens.standing import Standing
from tui.app.steady import Steady
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.key_bar import KeyBar
from tui.app.widgets.offer_list import OfferList
from tui.app.widgets.prompt import Prompt
from tui.app.widgets.queue_list import QueueList
from tui.app.widgets.sidebar import Sidebar
from tui.app.widgets.status_bar import StatusBar
from tui.chat import Chat
from tui.model import Session, Turn

NARROW = 80
"""Columns below which the sidebar is laid over the transcript."""

TINY = (40, 10)
"""Columns and rows below which nothing useful can be shown."""

LOOKED_BACK = 5
"""Turns before the newest that may still be being answered."""


class StandingScreen(Steady, Screen[None]):
    """Sessions, transcript, input, status. The session shown, and what is told of it, are for those who derive from it."""

    def __init__(self, chat: Chat) -> None:
        super().__init__()
        self._compositor = LeanCompositor()
        self.sidebar = Sidebar(id="sidebar")
        self.transcript = TranscriptView(id="transcript")
        self.queue_list = QueueList(id="queue")
        self.offer_list = OfferList(id="offers")
        self.prompt = Prompt(self.offer_list, id="prompt")
        self.status_bar = StatusBar(id="status")
        self._chat = chat
        self._list = SessionList()
        self._session: Session | None = None
        self._chores = Chores(self.say, lambda error: self.app.fail(error))  # type: ignore[attr-defined]
        self._standing = Standing(chat, self.status_bar)
        self._clock: Timer | None = None
        self._sidebar_timer: Once | None = None

    @property
    def session(self) -> Session | None:
        """The session shown; None until there is one."""
        return self._session

    def name_of(self, session_id: str) -> str:
        """What a session is called; empty where it is not in the list."""
        session = self._list.get(session_id)
        return session.name if session is not None else ""

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

    def do(self, work: Coroutine[Any, Any, Any], *, may_be_left: bool = False, name: str = "") -> None:
        """Do something that takes a moment, and say what went wrong if it does. Leaving Palaver does not wait for what
        `may_be_left`, nor for what has a `name`, but tells the user of that."""
        self._chores.begin(work, may_be_left=may_be_left, name=name)

    def under_way(self) -> list[str]:
        """What leaving would stop, besides answers."""
        return self._chores.names

    # Showing how things stand

    def say(self, text: str) -> None:
        """Tell the outcome of the last action."""
        self._standing.say(text)
        self._refresh_status()

    def tell_progress(self, text: str) -> None:
        """Tell how far something is that takes its time."""
        self._standing.tell_progress(text)
        self._refresh_status()

    def warn(self, text: str) -> None:
        """Tell something that must be seen before the next key, also by who looks at a dialog."""
        self._standing.warn(text)
        self._refresh_status()
        if self.app.screen is not self:
            self.app.notify(text, severity="warning")

    def unsay(self, text: str) -> None:
        """Tell that no longer, if it is what is told."""
        self._standing.unsay(text)
        self._refresh_status()

    def _refresh_all(self) -> None:
        self._keep_time()
        self._refresh_status()
        self._refresh_sidebar()
        self.refresh_bindings()

    def _refresh_status(self) -> None:
        if self.is_attached:
            self._standing.show(self._session, self._told_turn)

    @property
    def _told_turn(self) -> Turn | None:
        """The turn that the status bar tells of: the newest, or one before it that is still being answered, where a script
        was refused because of it."""
        if self._session is None:
            return None
        count = self.transcript.count
        newest = self.transcript.turn_at(count - 1)
        if newest is None or not newest.status.is_final or not self._is_awaited:
            return newest
        before = (self.transcript.turn_at(depth) for depth in range(count - 2, max(-1, count - 2 - LOOKED_BACK), -1))
        return next((turn for turn in before if turn is not None and not turn.status.is_final), newest)

    @property
    def _is_awaited(self) -> bool:
        """Whether an answer is coming in the session shown, here or elsewhere."""
        session_id = self._session.id if self._session is not None else ""
        return self._chat.is_running(session_id) or self._chat.lease(session_id) is not None

    def _keep_time(self) -> None:
        """Let the time run in the status bar while an answer is awaited, and only then."""
        running = self._is_awaited
        if running and self._clock is None:
            self._clock = self.set_interval(0.2, self._refresh_status)
        elif not running and self._clock is not None:
            self._clock.stop()
            self._clock = None

    def _refresh_sidebar_soon(self) -> None:
        if self._sidebar_timer is None:
            self._sidebar_timer = Once(self, 0.05, self._refresh_sidebar)

    def show_list(self) -> None:
        """Show the sessions as the list has them now."""
        self._refresh_sidebar_soon()

    def _refresh_sidebar(self) -> None:
        self._sidebar_timer = None
        if self.is_attached:
            current = self._session.id if self._session else ""
            sessions = self._list.with_new(self._session)
            today = datetime.fromtimestamp(self._chat.now()).astimezone().date()
            self.sidebar.show(sessions, current, self._chat.answering(), today)

    def _compositor_refresh(self) -> None:
        with self.transcript.pace.timed():
            super()._compositor_refresh()

    # Who has the keys

    def on_mount(self) -> None:
        self.screen_layout_refresh_signal.subscribe(self, lambda _: self._leave_hidden_sidebar())

    def _reset_focus(self, widget: Widget, avoiding: list[Widget] | None = None) -> None:
        """Take the focus from what is removed; what there is no room for keeps it until there is.

        Private in Textual, which takes it from both; a test fails when that changes.
        """
        if avoiding is not None or widget._pruning:
            super()._reset_focus(widget, avoiding)

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:
        """Give the focus to something, or to nothing while the terminal is left. The sidebar is over the transcript only
        until something else has it."""
        widget = self.prompt if self._is_hidden(widget) else widget
        if widget not in (None, self.sidebar):
            self.remove_class("-over")
        super().set_focus(widget, scroll_visible, from_app_focus)

    def _is_hidden(self, widget: Widget | None) -> bool:
        """Whether that is the sidebar, and not on the screen though everything else is."""
        return widget is self.sidebar and not widget.display and not self.has_class("-tiny")

    def _leave_hidden_sidebar(self) -> None:
        if self._is_hidden(self.focused):
            self.set_focus(self.prompt)

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width < TINY[0] or height < TINY[1], "-tiny")
