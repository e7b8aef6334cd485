"""A message cut into pieces that can be drawn one by one, while it is still growing.

Where the cuts fall depends on the text alone and not on how it arrived, so that an answer looks the same while it streams
and ever after. A piece is small, whatever the message: a screenful costs the same in a word as in a megabyte.
"""

from __future__ import annotations

import copy
import re
from enum import Enum
from typing import NamedTuple

from tui.patterns import pattern
from tui.values import dataclass

CODE_LINES = 60
"""Lines of a code block that make a piece."""

TABLE_ROWS = 40
"""Rows of a table that make a piece."""

LONG = 2048
"""A list or a quote longer than this, in characters, is cut at the next of its items or lines."""

LINE_CUT = 4096
"""The most of one line that goes into a piece, in characters. Text without empty lines is cut at the next line after it."""

MOST = 2 * LINE_CUT
"""What nothing may pass, in characters, not even a list within a list: better cut badly than not at all."""

MOST_BLANKS = 200
"""Empty lines in a row that are kept."""

_LINE_MAX = LINE_CUT + LINE_CUT // 2
_FENCE = pattern(r"(`{3,}(?=[^`]*$)|~{3,})(.*)")
_ITEM = pattern(r"(?:[-*+]|(\d{1,9})([.)]))(?: +|$)")
_DELIMITER = pattern(r"\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_SENTENCE = pattern(r"[.!?;:] (?=\S)|[。！？]")
_QUOTES = pattern(r"(?: {0,3}> ?)+")
_BLOCK_START = pattern(
    r"[-+*](?=[ \n]|$)|(?:[-*_] *){3,}$|#{1,6}(?= |$)|>|`{3}|~{3}|<(?!https?:|mailto:)|\[[^\]]*\]:|\|"
)
_ENDS_LIST = pattern(r">|#{1,6}(?: |$)|(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$")
_BLANK_LINES = pattern(r"\n(?:[ \t]*\n)+")
_NUMBER = pattern(r"(\d{1,9})([.)](?: |$))")


class Kind(Enum):
    """How a piece's source is read: as Markdown, as more of a code block, as more of a table, or as it stands."""

    MARKDOWN = "markdown"
    CODE = "code"
    TABLE = "table"
    PLAIN = "plain"


@dataclass(slots=True)
class Piece:
    """A part of a message. `gap` tells whether an empty line is drawn before it.

    `info` is the language of more code, or the piece a table began with. `number` is what an ordered list goes on with, 0
    where it says so itself. `indent` is how far in the piece is drawn, being a part of a list item, and `level` how many
    items it is in. `is_cut` says that it ends in the middle of a line, which the next piece goes on with.
    """

    source: str
    kind: Kind = Kind.MARKDOWN
    gap: bool = True
    info: str = ""
    number: int = 0
    indent: int = 0
    level: int = 0
    is_cut: bool = False


class _Fence(NamedTuple):
    """An open code block: its mark, its language, and where the item it is in has its text, 0 outside of lists."""

    mark: str
    language: str
    offset: int


class _Item(NamedTuple):
    """An open list item: the column its text begins at, in the source and as it is drawn."""

    offset: int
    indent: int


class Splitter:
    """Cuts a growing text. `sealed` pieces never change again; `open` gives what has come since."""

    def __init__(self) -> None:
        self.sealed: list[Piece] = []
        self._line = ""
        self._is_rest = False
        self._quotes = ""
        # The piece that is growing.
        self._next = Piece("")
        self._done: list[str] = []
        self._size = 0
        self._strip = 0
        # What the last line was in.
        self._fence: _Fence | None = None
        self._items: tuple[_Item, ...] = ()
        self._in_table = self._in_quote = False
        self._blanks = 0
        self._order = ""
        self._number = 0

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
            head, line = line[:at], line[at:]
            if self._is_rest:
                self._add_rest(head)
            elif self._fence and _column(head) >= self._fence.offset:
                self._add(head)
            else:
                quotes = _QUOTES.match(head)
                self._quotes = "> " * quotes[0].count(">") if quotes else ""
                self._end_text_line(head)
            self._next.is_cut = self._is_rest = True
            self._go_on(self._items[-1].offset if self._items else 0)
        return line

    def _end_line(self, line: str) -> None:
        line = line.removesuffix("\r")
        if self._is_rest:
            self._add_rest(line)
            self._is_rest = False
        elif not line.strip():
            self._end_blank_line()
        elif self._fence and _column(line) >= self._fence.offset:
            self._end_code_line(line, self._fence)
        else:
            if self._fence:
                self._leave_code(_column(line))
            self._end_text_line(line)

    def _add_rest(self, text: str) -> None:
        """Add the rest of a line that was cut: nothing in it begins a block, whatever it looks like."""
        if not self._fence:
            text = text.lstrip(" ")
            text = _NUMBER.sub(r"\1\\\2", text, count=1) if _NUMBER.match(text) else text
            text = self._quotes + ("\\" + text if _BLOCK_START.match(text) else text)
        self._done.append(text)
        self._size += len(text) + 1

    def _end_blank_line(self) -> None:
        self._in_table = False
        self._blanks += 1
        if not self._done and not self._fence:
            self._next.gap = True
        elif self._blanks <= MOST_BLANKS:
            self._add("")

    def _end_text_line(self, line: str) -> None:
        column = _column(line)
        body = line.lstrip(" \t")
        self._in_table = self._in_table and "|" in line
        self._in_quote = bool(_QUOTES.match(line)) or (self._in_quote and not self._blanks)
        if not column and (self._blanks or _FENCE.match(body)):
            self._seal(gap=True)
        elif column < self._strip or self._is_too_long(line, column):
            self._go_on(column)
        if not column:
            self._count(body)
        column, body = self._enter_items(column, body)
        self._blanks = 0
        self._note_table(line)
        self._add(line)
        offset = self._offset_at(column)
        fence = _FENCE.match(body)
        if fence and column - offset <= 3:
            self._fence = _Fence(fence[1], (fence[2].split() or [""])[0], offset)

    def _end_code_line(self, line: str, fence: _Fence) -> None:
        self._blanks = 0
        bare = line.strip()
        is_end = bare.startswith(fence.mark) and not bare.strip(fence.mark[0]) and _column(line) - fence.offset <= 3
        if not is_end:
            self._add(line)
            if len(self._done) > CODE_LINES or self._size > MOST:
                self._go_on()
            return
        self._fence = None
        if self._next.kind is Kind.CODE:
            self._go_on(fence.offset)
        else:
            self._add(line)
        if not fence.offset:
            self._seal(gap=True)

    def _leave_code(self, column: int) -> None:
        """End a code block at a line that is not in its list item any more."""
        self._fence = None
        self._items = tuple(item for item in self._items if item.offset <= column)
        if self._next.kind is Kind.CODE:
            self._go_on(column)

    def _is_too_long(self, line: str, column: int) -> bool:
        """Whether what came before `line` is to be sealed, since it belongs to something too long to be one piece."""
        if self._next.kind is Kind.TABLE and not self._in_table:
            return True
        if self._in_table:
            limit = MOST if len(self._done) < TABLE_ROWS else 0
        elif _ITEM.match(line.lstrip(" \t")) or line[0] == ">":
            limit = LONG
        else:
            limit = MOST if column else LINE_CUT
        return self._size > limit

    def _go_on(self, column: int = 0) -> None:
        """Seal the open piece in the middle of something, which the next piece goes on with at `column`."""
        table = self._next.info if self._next.kind is Kind.TABLE else "\n".join(self._done)
        self._seal(gap=self._blanks > 0)
        if self._fence:
            self._next.kind, self._next.info = Kind.CODE, self._fence.language
            column = self._fence.offset
        elif self._in_table:
            self._next.kind, self._next.info = Kind.TABLE, table
        around = [item for item in self._items if item.offset <= column]
        if around:
            self._strip, self._next.indent = around[-1]
            self._next.level = len(around)

    def _count(self, line: str) -> None:
        """Keep count of the items of an ordered list, since empty lines between them make pieces of them."""
        item = _ITEM.match(line)
        if item and item[2]:
            written = int(item[1])
            self._number = self._number + 1 if self._order == item[2] else written
            self._order = item[2]
            if not self._done and self._number != written:
                self._next.number = self._number
        elif item or self._blanks or _FENCE.match(line):
            self._order = ""

    def _enter_items(self, column: int, body: str) -> tuple[int, str]:
        """Note the list items that a line begins, or ends. Gives where in the line their text begins, and the text."""
        item = _ITEM.match(body)
        if not column and (_ENDS_LIST.match(body) or (self._blanks and not item)):
            self._items = ()
            return column, body
        while item:
            self._items = tuple(one for one in self._items if one.offset <= column)
            mark = len(item[0].rstrip()) + 1
            around = self._items[-1].indent if self._items else 0
            self._items += (_Item(column + mark, around + mark),)
            column += len(item[0])
            body = body[len(item[0]) :]
            item = _ITEM.match(body)
        return column, body

    def _offset_at(self, column: int) -> int:
        return max((item.offset for item in self._items if item.offset <= column), default=0)

    def _note_table(self, line: str) -> None:
        """Notice the line under a table's head. The table begins a piece of its own."""
        head = self._done[-1] if self._done else ""
        if self._in_table or self._items or "|" not in head or "|" not in line or not _DELIMITER.fullmatch(line):
            return
        if self._in_quote or _columns(head) != _columns(line):
            return
        self._in_table = True
        if len(self._done) > 1:
            self._done.pop()
            self._seal(gap=True)
            self._add(head)

    def _add(self, line: str) -> None:
        if self._strip:
            line = line[min(self._strip, len(line) - len(line.lstrip(" "))) :]
        self._done.append(line)
        self._size += len(line) + 1

    def _seal(self, *, gap: bool) -> None:
        """End the open piece here, and begin the next one."""
        piece = self._next
        while self._done and not self._done[-1] and not self._fence:
            self._done.pop()
        piece.source = "\n".join(self._done)
        if piece.source.strip() or (piece.kind is Kind.CODE and self._done):
            self.sealed.append(piece)
            self._next = Piece("", gap=gap)
        else:
            self._next = Piece("", gap=gap or piece.gap)
        self._done = []
        self._size = self._strip = 0


def _column(line: str) -> int:
    """Where a line's text begins."""
    blank = line[: len(line) - len(line.lstrip(" \t"))]
    return len(blank.expandtabs(4)) if "\t" in blank else len(blank)


def _columns(row: str) -> int:
    """The number of a table row's cells, near enough."""
    return row.strip(" \t|").replace("\\|", "").count("|")


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
    text = _BLANK_LINES.sub(_fewer_lines, text.replace("\r\n", "\n"))
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        end = at + LINE_CUT
        is_cut = False
        if end < len(text):
            newline = text.rfind("\n", at, end)
            is_cut = newline < at
            end = end if is_cut else newline + 1
        source = text[at:end] if is_cut else text[at:end].removesuffix("\n")
        pieces.append(Piece(source, Kind.PLAIN, gap=not pieces, is_cut=is_cut))
        at = end
    return pieces or [Piece("", Kind.PLAIN)]


def _fewer_lines(blanks: re.Match[str]) -> str:
    return blanks[0] if blanks[0].count("\n") <= MOST_BLANKS else "\n" * (MOST_BLANKS + 1)


def split_code(text: str, language: str) -> list[Piece]:
    """Code as pieces."""
    splitter = Splitter()
    mark = "`" * 3
    while mark in text:
        mark += "`"
    splitter.feed(f"{mark}{language}\n{text}")
    first, *others = splitter.sealed + splitter.open()
    return [Piece(first.source.partition("\n")[2], Kind.CODE, gap=False, info=language, is_cut=first.is_cut), *others]
