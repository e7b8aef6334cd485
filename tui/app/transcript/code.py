"""Highlighted code, in the theme's colours."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment

from tui.app.transcript.palette import Palette
from tui.app.transcript.wrap import Line, chop

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_PLAIN = {"", "text", "plain", "plaintext", "txt", "output", "console-output"}


def code_lines(code: str, language: str, width: int, palette: Palette, *, is_start: bool = True) -> list[Line]:
    """A block of code, or with `is_start` false more of one, as lines `width` cells wide.

    A line too wide goes on in the next row.
    """
    inner = max(4, width - 2)
    lines: list[Line] = []
    if is_start and language:
        label = language[: inner - 1]
        lines.append(Line([Segment(" " * (width - len(label) - 1) + label + " ", palette.fence_label)], lead=width))
    for segments in _highlighted(code, language, palette):
        rows = chop(segments, inner)
        for number, row in enumerate(rows):
            used = sum(cell_len(segment.text) for segment in row)
            padded = [Segment(" ", palette.fence), *row, Segment(" " * (width - used - 1), palette.fence)]
            lines.append(Line(padded, "" if number < len(rows) - 1 else "\n", lead=1))
    return lines


def _highlighted(code: str, language: str, palette: Palette) -> list[list[Segment]]:
    """Code as lines of segments, without their line ends."""
    lines: list[list[Segment]] = [[]]
    lexer = None if language.lower() in _PLAIN else find_lexer(language)
    if lexer is None:
        return [[Segment(line, palette.fence)] if line else [] for line in code.removesuffix("\n").split("\n")]
    for kind, text in lexer.get_tokens(code.removesuffix("\n")):
        style = palette.token(str(kind).removeprefix("Token."))
        first, *others = text.split("\n")
        if first:
            _append(lines[-1], Segment(first, style))
        lines += [[Segment(other, style)] if other else [] for other in others]
    return lines


def _append(line: list[Segment], segment: Segment) -> None:
    if line and line[-1].style == segment.style:
        line[-1] = Segment(line[-1].text + segment.text, segment.style)
    else:
        line.append(segment)


@lru_cache(maxsize=64)
def find_lexer(language: str) -> Lexer | None:
    """The highlighter for a language's name, where there is one."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
