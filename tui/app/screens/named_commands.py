"""What can be done by name on the chat screen: after a slash in the input, or in the command palette."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from tui.app.commands import Command
from tui.app.screens import slash
from tui.app.screens.file_actions import FileActions
from tui.app.screens.server_actions import ServerActions, Wished
from tui.app.screens.session_actions import SessionActions
from tui.app.screens.slash import Slash
from tui.app.transcript.view import TranscriptView
from tui.chat import Chat
from tui.errors import ConfigError
from tui.model import Session, SessionLease
from tui.traits import Can

if TYPE_CHECKING:
    from tui.app.screens.help import Key

_OTHERWISE = {
    "/adopt": "keeps no conversations",
    "/share": "does not share conversations",
    "/unshare": "does not share conversations",
    "/conversations": "does not list conversations",
}
"""What is said of a server that cannot do what a command is for."""


class Stage(Protocol):
    """The screen, as far as it does things itself."""

    transcript: TranscriptView

    @property
    def session(self) -> Session | None: ...

    @property
    def lease(self) -> SessionLease | None: ...

    def say(self, text: str) -> None: ...

    def action_stop(self) -> None: ...

    def action_edit_prompt(self) -> None: ...

    def action_new(self) -> None: ...

    def action_switch(self) -> None: ...

    def action_search(self) -> None: ...

    def action_find(self) -> None: ...

    def action_take_over(self) -> None: ...

    def action_sidebar(self) -> None: ...

    def action_help(self) -> None: ...


class NamedCommands:
    """What the server of the session shown cannot do is not among them."""

    def __init__(
        self, chat: Chat, session: SessionActions, server: ServerActions, files: FileActions, stage: Stage
    ) -> None:
        self._chat = chat
        self._session = session
        self._server = server
        self._files = files
        self._stage = stage

    def after_slash(self) -> slash.Commands:
        """What can be typed after a slash."""
        server = self._server
        profiles = {name: profile.base_url for name, profile in self._chat.config.profiles.items()}
        offered = {
            "/model": Slash(server.choose_model, "choose what answers next", "[NAME]"),
            "/profile": Slash(self._session.use_profile, "talk to another server", "[NAME]", profiles),
            "/fork": Slash(server.fork, "go on in another session", "[LABEL]"),
            "/export": Slash(lambda name: self._files.export(name=name), "write this session to a file", "[FILE]"),
            "/import": Slash(self._files.take_in, "make sessions of a file", "[FILE]"),
            "/forget": Slash(lambda _: server.forget(), "begin a new conversation"),
            "/takeover": Slash(lambda _: self._stage.action_take_over(), "stop another window's answer"),
        }
        if server.keeps:
            offered["/adopt"] = Slash(server.adopt_named, "take over one of the server's", "ID")
        if server.can(Can.SHARE):
            offered["/share"] = Slash(lambda _: server.share(), "let others read this")
            offered["/unshare"] = Slash(lambda _: server.unshare(), "stop sharing it")
        if server.can(Can.LIST):
            offered["/conversations"] = Slash(lambda _: server.adopt(), "list those on the server")
        return offered

    def refusal(self, text: str) -> str:
        """Why a command does nothing here, where the server cannot do it; empty for what is none of those."""
        word = "" if "\n" in text.strip() else text.strip().partition(" ")[0]
        session = self._stage.session
        if word not in _OTHERWISE or session is None or word in self.after_slash():
            return ""
        try:
            protocol = self._chat.profile_of(session).protocol
        except ConfigError as error:
            return error.message
        return f"A server of the {protocol} protocol {_OTHERWISE[word]}"

    def in_palette(self, bound: Iterable[Key]) -> Iterable[Command]:
        """What the command palette offers; `bound` are the keys there are, to be shown beside."""
        keys = {key.name: f" ({key.shown})" for key in bound}

        def command(title: str, note: str, name: str, run: Callable[[], object]) -> Command:
            return Command(title, note + keys.get(name, ""), run)

        actions, server, stage = self._session, self._server, self._stage
        if stage.session is not None and self._chat.is_running(stage.session.id):
            yield command("Stop", "Stop the answer; what came is kept", "turn.stop", stage.action_stop)
        transcript = stage.transcript
        if transcript.has_answer:
            yield command("Copy answer", "The newest, or the one you are on", "", transcript.copy_answer)
        if transcript.is_offered("next_code"):
            about = "The next code block of the newest answer that has any"
            yield command("Copy code", about, "transcript.code", transcript.action_next_code)
        if transcript.check_action("resend", ()):
            yield command("Send again", "The newest prompt", "transcript.resend", transcript.action_resend)
            about = "Change the newest, and send it in its place"
            yield command("Edit a message", about, "transcript.edit", transcript.action_edit)
        yield command("Edit in editor", "Write the prompt there", "prompt.editor", stage.action_edit_prompt)
        yield command("New session", "Begin another one", "session.new", stage.action_new)
        yield command("Switch session", "Find one by its name", "session.switch", stage.action_switch)
        yield command("Search", "Find what was said in any session", "session.search", stage.action_search)
        yield command("Find", "Find something in this session", "view.find", stage.action_find)
        yield command("Rename", "Change this session's label", "session.rename", actions.rename)
        yield command("Title", "Change this session's title", "session.title", actions.title)
        yield command("Pin", "Keep this session on top, or no longer", "session.pin", actions.pin)
        yield command("Archive", "Take this session out of the way", "session.archive", actions.archive)
        yield command("Delete", "Put this session into the trash", "session.delete", actions.delete)
        if actions.deleted:
            title = f"Bring back {actions.deleted[-1].session.name}"
            yield command(title, "As it was before", "session.restore", actions.restore)
        if stage.lease is not None:
            about = "Stop what another window answers here"
            yield command("Take over", about, "session.take-over", stage.action_take_over)
        yield command("Archive and trash", "Bring back a session from there", "", actions.list_hidden)
        about = "What is known of this session's conversations"
        yield command("Conversation", about, "session.conversation", server.account)
        yield command("Model", "Choose what answers the next prompt", "", server.choose_model)
        yield command("Fork", "Go on from here in another session", "transcript.fork", server.fork)
        yield command("Forget conversation", "Begin a new one on the server; it is not told", "", server.forget)
        for title, note, run in self._files.commands():
            yield Command(title, note, run)
        if server.can(Can.SHARE):
            yield command("Share", "Let others read this up to its last answer", "", server.share)
            yield command("Stop sharing", "Let others read this no longer", "", server.unshare)
        if server.can(Can.LIST):
            yield command("Conversations on the server", "Make a session of one", "", server.adopt)
        asked = stage.transcript.question
        if asked is not None:
            name = asked[1].name or "it"
            for title, yes in ((f"Approve {name}", True), (f"Deny {name}", False)):
                yield Command(title, "What the server asks", partial(server.answer, *asked, Wished(yes)))
        yield command("Sidebar", "Show or hide it", "view.sidebar", stage.action_sidebar)
        yield command("Help", "All keys", "app.help", stage.action_help)
        for name, profile in self._chat.config.profiles.items():
            title = f"Profile {name}: {profile.base_url}"
            yield Command(title, "Let this session talk to this server", partial(actions.use_profile, name))
