"""Textual's compositor, made to ask widgets only for the lines that are painted.

Textual has every widget that touches the smallest rectangle around all changes give all of its lines, from the widget in
front down to the screen itself: a letter typed costs as much as a full screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.app import App


def put_back(compositor: Compositor, update: object) -> bool:
    """Count as changed, again, what an update that is not shown would have painted. False for updates not known here."""
    match update:
        case LayoutUpdate():
            compositor._dirty_regions.add(update.region)
        case ChopsUpdate():
            compositor._dirty_regions.update(Region(left, y, right - left, 1) for y, left, right in update.spans)
        case _:
            return False
    return True


def paint_changes(app: App[Any]) -> None:
    """Paint what has changed on the screen that is shown."""
    if app.screen_stack:
        screen = app.screen
        # Textual forgets which widgets have changed once it has painted, whether or not it knew of them by then.
        screen._compositor.update_widgets(screen._dirty_widgets)
        screen._compositor_refresh()


@runtime_checkable
class PaintsLines(Protocol):
    """A widget without border or padding that gives its lines as they are to be painted, past Textual's styles."""

    def paint_lines(self, crop: Region) -> list[Strip]:
        """The lines in a region of what is visible of the widget, filtered."""
        ...


class LeanCompositor(Compositor):
    """Composes widgets front to back, each for what no widget before it has covered."""

    _wanted: list[Region] | None = None
    _is_picture = False

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        # A picture is made of what Textual itself would draw.
        self._is_picture = simplify
        try:
            return super().render_full_update(simplify)
        finally:
            self._is_picture = False

    def render_partial_update(self) -> ChopsUpdate | None:
        self._wanted = list(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._wanted = None

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        left = self._wanted if self._wanted is not None else [crop or self.size.region]
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            touched = [part for part in left if part.overlaps(shown)]
            if not touched:
                continue
            top = max(shown.y, min(part.y for part in touched))
            bottom = min(shown.bottom, max(part.bottom for part in touched))
            part = Region(shown.x, top, shown.width, bottom - top)
            inside = part.translate(-region.offset)
            if isinstance(widget, PaintsLines) and not self._is_picture:
                yield region, part, widget.paint_lines(inside)
            else:
                yield region, part, widget.render_lines(inside)
            left = [part for part in left if not shown.contains_region(part)]
            if not left:
                return
