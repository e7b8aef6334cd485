"""The line of keys that do something at this moment."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.screen import Screen
from textual.strip import Strip

from tui.app.widgets.base_style import BaseStyled


class Hint(NamedTuple):
    """A key, as it is shown and as it is pressed, and what it does."""

    shown: str
    key: str
    text: str
    action: str = ""


LONGEST = {"stop": 0, "submit": 1, "help": 2}
"""Actions whose keys are told of for as long as there is room, by how important they are."""


@runtime_checkable
class Sparing(Protocol):
    """Has keys that say why, where they can do nothing: they are in force, and not told of."""

    def is_offered(self, action: str) -> bool: ...


class KeyBar(BaseStyled):
    """Keys from the bindings in force, so that it cannot say anything untrue. A click presses the key."""

    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        width: 1fr;
        background: $background;
        color: $foreground 60%;
        & .key-bar--key { color: $footer-key-foreground; text-style: bold; }
    }
    """

    COMPONENT_CLASSES = {"key-bar--key"}

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._hints: list[Hint] = []
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._update)
        self._update(self.screen)

    def _update(self, screen: Screen[object]) -> None:
        hints: dict[str, Hint] = {}
        for key, active in screen.active_bindings.items():
            binding = active.binding
            if not binding.show or not active.enabled or not binding.description or binding.action in hints:
                continue
            node = active.node
            if not isinstance(node, Sparing) or node.is_offered(binding.action):
                shown = self.app.get_key_display(binding)
                hints[binding.action] = Hint(shown, key, binding.description, binding.action)
        if list(hints.values()) != self._hints:
            self._hints = list(hints.values())
            self.refresh()

    @property
    def text(self) -> str:
        """What it says."""
        return "  ".join(f"{hint.shown} {hint.text}" for hint in self._hints)

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - Textual's shape: it has one line
        key_style = self.get_component_rich_style("key-bar--key", partial=True)
        segments = [Segment(" ")]
        self._places = []
        at = 1
        for hint in self._fitting():
            width = _width(hint)
            segments += [Segment(hint.shown, key_style), Segment(f" {hint.text}  ")]
            self._places.append((at, at + width - 2, hint.key))
            at += width
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.base_style)

    def _fitting(self) -> list[Hint]:
        """Those there is room for, in order; what shows all keys is the last. Those of `LONGEST` come before others."""
        room = self.size.width - 1
        kept: list[Hint] = []
        for hint in sorted(self._hints, key=lambda hint: LONGEST.get(hint.action, len(LONGEST))):
            if _width(hint) <= room:
                room -= _width(hint)
                kept.append(hint)
        ordered = [hint for hint in self._hints if hint in kept]
        return sorted(ordered, key=lambda hint: hint.action == "help")

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._places:
            if start <= event.x < end:
                self.app.simulate_key(key)


def _width(hint: Hint) -> int:
    return cell_len(hint.shown) + cell_len(hint.text) + 3
