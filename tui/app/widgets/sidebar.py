"""The list of sessions, in groups by when they were last used, with a mark for how each one stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.app.cells import cut
from tui.app.widgets.base_style import BaseStyled
from tui.model import Session, TurnStatus
from tui.text import one_line
from tui.values import dataclass

GROUPS = ("Pinned", "Today", "Yesterday", "Previous 7 days", "Earlier")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: a heading, or a session."""

    heading: str = ""
    session: Session | None = None


def group_of(session: Session, today: date) -> int:
    """The group a session belongs to, as an index into GROUPS."""
    if session.pinned:
        return 0
    try:
        day = datetime.fromtimestamp(session.last_used_at).date()  # noqa: DTZ006 - a day is meant as the user counts it
    except (ValueError, OverflowError, OSError):
        return len(GROUPS) - 1
    if day >= today:
        return 1
    if day == today - timedelta(days=1):
        return 2
    return 3 if day > today - timedelta(days=8) else 4


def entries_of(sessions: Sequence[Session], today: date) -> list[Entry]:
    """Rows for sessions given in the order of their use: that order holds, whatever the clock said at the time."""
    pinned = [session for session in sessions if session.pinned]
    others = [session for session in sessions if not session.pinned]
    entries: list[Entry] = []
    shown = -1
    for session in [*pinned, *others]:
        group = max(shown, group_of(session, today))
        if group != shown:
            if entries:
                entries.append(Entry())
            entries.append(Entry(heading=GROUPS[group]))
            shown = group
        entries.append(Entry(session=session))
    return entries


def alike(sessions: Sequence[Session]) -> frozenset[str]:
    """The names that several sessions have."""
    counts = Counter(session.name for session in sessions)
    return frozenset(name for name, count in counts.items() if count > 1)


