"""Finding words in a text as the index finds them: whatever their capitals or accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from tui.found import Span
from tui.query import Query, Term
from tui.text import clean

PASSAGE = 240
"""The most of a message shown of a hit, in characters."""

LEAD = 32
"""How much of that may come before what was found."""

WINDOW = 50_000
"""Characters looked through at once."""

MOST_SPANS = 2000
"""Places in one window that are weighed."""

SATURATION = 1.2
"""How soon more of the same word counts for less (BM25's k1)."""

TYPICAL = 600
"""A message's usual length, in characters."""

_BLANKS = re.compile(r"\s+")


class _Folding(dict[int, str]):
    """Each character without its accent, in lower case; marks that combine are left out."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if unicodedata.category(char) == "Mn":
            folded = ""
        else:
            base = unicodedata.normalize("NFD", char)
            # A syllable of Hangul is no letter with accents.
            folded = (base[0] if len(base) > 1 and unicodedata.category(base[1]) == "Mn" else char).lower()[:1]
        self[code] = folded
        return folded


_FOLDING = _Folding()


def fold(text: str) -> str:
    """`text` as it is compared: in lower case, without accents. Never longer than it was."""
    return text.lower() if text.isascii() else text.translate(_FOLDING)


class Matcher:
    """Finds what fits any of some patterns, which are written for folded text."""

    def __init__(self, patterns: Sequence[tuple[str, str]]) -> None:
        """With each pattern comes a word that is in everything it fits, which is quicker to look for."""
        self._words = [word for word, _ in patterns]
        self._patterns = [re.compile(pattern) for _, pattern in patterns]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def fits(self, text: str) -> bool:
        """Whether all of them are in a text."""
        return self.fits_folded(fold(text))

    def fits_folded(self, folded: str) -> bool:
        """The same for a text that is folded already."""
        return all(word in folded for word in self._words) and all(one.search(folded) for one in self._patterns)

    def score(self, text: str, length: int) -> float:
        """How much a text is about what is looked for: the more often it is in it, and the shorter the text, the more.

        `length` is that of the whole text, of which `text` may be the beginning.
        """
        folded = fold(text)
        room = SATURATION * (0.25 + 0.75 * length / TYPICAL)
        counts = [folded.count(word) for word in self._words]
        return sum(count / (count + room) for count in counts) if counts else 1.0

    def count(self, text: str) -> int:
        """How often they are in a text."""
        folded = fold(text)
        return sum(_count(folded, *one) for one in zip(self._words, self._patterns, strict=True))

    def spans(self, text: str) -> list[Span]:
        """Where they are in a text, in order, none within another."""
        return _merged(span for span, _ in self.places(text))

    def places(self, text: str) -> list[tuple[Span, int]]:
        """Where they are in a text, each with the number of the pattern."""
        folded = fold(text)
        offsets = _offsets(text) if len(folded) != len(text) else None
        found: list[tuple[Span, int]] = []
        for number, pattern in enumerate(self._patterns):
            for match in pattern.finditer(folded):
                start, end = match.span()
                if end > start:
                    span = (offsets[start], offsets[end]) if offsets else (start, end)
                    found.append((span, number))
                    if len(found) >= MOST_SPANS * (number + 1):
                        break
        return sorted(found)


def matcher_of(query: Query) -> Matcher:
    """Finds the words of a query."""
    return Matcher([_pattern_of(term) for term in query.terms])


def literal(text: str) -> Matcher:
    """Finds a text as it was typed, wherever it stands; blanks may be any, line ends too."""
    words = [fold(word) for word in text.split()]
    return Matcher([(max(words, key=len), _in_a_row(words, r"\s+"))] if any(words) else [])


def _pattern_of(term: Term) -> tuple[str, str]:
    """The longest word of a term, with what the term fits."""
    words = [fold(word) for word in term.words or term.text.split()]
    longest = max(words, key=len)
    if not term.words:
        return longest, _in_a_row(words, r"\s+")
    pattern = _in_a_row(words, r"[\W_]+")
    return longest, rf"(?<![^\W_]){pattern}" + ("" if term.is_prefix else r"(?![^\W_])")


def _count(folded: str, word: str, pattern: re.Pattern[str]) -> int:
    if pattern.pattern == re.escape(word):
        # Nothing but the word, of which a single letter is everywhere: a quarter of the time.
        return folded.count(word)
    return sum(1 for _ in pattern.finditer(folded)) if word in folded else 0


def _in_a_row(words: Sequence[str], between: str) -> str:
    return between.join(map(re.escape, words))


def _offsets(text: str) -> list[int]:
    # Marks belong to the letter before them.
    return [*(place for place, char in enumerate(text) if _FOLDING[ord(char)]), len(text)]


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def passage_of(text: str, matcher: Matcher) -> tuple[str, tuple[Span, ...]]:
    """A line of `text` around what was found, cleaned, with the places of that; the beginning where nothing was."""
    for start in range(0, max(1, len(text)), WINDOW):
        window = text[start : start + WINDOW + PASSAGE]
        places = matcher.places(window)
        if places:
            best = _best_start(places)
            spans = _merged(span for span, _ in places)
            return _cut(text, start + best, [(first + start, last + start) for first, last in spans])
    return _cut(text, 0, [])


def _best_start(places: list[tuple[Span, int]]) -> int:
    """Where most of the different words are near each other, the first such place."""
    best, most = places[0][0][0], 0
    for at, ((start, _), _number) in enumerate(places):
        near = {number for (_, end), number in places[at : at + 40] if end <= start + PASSAGE - LEAD}
        if len(near) > most:
            best, most = start, len(near)
    return best


def _cut(text: str, at: int, spans: list[Span]) -> tuple[str, tuple[Span, ...]]:
    first = max(0, at - LEAD)
    if first:
        # Not in the middle of a word, where one begins soon.
        blank = _BLANKS.search(text, first, at)
        first = blank.end() if blank else first
    last = min(len(text), first + PASSAGE)
    parts = ["…" if first and text[:first].strip() else ""]
    size = len(parts[0])
    marks: list[Span] = []
    place = first
    for start, end in spans:
        if end <= first or start >= last:
            continue
        start, end = max(start, first), min(end, last)
        before, marked = _flat(text[place:start]), _flat(text[start:end])
        if not marks and size <= 1:
            before = before.lstrip()
        parts += [before, marked]
        size += len(before)
        marks.append((size, size + len(marked)))
        size += len(marked)
        place = end
    rest = _flat(text[place:last])
    parts.append(rest.lstrip() if not marks else rest)
    line = "".join(parts).rstrip()
    # What was found may be all blanks, or signs that are not shown.
    shown = tuple((start, min(end, len(line))) for start, end in marks if start < min(end, len(line)))
    if text[last:].strip():
        line += "…"
    return line, shown


def _flat(text: str) -> str:
    return _BLANKS.sub(" ", clean(text))
