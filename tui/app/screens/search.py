"""Ctrl+R: search everything said, while one types."""

from __future__ import annotations

from contextlib import aclosing
from time import monotonic

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.app.key_names import first_key
from tui.app.steady import Steady
from tui.app.widgets.hit_list import HitList, rows_of
from tui.app.widgets.line import Line
from tui.chat import Chat
from tui.found import Found, Hit, SessionHits
from tui.query import parse_query
from tui.values import dataclass

LIMIT = 60
"""Hits listed; more words find the others."""

SHOWN_EVERY = 0.1
"""Seconds between two lists while more is found: drawing one takes as long as finding what makes it differ."""

_HINT = 'Words, "a phrase", label:name, role:user, before:2026-11-05, after:7d'


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where to go: a session, and in it a message, if one was chosen. `text` is what was searched for, `place` is the
    row that was chosen."""

    text: str
    place: int
    session: SessionHits
    hit: Hit | None = None


class SearchScreen(Steady, ModalScreen[Chosen | None]):
    """What fits the words typed so far, by session. Gives what was chosen. `last` is what was chosen before."""

    DEFAULT_CSS = """
    SearchScreen {
        align: center top;
        & > Vertical {
            margin-top: 1; width: 100; max-width: 96%; height: auto; max-height: 90%; padding: 0 1;
            border: round $primary; background: $surface; border-title-style: bold;
        }
        & Input, & Input:focus { border: none; height: 1; margin: 1 0; padding: 0 1; background: $background; }
        & HitList { height: auto; max-height: 100%; background: $surface; }
        & .search--state { color: $foreground 60%; height: 1; margin-top: 1; }
    }
    """

    BINDINGS = [
        Binding("escape,ctrl+r", "dismiss(None)", "Close", id="search.close", priority=True),
        Binding("up", "move(-1)", "Up", id="search.up", show=False, priority=True),
        Binding("down", "move(1)", "Down", id="search.down", show=False, priority=True),
        Binding("pageup", "move(-10)", "Page up", id="search.page-up", show=False, priority=True),
        Binding("pagedown", "move(10)", "Page down", id="search.page-down", show=False, priority=True),
    ]

    def __init__(self, chat: Chat, last: Chosen | None = None) -> None:
        super().__init__()
        self._chat = chat
        self._last = last
        self._is_current = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content("Search")
            box.border_subtitle = Content(f"Enter goes there, {first_key(self, 'search.close')} goes back")
            yield Line(self._last.text if self._last else "", placeholder="Search everything said")
            yield HitList()
            yield Static(Content(""), classes="search--state")

    def on_mount(self) -> None:
        words = self.query_one(Input)
        words.cursor_blink = False
        words.select_all()
        self._search(words.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._search(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._is_current:
            self._choose()

    def on_hit_list_clicked(self, event: HitList.Clicked) -> None:
        event.stop()
        self._choose()

    def action_move(self, step: int) -> None:
        """Go to another hit; the lines between them that name a session without any are passed over."""
        self.query_one(HitList).move(step)

    def _search(self, text: str) -> None:
        self._is_current = False
        self.run_worker(self._follow(text), group="search", exclusive=True)

    async def _follow(self, text: str) -> None:
        """Show what is found as it is found. Begun anew with every key, which ends the search before."""
        query = parse_query(text, self._chat.now())
        if query.is_empty or query.problem:
            self._show(Found(is_done=True), text, query.problem)
            return
        async with aclosing(self._chat.search(text, limit=LIMIT)) as search:
            due = 0.0
            async for found in search:
                if found.is_done or monotonic() >= due:
                    self._show(found, text)
                    due = monotonic() + SHOWN_EVERY

    def _show(self, found: Found, text: str, problem: str = "") -> None:
        hits = self.query_one(HitList)
        chosen = hits.cursor if self._is_current else None
        if self._last is not None and self._last.text == text and chosen is None:
            chosen = self._last.place
        self._is_current = True
        hits.show(rows_of(found.sessions), chosen)
        self.query_one(".search--state", Static).update(Content(_state(found, text, problem)), layout=False)

    def _choose(self) -> None:
        hits = self.query_one(HitList)
        if hits.cursor is not None:
            row = hits.rows[hits.cursor]
            self.dismiss(Chosen(self.query_one(Input).value, hits.cursor, row.session, row.hit))


def _state(found: Found, text: str, problem: str) -> str:
    if problem:
        return problem
    if not text.strip():
        return _HINT
    more = "+" if found.is_more else ""
    if found.sessions:
        sessions = f"{len(found.sessions)}{more} session{'s' if len(found.sessions) > 1 or more else ''}"
        said = f"{found.count:,}{more} message{'s' if found.count != 1 else ''} in {sessions}"
        return said if found.is_done else f"{said}; still looking…"
    return "Nothing matches." if found.is_done else "Looking…"
