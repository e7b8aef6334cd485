"""Screens that a layout of their own never resizes.

Textual's layout sends a Resize to the screen that is laid out, too. With two sizes on their way at once and anything between
them in its queue, each layout brings the other size back: for ever, or the older one stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.geometry import Size
from textual.message import Message

if TYPE_CHECKING:
    from textual.screen import Screen

    _Base = Screen[Any]
else:
    _Base = object


class Steady(_Base):
    """Goes before `Screen` or `ModalScreen`: such a screen takes its size from the terminal alone."""

    _is_laying_out = False

    def _refresh_layout(self, size: Size | None = None, scroll: bool = False) -> None:
        self._is_laying_out = True
        try:
            super()._refresh_layout(size, scroll)
        finally:
            self._is_laying_out = False

    def post_message(self, message: Message) -> bool:
        if self._is_laying_out and isinstance(message, events.Resize):
            return False
        return super().post_message(message)
