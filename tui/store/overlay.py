"""What could not be written yet: kept in memory, shown with the rest, and written before anything else is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.errors import LabelTaken
from tui.model import Mapping, Provenance, Session, Turn
from tui.pictures import Picture
from tui.store import sql

if TYPE_CHECKING:
    from sqlite3 import Connection

    from tui.store.sql.leases import Writer

Address = tuple[str, str, str, str]
"""Whose conversation it is, and with whom: a session, an origin, a protocol, a principal."""

LIMIT = 64 * 1024 * 1024
"""The most text kept for writing later, in characters; beyond it the oldest finished turns are given up."""


class Overlay:
    """Unsaved values, by their ids. Whole values, not operations: writing them twice does no harm.

    `homes` are the sessions that unsaved turns belong to, in case the file has lost them. `blind` are those sessions that
    were made while it could not be read whether there is one of their label: each means that one, if there is.
    `elsewhere` are turns on another branch than the one their session is on: they are no part of what it shows. `moved_by`
    are the turns in which the conversations became what they are. `given_up` counts the turns there was no room for.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.changes: dict[str, dict[str, Any]] = {}
        self.turns: dict[str, Turn] = {}
        self.homes: dict[str, Session] = {}
        self.elsewhere: set[str] = set()
        self.blind: set[str] = set()
        self.mappings: dict[Address, Mapping] = {}
        self.moved_by: dict[Address, str] = {}
        self.pictures: dict[str, Picture] = {}
        self.given_up = 0

    def __bool__(self) -> bool:
        return bool(self.sessions or self.changes or self.turns or self.mappings or self.pictures)

    def copy(self) -> Overlay:
        """The same at this moment, for another thread."""
        other = Overlay()
        other.sessions = dict(self.sessions)
        other.changes = {key: dict(changes) for key, changes in self.changes.items()}
        other.turns = dict(self.turns)
        other.homes = dict(self.homes)
        other.elsewhere = set(self.elsewhere)
        other.blind = set(self.blind)
        other.mappings = dict(self.mappings)
        other.moved_by = dict(self.moved_by)
        other.pictures = dict(self.pictures)
        return other

    def write(self, conn: Connection, writer: Writer, kept_in: dict[str, Session]) -> list[Turn]:
        """Bring everything to disk, in the order it came. Gives the running turns whose session someone else wants.

        `kept_in` tells in which sessions blind ones are kept, and is told.
        """
        waiting = [one for one in self.changes if one not in self.sessions]
        # A label may become free by what happens to another session: what is refused is tried again after that.
        while refused := [one for one in waiting if not self._change(conn, one)]:
            if refused == waiting:
                self._change(conn, refused[0], is_last=True)
                refused = refused[1:]
            waiting = refused
        for session_id, session in self.sessions.items():
            meant = _meant(conn, session, writer) if session_id in self.blind else None
            if meant is not None:
                kept_in[session_id] = replace(meant, turns=0)
                continue
            sql.sessions.ensure_session(conn, replace(session, **self.changes.get(session_id, {})))
            if session_id in self.changes:
                self._change(conn, session_id, is_last=True)
            made = sql.sessions.get_session(conn, session_id) if session_id in self.blind else None
            if made is not None:
                kept_in[session_id] = replace(made, turns=0)
        wanted, moved = [], set()
        for turn in self.turns.values():
            home = kept_in.get(turn.session_id, self.homes[turn.session_id])
            depth, is_wanted = sql.saving.put_turn(conn, replace(turn, session_id=home.id), None, home, writer)
            if is_wanted:
                wanted.append(turn)
            if depth != turn.depth:
                moved.add(turn.id)
        for session_id, changes in self.changes.items():
            # A turn brings its session the profile it was sent to; another one was chosen since.
            if "profile" in changes:
                sql.sessions.update_session(conn, session_id, {"profile": changes["profile"]})
        for address, mapping in self.mappings.items():
            turn_id = self.moved_by.get(address, "")
            # What someone else has said in the place of a turn, its conversation was not told.
            if turn_id not in moved:
                sql.conversations.put_mapping(conn, mapping, turn_id)
        for picture in self.pictures.values():
            sql.pictures.put_picture(conn, picture)
        return wanted

    def _change(self, conn: Connection, session_id: str, *, is_last: bool = False) -> bool:
        """Change a session. False where its label is taken; with `is_last` it goes without."""
        changes = self.changes[session_id]
        try:
            sql.sessions.update_session(conn, session_id, changes)
        except LabelTaken:
            if not is_last:
                return False
        else:
            return True
        known = sql.sessions.get_session(conn, session_id)
        label = changes.get("label", known.label if known else "")
        # A session that comes back has to have some label, another one can keep its own.
        kept = {"label": sql.sessions.free_label(conn, label)} if "deleted_at" in changes else {}
        others = {name: value for name, value in changes.items() if name != "label"}
        sql.sessions.update_session(conn, session_id, others | kept)
        return True

    def forget(self, written: Overlay) -> None:
        """Leave out what is on disk now; what has changed since stays."""
        _forget(self.sessions, written.sessions)
        _forget(self.turns, written.turns)
        _forget(self.mappings, written.mappings)
        _forget(self.pictures, written.pictures)
        for session_id, changes in written.changes.items():
            kept = self.changes.get(session_id, {})
            _forget(kept, changes)
            if not kept:
                self.changes.pop(session_id, None)
        if not self.turns:
            self.homes.clear()
        self.elsewhere &= self.turns.keys()
        self.moved_by = {address: turn_id for address, turn_id in self.moved_by.items() if address in self.mappings}
        self.blind &= self.sessions.keys()

    def add_session(self, session: Session, *, is_blind: bool = False) -> None:
        self.sessions[session.id] = session
        if is_blind:
            self.blind.add(session.id)

    def add_changes(self, session_id: str, changes: dict[str, Any]) -> None:
        self.changes.setdefault(session_id, {}).update(changes)

    def add_turn(self, turn: Turn, home: Session) -> None:
        self.turns[turn.id] = turn
        self.homes[turn.session_id] = home
        size = sum(_size(one) for one in self.turns.values())
        for one in list(self.turns.values()):
            if size <= LIMIT:
                break
            if one.status.is_final and one.id != turn.id:
                size -= _size(one)
                del self.turns[one.id]
                self.given_up += 1

    def add_mapping(self, mapping: Mapping, turn_id: str = "") -> None:
        self.mappings[address_of(mapping)] = mapping
        self.moved_by[address_of(mapping)] = turn_id

    def mapping(self, address: Address) -> Mapping | None:
        """An unsaved conversation of the branch a session is on."""
        return None if self.moved_by.get(address) in self.elsewhere else self.mappings.get(address)

    def merged_sessions(self, saved: list[Session]) -> list[Session]:
        """`saved`, with what is newer in memory put over it, and in front what is only there."""
        if not self:
            return saved
        known = {session.id for session in saved}
        new = [self._merged(session) for session in self.sessions.values() if session.id not in known]
        return [*reversed(new), *(self._merged(session) for session in saved)]

    def merged_session(self, session_id: str, saved: Session | None) -> Session | None:
        session = saved or self.sessions.get(session_id)
        return self._merged(session) if session else None

    def merged_turns(self, session_id: str, start: int, stop: int | None, saved: list[Turn]) -> list[Turn]:
        """`saved`, with what is newer in memory put over it, in the session's order."""
        mine = self._in(session_id)
        if not mine:
            return saved
        by_id = {turn.id: turn for turn in saved}
        by_id |= {turn.id: turn for turn in mine if turn.depth >= start and (stop is None or turn.depth < stop)}
        return sorted(by_id.values(), key=lambda turn: turn.depth)

    def turns_in(self, session_id: str) -> int:
        """One more than the depth of the newest unsaved turn of a session; 0 where there is none."""
        return max((turn.depth + 1 for turn in self._in(session_id)), default=0)

    def _in(self, session_id: str) -> list[Turn]:
        """The unsaved turns on the branch a session is on."""
        return [one for one in self.turns.values() if one.session_id == session_id and one.id not in self.elsewhere]

    def _merged(self, session: Session) -> Session:
        changes = self.changes.get(session.id)
        if changes:
            session = replace(session, **changes)
        mine = self._in(session.id)
        if not mine:
            return session
        # The clock may have been set back between two of them.
        at = max(session.last_turn_at or 0.0, *(turn.created_at for turn in mine))
        session = replace(session, last_turn_at=at)
        newest = max(mine, key=lambda turn: turn.depth)
        if newest.depth + 1 < session.turns:
            return session
        return replace(session, turns=newest.depth + 1, last_status=newest.status)


def address_of(mapping: Mapping) -> Address:
    """Whose conversation it is, and with whom."""
    return mapping.session_id, mapping.origin, mapping.protocol, mapping.principal


def _meant(conn: Connection, session: Session, writer: Writer) -> Session | None:
    """The session in the file that one of the same label means; None where there is none that can be gone on with now."""
    found = sql.sessions.find_session(conn, session.label)
    if found is None or found.provenance is Provenance.FOREIGN:
        return None
    holder = sql.sending.live_holder(conn, found.id, writer)
    return found if holder in ("", writer.holder) else None


def _forget(kept: dict[Any, Any], written: dict[Any, Any]) -> None:
    for key, value in written.items():
        if key in kept and kept[key] is value:
            del kept[key]


def _size(turn: Turn) -> int:
    return len(turn.prompt) + sum(len(item.text) for item in turn.items)
