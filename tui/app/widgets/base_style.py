"""A widget's own style, worked out once: Textual goes through all of its ancestors each time it is asked."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


class BaseStyled(Widget):
    """Keeps the style of everything in it that has none of its own."""

    _base_style: Style | None = None

    @property
    def base_style(self) -> Style:
        """The style as it is now."""
        if self._base_style is None:
            self._base_style = self.rich_style
        return self._base_style

    def notify_style_update(self) -> None:
        self._base_style = None
        super().notify_style_update()
