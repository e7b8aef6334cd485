"""How things stand, told in the status bar: where prompts go, how an answer is coming, what the last action came to."""

from __future__ import annotations

import time

from tui.app.screens import status
from tui.app.widgets.status_bar import StatusBar
from tui.chat import Chat
from tui.figures import figure_words
from tui.model import Session, Turn, TurnStatus

NEWS_FOR = 4.0
"""Seconds the outcome of an action is shown beside an answer's progress."""


class Standing:
    """The words for the status bar. Of the link under the pointer, as long as there is one, nothing but that is told."""

    def __init__(self, chat: Chat, bar: StatusBar) -> None:
        self.link = ""
        self.trouble = ""
        self._chat = chat
        self._bar = bar
        self._news = ""
        self._figures: tuple[str, ...] = ()
        self._news_until = 0.0
        self._warning: str | None = None

    def say(self, text: str) -> None:
        """Tell the outcome of the last action."""
        self._news, self._figures, self._news_until = text, (), time.monotonic() + NEWS_FOR

    def warn(self, text: str) -> None:
        """Tell something that must be seen before the next key."""
        self.say(text)
        self._warning = text

    def tell_progress(self, text: str) -> None:
        """Tell how far something is, except where a warning would go unseen."""
        if self._news != self._warning:
            self.say(text)

    def unsay(self, text: str) -> None:
        """Tell that no longer, if it is what is told."""
        if self._news == text:
            self._news = ""

    def end(self, turn: Turn, waiting_words: str) -> None:
        """Tell what a turn came to, with what waits for the user now."""
        self._news = " · ".join(part for part in (status.outcome(turn), waiting_words) if part)
        is_over = turn.status is TurnStatus.DONE and not turn.open_approvals
        self._figures = figure_words(self._chat.figures(turn)) if is_over else ()

    def clear(self) -> None:
        """Tell nothing of what happened in the session shown before."""
        self._news, self._figures = "", ()

    def show(self, session: Session | None, turn: Turn | None) -> None:
        """Bring the bar up to date; `turn` is the newest of `session`, which is the one shown."""
        running = turn is not None and not turn.status.is_final
        news = self._news if not running or time.monotonic() < self._news_until else ""
        progress = ""
        if turn is not None and running:
            progress = status.progress(turn, self._chat.now(), self._chat.silence(turn.session_id))
        right = self.link or " · ".join(part for part in (news, progress) if part)
        left = status.destination(self._chat, session) if session else ()
        more = self._figures if news and right == news else ()
        self._bar.show(left, right, more, trouble=self.trouble, is_busy=running)
