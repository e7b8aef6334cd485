"""Finding names by a few of their letters, and marking those, in text that is only text."""

from __future__ import annotations

from textual.content import Content
from textual.fuzzy import Matcher


class TextMatcher(Matcher):
    """Textual's matcher, which would read markup in what it marks: a name may hold `[@click=…]`."""

    def highlight(self, candidate: str) -> Content:
        """`candidate` as it stands, with the letters that fit marked."""
        content = Content(candidate)
        _score, offsets = self.fuzzy_search.match(self.query, candidate)
        for offset in offsets:
            if not candidate[offset].isspace():
                content = content.stylize(self._match_style, offset, offset + 1)
        return content
