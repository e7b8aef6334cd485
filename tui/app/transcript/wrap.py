"""Styled text, broken into lines that know what they were broken at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tui.app.cells import letters
from tui.patterns import pattern
from tui.values import dataclass

_BLANKS = pattern(r"( +)")
_WIDE = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60\uffe0-\uffe6\U0001f300-\U0001faff\U00020000-\U0003fffd"
_CLOSING = re.escape(
    "、。，．・：；？！゛゜ヽヾゝゞ々ー’”）〕］｝〉》」』】ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ,.!?:;)]}\"'%…"
)
_OPENING = re.escape("‘“（〔［｛〈《「『【([{\"'")
_BETWEEN = pattern(
    rf"(?:(?<=[{_WIDE}])|(?=[{_WIDE}]))(?<![{_OPENING}\u200d])"
    rf"(?![{_CLOSING}\u0300-\u036f\u200d\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\U0001f3fb-\U0001f3ff])"
)
"""Where a word of ideographs or emoji may be broken: not before what closes or combines, not after what opens."""

_FLAG_LETTERS = pattern("[\U0001f1e6-\U0001f1ff]+\\Z")
_SEAMS = "/_-,;&?="


class Run(NamedTuple):
    """Text of one style; with a link's target, where it is one. A run that is a line feed ends the line."""

    text: str
    style: Style
    url: str = ""


class Link(NamedTuple):
    """A link's place in a line, in cells."""

    start: int
    end: int
    url: str


@dataclass(slots=True)
class Line:
    """A line as it is drawn.

    `join` is what stands between it and the next one in the text it was made from: a line feed, or blanks or nothing
    where it was only broken to fit. `lead` and `tail` are how many of its first and last characters are decoration:
    indents, bars, rules, padding. `mark` says that the line is ours: it stands before the text, where nothing that others
    wrote can be.
    """

    segments: list[Segment]
    join: str = "\n"
    lead: int = 0
    links: tuple[Link, ...] = ()
    tail: int = 0
    mark: Segment | None = None

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)

    @property
    def marked(self) -> str:
        """Its text after its mark."""
        return f"{self.mark.text}{self.text}" if self.mark is not None else self.text

    @property
    def said(self) -> str:
        """Its text without the decoration."""
        text = self.text
        return text[self.lead : len(text) - self.tail]

    @property
    def width(self) -> int:
        return sum(cell_len(segment.text) for segment in self.segments)


def wrap(runs: Iterable[Run], width: int) -> list[Line]:
    """Runs as lines of at most `width` cells, broken at blanks where there are any."""
    return _Wrapper(max(1, width)).wrap(runs)


def longest_word(text: str) -> int:
    """The cells that the longest of the words takes; of those that may be broken anywhere, a readable part."""
    return max((_least_width(word) for word in text.split()), default=0)


def _least_width(word: str) -> int:
    cells = cell_len(word)
    return cells if word.isascii() else max(min(cells, 8), *map(cell_len, _BETWEEN.split(word)))


class _Wrapper:
    def __init__(self, width: int) -> None:
        self.width = width
        self.lines: list[Line] = []
        self.line: list[Run] = []
        self.used = 0
        self.gap: Run | None = None
        self.word: list[Run] = []
        self.word_width = 0

    def wrap(self, runs: Iterable[Run]) -> list[Line]:
        for run in runs:
            if run.text == "\n":
                self._end_word()
                self._end_line("\n")
            else:
                self._add(run)
        self._end_word()
        if self.line or not self.lines:
            self._end_line("\n")
        return self.lines

    def _add(self, run: Run) -> None:
        text, style, url = run
        if not self.word and self.gap is None and text.isascii() and self.used + len(text) <= self.width:
            # All of it fits: only its last word stays open, because the next run may go on with it.
            head, blank, tail = text.rpartition(" ")
            if blank and head and not head.endswith(" "):
                self.line.append(Run(head, style, url))
                self.used += len(head)
                self.gap = Run(" ", style, url)
                if tail:
                    self.word.append(Run(tail, style, url))
                    self.word_width = len(tail)
                return
        for piece in _BLANKS.split(text):
            if not piece:
                continue
            if piece[0] == " ":
                self._end_word()
                self.gap = Run(piece, style, url) if self.line else None
            else:
                self.word.append(Run(piece, style, url))
                self.word_width += len(piece) if piece.isascii() else cell_len(piece)

    def _end_word(self) -> None:
        if not self.word:
            return
        gap = len(self.gap.text) if self.gap else 0
        if self.used + gap + self.word_width <= self.width:
            self._place(self.word, self.word_width)
        else:
            self._break_word()
        self.word = []
        self.word_width = 0
        self.gap = None

    def _break_word(self) -> None:
        """Place a word that the line has no room for: whole on the next one, or broken where its script allows."""
        for part in _parts(self.word):
            cells = sum(cell_len(run.text) for run in part)
            gap = len(self.gap.text) if self.gap else 0
            if self.used + gap + cells > self.width and self.line:
                self._end_line(self.gap.text if self.gap else "")
            if self.used + cells <= self.width:
                self._place(part, cells)
            else:
                self._break_anywhere(part)

    def _place(self, part: list[Run], cells: int) -> None:
        if self.gap is not None:
            self.line.append(self.gap)
            self.used += len(self.gap.text)
            self.gap = None
        self.line += part
        self.used += cells

    def _break_anywhere(self, part: list[Run]) -> None:
        while part:
            text = "".join(run.text for run in part)
            taken, cells = _take(text, self.width - self.used)
            if not taken and not self.line:
                taken, cells = text[0], cell_len(text[0])
            if len(taken) < len(text):
                taken = _to_seam(taken)
                cells = cell_len(taken)
            head, part = _cut(part, len(taken))
            self.line += head
            self.used += cells
            if part:
                self._end_line("")

    def _end_line(self, join: str) -> None:
        segments, links = _segments(self.line)
        self.lines.append(Line(segments, join, 0, links))
        self.line = []
        self.used = 0
        self.gap = None


