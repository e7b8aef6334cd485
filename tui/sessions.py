"""The sessions there are, as front ends deal with them: found, made, named, kept, thrown away and brought back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tui.changes import HealthChanged, Publisher, SessionChanged
from tui.clock import Clock
from tui.config import Config
from tui.errors import LabelTaken, StoreError
from tui.model import Mapping, Scroll, Session, TitleSource, check_label, new_id
from tui.store import Store
from tui.store.access import Health
from tui.store.alike import look, told_apart


class Sessions(Publisher):
    """Sessions in a history. A new one is kept once something is said in it, or of it."""

    def __init__(self, store: Store, config: Config, clock: Clock) -> None:
        super().__init__()
        self.config = config
        self._store = store
        self._clock = clock
        self._new: dict[str, Session] = {}
        self._attended: str = ""

    @property
    def health(self) -> Health:
        return self._store.health

    def now(self) -> float:
        """The time all turns are dated by, in seconds since the epoch."""
        return self._clock.now()

    def tell_health(self, health: Health) -> None:
        """For the store: say how it fares."""
        self._publish(HealthChanged(health))

    def is_running(self, session_id: str) -> bool:  # noqa: ARG002 - for those who run turns
        """Whether a session is answering in this window."""
        return False

    async def sessions(self, *, deleted: bool = False) -> list[Session]:
        """All sessions, the one used last first."""
        return await self._store.sessions(deleted=deleted)

    async def session(self, session_id: str) -> Session | None:
        return self._new.get(session_id) or await self._store.session(session_id)

    async def find(self, label: str, *, deleted: bool = False) -> Session | None:
        """The session of that label, if there is one."""
        return await self._store.find(check_label(label), deleted=deleted)

    async def last(self) -> Session | None:
        """The session looked at last, if there is one."""
        return await self._store.last()

    async def open(self, label: str, *, profile: str = "", model: str = "") -> Session:
        """The session of that label; a new one, if there is none."""
        session = await self.find(label)
        if session is not None:
            return session
        label = check_label(label)
        notice = await self._likeness(label)
        session = Session(new_id(), label, profile=profile, model=model, created_at=self._clock.now(), notice=notice)
        try:
            session = await self._store.create(session)
        except LabelTaken:
            # Another process has made it at this very moment: it is that one that is meant.
            session = await self.find(label) or session
        self._publish(SessionChanged(session))
        return session

    async def _likeness(self, label: str) -> str:
        """What to say of a new label that can be taken for another session's; nothing, where it cannot."""
        labels = [session.label for session in await self._store.sessions()]
        same = [one for one in labels if one != label and look(one) == look(label)]
        return f"A new session: its label looks like another's. {told_apart([*same, label])[0]}" if same else ""

    async def new(self, *, profile: str = "", model: str = "") -> Session:
        """A new session under a label of its own. It is kept once something is said in it; until then there is only one."""
        for session in self._new.values():
            if not self.is_running(session.id):
                self._new[session.id] = replace(session, profile=profile, model=model)
                return self._new[session.id]
        taken = {session.label for session in await self._store.sessions()}
        number = 1
        while f"chat-{number}" in taken:
            number += 1
        session = Session(new_id(), f"chat-{number}", profile=profile, model=model, created_at=self._clock.now())
        self._new[session.id] = session
        return session

    async def rename(self, session_id: str, label: str) -> Session:
        """Give a session another label.

        Raises:
            UsageError: The label cannot be one.
            LabelTaken: Another session has it.
        """
        return await self._update(session_id, label=check_label(label))

    async def check_free(self, label: str) -> str:
        """A label as it is kept, for a session to come.

        Raises:
            UsageError: The label cannot be one.
            LabelTaken: A session has it.
        """
        label = check_label(label)
        if await self._store.find(label):
            raise LabelTaken(label)
        return label

    async def set_title(self, session_id: str, title: str) -> Session:
        """Give a session the user's own title, or, if it is blank, one made from what is said."""
        title = " ".join(title.split())[:500]
        source = TitleSource.USER if title else TitleSource.NONE
        return await self._update(session_id, title=title, title_source=source)

    async def set_profile(self, session_id: str, profile: str, model: str = "") -> Session:
        """Let a session's next turn go to another profile or model."""
        self.config.profile(profile)
        return await self._update(session_id, profile=profile, model=model)

    async def pin(self, session_id: str, pinned: bool = True) -> Session:
        return await self._update(session_id, pinned=pinned)

    async def archive(self, session_id: str, archived: bool = True) -> Session:
        return await self._update(session_id, archived_at=self._clock.now() if archived else None)

    async def delete(self, session_id: str) -> Session:
        """Put a session into the trash, from where it can be restored."""
        return await self._update(session_id, deleted_at=self._clock.now())

    async def restore(self, session_id: str, *, from_archive: bool = False) -> Session:
        """Take a session out of the trash; where its label was given away meanwhile, under a similar one. `from_archive`, out
        of the archive as well. One that is in neither is given as it is."""
        session = self._new.get(session_id) or await self._store.restore(session_id, from_archive=from_archive)
        if session is None:
            raise StoreError("There is no such session any more.")
        self._publish(SessionChanged(session))
        return session

    async def keep_place(self, session_id: str, draft: str | None, scroll: Scroll) -> None:
        """Keep what was typed and not sent, None where that is as it was, and the place the user was at. A place alone does
        not keep a new session."""
        if session_id in self._new:
            if draft:
                await self._update(session_id, draft=draft, scroll=scroll)
        elif draft is None:
            await self._store.update(session_id, scroll=scroll)
        elif (session := await self._store.update(session_id, draft=draft, scroll=scroll)) is not None:
            self._publish(SessionChanged(session))

    async def offer_draft(self, session_id: str, draft: str) -> None:
        """Keep something as the draft of a session, unless there is something else in it."""
        if session_id in self._new:
            await self._update(session_id, draft=draft)
            return
        session = await self._store.offer_draft(session_id, draft)
        if session is not None:
            self._publish(SessionChanged(session))

    def attend(self, session_id: str) -> None:
        """Say which session is before the user's eyes; what ends in another one is unread."""
        self._attended = session_id

    async def remember(self, session_id: str) -> bool:
        """Have this session shown when Palaver is next opened without a label. False while it is not kept yet."""
        if session_id in self._new:
            return False
        await self._store.remember(session_id)
        return True

    async def mark_read(self, session_id: str) -> None:
        session = await self.session(session_id)
        if session is not None and session.unread:
            await self._update(session_id, unread=False)

    async def mappings(self) -> list[tuple[str, Mapping]]:
        """All conversations servers keep for us, with their sessions' labels."""
        return await self._store.conversations.all()

    async def _update(self, session_id: str, **changes: Any) -> Session:
        new = self._new.pop(session_id, None)
        if new is not None:
            try:
                session: Session | None = await self._store.make(new, changes)
            except StoreError:
                self._new[session_id] = new
                raise
        else:
            session = await self._store.update(session_id, **changes)
        if session is None:
            raise StoreError("There is no such session any more.")
        self._publish(SessionChanged(session))
        return session

    async def _tell_session(self, session_id: str) -> None:
        session = await self._store.session(session_id)
        if session is not None:
            self._publish(SessionChanged(session))
