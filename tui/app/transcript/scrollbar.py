"""The scrollbar of a transcript, moved without the layout that another virtual size would cause."""

from __future__ import annotations

from math import ceil

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar


def move_scrollbar(view: ScrollView, total: int, height: int, above: int) -> None:
    """Have a view's scrollbar show the place of `height` lines, with `above` lines of `total` over them."""
    view.set_reactive(ScrollView.virtual_size, Size(view.size.width, total))
    view.set_reactive(ScrollView.scroll_y, float(above))
    view.set_reactive(ScrollView.scroll_target_y, float(above))
    bar = view.vertical_scrollbar
    before, now = (bar.window_virtual_size, bar.window_size, bar.position), (total, height, above)
    if thumb(*before) == thumb(*now):
        # It is what it was, to an eighth of a cell: its values are noted, and it is not painted again.
        bar.set_reactive(ScrollBar.window_virtual_size, total)
        bar.set_reactive(ScrollBar.window_size, height)
        bar.set_reactive(ScrollBar.position, above)
        return
    bar.window_virtual_size, bar.window_size, bar.position = now


def thumb(total: int, height: int, above: float) -> tuple[int, int]:
    """Where a scrollbar's thumb begins and ends, in the eighths of a cell it is drawn in."""
    if not height or total <= height:
        return 0, 0
    # In the order in which Textual reckons it, as the last bit counts.
    size = max(1.0, height / (total / height))
    start = int((height - size) * (above / (total - height)) * 8)
    return start, start + ceil(size * 8)