def _parts(word: list[Run]) -> list[list[Run]]:
    """A word's parts between the places where it may be broken."""
    text = "".join(run.text for run in word)
    if text.isascii():
        return [word]
    places = [match.start() for match in _BETWEEN.finditer(text) if 0 < match.start() < len(text)]
    if len(word) == 1:
        return [[word[0]._replace(text=text[start:end])] for start, end in pairwise([0, *places, len(text)])]
    parts: list[list[Run]] = []
    for start, end in pairwise([0, *places]):
        part, word = _cut(word, end - start)
        parts.append(part)
    return [*parts, word]


def _cut(runs: list[Run], at: int) -> tuple[list[Run], list[Run]]:
    """Runs before and after a place in their text."""
    for number, run in enumerate(runs):
        if at < len(run.text):
            head = [run._replace(text=run.text[:at])] if at else []
            return [*runs[:number], *head], [run._replace(text=run.text[at:]), *runs[number + 1 :]]
        at -= len(run.text)
    return runs, []


def _to_seam(text: str) -> str:
    """The beginning of a long word, up to a place where paths and addresses are best broken, if one is near its end."""
    seam = max(text.rfind(mark, len(text) // 3) for mark in _SEAMS)
    return text[: seam + 1] if seam > 0 else text


def _take(text: str, room: int) -> tuple[str, int]:
    """As much of `text` as fits into `room` cells, never half a character; and the cells it takes."""
    if room <= 0:
        return "", 0
    if text.isascii():
        return text[:room], min(room, len(text))
    used = end = 0
    for start, end, cells in letters(text[: room * 16])[0]:
        if used + cells > room:
            end = start - 1 if _is_half_flag(text, start) else start
            break
        used += cells
    # Joiners that join nothing are counted in two ways; what counts is how the whole is measured.
    while cell_len(text[:end]) > room:
        end -= 1
    return text[:end], cell_len(text[:end])


def _is_half_flag(text: str, at: int) -> bool:
    """Whether a cut at `at` is between the two letters that make a flag."""
    letters = _FLAG_LETTERS.search(text[:at])
    return letters is not None and len(letters[0]) % 2 == 1 and "\U0001f1e6" <= text[at] <= "\U0001f1ff"


def _segments(runs: list[Run]) -> tuple[list[Segment], tuple[Link, ...]]:
    """Runs as segments, neighbours of one style joined, and the links among them."""
    segments: list[Segment] = []
    links: list[Link] = []
    at = 0
    texts: list[str] = []
    style: Style | None = None
    for text, run_style, url in runs:
        end = at + (len(text) if text.isascii() else cell_len(text))
        if url and end > at:
            if links and links[-1].url == url and links[-1].end == at:
                links[-1] = Link(links[-1].start, end, url)
            else:
                links.append(Link(at, end, url))
        at = end
        if run_style is style or run_style == style:
            texts.append(text)
        else:
            if texts:
                segments.append(Segment("".join(texts), style))
            texts, style = [text], run_style
    if texts:
        segments.append(Segment("".join(texts), style))
    return segments, tuple(links)


def plain_lines(text: str, width: int, style: Style) -> list[Line]:
    """Text without markup as lines: its own line ends are kept, runs of blanks too."""
    lines: list[Line] = []
    for line in text.split("\n"):
        if not line.strip():
            lines.append(Line([Segment("", style)]))
            continue
        if line.isascii() and len(line) <= width:
            lines.append(Line([Segment(line, style)]))
            continue
        body = line.lstrip(" ")
        indent = min(len(line) - len(body), max(0, width - 8))
        wrapped = wrap([Run(body, style)], width - indent)
        if indent:
            for number, one in enumerate(wrapped):
                one.segments.insert(0, Segment(" " * indent, style))
                one.lead = indent if number else 0
        lines += wrapped
    return lines


def indented(lines: list[Line], indent: int) -> list[Line]:
    """Lines, moved to the right."""
    if not indent:
        return lines
    for line in lines:
        line.segments.insert(0, Segment(" " * indent))
        line.lead += indent
        line.links = tuple(link._replace(start=link.start + indent, end=link.end + indent) for link in line.links)
    return lines


def chop(segments: list[Segment], width: int) -> list[list[Segment]]:
    """Segments cut into rows of at most `width` cells, blanks kept: how code that is too wide goes on."""
    rows: list[list[Segment]] = [[]]
    used = 0
    for text, style, _ in segments:
        rest = text
        while rest:
            taken, cells = _take(rest, width - used)
            if not taken and not rows[-1]:
                taken, cells = rest[0], cell_len(rest[0])
            if taken:
                rows[-1].append(Segment(taken, style))
                used += cells
                rest = rest[len(taken) :]
            if rest:
                rows.append([])
                used = 0
    return rows
