"""When a user who looks elsewhere is told that a session has come to something."""

from __future__ import annotations

import time
from collections.abc import Callable

from tui.chat import Change, TurnChanged
from tui.model import Turn, TurnStatus
from tui.values import dataclass

LONG = 5.0
"""Seconds a turn has to take to be told of while the window has the focus, and shows another session."""


@dataclass(slots=True)
class _Watched:
    """A turn that runs here: when it began, whether it waits for an answer, and whether that was told."""

    began: float
    asks: bool = False
    is_told: bool = False


class Attention:
    """Follows the turns this window runs, and calls when one has ended or asks something: once for each of that.

    `runs` and `shows` say of a session whether the window does, `has_focus` whether the window has the focus, as far as its
    terminal tells. `call` is given the session to tell of. `clock` counts seconds.
    """

    def __init__(
        self,
        *,
        runs: Callable[[str], bool],
        shows: Callable[[str], bool],
        has_focus: Callable[[], bool],
        call: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs = runs
        self._shows = shows
        self._has_focus = has_focus
        self._tell = call
        self._clock = clock
        self._turns: dict[str, _Watched] = {}

    def changed(self, change: Change) -> None:
        """Take in what has changed."""
        if not isinstance(change, TurnChanged):
            return
        turn = change.turn
        if turn.status.is_final:
            watched = self._turns.pop(turn.id, None)
            if watched is not None:
                self._ended(turn, watched)
        elif self._runs(turn.session_id):
            watched = self._turns.setdefault(turn.id, _Watched(self._clock()))
            asked, watched.asks = watched.asks, bool(turn.open_approvals)
            if watched.asks and not asked:
                watched.is_told = self._call(turn, watched)

    def _ended(self, turn: Turn, watched: _Watched) -> None:
        is_known = watched.is_told and watched.asks and bool(turn.open_approvals)
        # Without an error it is the user who has stopped it, or let go of it.
        if not is_known and (turn.status is TurnStatus.DONE or turn.error is not None):
            self._call(turn, watched)

    def _call(self, turn: Turn, watched: _Watched) -> bool:
        """Tell of a turn, if no one sees it; gives whether that was done."""
        if self._has_focus():
            is_long = self._clock() - watched.began >= LONG
            if not is_long or self._shows(turn.session_id):
                return False
        self._tell(turn.session_id)
        return True
