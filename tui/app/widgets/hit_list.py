"""What a search has found, a line for each message under the name of its session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.app.widgets.base_style import BaseStyled
from tui.found import Hit, SessionHits
from tui.moments import moment
from tui.text import one_line
from tui.values import dataclass

_Part = tuple[str, str]
"""A part of a line: its text, and the name of its look; empty for that of the list."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line: a session, or one of its messages that were found."""

    session: SessionHits
    hit: Hit | None = None

    @property
    def is_choice(self) -> bool:
        """A session can be chosen by its name where that was looked for, and by what was said in it elsewhere."""
        return self.hit is not None or self.session.is_named


def rows_of(sessions: Sequence[SessionHits]) -> list[Row]:
    """The lines for what was found, in its order."""
    return [row for session in sessions for row in (Row(session), *(Row(session, hit) for hit in session.hits))]


class HitList(BaseStyled, ScrollView, can_focus=False):
    """Rows to choose from, one of them highlighted. Only lines that are seen and have changed are drawn."""

    DEFAULT_CSS = """
    HitList {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        color: $foreground;
        & .hit-list--name { text-style: bold; }
        & .hit-list--about { color: $foreground 60%; }
        & .hit-list--match { color: $text-warning; text-style: bold; }
        & .hit-list--cursor { background: $block-cursor-blurred-background; }
    }
    """

    COMPONENT_CLASSES = {"hit-list--name", "hit-list--about", "hit-list--match", "hit-list--cursor"}

    class Clicked(Message):
        """A row was clicked; it is highlighted."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Row] = ()
        self._cursor = -1
        self._looks: list[tuple[object, ...]] = []

    @property
    def cursor(self) -> int | None:
        """The row that is highlighted."""
        return self._cursor if self._cursor >= 0 else None

    def show(self, rows: Sequence[Row], cursor: int | None = None) -> None:
        """Show these, the first that can be chosen highlighted unless `cursor` names another one."""
        self.rows = rows
        places = self._choices()
        self._cursor = cursor if cursor is not None and cursor in places else next(iter(places), -1)
        if self.virtual_size.height != len(rows):
            self.virtual_size = Size(self.size.width, len(rows))
        self._reveal()
        self._draw()

    def move(self, step: int) -> None:
        """Highlight a row that is so many choices further."""
        places = self._choices()
        if places:
            now = places.index(self._cursor) if self._cursor in places else 0
            self._cursor = places[max(0, min(len(places) - 1, now + step))]
            self._reveal()
            self._draw()

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y
        if place in self._choices():
            self._cursor = place
            self._draw()
            self.post_message(self.Clicked())

    def render_line(self, y: int) -> Strip:
        place = y + self.scroll_offset.y
        if not 0 <= place < len(self.rows):
            return Strip.blank(self.size.width, self.base_style)
        base, ground = self.base_style, Style.null()
        if place == self._cursor:
            ground = Style(bgcolor=self.get_component_rich_style("hit-list--cursor").bgcolor)
        line = [
            Segment(text, self._style_of(look) + ground)
            for text, look in _cut(_parts(self.rows[place]), self.size.width)
        ]
        return Strip(line).extend_cell_length(self.size.width, base + ground)

    def _style_of(self, look: str) -> Style:
        return self.get_component_rich_style(f"hit-list--{look}") if look else self.base_style

    def _choices(self) -> list[int]:
        return [place for place, row in enumerate(self.rows) if row.is_choice]

    def _draw(self) -> None:
        """Have what looks otherwise than before drawn."""
        before, self._looks = self._looks, [(_look(row), place == self._cursor) for place, row in enumerate(self.rows)]
        if len(before) != len(self._looks):
            self.refresh()
            return
        for place, (old, new) in enumerate(zip(before, self._looks, strict=True)):
            if old != new:
                self.refresh_line(place)

    def _reveal(self) -> None:
        if self._cursor == next(iter(self._choices()), -1):
            self.scroll_home(animate=False, force=True)
        else:
            self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False, force=True)


def _look(row: Row) -> object:
    """All that a line is made of."""
    one = row.session
    return row.hit or (one.label, one.title, len(one.hits), one.count)


def _parts(row: Row) -> tuple[_Part, ...]:
    return tuple(_heading(row.session) if row.hit is None else _message(row.hit))


def _heading(session: SessionHits) -> Iterator[_Part]:
    label, title = one_line(session.label, 60), one_line(session.title, 80)
    yield title or label, "name"
    if title and title != label:
        yield f"  {label}", "about"
    if session.count > len(session.hits):
        yield f"  {len(session.hits)} of {session.count:,}", "about"


def _message(hit: Hit) -> Iterator[_Part]:
    who = "you" if hit.role == "user" else "answer"
    yield f"  {moment(hit.created_at):<16}  {who:<6}  ", "about"
    at = 0
    for start, end in hit.marks:
        yield hit.passage[at:start], ""
        yield hit.passage[start:end], "match"
        at = end
    yield hit.passage[at:], ""


def _cut(parts: Sequence[_Part], room: int) -> Iterator[_Part]:
    """As much of a line as has room in so many cells, with an ellipsis where it goes on."""
    left = room - 1 if sum(cell_len(text) for text, _ in parts) > room else room
    for text, look in parts:
        cells = cell_len(text)
        if cells > left:
            yield set_cell_size(text, max(0, left)).rstrip() + "…", look
            return
        yield text, look
        left -= cells
