"""Highlighted code, in the theme's colours."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

from tui.app.transcript.palette import Palette
from tui.app.transcript.wrap import Line, chop

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_PLAIN = {"", "text", "plain", "plaintext", "txt", "output", "console-output"}
_OTHER_NAMES = {
    "cmd": "bat", "conf": "ini", "curl": "bash", "cxx": "cpp", "dotenv": "bash", "env": "bash", "gradle": "groovy",
    "h": "c", "hpp": "cpp", "ipython": "python", "jinja2": "jinja", "jsonc": "json", "jsonl": "json", "kt": "kotlin",
    "ndjson": "json", "patch": "diff", "svelte": "html", "svg": "xml", "terminal": "console",
}  # fmt: skip
_SLOW = {"autohotkey", "autoit", "easytrieve", "fan", "nemerle", "pug", "systemd", "tnt", "xpp"}
"""Highlighters that take for ever on some text, by one of their names."""

_LANGUAGE = re.compile(r"[\w+#][\w+#.-]*")

_LINE_LIMIT = 1000
"""Code with a longer line is not highlighted: some highlighters take a time that grows with its square."""


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
    for segments in _highlighted(code, info, palette):
        rows = chop(segments, inner)
        for number, row in enumerate(rows):
            free = max(1, width - 1 - sum(cell_len(segment.text) for segment in row))
            padded = [Segment(" ", palette.fence), *row, Segment(" " * free, palette.fence)]
            lines.append(Line(padded, "" if number < len(rows) - 1 else "\n", lead=1, tail=free))
    return lines


def _highlighted(code: str, info: str, palette: Palette) -> list[list[Segment]]:
    """Code as lines of segments, without their line ends."""
    lexer = find_lexer(info)
    tokens = list(lexer.get_tokens(code + "\n")) if lexer and _is_short(code) else []
    if "".join(text for _, text in tokens) != code + "\n":
        return [[Segment(line, palette.fence)] if line else [] for line in code.split("\n")]
    lines: list[list[Segment]] = [[]]
    for kind, text in tokens:
        style = palette.token(_name(kind))
        first, *others = text.split("\n")
        if first:
            _append(lines[-1], Segment(first, style))
        lines += [[Segment(other, style)] if other else [] for other in others]
    return lines[:-1]


def _is_short(code: str) -> bool:
    return len(code) <= _LINE_LIMIT or max(map(len, code.split("\n"))) <= _LINE_LIMIT


def _append(line: list[Segment], segment: Segment) -> None:
    if line and line[-1].style is segment.style:
        line[-1] = Segment(line[-1].text + segment.text, segment.style)
    else:
        line.append(segment)


@lru_cache(maxsize=256)
def _name(kind: Any) -> str:
    """A token type's name, as the palette knows it."""
    return str(kind).removeprefix("Token.")


@lru_cache(maxsize=256)
def find_lexer(info: str) -> Lexer | None:
    """The highlighter for what a fence says ("python", "rust,ignore", "{.sh}"), where Pygments itself has one."""
    from pygments.lexers import get_lexer_by_name

    match = _LANGUAGE.search(info)
    name = match[0].lower().removeprefix("language-") if match else ""
    name = _OTHER_NAMES.get(name, name)
    if name in _PLAIN or name not in _known_names():
        return None
    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ImportError:  # Pygments was upgraded or removed meanwhile
        return None


@lru_cache(maxsize=1)
def _known_names() -> frozenset[str]:
    from pygments.lexers import get_all_lexers

    lexers = [names for _, names, _, _ in get_all_lexers(plugins=False) if not _SLOW.intersection(names)]
    return frozenset(name for names in lexers for name in names)
