"""The chat screen: it translates what the user does into orders, to Chat or to the widgets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual import events, on
from textual.binding import Binding

from tui.app.commands import Command
from tui.app.once import Once
from tui.app.run import Wish
from tui.app.screens import slash
from tui.app.screens.changing import Changing
from tui.app.screens.composer_screen import ComposerScreen
from tui.app.screens.file_actions import FileActions
from tui.app.screens.links import Links
from tui.app.screens.named_commands import NamedCommands
from tui.app.screens.quitting import Quitting
from tui.app.screens.server_actions import ServerActions, Wished
from tui.app.screens.session_actions import SessionActions
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.prompt import Prompt
from tui.app.widgets.sidebar import Sidebar
from tui.chat import Chat
from tui.drafts import Change
from tui.errors import PalaverError
from tui.model import Provenance, Session, TurnStatus
from tui.store import Store
from tui.text import counted


class ChatScreen(ComposerScreen):
    """What the user does, translated into what `Chat` and the widgets are to do."""

    AUTO_FOCUS = "#prompt"

    BINDINGS = [
        Binding("escape", "stop", "Stop", id="turn.stop"),
        Binding("escape", "leave_changing", "Back", id="turn.back"),
        Binding("escape", "pick", "Change a message (twice)", id="turn.pick", show=False),
        # From the prompt the transcript is next, though it stands before it.
        Binding("tab", "focus_part(-1)", "Focus", id="view.next"),
        Binding("shift+tab", "focus_part(1)", "Other part", id="view.previous", show=False),
        Binding("ctrl+n", "new", "New", id="session.new"),
        Binding("ctrl+o", "switch", "Switch", id="session.switch"),
        Binding("alt+up", "neighbour(-1)", "Previous session", id="session.previous", show=False, priority=True),
        Binding("alt+down", "neighbour(1)", "Next session", id="session.next", show=False, priority=True),
        Binding("ctrl+b", "sidebar", "Sidebar", id="view.sidebar", show=False, priority=True),
        Binding("f2", "rename", "Rename", id="session.rename"),
        Binding("f3", "title", "Title", id="session.title", show=False),
        Binding("f4", "pin", "Pin", id="session.pin", show=False),
        Binding("f6", "account", "Conversation", id="session.conversation", show=False, priority=True),
        Binding("f9", "archive", "Archive", id="session.archive", show=False),
        Binding("f8", "delete", "Delete", id="session.delete", show=False),
        Binding("alt+z", "restore", "Bring back", id="session.restore"),
        Binding("pageup", "page(-1)", "Scroll up", id="view.page-up", show=False, priority=True),
        Binding("pagedown", "page(1)", "Scroll down", id="view.page-down", show=False, priority=True),
        Binding("end,ctrl+end", "live_end", "Newest", id="view.end", show=False),
        Binding("ctrl+c", "interrupt", "Copy, stop, clear or quit", id="app.interrupt", show=False, priority=True),
    ]

    def __init__(self, chat: Chat, store: Store, wish: Wish) -> None:
        super().__init__(chat, store, wish)
        self._actions = SessionActions(chat, self._list, self)
        self._server = ServerActions(chat, self._list, self)
        self._files = FileActions(chat, self._list, self)
        self._links = Links(chat.config.key_variables, self)
        self._quitting = Quitting(chat, self, partial(Once, self))
        self._changing = Changing(chat, self.prompt, self)
        self._commands = NamedCommands(chat, self._actions, self._server, self._files, self)

    @on(Prompt.Submitted)
    def _submit(self, event: Prompt.Submitted) -> None:
        if self._queued is not None:
            self.put_back(event.text)
        elif self._session is not None and self._changing.at is not None:
            at = self._changing.at
            if self._chat.is_running(self._session.id):
                self.prompt.give_back(event.text)
                self.say(f"This session is still answering; wait, then press {self.key('prompt.send')}")
                return
            self._changing.end(event.aside)
            self.send_in_place(self._session, event.text, at)
        elif slash.run(event.text, self.slash_commands()):
            self.prompt.add_history(event.text)
        elif refusal := self._commands.refusal(event.text):
            self.prompt.give_back(event.text)
            self.say(refusal)
        elif self._session is None:
            self._way.send_there(event.text)
        else:
            self.send_text(self._session, event.text)

    def slash_commands(self) -> slash.Commands:
        """What can be typed after a slash here; what the server cannot do is not among it."""
        if self._changing.at is not None or self._queued is not None:
            return {}
        return self._commands.after_slash()

    def _session_changed(self, session: Session) -> None:
        shown = self._session
        super()._session_changed(session)
        self._actions.note(session, shown if shown is not None and shown.id == session.id else None)

    def send_text(self, session: Session, text: str) -> None:
        if self._chat.can_steer(session.id):
            self.do(self._steer(session, text), may_be_left=True)
            return
        if session.provenance is Provenance.FOREIGN:
            self.prompt.give_back(text)
            self.say("This conversation is someone else's: fork it to go on")
            self._server.fork()
            return
        if self.is_answering and self._session is not None and self._session.id == session.id:
            self.do(self.enqueue(session, text))
            return
        self.send_now(session, text)

    def send_now(self, session: Session, text: str) -> bool:
        return self._send(session, text)

    def _send(self, session: Session, text: str, at: int | None = None) -> bool:
        """Begin a turn and show it. False where it cannot be begun, which is said."""
        if self.lease is not None:
            self.say("This session is answering elsewhere")
            self.prompt.give_back(text)
            return False
        try:
            self._chat.send(session, text, at=at)
        except PalaverError as error:
            self.say(str(error))
            self.prompt.give_back(text)
            return False
        if at is not None:
            self.transcript.drop_from(at + 1)
        self.prompt.add_history(text)
        self.transcript.go_to_end()
        self.refresh_bindings()
        return True

    async def _steer(self, session: Session, text: str) -> None:
        """Say more to a server that is answering."""
        try:
            await self._chat.steer(session.id, text)
        except PalaverError:
            self.prompt.give_back(text)
            raise
        self.prompt.add_history(text)
        self.say("The server was told")

    @on(TranscriptView.ResendWanted)
    def _resend(self, event: TranscriptView.ResendWanted) -> None:
        if self._session is None or event.turn.session_id != self._session.id:
            return
        if event.turn.run:
            self.do(self._chat.resume(self._session))
        elif event.turn.status is TurnStatus.DONE or event.turn.depth + 1 < self.transcript.count:
            self.send_in_place(self._session, event.turn.prompt, event.turn.depth)
        else:
            self.send_text(self._session, event.turn.prompt)

    def send_in_place(self, session: Session, text: str, at: int) -> None:
        """Say something in the place of the turn at depth `at`, which stays on a branch of its own."""
        if self._send(session, text, at):
            self.do(self._see_branch(session.id), may_be_left=True)

    async def _see_branch(self, session_id: str) -> None:
        """Once a turn is over: show what there is, in case no branch could be made for it."""
        await self._chat.settled(session_id)
        await self.show_again(session_id)

    @on(TranscriptView.EditWanted)
    def _change(self, event: TranscriptView.EditWanted) -> None:
        self._changing.begin(event.turn)

    def action_leave_changing(self) -> None:
        self._changing.leave()
        self.leave_queued()

    def action_pick(self) -> None:
        """Esc twice on an empty prompt: choose one of one's own messages, to change it."""
        self._changing.pick()

    def show_forecast(self) -> None:
        if self._changing.at is None:
            super().show_forecast()

    @property
    def draft(self) -> str:
        return super().draft if self._changing.at is None else self._changing.kept

    def leave(self, left: Session) -> None:
        super().leave(left)
        self._changing.drop()

    def go_on_changing(self, change: Change) -> None:
        if change.depth is None:
            super().go_on_changing(change)
        else:
            self._changing.go_on(change, change.depth)

    @on(TranscriptView.VariantWanted)
    def _leaf(self, event: TranscriptView.VariantWanted) -> None:
        if self._session is not None:
            self.do(self._chat.choose(self._session.id, event.turn_id))

    @on(TranscriptView.AnswerWanted)
    def _answer(self, event: TranscriptView.AnswerWanted) -> None:
        self._server.answer(event.turn, event.item, Wished(event.approved, event.for_all, event.with_reason))

    @on(TranscriptView.ForkWanted)
    def _fork(self, event: TranscriptView.ForkWanted) -> None:
        self._server.fork(at=event.turn.depth + 1)

    def action_stop(self) -> None:
        if self._session is not None and self._chat.cancel(self._session.id):
            self.say("Stopping…")

    def action_new(self) -> None:
        self.do(self.enter(self._chat.new(**self._chat.server_of(self._session))))

    def action_switch(self) -> None:
        from tui.app.screens.switcher import Switcher

        self.app.push_screen(Switcher(self._list.sessions, self._way.place), self._switched)

    def _switched(self, choice: str | None) -> None:
        if choice is None:
            return
        if choice.startswith("new:"):
            label = choice.removeprefix("new:")
            self.do(self.enter(self._chat.open(label, **self._chat.server_of(self._session))))
        elif (session := self._list.get(choice)) is not None:
            self._go_to(session)

    def action_neighbour(self, step: int) -> None:
        session = self._list.neighbour(self._way.place, step)
        if session is not None:
            self._go_to(session)

    @on(Sidebar.Chosen)
    def _chosen(self, event: Sidebar.Chosen) -> None:
        session = self._list.get(event.session_id)
        if session is not None:
            self._go_to(session)

    def action_rename(self) -> None:
        self._actions.rename()

    def action_title(self) -> None:
        self._actions.title()

    def action_pin(self) -> None:
        self._actions.pin()

    def action_account(self) -> None:
        self._server.account()

    def action_archive(self) -> None:
        self._actions.archive()

    def action_delete(self) -> None:
        self._actions.delete()

    def action_restore(self) -> None:
        self._actions.restore()

    def action_sidebar(self) -> None:
        self.toggle_class("-over" if self.has_class("-narrow") else "-no-sidebar")
        sidebar = self.sidebar
        if sidebar.display:
            self._refresh_sidebar()
            if self.has_class("-narrow"):
                sidebar.focus()
        elif sidebar.has_focus:
            self.prompt.focus()

    def action_leave_sidebar(self) -> None:
        self.prompt.focus()

    def action_focus_part(self, step: int) -> None:
        """Go round prompt, transcript and sidebar."""
        if step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_page(self, pages: int) -> None:
        self.transcript.page(pages)

    def action_live_end(self) -> None:
        self.transcript.go_to_end()

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted while something else has the focus is typed text all the same."""
        event.stop()
        self.prompt.focus()
        self.prompt.paste(event.text)

    @on(Prompt.EndWanted)
    def _end_wanted(self) -> None:
        self.transcript.go_to_end()

    def action_interrupt(self) -> None:
        """Ctrl+C: copies a selection, else stops the answer, else clears the input, else stops an import or an export,
        else quits at the second press."""
        if self._interrupt():
            self._quitting.forget()
        elif self._quitting.is_meant("app.interrupt", if_idle=False):
            self.app.exit()

    def _interrupt(self) -> bool:
        """Copy, stop, let go of or clear what there is. False where there is nothing."""
        if shown := self.get_selected_text():
            self._copy_shown(shown)
            self.clear_selection()
        elif typed := self.prompt.selected_text:
            self.app.copy_to_clipboard(typed)
            self.say(f"Copied {counted(len(typed), 'character')}")
        elif self._session is not None and self._chat.lets_go_of(self._session.id):
            self._chat.cancel(self._session.id, lets_go=True)
            self.say("Left running: the server goes on")
        elif self._session is not None and self._chat.cancel(self._session.id):
            self.say("Stopping…")
        elif self._queued is not None:
            self.leave_queued()
        elif self.prompt.text:
            self.prompt.put_by()
            self.prompt.replace_text("")
            self.say("Cleared; Up brings it back")
        elif works := self.under_way():
            self._chores.stop(works[-1])
            self.say(f"Stopped {works[-1]}")
            self.do(self._files.show_sessions())
        else:
            return False
        return True

    def may_quit(self) -> bool:
        """Whether nothing stands against leaving, or the user has insisted."""
        return self._quitting.is_meant("app.quit", if_idle=True)

    def note_key(self, event: events.Key | events.Paste) -> None:
        """Take in that a key is about to do something: any but one that leaves is a sign of staying."""
        if not self.early_keys.is_way_out(event):
            self._quitting.forget()

    def action_help(self) -> None:
        from tui.app.screens.help import HelpScreen

        if not isinstance(self.app.screen, HelpScreen):
            self.app.push_screen(HelpScreen(self._keys()))

    @on(TranscriptView.Left)
    def _left(self) -> None:
        if self._session is not None and self._chat.is_running(self._session.id):
            self.action_stop()
        else:
            self.prompt.focus()

    @on(TranscriptView.Copied)
    def _copy(self, event: TranscriptView.Copied) -> None:
        self._copy_shown(event.text, event.what)

    @on(TranscriptView.NothingToCopy)
    def _say_no_code(self) -> None:
        self.say("No code here")

    def _copy_shown(self, text: str, what: str = "") -> None:
        """Copy what the transcript shows, without keys: wherever it is pasted, they are not wanted."""
        masked = self._chat.exchange.masked(text)
        self.app.copy_to_clipboard(masked)
        amount = counted(len(masked), "character")
        note = ", a key in it as ***" if masked != text else ""
        self.say(f"Copied {f'{what} ({amount})' if what else amount}{note}")

    @on(TranscriptView.LinkHovered)
    def _hover(self, event: TranscriptView.LinkHovered) -> None:
        self._standing.link = event.url
        self._refresh_status()

    @on(TranscriptView.LinkClicked)
    def _click(self, event: TranscriptView.LinkClicked) -> None:
        self._links.open(event.url)

    def commands(self) -> Iterable[Command]:
        """What the command palette offers here."""
        return self._commands.in_palette(key for keys in self._keys().values() for key in keys)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "stop":
                is_running = self._session is not None and self._chat.is_running(self._session.id)
                return is_running and self._changing.at is None and self._queued is None
            case "leave_sidebar":
                return not self.check_action("stop", ())
            case "leave_changing":
                return self._changing.at is not None or self._queued is not None
            case "send_next" | "change_queued" | "unqueue" if self._changing.at is not None:
                return False
            case "pick":
                has_said = self._session is not None and self.transcript.count > 0
                return (
                    has_said
                    and self._changing.at is None
                    and self._queued is None
                    and self.prompt.has_focus
                    and not self.prompt.text
                )
            case "restore":
                return bool(self._actions.deleted)
            case _:
                return super().check_action(action, parameters)
