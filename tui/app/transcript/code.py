"""Highlighted code, in the theme's colours."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

from tui.app.transcript.palette import Palette
from tui.app.transcript.wrap import Line, chop

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_PLAIN = {"", "text", "plain", "plaintext", "txt", "output", "console-output"}


def code_lines(code: str, info: str, width: int, palette: Palette, *, is_start: bool = True) -> list[Line]:
    """A block of code, or with `is_start` false more of one, as lines `width` cells wide.

    `info` is what its fence says: a language, and sometimes a title. A line too wide goes on in the next row.
    """
    inner = max(4, width - 2)
    lines: list[Line] = []
    if is_start and info:
        label = info if cell_len(info) <= inner else set_cell_size(info, inner - 1) + "…"
        text = " " * (width - cell_len(label) - 1) + label + " "
        lines.append(Line([Segment(text, palette.fence_label)], "", lead=len(text)))
    language = info.partition(" ")[0]
    for segments in _highlighted(code, language, palette):
        rows = chop(segments, inner)
        for number, row in enumerate(rows):
            free = max(1, width - 1 - sum(cell_len(segment.text) for segment in row))
            padded = [Segment(" ", palette.fence), *row, Segment(" " * free, palette.fence)]
            lines.append(Line(padded, "" if number < len(rows) - 1 else "\n", lead=1, tail=free))
    return lines


def _highlighted(code: str, language: str, palette: Palette) -> list[list[Segment]]:
    """Code as lines of segments, without their line ends."""
    lexer = None if language.lower() in _PLAIN else find_lexer(language)
    if lexer is None:
        return [[Segment(line, palette.fence)] if line else [] for line in code.split("\n")]
    lines: list[list[Segment]] = [[]]
    for kind, text in lexer.get_tokens(code):
        style = palette.token(_name(kind))
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


@lru_cache(maxsize=256)
def _name(kind: Any) -> str:
    """A token type's name, as the palette knows it."""
    return str(kind).removeprefix("Token.")


@lru_cache(maxsize=256)
def find_lexer(language: str) -> Lexer | None:
    """The highlighter for a language's name, where there is one among Pygments' own."""
    from pygments.lexers import get_lexer_by_name

    name = language.lower()
    return get_lexer_by_name(name, stripnl=False, ensurenl=False) if name in _known_names() else None


@lru_cache(maxsize=1)
def _known_names() -> frozenset[str]:
    from pygments.lexers import get_all_lexers

    return frozenset(alias for _, aliases, _, _ in get_all_lexers(plugins=False) for alias in aliases)
