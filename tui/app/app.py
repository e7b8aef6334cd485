"""The application: theme, keys, the gate before the terminal, and the one screen everything happens on."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App
from textual.binding import Binding
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.worker import WorkerFailed

from tui import crash
from tui.app.attention import Attention
from tui.app.cells import mend
from tui.app.commands import Command, Commands
from tui.app.compositor import paint_changes, put_back
from tui.app.driver import Driver
from tui.app.gate import Gate
from tui.app.keyboard import Keyboard
from tui.app.notification import notification
from tui.app.run import Wish
from tui.app.screens.chat import ChatScreen
from tui.app.screens.early_keys import EarlyKeys
from tui.aside import aside
from tui.chat import Chat
from tui.errors import PalaverError
from tui.store import Store
from tui.text import clean, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver as TextualDriver

COPY_LIMIT = 100_000
"""The most text handed to the terminal's clipboard, in bytes: terminals drop more, or worse."""


class PalaverApp(App[None]):
    """Palaver's window. `come_back` is the label of the session shown last; `failure` our own mistake that ended it.

    `on_gone` is called when there is no terminal any more.
    """

    CSS_PATH = Path(__file__).with_name("app.tcss")
    TITLE = "Palaver"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {Commands}

    BINDINGS = [
        Binding("ctrl+q", "quit", "Quit", id="app.quit", priority=True),
        Binding("f1", "help", "Help", id="app.help", priority=True),
        Binding("ctrl+p", "command_palette", "Commands", id="app.commands", show=False, priority=True),
    ]

    def __init__(
        self, chat: Chat, store: Store, wish: Wish, *, driver_class: type[TextualDriver] | None = None
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.chat = chat
        self.store = store
        self.come_back = ""
        self.is_terminal_lent = False
        self.failure: Exception | None = None
        self.on_gone: Callable[[], object] = self.exit
        self._keyboard = Keyboard(self, self._take, self._stage)
        self._wish = wish
        self._is_held_back = False
        self._leave_chat: Callable[[], None] = lambda: None
        # Private in Textual, and the only place through which all lines pass; a test fails when that changes.
        mend()
        self._filters.append(Gate())
        self.animation_level = "none"
        self._unknown_names = [*self._set_theme(chat.config.theme), *self._bind(chat.config.keys)]

    @property
    def warnings(self) -> list[str]:
        """What the user should know of the configuration."""
        return [*self.chat.config.warnings, *self._unknown_names]

    def get_default_screen(self) -> Screen[Any]:
        return ChatScreen(self.chat, self.store, self._wish)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            if not self._keyboard.is_open and isinstance(event, events.Key) and event.key == "ctrl+j":
                # The terminal was not ours yet and made a line feed of the Enter.
                event = events.Key("enter", "\r")
            self._make_way()
            await self._keyboard.press(event)
        else:
            await super().on_event(event)

    async def _take(self, event: events.Key | events.Paste) -> None:
        """Have a key, whose turn it is, do what it does."""
        base = self.screen_stack[0] if self._screen_stack else None
        if isinstance(base, ChatScreen):
            base.note_key(event)
        await super().on_event(event)

    def _stage(self) -> EarlyKeys | None:
        """Where the next key lands, if that shows a session."""
        screen = self.screen if self._screen_stack else None
        return screen.early_keys if isinstance(screen, ChatScreen) else None

    def _make_way(self) -> None:
        screen = self.screen_stack[0] if self._screen_stack else None
        if isinstance(screen, ChatScreen):
            screen.transcript.pace.make_way()

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, lambda _theme: self._repaint_theme())
        self.call_after_refresh(self._settle)
        attention = Attention(
            runs=self.chat.is_running, shows=self._shows, has_focus=lambda: self.app_focus, call=self._call
        )
        self._leave_chat = self.chat.subscribe(attention.changed)

    def exit(self, *args: Any, **more: Any) -> None:
        """Leave; what is still to be saved or stopped waits for others only a moment from now on."""
        self.chat.hasten()
        super().exit(*args, **more)

    def on_terminal_gone(self) -> None:
        self.on_gone()

    def on_unmount(self) -> None:
        self._leave_chat()
        self._keyboard.close()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Paint, or where the terminal is behind, or changes are still being made, leave it for when that is over.

        Textual forgets what it would have painted amid changes. Private in it, a test tells when it is another's.
        """
        may_paint = not self._batch_count and (not isinstance(self._driver, Driver) or self._driver.may_paint())
        if renderable is None or may_paint or not put_back(screen._compositor, renderable):
            super()._display(screen, renderable)
        else:
            self._is_held_back = True

    def _end_batch(self) -> None:
        super()._end_batch()
        if self._is_held_back and not self._batch_count:
            self._is_held_back = False
            self.call_later(paint_changes, self)

    def action_quit(self) -> None:  # type: ignore[override]
        screen = self.screen_stack[0]
        if isinstance(screen, ChatScreen) and not screen.may_quit():
            return
        self.exit()

    def action_help(self) -> None:
        screen = self.screen_stack[0]
        if isinstance(screen, ChatScreen):
            screen.action_help()

    def copy_to_clipboard(self, text: str) -> None:
        """Copy, through the terminal, cleaned text of a size it can take."""
        text = "\t".join(clean(part) for part in text.split("\t"))
        super().copy_to_clipboard(text.encode("utf-8", "replace")[:COPY_LIMIT].decode("utf-8", "ignore"))

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # noqa: ARG002 - nothing told here is markup, whoever asks for that
    ) -> None:
        """Tell something in a corner, as it stands."""
        super().notify(one_line(message), title=one_line(title), severity=severity, timeout=timeout, markup=False)

    def _take_picture(self) -> None:
        """Save what is on the screen now, without keys: whoever gets the picture is not to have them."""
        picture = self.chat.exchange.masked(self.export_screenshot())
        name = f"palaver-{datetime.fromtimestamp(self.chat.now()).astimezone():%Y-%m-%d-%H%M%S}.svg"
        self.run_worker(self._save_picture(picture, name))

    async def _save_picture(self, picture: str, name: str) -> None:
        from tui.app.screenshot import save

        try:
            self.notify(f"Saved to {await aside(lambda: save(picture, name))}")
        except PalaverError as error:
            self.notify(str(error), severity="error")

    def _shows(self, session_id: str) -> bool:
        """Whether a session is on the screen, or on its way there."""
        base = self.screen_stack[0] if self._screen_stack else None
        return isinstance(base, ChatScreen) and base.is_shown(session_id)

    def _call(self, session_id: str) -> None:
        """Have the terminal tell its user of a session, unless another program has it just now."""
        base = self.screen_stack[0] if self._screen_stack else None
        if self._driver is None or self.is_terminal_lent or not isinstance(base, ChatScreen):
            return
        sent = notification(base.name_of(session_id), self.chat.config.notify, os.environ)
        if sent:
            self._driver.write(sent)

    def palette_commands(self) -> Iterable[Command]:
        """What the command palette offers."""
        base = self.screen_stack[0]
        if isinstance(base, ChatScreen):
            yield from base.commands()
        yield Command("Theme", "Change the colours", self.action_change_theme)
        yield Command("Screenshot", "Save what is on the screen as an SVG file", self._take_picture)
        yield Command("Quit", "Leave Palaver", self.action_quit)

    def fail(self, error: Exception) -> None:
        """End, because of a mistake of our own."""
        self._handle_exception(error)

    def tell_mistake(self, error: Exception) -> None:
        """Go on after a mistake of our own that ended nothing but a task, and say where its report is."""
        line = crash.sentence(error)
        screen = self.screen_stack[0] if self._screen_stack else None
        if isinstance(screen, ChatScreen) and screen.is_mounted:
            screen.say(f"{line[:1].upper()}{line[1:]}.")

    @contextmanager
    def lend_terminal(self) -> Iterator[None]:
        """Let another program have the terminal; the window is whole again after that. What is running goes on."""
        self.is_terminal_lent = True
        try:
            with self.suspend() if self._driver is not None and self._driver.can_suspend else nullcontext():
                yield
        finally:
            self.is_terminal_lent = False

    def let_go_of_terminal(self) -> None:
        """Restore the terminal, if that has not been done."""
        if self._driver is not None:
            self._driver.stop_application_mode()

    def _handle_exception(self, error: Exception) -> None:
        """End with our own report: Textual would print the values of variables, keys among them, and exit with 0."""
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error
        if self.failure is None:
            self.failure = error
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    def _set_theme(self, name: str) -> list[str]:
        """Use a theme; gives a line where there is none of that name."""
        if not name:
            return []
        if name in self.available_themes:
            self.theme = name
            return []
        from difflib import get_close_matches

        near = get_close_matches(name, self.available_themes, 1)
        hint = f"did you mean {near[0]!r}?" if near else "the command “Theme” lists them"
        return [f"theme: there is no theme {name!r} ({hint})"]

    def _bind(self, keys: Any) -> list[str]:
        """Apply the user's keys; gives a line for each name that means nothing."""
        if not keys:
            return []
        self.set_keymap(dict(keys))
        known = {binding.id for cls in _bound_classes() for binding in cls.BINDINGS if isinstance(binding, Binding)}
        return [f"keys: there is no action {name!r} (the help names them)" for name in keys if name not in known]

    def _repaint_theme(self) -> None:
        screen = self.screen_stack[0]
        if isinstance(screen, ChatScreen):
            screen.transcript.set_theme(self.theme_variables)

    async def _settle(self) -> None:
        """After the first frame, let in what was typed, and go on beside it."""
        await self._keyboard.open()
        self.run_worker(self._get_ready())

    async def _get_ready(self) -> None:
        """Load what a first key or prompt may need, once the first session is shown; what is there by then is not looked
        through again for what could be collected."""
        from tui.app.preloading import preload

        screen = self.screen_stack[0]
        if isinstance(screen, ChatScreen):
            await screen.begun.wait()
            await self.chat.prepare(screen.session)
        await asyncio.to_thread(preload)
        # Collecting it once would hold up what is typed, by 36 ms, for the sake of 2,000 objects. Later collections are
        # seldom, and each has little to look at: with 20 for 5 the second kind took up to 95 ms. The third kind takes up to
        # 30 ms once in some 400 turns; without it 10 MB of garbage are left by every thousand.
        gc.freeze()
        gc.enable()
        gc.set_threshold(20_000, 5, 10)


def _bound_classes() -> list[Any]:
    from tui.app.screens.account import AccountScreen
    from tui.app.screens.composer_screen import ComposerScreen
    from tui.app.screens.find_screen import FindScreen
    from tui.app.screens.help import HelpScreen
    from tui.app.screens.lease_screen import LeaseScreen
    from tui.app.screens.picker import Picker
    from tui.app.screens.queue_screen import QueueScreen
    from tui.app.screens.search import SearchScreen
    from tui.app.screens.switcher import Switcher
    from tui.app.transcript.finding_view import FindingView
    from tui.app.transcript.view import TranscriptView
    from tui.app.widgets.dialogs import ConfirmDialog, TextDialog
    from tui.app.widgets.find_bar import FindBar
    from tui.app.widgets.prompt import Prompt
    from tui.app.widgets.sidebar import Sidebar

    found = [FindScreen, LeaseScreen, QueueScreen, ComposerScreen, AccountScreen, SearchScreen, FindingView, FindBar]
    dialogs = [*found, Picker, Switcher, HelpScreen, TextDialog, ConfirmDialog]
    return [PalaverApp, ChatScreen, Prompt, Sidebar, TranscriptView, *dialogs]
