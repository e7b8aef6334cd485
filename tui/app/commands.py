"""The command palette: everything that can be done here, with and without a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui.app.fuzzy import WordMatcher
from tui.text import one_line


class Command(NamedTuple):
    """Something the palette offers. `title` may hold others' words; `note` is ours."""

    title: str
    note: str
    run: Callable[[], object]


class Commands(Provider):
    """Offers what the application lists in `palette_commands`."""

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(Content(command.title), command.run, text=command.title, help=command.note)

    async def search(self, query: str) -> Hits:
        matcher = WordMatcher(query, self.match_style or "reverse")
        for place, command in enumerate(self._commands()):
            # A note is worth less than any title, and only where words of it begin so.
            fit = matcher.match(command.title) or max(0, matcher.match(command.note) - 1) / 4
            if fit:
                score = fit - place / 100_000
                shown = matcher.highlight(command.title)
                yield Hit(score, shown, command.run, text=command.title, help=command.note)

    def _commands(self) -> Iterable[Command]:
        for command in getattr(self.app, "palette_commands", list)():
            # The palette reads markup in the note, in which keys stand as the user has bound them.
            yield command._replace(title=one_line(command.title, 120), note=command.note.replace("[", "\\["))
