"""What the user does to the session shown: its names, its pin, its server, the trash."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

from textual.app import App

from tui.app.screens.asking import ask
from tui.app.screens.sessions import SessionList, full_name
from tui.chat import Chat
from tui.model import Session
from tui.text import one_line
from tui.values import dataclass


class Stage(Protocol):
    """What the actions need of the screen they happen on."""

    @property
    def app(self) -> App[Any]: ...

    @property
    def session(self) -> Session | None: ...

    def visit(self, to: Session | Coroutine[Any, Any, Session]) -> Coroutine[Any, Any, None]: ...

    def enter(self, to: Session | Coroutine[Any, Any, Session]) -> Coroutine[Any, Any, None]: ...

    def say(self, text: str) -> None: ...

    def tell_progress(self, text: str) -> None: ...

    def do(self, work: Coroutine[Any, Any, Any], *, may_be_left: bool = False, name: str = "") -> None: ...

    def refresh_bindings(self) -> None: ...

    def show_list(self) -> None: ...

    def key(self, name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class PutAway:
    """A session that can be brought back: out of the trash, and out of the archive unless it `was_archived` before."""

    session: Session
    was_archived: bool = False

    def is_back(self, now: Session) -> bool:
        """Whether the session, as it is `now`, is where it was before."""
        return now.deleted_at is None and (self.was_archived or now.archived_at is None)


class SessionActions:
    """Each action asks what it has to ask, has `Chat` do it, and tells what came of it. `deleted` can be brought back."""

    def __init__(self, chat: Chat, sessions: SessionList, stage: Stage) -> None:
        self.deleted: list[PutAway] = []
        self._chat = chat
        self._list = sessions
        self._stage = stage

    def rename(self) -> None:
        session = self._stage.session
        if session is None:
            return

        async def take(label: str) -> None:
            if label.strip() != session.label:
                now = await self._chat.rename(session.id, label)
                self._stage.say(f"Renamed to {now.label}")

        ask(self._stage.app, "The session's label", session.label, take)

    def title(self) -> None:
        session = self._stage.session
        if session is None:
            return

        async def take(title: str) -> None:
            await self._chat.set_title(session.id, title)

        ask(self._stage.app, "The session's title (empty: made by Palaver)", session.title, take)

    def pin(self) -> None:
        if self._stage.session is not None:
            self._stage.do(self._pin(self._stage.session))

    async def _pin(self, session: Session) -> None:
        now = await self._chat.pin(session.id, not session.pinned)
        self._stage.say(f"{now.name} is {'pinned' if now.pinned else 'no longer pinned'}")

    def use_profile(self, name: str = "") -> None:
        """Let the next prompt go to a profile: the one named, or one to be chosen."""
        session = self._stage.session
        if session is not None and name:
            self._stage.do(self._use_profile(session.id, name))
        elif session is not None:
            self._choose_profile(session)

    def _choose_profile(self, session: Session) -> None:
        from tui.app.screens.picker import Choice, Picker

        def done(name: str | None) -> None:
            if name is not None:
                self._stage.do(self._use_profile(session.id, name))

        config = self._chat.config
        now = session.profile or config.default
        choices = [
            Choice(name, f"{one_line(name, 60)}{' (now)' if name == now else ''} — {one_line(profile.base_url, 100)}")
            for name, profile in config.profiles.items()
        ]
        picker = Picker("Profile", choices, hint="A few letters of a name or address", empty="There are none.")
        self._stage.app.push_screen(picker, done)

    async def _use_profile(self, session_id: str, name: str) -> None:
        session = await self._chat.set_profile(session_id, name)
        self._stage.say(f"The next prompt goes to {session.profile}")

    def delete(self) -> None:
        session = self._stage.session
        if session is not None:
            beside = self._list.neighbour(session.id, 1) or self._list.neighbour(session.id, -1)
            self._stage.do(
                self._delete(session, self._stage.visit(beside or self._chat.new(**self._chat.server_of(session))))
            )

    async def _delete(self, session: Session, leaving: Coroutine[Any, Any, None]) -> None:
        """Go to the session beside it, and put this one into the trash."""
        await leaving
        deleted = await self._chat.delete(session.id)
        self._list.remove(session.id)
        self.deleted.append(PutAway(deleted, was_archived=session.archived_at is not None))
        key = self._stage.key("session.restore")
        self._stage.say(f"Deleted {deleted.name}; {key} brings it back")
        self._stage.refresh_bindings()

    def archive(self) -> None:
        session = self._stage.session
        if session is not None:
            beside = self._list.neighbour(session.id, 1) or self._list.neighbour(session.id, -1)
            self._stage.do(
                self._archive(session, self._stage.visit(beside or self._chat.new(**self._chat.server_of(session))))
            )

    async def _archive(self, session: Session, leaving: Coroutine[Any, Any, None]) -> None:
        """Go to the session beside it, and take this one out of the way. It goes on answering, if it is."""
        await leaving
        archived = await self._chat.archive(session.id)
        self.deleted.append(PutAway(archived))
        key = self._stage.key("session.restore")
        self._stage.say(f"Archived {archived.name}; {key} brings it back")
        self._stage.refresh_bindings()

    def note(self, now: Session, shown: Session | None) -> None:
        """Tell of a session that another window has put away or brought back: of the one shown, which was `shown` until
        `now`, and of those that could be brought back here."""
        left = [one for one in self.deleted if one.session.id != now.id or not one.is_back(now)]
        is_back, self.deleted = len(left) < len(self.deleted), left
        if shown is not None and _where(shown) != _where(now):
            is_back = not _where(now) or shown.deleted_at is not None
            if not is_back:
                self._note_put_away(now, shown)
        if is_back:
            self._stage.say(_told_back(now))
            self._stage.refresh_bindings()

    def _note_put_away(self, now: Session, shown: Session) -> None:
        if all(one.session.id != now.id for one in self.deleted):
            self.deleted.append(PutAway(now, was_archived=shown.archived_at is not None))
        done = "Deleted" if now.deleted_at is not None else "Archived"
        key = self._stage.key("session.restore")
        self._stage.say(f"{done} elsewhere; {key} brings it back")
        self._stage.refresh_bindings()

    def list_hidden(self) -> None:
        """Choose a session from the archive or the trash, and bring it back."""
        self._stage.do(self._list_hidden())

    async def _list_hidden(self) -> None:
        from tui.app.screens.picker import Choice, Picker

        archived = [session for session in await self._chat.sessions() if session.archived_at is not None]
        hidden = [*archived, *await self._chat.sessions(deleted=True)]

        def done(choice: str | None) -> None:
            chosen = next((session for session in hidden if session.id == choice), None)
            if chosen is not None:
                was_archived = chosen.deleted_at is not None and chosen.archived_at is not None
                self._bring_back(PutAway(chosen, was_archived), self._stage.enter)

        choices = [Choice(session.id, f"{full_name(session)} ({_where(session)})") for session in hidden]
        picker = Picker(
            "Archive and trash", choices, hint="A few letters of a label or title", empty="There is nothing in either."
        )
        self._stage.app.push_screen(picker, done)

    def restore(self) -> None:
        if self.deleted:
            self._bring_back(self.deleted.pop(), self._stage.visit)

    def _bring_back(
        self, put_away: PutAway, go: Callable[[Coroutine[Any, Any, Session]], Coroutine[Any, Any, None]]
    ) -> None:
        """Go to a session, once it is where it was before it was put away."""
        told = ""

        async def restored() -> Session:
            nonlocal told
            session, told = await self._restored(put_away)
            return session

        async def arrive(arriving: Coroutine[Any, Any, None]) -> None:
            await arriving
            self._stage.say(told)
            self._stage.refresh_bindings()

        self._stage.do(arrive(go(restored())))

    async def _restored(self, put_away: PutAway) -> tuple[Session, str]:
        """A session, brought back from wherever it is by now, and in words what that came to."""
        before = await self._chat.session(put_away.session.id)
        now = await self._chat.restore(put_away.session.id, from_archive=not put_away.was_archived)
        self._list.put(now)
        if before is not None and put_away.is_back(before):
            return now, f"{_told_back(now)} already"
        if before is not None and before.label != now.label:
            return now, f"{_told_back(replace(now, label=before.label))}, under the label {now.label}"
        return now, _told_back(now)


def _where(session: Session) -> str:
    """Where a session that was put away is; nothing, where it was not."""
    if session.deleted_at is not None:
        return "trash"
    return "archive" if session.archived_at is not None else ""


def _told_back(session: Session) -> str:
    """What to say of a session that is no longer where it was put away."""
    return f"{session.name} is back in the archive" if session.archived_at is not None else f"{session.name} is back"
