"""A screen for windows of many hundred lines: it knows the sequences `tests.sequences` lets pass, and no others.

pyte goes through a terminal's output character by character, and through all of the screen for each look at it; of a
window with thousands of bytes a line that is most of the time a test takes.
"""

from __future__ import annotations

import re
import sys
from functools import cache

from wcwidth import wcswidth, wcwidth

from tests import sequences
from tests.terminal import Terminal

_PIECES = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)|\x1b\[(?P<numbers>[0-9;]*)(?P<move>[HABCDGJK])|(?P<layout>[\r\n])"
    r"|\x1b\[[0-9;?<=>$]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|.",
    re.DOTALL,
)


class Window(Terminal):
    """The program in a terminal of any size."""

    def __init__(self, module: str, args: tuple[str, ...], size: tuple[int, int], env: dict[str, str]) -> None:
        self._seen = Screen(*size)
        self._seen_to = 0
        super().__init__([sys.executable, "-m", module, *args], size, env)

    def resize(self, width: int, height: int) -> None:
        # All that is written from here on is for the new size, or soon written once more.
        self._seen = Screen(width, height)
        super().resize(width, height)

    def screen(self) -> list[str]:
        output = self.output
        end = sequences.whole(output)
        self._seen.feed(output[self._seen_to : end].decode("utf-8", "replace"))
        self._seen_to = end
        return self._seen.lines()


class Screen:
    """The characters on a screen. What takes no room is left out; what joins another one is in the cells of that."""

    def __init__(self, width: int, height: int) -> None:
        self._rows = [[" "] * width for _ in range(height)]
        self._lines = [""] * height
        self._changed = set[int]()
        self._width, self._height = width, height
        self._x = self._y = 0

    def feed(self, text: str) -> None:
        """Show more of what the program writes; a sequence must be whole."""
        for piece in _PIECES.finditer(text):
            match piece.lastgroup:
                case "text":
                    self._write(piece[0])
                case "move":
                    self._move(piece["move"], piece["numbers"])
                case "layout" if piece[0] == "\r":
                    self._x = 0
                case "layout":
                    self._y = min(self._y + 1, self._height - 1)

    def lines(self) -> list[str]:
        """Each line, without the blanks at its end."""
        for y in self._changed:
            self._lines[y] = "".join(self._rows[y]).rstrip()
        self._changed.clear()
        return list(self._lines)

    def _write(self, text: str) -> None:
        row, start = self._rows[self._y], self._x
        self._changed.add(self._y)
        cells = list(text) if text.isascii() else _cells(text)
        if start < self._width and row[start] == "":
            row[start - 1] = " "
        end = min(start + len(cells), self._width)
        row[start:end] = cells[: end - start]
        if end < self._width and row[end] == "":
            row[end] = " "
        self._x = end

    def _move(self, how: str, numbers: str) -> None:
        first, _, second = numbers.partition(";")
        count = int(first or 1)
        match how:
            case "H":
                self._y, self._x = count - 1, int(second or 1) - 1
            case "A":
                self._y -= count
            case "B":
                self._y += count
            case "C":
                self._x += count
            case "D":
                self._x -= count
            case "G":
                self._x = count - 1
            case _:
                self._erase(how, int(first or 0))
        self._x, self._y = max(0, min(self._x, self._width)), max(0, min(self._y, self._height - 1))

    def _erase(self, how: str, which: int) -> None:
        if how == "J":
            rows = {0: range(self._y + 1, self._height), 1: range(self._y), 2: range(self._height)}[which]
            for y in rows:
                self._rows[y] = [" "] * self._width
            self._changed.update(rows)
        if how == "K" or which < 2:
            start, end = {0: (self._x, self._width), 1: (0, self._x + 1), 2: (0, self._width)}[which]
            self._rows[self._y][start:end] = [" "] * (min(end, self._width) - start)
            self._changed.add(self._y)


def _cells(text: str) -> list[str]:
    """What stands in each cell; the second one of a letter that has two is empty."""
    cells: list[str] = []
    before = last = ""
    for char in text:
        width = _width(char)
        if width > 0 and cells and _is_joined(last, before, char):
            cells[-1 if cells[-1] else -2] += char
            # The two letters of a flag have two cells together.
            cells += [""] if _FLAG.match(char) and cells[-1] else []
            last = "" if _FLAG.match(char) else char
        elif width > 0:
            cells += [char, ""][:width]
            last = char
        elif char == "\ufe0f" and cells and cells[-1] == last and wcswidth(last + char) == 2:
            cells.append("")
        before = char
    return cells


def _is_joined(last: str, before: str, char: str) -> bool:
    """Whether a character is part of the letter whose last one that takes room is `last`; `before` is just before it."""
    if before == "\u200d":
        return bool(_PICTURE.match(last) and _PICTURE.match(char))
    return bool(_FLAG.match(last) and _FLAG.match(char)) or "\U0001f3fb" <= char <= "\U0001f3ff"


_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")
_PICTURE = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")


@cache
def _width(char: str) -> int:
    # Half a flag has one cell.
    return 1 if _FLAG.match(char) else wcwidth(char)
