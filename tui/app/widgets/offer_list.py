"""The list above the input of what a word just being typed may become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.text import one_line

MOST, LEAST = 8, 3
"""How many offers are shown at once, in a high window and in a low one."""

WIDEST = 32
"""Columns beyond which what is offered pushes its note aside."""


class Offer(NamedTuple):
    """Something a word may become: the text itself, how it is shown, a note, and whether nothing need follow it.

    One with a `path` is a file to attach.
    """

    text: str
    shown: str
    note: str = ""
    ends: bool = True
    path: str = ""


class OfferList(Static):
    """Shows offers, one of them highlighted. A click takes one."""

    DEFAULT_CSS = """
    OfferList {
        height: auto;
        padding: 0 1;
        background: $panel;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        display: none;
    }
    """

    class Clicked(Message):
        """An offer was clicked; it is highlighted."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.offers: Sequence[Offer] = ()
        self._place = 0
        self._first = 0

    @property
    def chosen(self) -> Offer | None:
        """The offer that is highlighted."""
        return self.offers[self._place] if self.offers else None

    @property
    def text(self) -> str:
        """What it says."""
        return str(self.content) if self.display else ""

    def show(self, offers: Sequence[Offer]) -> None:
        """Show these; what was highlighted stays so, if it is among them."""
        chosen = self.chosen
        self.offers = offers
        self._place = offers.index(chosen) if chosen in offers else 0
        self.display = bool(offers)
        self._draw()

    def step(self, step: int) -> None:
        """Highlight another one, and after the last the first."""
        if self.offers:
            self._place = (self._place + step) % len(self.offers)
            self._draw()

    def on_click(self, event: events.Click) -> None:
        place = self._first + event.y
        if place < min(len(self.offers), self._first + self._room):
            self._place = place
            self._draw()
            self.post_message(self.Clicked())

    @property
    def _room(self) -> int:
        return max(LEAST, min(MOST, self.screen.size.height // 3))

    def _draw(self) -> None:
        room = self._room
        self._first = max(0, min(self._first, self._place), self._place - room + 1)
        seen = self.offers[self._first : self._first + room]
        names = [one_line(offer.shown, 200) for offer in seen]
        width = min(WIDEST, max(map(cell_len, names), default=0))
        lines = []
        for place, (offer, name) in enumerate(zip(seen, names, strict=True), self._first):
            is_chosen = place == self._place
            note = f"{' ' * max(0, width - cell_len(name))}  {offer.note}" if offer.note else ""
            line = Content.assemble(
                ("› " if is_chosen else "  ", "$primary"),
                (name, "bold" if is_chosen else ""),
                (note, "$foreground 60%"),
            )
            lines.append(line)
        hidden = len(self.offers) - len(seen)
        if hidden and lines:
            lines[-1] += Content.styled(f"  +{hidden:,} more", "$foreground 60%")
        self.update(Content("\n").join(lines))
