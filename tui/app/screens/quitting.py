"""Leaving, which is to be told twice where it stops something: what that is, is said at the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from tui.app.once import Later, Pending
from tui.chat import Chat
from tui.text import one_line

INSIST_WITHIN = 5.0
"""Seconds within which the second key has to come; after that it is a first one again."""

NAMES = 3
"""Sessions that are named of those that are answering."""

NAME_LENGTH = 24
"""Characters of each name."""


class Stage(Protocol):
    """What is needed of the screen."""

    def key(self, name: str) -> str: ...

    def under_way(self) -> list[str]:
        """What else leaving would stop, in words."""
        ...

    def is_shown(self, session_id: str) -> bool: ...

    def name_of(self, session_id: str) -> str: ...

    def warn(self, text: str) -> None:
        """Tell something that must be seen before the next key."""
        ...

    def unsay(self, text: str) -> None:
        """Tell something no longer, if it is what is told."""
        ...


class Quitting:
    """Remembers, for a moment, by which action the user wished to leave, and what they were told of it."""

    def __init__(self, chat: Chat, stage: Stage, later: Later) -> None:
        self._chat = chat
        self._stage = stage
        self._later = later
        self._action = ""
        self._words = ""
        self._known: frozenset[str] = frozenset()
        self._until = 0.0
        self._timer: Pending | None = None

    def is_meant(self, action: str, *, if_idle: bool) -> bool:
        """Whether the user means to leave by an action: it stops nothing and is meant at the first time `if_idle`, or they
        insist. Otherwise they are told what it takes."""
        running, works = self._chat.running(), self._stage.under_way()
        stopped = frozenset((*running, *works))
        now = asyncio.get_running_loop().time()
        if if_idle and not stopped:
            return True
        if action == self._action and now < self._until and stopped <= self._known:
            return True
        self.forget()
        self._action, self._known, self._until = action, stopped, now + INSIST_WITHIN
        self._words = self._warning(self._stage.key(action), sorted(running, key=self._stage.is_shown), works)
        self._timer = self._later(INSIST_WITHIN, self.forget)
        self._stage.warn(self._words)
        return False

    def forget(self) -> None:
        """The user has done something else, or nothing for a while."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._action:
            self._action = ""
            self._stage.unsay(self._words)

    def _warning(self, key: str, running: Sequence[str], works: Sequence[str]) -> str:
        """What is said at the first time. The key comes first: a narrow window cuts the end."""
        if not running:
            return f"{key} again stops {' and '.join(works)} and quits" if works else f"Press {key} again to quit"
        count = f"{len(running)} answer{'s' if len(running) > 1 else ''}"
        going_on = sum(map(self._chat.goes_on, running))
        does = "lets go of" if going_on == len(running) else "ends" if going_on else "stops"
        names = [one_line(name, NAME_LENGTH) for name in map(self._stage.name_of, running) if name][:NAMES]
        if len(running) > len(names):
            names.append(f"{len(running) - len(names)} more")
        rest = f", stops {' and '.join(works)}" if works else ""
        return f"{key} again {does} {count}{rest} and quits: {', '.join(names)}"
