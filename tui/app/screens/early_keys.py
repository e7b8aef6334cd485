"""Keys pressed before the session is there that they are meant for: which of them wait for it."""

from __future__ import annotations

import asyncio

from textual import events
from textual.screen import Screen

from tui.app.screens.journey import Way
from tui.app.widgets.prompt import Prompt

WAYS_OUT = ("quit", "interrupt")
"""Actions that nothing may keep waiting."""

ANYWHERE = (*WAYS_OUT, "help")
"""Actions that mean the same before there is a session."""


class EarlyKeys:
    """What `Keyboard` asks about a key, of the screen as it is bound and focused at that moment."""

    def __init__(self, screen: Screen[None], prompt: Prompt, way: Way) -> None:
        self._screen = screen
        self._prompt = prompt
        self._way = way

    @property
    def arrival(self) -> asyncio.Event | None:
        """What is set once the session is there that we are on the way to; None where one is shown."""
        return self._way.arrival

    def needs_session(self, event: events.Key | events.Paste) -> bool:
        """Whether a key would do nothing, or something else, before its session is there."""
        if isinstance(event, events.Paste):
            return False
        # Private in Textual, whose public list leaves out what can do nothing yet; a test fails when that changes.
        chain = [(node, bound.key_to_bindings.get(event.key, [])) for node, bound in self._screen._binding_chain]
        bound = {(node is self._prompt, one.action) for node, found in chain for one in found}
        if self._prompt.has_focus and (True, "submit") in bound:
            text = self._prompt.text.strip()
            return not text or text.startswith("/")
        actions = {action for _, action in bound}
        return not actions.intersection(ANYWHERE) and any(not is_own for is_own, _ in bound)

    def is_way_out(self, event: events.Key | events.Paste) -> bool:
        """Whether a key is to end or stop something."""
        if isinstance(event, events.Paste):
            return False
        found = (maps.key_to_bindings.get(event.key, []) for _, maps in self._screen._binding_chain)
        return any(one.action in WAYS_OUT for bound in found for one in bound)
