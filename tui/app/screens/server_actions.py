"""What the user does with the server of the session shown: its models, its conversations, its questions."""

from __future__ import annotations

import json
from typing import Any

from tui.app.screens.asking import anything, ask
from tui.app.screens.session_actions import Stage
from tui.app.screens.sessions import SessionList
from tui.chat import Chat
from tui.errors import UsageError
from tui.model import Conversation, Item, Session, Turn, Verdict
from tui.moments import moment
from tui.text import one_line
from tui.traits import Can
from tui.values import dataclass


@dataclass(frozen=True, slots=True)
class Wished:
    """What the user wants said to a question: yes or no, to all like it, and whether there is a reason to ask for."""

    approved: bool
    for_all: bool = False
    with_reason: bool = False


class ServerActions:
    """Each action asks what it has to ask, has `Chat` do it, and tells what came of it."""

    def __init__(self, chat: Chat, sessions: SessionList, stage: Stage) -> None:
        self._chat = chat
        self._list = sessions
        self._stage = stage

    @property
    def keeps(self) -> bool:
        """Whether the server of the session shown keeps conversations."""
        session = self._stage.session
        return session is not None and self._chat.traits_of(session).keeps

    def can(self, what: Can) -> bool:
        """Whether the server of the session shown can do something."""
        session = self._stage.session
        return session is not None and what in self._chat.traits_of(session).can

    # Models

    def choose_model(self, name: str = "") -> None:
        """Let the next prompt go to a model: the one named, or one to be chosen from the server's list."""
        session = self._stage.session
        if session is None:
            return
        if name:
            self._stage.do(self._use_model(session, name))
        else:
            self._stage.do(self._list_models(session), may_be_left=True)

    async def _list_models(self, session: Session) -> None:
        from tui.app.screens.picker import Choice, Picker

        self._stage.say("Asking the server for its models…")
        profile = self._chat.profile_of(session)
        names = await self._chat.conversations.models(profile)
        self._stage.say("")

        def done(choice: str | None) -> None:
            if choice is not None:
                self._stage.do(self._use_model(session, choice.removeprefix("new:")))

        marks = {profile.model: " (now)"}
        choices = [Choice(name, one_line(name, 100) + marks.get(name, "")) for name in names]
        picker = Picker(
            "Model", choices, hint="A few letters of a model", empty="The server names none.", new="Enter uses “{}”."
        )
        self._stage.app.push_screen(picker, done)

    async def _use_model(self, session: Session, name: str) -> None:
        now = await self._chat.set_profile(session.id, self._chat.profile_of(session).name, name)
        self._stage.say(f"The next prompt goes to {now.model}")

    # Forks

    def fork(self, label: str = "", at: int | None = None) -> None:
        """Make a session that goes on from the one shown, from its end or after its first `at` turns."""
        session = self._stage.session
        if session is None:
            return

        def taken(label: str) -> None:
            self._stage.do(self._fork(session, label, at), may_be_left=True)

        if label:
            taken(label)
        else:
            turns = "its first turn" if at == 1 else f"its first {at} turns"
            question = "The new session's label" if at is None else f"The new session's label ({turns})"
            ask(self._stage.app, question, self._free_label(session.label), self._chat.check_free, taken)

    def _free_label(self, label: str) -> str:
        """A label like that, and like none in the list."""
        taken = {one.label for one in self._list.sessions}
        number = 2
        while f"{label}-{number}" in taken:
            number += 1
        return f"{label}-{number}"

    async def _fork(self, session: Session, label: str, at: int | None) -> None:
        forked = await self._chat.conversations.fork(session, label, at)
        self._list.put(forked.session)
        await self._stage.enter(forked.session)
        self._stage.say(forked.note or f"{one_line(forked.session.label, 60)} goes on from here")

    # Sharing

    def share(self, at: int | None = None) -> None:
        session = self._stage.session
        if session is not None:
            self._stage.do(self._share(session, at), may_be_left=True)

    async def _share(self, session: Session, at: int | None) -> None:
        conversation_id = await self._chat.conversations.share(session, at)
        self._stage.app.copy_to_clipboard(conversation_id)
        self._stage.say("Shared up to the last answer; the conversation's id is copied")

    def unshare(self) -> None:
        session = self._stage.session
        if session is not None:
            self._stage.do(self._unshare(session), may_be_left=True)

    async def _unshare(self, session: Session) -> None:
        await self._chat.conversations.unshare(session)
        self._stage.say("No longer shared")

    # The server's conversations

    def adopt(self) -> None:
        """Choose one of the server's conversations, and make a session of it."""
        session = self._stage.session
        if session is not None:
            self._stage.do(self._list_conversations(session), may_be_left=True)

    async def _list_conversations(self, session: Session) -> None:
        from tui.app.screens.picker import Choice, Picker

        self._stage.say("Asking the server for its conversations…")
        profile = self._chat.profile_of(session)
        found = await self._chat.conversations.listed(profile)
        self._stage.say("")

        def done(choice: str | None) -> None:
            chosen = next((one for one in found if one.id == choice), None)
            if chosen is not None:
                self._ask_label(chosen)

        choices = [Choice(one.id, f"{one_line(one.title or one.id, 100):<46}  {moment(one.used_at)}") for one in found]
        picker = Picker(
            "Conversations on the server", choices, hint="A few letters of a title", empty="There are none."
        )
        self._stage.app.push_screen(picker, done)

    def adopt_named(self, conversation_id: str) -> None:
        """Make a session of the conversation of that id."""
        if conversation_id:
            self._ask_label(Conversation(conversation_id))
        else:
            self._stage.say("Which one? Its id goes after /adopt")

    def _ask_label(self, conversation: Conversation) -> None:
        def taken(label: str) -> None:
            if self._stage.session is not None:
                self._stage.do(self._adopt(label, conversation, self._stage.session), may_be_left=True)

        proposal = one_line(conversation.title or conversation.id, 40)
        if any(one.label == proposal for one in self._list.sessions):
            proposal = self._free_label(proposal)
        ask(self._stage.app, "The session's label", proposal, self._chat.check_free, taken)

    async def _adopt(self, label: str, conversation: Conversation, beside: Session) -> None:
        session = await self._chat.conversations.adopt(label, conversation.id, self._chat.profile_of(beside))
        self._list.put(session)
        await self._stage.enter(session)
        self._stage.say(f"{one_line(session.label, 60)} goes on from the server's conversation")

    def account(self) -> None:
        """Show what is known of the session's conversations."""
        session = self._stage.session
        if session is not None:
            self._stage.do(self._account(session))

    async def _account(self, session: Session) -> None:
        from tui.account import account_lines
        from tui.app.screens.account import AccountScreen

        account = await self._chat.conversations.account(session)
        self._stage.app.push_screen(AccountScreen(one_line(session.name, 60), account_lines(account)))

    def forget(self) -> None:
        session = self._stage.session
        if session is not None:
            self._stage.do(self._forget(session))

    async def _forget(self, session: Session) -> None:
        forgotten = await self._chat.conversations.forget(session)
        said = "The next prompt begins a new conversation" if forgotten else "There is no conversation to forget"
        self._stage.say(said)

    # Questions

    def answer(self, turn: Turn, item: Item, wished: Wished) -> None:
        """Say yes or no to what a turn asks."""
        if wished.with_reason:
            question = f"Why not {one_line(item.name, 40)}? (the server is told)"

            def taken(reason: str) -> None:
                self._answer(turn, item, Verdict(wished.approved, reason=reason.strip()))

            ask(self._stage.app, question, "", anything, taken)
        elif wished.approved and (fields := fields_of(item)):
            self._ask_fields(turn, item, fields, {})
        else:
            self._answer(turn, item, Verdict(wished.approved, wished.for_all))

    def _ask_fields(self, turn: Turn, item: Item, fields: list[str], content: dict[str, Any]) -> None:
        """Ask for the fields of a form, one after the other, and send them."""
        if not fields:
            self._answer(turn, item, Verdict(True, content=content))
            return
        first, *others = fields

        def taken(value: str) -> None:
            self._ask_fields(turn, item, others, {**content, first: _typed(value)})

        ask(self._stage.app, one_line(first, 100), "", anything, taken)

    def _answer(self, turn: Turn, item: Item, verdict: Verdict) -> None:
        session = self._stage.session
        if session is None or session.id != turn.session_id:
            raise UsageError("That was asked in another session.")
        self._stage.do(self._chat.answer(session, turn, item, verdict), may_be_left=True)
        self._stage.say("Approved" if verdict.approved else "Denied")


def fields_of(item: Item) -> list[str]:
    """The fields of the form that a question asks to be filled in."""
    try:
        schema = json.loads(item.text).get("schema")
        return list(schema["properties"]) if schema else []
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []


def _typed(text: str) -> Any:
    """A field as it is sent: a number or a truth value where it looks like one."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
