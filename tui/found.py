"""What a search finds."""

from __future__ import annotations

from tui.values import dataclass

Span = tuple[int, int]
"""A part of a text: its first character, and the one after its last."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was searched for. `depth` is its turn's in the session; `created_at` is in seconds since the epoch.

    `passage` is a line of its text, cleaned, with what was found at `marks`.
    """

    turn_id: str
    depth: int
    role: str
    created_at: float
    passage: str
    marks: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionHits:
    """What was found in a session, the best first.

    `count` is how many messages of it are known to fit, of which `hits` are some. `is_named` is whether its title or its
    label fits. `used_at` is in seconds since the epoch.
    """

    session_id: str
    label: str
    title: str
    used_at: float
    hits: tuple[Hit, ...] = ()
    count: int = 0
    is_named: bool = False

    @property
    def name(self) -> str:
        """What to call the session: its title, or its label while it has none."""
        return self.title or self.label


@dataclass(frozen=True, slots=True)
class Found:
    """What was found so far, the best session first. `is_more` is whether older messages that fit were left out.

    `is_done` is whether that is all that will be found.
    """

    sessions: tuple[SessionHits, ...] = ()
    is_more: bool = False
    is_done: bool = False

    @property
    def count(self) -> int:
        """How many messages are known to fit."""
        return sum(one.count for one in self.sessions)


@dataclass(frozen=True, slots=True)
class Places:
    """Where in a session a text was found so far: turns by their depth, with how often it is in them."""

    counts: tuple[tuple[int, int], ...] = ()
    is_done: bool = False
