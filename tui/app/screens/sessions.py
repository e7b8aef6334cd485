"""The sessions as the screen knows them, in the order of their use."""

from __future__ import annotations

from collections.abc import Iterable

from tui.model import Session
from tui.text import one_line


class SessionList:
    """Sessions that are neither deleted nor archived, the one used last first."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    @property
    def sessions(self) -> list[Session]:
        return list(self._sessions.values())

    def reset(self, sessions: Iterable[Session]) -> None:
        self._sessions = {session.id: session for session in sessions if not _is_hidden(session)}

    def get(self, session_id: str) -> Session | None:
        return self._sessions.get(session_id)

    def put(self, session: Session) -> None:
        """Take in a session as it is now. One that was said something in comes to the front, as does a new one."""
        if _is_hidden(session):
            self._sessions.pop(session.id, None)
            return
        known = self._sessions.get(session.id)
        if known is not None and known.turns == session.turns:
            self._sessions[session.id] = session
            return
        self._sessions.pop(session.id, None)
        is_back = known is None and session.turns > 0
        if is_back and any(one.last_used_at > session.last_used_at for one in self._sessions.values()):
            self._put_in_its_place(session)
        else:
            self._sessions = {session.id: session, **self._sessions}

    def _put_in_its_place(self, session: Session) -> None:
        """Where one that came back, or comes from elsewhere, stands by its last use."""
        others = self.sessions
        place = next((at for at, one in enumerate(others) if one.last_used_at <= session.last_used_at), len(others))
        self._sessions = {one.id: one for one in (*others[:place], session, *others[place:])}

    def remove(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    def with_new(self, session: Session | None) -> list[Session]:
        """All sessions, and in front the one shown, if nothing has been said in it yet."""
        sessions = self.sessions
        is_new = session is not None and session.id not in self._sessions and not _is_hidden(session)
        return [session, *sessions] if session is not None and is_new else sessions

    def neighbour(self, session_id: str, step: int) -> Session | None:
        """The session a number of rows below another, as the sidebar shows them."""
        shown = sorted(self._sessions.values(), key=lambda session: not session.pinned)
        ids = [session.id for session in shown]
        if session_id not in ids:
            return shown[0] if shown and step > 0 else None
        place = ids.index(session_id) + step
        return shown[place] if 0 <= place < len(shown) else None


def _is_hidden(session: Session) -> bool:
    return session.deleted_at is not None or session.archived_at is not None


def full_name(session: Session) -> str:
    """A session's label, and its title where that says more."""
    label, title = one_line(session.label, 60), one_line(session.title, 80)
    return f"{label} — {title}" if title and title != label else label
