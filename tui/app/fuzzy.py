"""Finding names by a few of their letters or by their words, and marking those, in text that is only text."""

from __future__ import annotations

import re

from textual.content import Content
from textual.fuzzy import Matcher
from textual.style import Style


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


class WordMatcher:
    """Finds texts that have in them all words of a query, begun or whole, one after the other."""

    def __init__(self, query: str, style: Style | str) -> None:
        words = [re.escape(word) for word in query.split()]
        self._begun = re.compile(".*?".join(rf"(?<!\w)({word})" for word in words), re.IGNORECASE)
        self._anywhere = re.compile(".*?".join(f"({word})" for word in words), re.IGNORECASE)
        self._style = style

    def match(self, text: str) -> int:
        """How well a text fits: 3 where it begins with the first word, 2 where all of them begin words, 1 where they are in
        it, 0 where they are not."""
        if self._begun.search(text):
            return 3 if self._begun.match(text) else 2
        return 1 if self._anywhere.search(text) else 0

    def highlight(self, text: str) -> Content:
        """`text` as it stands, with the words that fit marked."""
        content = Content(text)
        found = self._begun.search(text) or self._anywhere.search(text)
        for number in range(1, found.re.groups + 1 if found else 1):
            assert found is not None
            content = content.stylize(self._style, *found.span(number))
        return content
