"""Telling those who want to know what has changed: the state of turns, of sessions, of the history."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tui.model import Queued, Session, SessionLease, Turn
from tui.store.access import Health
from tui.values import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """A turn, as it stands now."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session, as it stands now; one with `deleted_at` is gone from the list."""

    session: Session


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """What waits in a session now, in the order in which it is to be sent."""

    session_id: str
    queue: tuple[Queued, ...]


@dataclass(frozen=True, slots=True)
class LeaseChanged:
    """Who else is sending in a session now; None where no one is."""

    session_id: str
    lease: SessionLease | None


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """How the history fares now."""

    health: Health


Change = TurnChanged | SessionChanged | QueueChanged | LeaseChanged | HealthChanged


class Publisher:
    """Tells subscribers of changes."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Change], None]] = []

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Tell `callback` of every change; it must return at once. Gives what ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def _publish(self, change: Change) -> None:
        for callback in list(self._subscribers):
            try:
                callback(change)
            except Exception:
                log.exception("a subscriber failed")
