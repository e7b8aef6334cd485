"""The part of a transcript's widget that keeps painted lines: one that only moves is not painted again."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.app.transcript.viewport import Row, Viewport
from tui.app.transcript.wrap import Line
from tui.app.widgets.base_style import BaseStyled

KEPT_SCREENS = 8
"""Screens full of painted lines of one session that are kept, so that going back to it, or to a page, paints no line again."""


class PaintedView(BaseStyled, ScrollView):
    """Lines for `LeanCompositor`, without Textual's styles for borders and padding, of which there are none here.

    Those who derive from it draw them.
    """

    _port: Viewport

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._strips: WeakKeyDictionary[Viewport, dict[int, tuple[Line, bool, Strip]]] = WeakKeyDictionary()

    def paint_lines(self, crop: Region) -> list[Strip]:
        """The lines in a region of what is visible, as they go to the terminal."""
        filters = self.get_line_filters()
        background = self.background_colors[1]
        strips = []
        for y in crop.line_range:
            strip = self._kept_strip(y)
            for one in filters:
                strip = strip.apply_filter(one, background)
            strips.append(strip)
        kept = self._strips.get(self._port, {})
        if len(kept) > KEPT_SCREENS * self.size.height:
            shown = {id(row.line) for row in self._port.rows}
            self._strips[self._port] = {key: one for key, one in kept.items() if key in shown}
        if crop.column_span != (0, self.size.width):
            return [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def paint_anew(self) -> None:
        """Forget all lines: they look different from now on."""
        self._strips.clear()

    def notify_style_update(self) -> None:
        before = self._base_style
        super().notify_style_update()
        # The focus coming or going is told as a change of style as well.
        if before is not None and self.base_style != before:
            self.paint_anew()

    def _kept_strip(self, y: int) -> Strip:
        rows = self._port.rows
        row = rows[y] if y < len(rows) else None
        if row is None or not self._is_plain(y):
            return self._line_strip(y)
        has_cursor = self._has_cursor_on(row)
        strips = self._strips.setdefault(self._port, {})
        kept = strips.get(id(row.line))
        if kept is not None and kept[0] is row.line and kept[1] == has_cursor:
            return kept[2]
        strip = self._line_strip(y)
        strips[id(row.line)] = (row.line, has_cursor, strip)
        return strip

    def _line_strip(self, y: int) -> Strip:
        """A line in view, in its final style."""
        raise NotImplementedError

    def _is_plain(self, y: int) -> bool:
        """Whether nothing is laid over a line: no selection, no match, no mark."""
        raise NotImplementedError

    def _has_cursor_on(self, row: Row) -> bool:
        """Whether the cursor is shown on a row."""
        raise NotImplementedError
