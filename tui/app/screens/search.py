"""Ctrl+R: search everything said, while one types."""

from __future__ import annotations

from contextlib import aclosing
from time import monotonic

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.app.steady import Steady
from tui.app.widgets.line import Line
from tui.chat import Chat
from tui.found import Found, Hit, SessionHits
from tui.moments import moment
from tui.query import parse_query
from tui.text import one_line
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
        & OptionList {
            height: auto; max-height: 100%; border: none; background: $surface; padding: 0;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }
        & OptionList > .option-list--option-disabled { color: $foreground; }
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
        self._rows: list[tuple[SessionHits, Hit | None]] = []
        self._is_current = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content("Search")
            box.border_subtitle = Content("Enter goes there, Esc goes back")
            yield Line(self._last.text if self._last else "", placeholder="Search everything said")
            yield OptionList(markup=False)
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
        options = self.query_one(OptionList)
        if options.highlighted is not None and self._is_current:
            self._choose(options.highlighted)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._choose(event.option_index)

    def action_move(self, step: int) -> None:
        """Go to another hit; the lines between them that name a session without any are passed over."""
        options = self.query_one(OptionList)
        places = [place for place in range(options.option_count) if not options.get_option_at_index(place).disabled]
        if places:
            now = places.index(options.highlighted) if options.highlighted in places else 0
            options.highlighted = places[max(0, min(len(places) - 1, now + step))]
            if options.highlighted == places[0]:
                options.scroll_home(animate=False)

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
        options = self.query_one(OptionList)
        chosen = options.highlighted if self._is_current else None
        if self._last is not None and self._last.text == text and chosen is None:
            chosen = self._last.place
        rows: list[tuple[SessionHits, Hit | None]] = []
        lines: list[Option] = []
        for session in found.sessions:
            rows.append((session, None))
            # A session whose name was looked for can be chosen by that; others are chosen by what was said in them.
            lines.append(Option(_heading(session), disabled=not session.is_named))
            for hit in session.hits:
                rows.append((session, hit))
                lines.append(Option(_line(hit)))
        self._rows, self._is_current = rows, True
        options.clear_options()
        options.add_options(lines)
        choosable = [place for place, line in enumerate(lines) if not line.disabled]
        if choosable:
            options.highlighted = chosen if chosen in choosable else choosable[0]
        options.display = bool(rows)
        self.query_one(".search--state", Static).update(Content(_state(found, text, problem)))

    def _choose(self, place: int) -> None:
        session, hit = self._rows[place]
        self.dismiss(Chosen(self.query_one(Input).value, place, session, hit))


def _heading(session: SessionHits) -> Content:
    label, title = one_line(session.label, 60), one_line(session.title, 80)
    line = Content.styled(title or label, "bold")
    if title and title != label:
        line += Content.styled(f"  {label}", "$foreground 60%")
    if session.count > len(session.hits):
        line += Content.styled(f"  {len(session.hits)} of {session.count:,}", "$foreground 60%")
    return line


def _line(hit: Hit) -> Content:
    who = "you" if hit.role == "user" else "answer"
    line = Content.styled(f"  {moment(hit.created_at):<16}  {who:<6}  ", "$foreground 60%")
    at = 0
    for start, end in hit.marks:
        line += Content(hit.passage[at:start]) + Content.styled(hit.passage[start:end], "bold $text-warning")
        at = end
    return line + Content(hit.passage[at:])


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
    return "Nothing fits." if found.is_done else "Looking…"
