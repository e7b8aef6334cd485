"""What of an answer was of no use, counted for the log: numbers, and no word of the server's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from zlib import crc32

from tui.events import ItemDelta, ItemWhole, TurnEvent

log = logging.getLogger(__name__)


class Tally:
    """Counts the events of one answer, where the log wants to know."""

    def __init__(self) -> None:
        self._is_wanted = log.isEnabledFor(logging.DEBUG)
        self._came = self._late = self._silent = self._unopened = self._unlike = 0
        self._texts: dict[str, int] = {}

    def count(self, events: Iterator[TurnEvent], *, is_over: bool) -> Iterator[TurnEvent]:
        """`events`, which are what one event of the server's came to. `is_over`: the answer had ended before it."""
        return self._counted(events, is_over=is_over) if self._is_wanted else events

    def _counted(self, events: Iterator[TurnEvent], *, is_over: bool) -> Iterator[TurnEvent]:
        self._came += 1
        self._late += is_over
        is_silent = True
        for event in events:
            is_silent = False
            self._note(event)
            yield event
        self._silent += is_silent

    def write(self, unreadable: int) -> None:
        """Log what was counted, and how many events were `unreadable`."""
        if self._is_wanted:
            log.debug(
                "an answer of %d events: %d after its end, %d without effect, %d unreadable; "
                "%d items begun by a piece, %d unlike their pieces",
                self._came,
                self._late,
                self._silent,
                unreadable,
                self._unopened,
                self._unlike,
            )

    def _note(self, event: TurnEvent) -> None:
        if isinstance(event, ItemDelta):
            self._unopened += event.key not in self._texts and bool(event.text)
            self._texts[event.key] = _sum(event.text, self._texts.get(event.key, 0))
        elif isinstance(event, ItemWhole):
            text = _sum(event.item.text)
            self._unlike += self._texts.get(event.item.key, text) != text
            self._texts[event.item.key] = text


def _sum(text: str, before: int = 0) -> int:
    """A checksum of a text, going on from that of what stands before it: the text itself may be long."""
    return crc32(text.encode("utf-8", "surrogatepass"), before)
