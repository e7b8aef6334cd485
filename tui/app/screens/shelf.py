"""What was shown of the sessions left last, so that going back to one reads and draws nothing first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import field

from tui.app.transcript.viewport import Viewport
from tui.model import Queued, Scroll, Session, Turn
from tui.values import dataclass

MOST = 4
"""Sessions kept."""


@dataclass(slots=True)
class Kept:
    """A session as it was left: its transcript, what can be recalled, what waits, the turns that have changed since."""

    session: Session
    port: Viewport
    prompts: list[str]
    queue: tuple[Queued, ...] = ()
    changed: dict[str, Turn] = field(default_factory=dict)


class Shelf:
    """The sessions left last, kept up with what is told of them meanwhile."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(self, session: Session, port: Viewport, prompts: list[str], queue: tuple[Queued, ...] = ()) -> None:
        """Keep a session that is being left."""
        port.slim()
        self._kept[session.id] = Kept(session, port, prompts, queue)
        self._kept.move_to_end(session.id)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def note(self, turn: Turn) -> None:
        """A turn is different now."""
        if turn.session_id in self._kept:
            self._kept[turn.session_id].changed[turn.id] = turn

    def note_queue(self, session_id: str, queue: tuple[Queued, ...]) -> None:
        """Something else waits in a session now."""
        if session_id in self._kept:
            self._kept[session_id].queue = queue

    def take(self, session: Session) -> Kept | None:
        """A session, up to date; None where it is not here, or has become another one than it was when it was left."""
        kept = self._kept.pop(session.id, None)
        if kept is None or (session.branch, session.notice, session.shared) != _told_by(kept.session):
            return None
        port = kept.port
        if Scroll(*port.place, at_end=port.following) != session.scroll or session.turns < kept.session.turns:
            return None
        changed = sorted(kept.changed.values(), key=lambda turn: turn.depth)
        kept.prompts += [turn.prompt for turn in changed if turn.depth >= len(port.layout)]
        port.put(changed)
        return kept


def _told_by(session: Session) -> tuple[str, str, int | None]:
    return session.branch, session.notice, session.shared
