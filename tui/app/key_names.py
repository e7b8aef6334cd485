"""Keys in words: as people say them, and as they are bound."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.screen import Screen


def key_name(app: App[Any], binding: Binding) -> str:
    """A key as people say it: Ctrl+N, PgUp."""
    modifiers, key = binding.parse_key()
    shown = app.get_key_display(binding.with_key(key)) if len(key) > 1 else key
    words = {"⏎": "Enter", "esc": "Esc", "pgup": "PgUp", "pgdn": "PgDn"}
    shown = words.get(shown, shown)
    if len(shown) > 1 or modifiers:
        shown = shown[:1].upper() + shown[1:]
    return "+".join([*(modifier.capitalize() for modifier in modifiers), shown])


def first_key(screen: Screen[Any], name: str) -> str:
    """The first key of one of a screen's own actions, as it is bound; nothing where something else has all of them."""
    bound = (active.binding for active in screen.active_bindings.values() if active.binding.id == name)
    return next((key_name(screen.app, binding) for binding in bound), "")
