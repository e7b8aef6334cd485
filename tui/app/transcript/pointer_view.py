"""The part of a transcript's widget that hears the mouse."""

from __future__ import annotations

from textual import events
from textual.message import Message

from tui.app.transcript.cursor_view import CursorView
from tui.app.transcript.folds import FoldBlock
from tui.app.transcript.selection import GUTTER
from tui.app.transcript.viewport import Row, Viewport


class PointerView(CursorView):
    """A click puts the cursor where it is, unfolds, or is told with the link that is there."""

    _port: Viewport
    _hovered = ""

    class LinkHovered(Message):
        """The pointer is over a link, or (an empty one) over none any more."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    class LinkClicked(Message):
        """A link was clicked."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.move(3)
        event.stop()

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.move(-3)
        event.stop()

    def on_click(self, event: events.Click) -> None:
        if self._is_news_at(event.x, event.y):
            self.go_to_end()
            return
        row = self._row_at(event.y)
        if row is None or row.block is None:
            return
        url = self._link_at(event.x, event.y)
        if url:
            self.post_message(self.LinkClicked(url))
            return
        self._cursor.put((row.depth, row.block))
        if isinstance(row.block, FoldBlock) and row.unit is not None and row.unit.is_title:
            self._toggle(row.block)
        self._show_cursor(has_moved=False)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover(self._link_at(event.x, event.y))

    def on_leave(self) -> None:
        self._hover("")

    def _hover(self, url: str) -> None:
        if url != self._hovered:
            self._hovered = url
            self.styles.pointer = "pointer" if url else "default"
            self.post_message(self.LinkHovered(url))

    def _row_at(self, y: int) -> Row | None:
        return self._port.rows[y] if 0 <= y < len(self._port.rows) else None

    def _link_at(self, x: int, y: int) -> str:
        row = self._row_at(y)
        at = x - GUTTER
        return next((link.url for link in row.line.links if link.start <= at < link.end), "") if row else ""

    def move(self, lines: int) -> None:
        """Move by a number of lines, down where it is positive."""
        raise NotImplementedError

    def _is_news_at(self, x: int, y: int) -> bool:
        """Whether the mark for new text is there."""
        raise NotImplementedError
