"""A message cut into pieces that can be drawn one by one, while it is still growing.

Where the cuts fall depends on the text alone and not on how it arrived, so that an answer looks the same while it streams
and ever after. A piece is small, whatever the message: a screenful costs the same in a word as in a megabyte.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from enum import Enum

CODE_LINES = 60
"""Lines of a code block that make a piece."""

TABLE_ROWS = 40
"""Rows of a table that make a piece."""

LONG = 2048
"""A list or a quote longer than this, in characters, is cut at the next of its items or lines."""

LINE_CUT = 4096
"""The most of one line that goes into a piece, in characters."""

MOST = 8 * LINE_CUT
"""What nothing may pass, in characters, not even a list within a list: better cut badly than not at all."""

_LINE_MAX = LINE_CUT + LINE_CUT // 2
_FENCE = re.compile(r"( *)(`{3,}(?=[^`]*$)|~{3,})(.*)")
_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])( |$)")
_DELIMITER = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_SENTENCE = re.compile(r"[.!?;:] (?=\S)|[。！？]")


class Kind(Enum):
    """How a piece's source is read: as Markdown, as more of a code block, as more of a table, or as it stands."""

    MARKDOWN = "markdown"
    CODE = "code"
    TABLE = "table"
    PLAIN = "plain"


@dataclass(slots=True)
class Piece:
    """A part of a message. `gap` tells whether an empty line is drawn before it.

    `info` is the language of more code, or the piece a table began with. `joined` says that it goes on in the middle of a
    line.
    """

    source: str
    kind: Kind = Kind.MARKDOWN
    gap: bool = True
    info: str = ""
    joined: bool = False


class Splitter:
    """Cuts a growing text. `sealed` pieces never change again; `open` gives what has come since."""

    def __init__(self) -> None:
        self.sealed: list[Piece] = []
        self._done: list[str] = []
        self._lines = 0
        self._size = 0
        self._line = ""
        self._next = Piece("")
        self._fence = ""
        self._fence_is_top = False
        self._language = ""
        self._after_blank = False

    def feed(self, text: str) -> None:
        """Take in more of the text."""
        if not text:
            return
        parts = (self._line + text).split("\n")
        for part in parts[:-1]:
            self._end_line(self._shorten(part))
        self._line = self._shorten(parts[-1])

    def open(self) -> list[Piece]:
        """The pieces that are still growing, as they would be if the text ended here."""
        ahead = copy.copy(self)
        ahead.sealed, ahead._done, ahead._next = [], self._done.copy(), copy.copy(self._next)
        if ahead._line:
            ahead._end_line(ahead._line)
        ahead._seal(gap=True)
        return ahead.sealed

    def _shorten(self, line: str) -> str:
        """What is left of a line once the parts that make pieces of their own are cut off."""
        while len(line) > _LINE_MAX:
            at = LINE_CUT if self._fence else _good_cut(line)
            self._done.append(line[:at])
            self._seal(gap=False)
            self._next.joined = True
            if self._fence:
                self._go_on_with_code()
            line = line[at:]
        return line

    def _end_line(self, line: str) -> None:
        if self._fence:
            self._end_code_line(line)
        elif not line.strip():
            self._after_blank = bool(self._done)
            self._add(line)
        else:
            self._end_text_line(line)

    def _end_text_line(self, line: str) -> None:
        is_indented = line[0] in " \t"
        fence = _FENCE.match(line)
        if (self._after_blank and not is_indented) or (fence and not is_indented and self._done):
            self._seal(gap=True)
        elif not is_indented:
            self._cut_long(line)
        elif self._size > MOST:
            self._seal(gap=False)
        self._after_blank = False
        self._add(line)
        if fence:
            self._fence, self._fence_is_top = fence[2], not fence[1]
            self._language = (fence[3].split() or [""])[0]
            self._lines = 0

    def _end_code_line(self, line: str) -> None:
        self._add(line)
        bare = line.strip()
        if bare.startswith(self._fence) and not bare.strip(self._fence[0]):
            is_top, self._fence = self._fence_is_top, ""
            if self._next.kind is Kind.CODE:
                self._done.pop()
            if is_top:
                self._seal(gap=True)
        elif self._lines > CODE_LINES and (self._fence_is_top or self._size > MOST):
            self._seal(gap=False)
            self._go_on_with_code()

    def _go_on_with_code(self) -> None:
        self._next.kind, self._next.info = Kind.CODE, self._language

    def _cut_long(self, line: str) -> None:
        """Seal what came before `line` where it belongs to something too long to be one piece."""
        if not self._done:
            return
        if self._next.kind is Kind.TABLE:
            if self._lines >= TABLE_ROWS:
                info = self._next.info
                self._seal(gap=False)
                self._next.kind, self._next.info = Kind.TABLE, info
        elif self._lines >= TABLE_ROWS and "|" in line and self._is_table():
            info = "\n".join(self._done)
            self._seal(gap=False)
            self._next.kind, self._next.info = Kind.TABLE, info
        elif (self._size > LONG and (_ITEM.match(line) or line[0] == ">")) or self._size > LINE_CUT:
            self._seal(gap=False)

    def _is_table(self) -> bool:
        return len(self._done) > 1 and "|" in self._done[0] and _DELIMITER.match(self._done[1]) is not None

    def _add(self, line: str) -> None:
        self._done.append(line)
        self._lines += 1
        self._size += len(line) + 1

    def _seal(self, *, gap: bool) -> None:
        """End the open piece here, and begin the next one."""
        piece = self._next
        piece.source = "\n".join(self._done)
        if piece.source.strip() or (piece.kind is Kind.CODE and self._done):
            self.sealed.append(piece)
        self._done = []
        self._lines = self._size = 0
        self._after_blank = False
        self._next = Piece("", gap=gap)


def _good_cut(line: str) -> int:
    """Where to break a line that is too long for a piece: after a sentence without open markup, else at a blank."""
    ends = [match.end() for match in _SENTENCE.finditer(line, LINE_CUT // 2, LINE_CUT)]
    for end in reversed(ends):
        head = line[:end]
        if all(head.count(mark) % 2 == 0 for mark in ("*", "_", "`")) and head.count("[") == head.count("]"):
            return end
    blank = line.rfind(" ", LINE_CUT // 2, LINE_CUT)
    return ends[-1] if ends else blank + 1 if blank > 0 else LINE_CUT


def split_plain(text: str) -> list[Piece]:
    """Text without markup as pieces, cut at line ends where possible."""
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        end = at + LINE_CUT
        joined = False
        if end < len(text):
            newline = text.rfind("\n", at, end)
            joined = newline < at
            end = end if joined else newline + 1
        piece = Piece(text[at:end].removesuffix("\n") if not joined else text[at:end], Kind.PLAIN, gap=not pieces)
        piece.joined = bool(pieces) and text[at - 1] != "\n"
        pieces.append(piece)
        at = end
    return pieces or [Piece("", Kind.PLAIN)]