def named(name: str, label: str, room: int) -> str:
    """A name with the label that tells it from others, in so many cells: of the two the name is cut first."""
    label = cut(label, max(1, room // 2))
    return f"{cut(name, room - cell_len(label) - 3)} · {label}" if label else cut(name, room)


class Sidebar(BaseStyled, ScrollView, can_focus=True):
    """Sessions to choose from."""

    DEFAULT_CSS = """
    Sidebar {
        width: 30;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        background: $surface;
        color: $foreground;
        & .sidebar--heading { color: $foreground 55%; text-style: bold; }
        & .sidebar--current { background: $primary-muted; color: $text-primary; text-style: bold; }
        & .sidebar--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
        & .sidebar--mark { color: $text-accent; }
        & .sidebar--trouble { color: $text-error; }
    }
    """

    COMPONENT_CLASSES = {"sidebar--heading", "sidebar--current", "sidebar--cursor", "sidebar--mark", "sidebar--trouble"}

    BINDINGS = [
        Binding("up", "move(-1)", "Up", id="sidebar.up", show=False),
        Binding("down", "move(1)", "Down", id="sidebar.down", show=False),
        Binding("enter", "choose", "Open", id="sidebar.open"),
        # The screen's, as what Esc means depends on what else is there to be ended.
        Binding("escape", "screen.leave_sidebar", "Back", id="sidebar.leave"),
    ]

    class Chosen(Message):
        """The user wants to go to this session."""

        def __init__(self, session_id: str) -> None:
            super().__init__()
            self.session_id = session_id

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._entries: list[Entry] = []
        self._current = ""
        self._answering: frozenset[str] = frozenset()
        self._cursor = -1
        self._looks: list[tuple[str | bool, ...]] = []
        self._alike: frozenset[str] = frozenset()

    def show(self, sessions: Sequence[Session], current: str, running: Collection[str], today: date) -> None:
        """Show these sessions, given in the order of their use."""
        entries = entries_of(sessions, today)
        running = frozenset(running)
        if (entries, current, running) == (self._entries, self._current, self._answering):
            return
        if entries != self._entries:
            self._alike = alike(sessions)
        under, was_seen = self._session_at(self._cursor), self._sees(self._cursor)
        moved = current != self._current
        self._entries, self._current, self._answering = entries, current, running
        self._cursor = self._place_of(current if moved or under is None else under.id)
        self.virtual_size = Size(self.size.width, len(entries))
        if moved or (was_seen and not self._sees(self._cursor)):
            self._reveal()
        before, self._looks = self._looks, [self._look(place) for place in range(len(entries))]
        if len(before) != len(entries):
            self.refresh()
            return
        for place, (old, new) in enumerate(zip(before, self._looks, strict=True)):
            if old != new:
                self.refresh_line(place)

    def _look(self, place: int) -> tuple[str | bool, ...]:
        """All that is drawn of a row: much of a session changes without being seen here."""
        entry = self._entries[place]
        session = entry.session
        if session is None:
            return (entry.heading,)
        return (
            session.name,
            self._told_by(session),
            *self._mark(session),
            session.id == self._current,
            self._has_cursor(place),
        )

    def _has_cursor(self, place: int) -> bool:
        return place == self._cursor and self.has_focus

    def action_move(self, step: int) -> None:
        """Move the cursor over headings, by a number of sessions."""
        places = [place for place, entry in enumerate(self._entries) if entry.session is not None]
        if not places:
            return
        at = places.index(self._cursor) if self._cursor in places else 0
        self._cursor = places[max(0, min(len(places) - 1, at + step))]
        self._reveal()
        self.refresh()

    def action_choose(self) -> None:
        session = self._session_at(self._cursor)
        if session is not None:
            self.post_message(self.Chosen(session.id))

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y
        if self._session_at(place) is not None:
            self._cursor = place
            self.action_choose()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        place = y + self.scroll_offset.y
        if not 0 <= place < len(self._entries):
            return Strip.blank(self.size.width, self.base_style)
        entry = self._entries[place]
        if entry.session is None:
            style = self.get_component_rich_style("sidebar--heading", partial=True)
            line = [Segment(set_cell_size(f" {entry.heading}", width), style)]
        else:
            line = self._session_line(entry.session, place, width)
        return Strip(line).adjust_cell_length(self.size.width).apply_style(self.base_style)

    def _session_line(self, session: Session, place: int, width: int) -> list[Segment]:
        style = Style()
        if session.id == self._current:
            style = self.get_component_rich_style("sidebar--current", partial=True)
        if self._has_cursor(place):
            style = self.get_component_rich_style("sidebar--cursor", partial=True)
        mark, look = self._mark(session)
        room = max(1, width - 4)
        name = named(one_line(session.name, 200), self._told_by(session), room)
        mark_style = style + Style(color=self.get_component_rich_style(look, partial=True).color, bold=True)
        return [Segment(f" {mark} ", mark_style), Segment(set_cell_size(name, room + 1), style)]

    def _told_by(self, session: Session) -> str:
        """The label that tells a session from others of its title; empty where there are none."""
        return one_line(session.label, 200) if session.name in self._alike and session.title else ""

    def _mark(self, session: Session) -> tuple[str, str]:
        if session.id in self._answering or session.last_status in (TurnStatus.PENDING, TurnStatus.STREAMING):
            return "◌", "sidebar--mark"
        if session.last_status is TurnStatus.FAILED:
            return "✗", "sidebar--trouble"
        if session.last_status is TurnStatus.INTERRUPTED:
            return "■", "sidebar--trouble"
        if session.unread:
            return "●", "sidebar--mark"
        return " ", "sidebar--mark"

    def _session_at(self, place: int) -> Session | None:
        return self._entries[place].session if 0 <= place < len(self._entries) else None

    def _place_of(self, session_id: str) -> int:
        for place, entry in enumerate(self._entries):
            if entry.session is not None and entry.session.id == session_id:
                return place
        return -1

    def _sees(self, place: int) -> bool:
        return 0 <= place - self.scroll_offset.y < self.size.height

    def _reveal(self) -> None:
        if self._cursor >= 0:
            self.scroll_to_region(Region(0, max(0, self._cursor - 1), 1, 3), animate=False, force=True)
