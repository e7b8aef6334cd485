"""How many cells text takes, whatever a terminal makes of letters that consist of several characters.

Terminals differ over families, flags, hearts and the scripts of India: some give each character its own cells, some each
letter. So text is counted in one way, and such a letter is written into cells that are blank, from where it belongs;
what comes after it is written from where that belongs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich import cells as rich_cells
from rich.cells import CellSpan, cell_len, set_cell_size

from tui.patterns import pattern

_PICTURES = (
    "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\u3297\u3299\U0001f000-\U0001faff"
)
_IDLE_JOINER = pattern(f"(?<![{_PICTURES}\ufe0f])\u200d+|\u200d+(?![{_PICTURES}\u200d])")
"""Joiners with no picture on one of their sides: in many scripts they stand between letters that both take their cells."""

_FLAG = pattern("[\U0001f1e6-\U0001f1ff]{2}")
_WORD = "\u0900-\u0dff\u1000-\u109f\u1160-\u11ff\u1780-\u17ff\ua8e0-\ua8ff\ua9e0-\ua9ff\uaa60-\uaa7f\ud7b0-\ud7ff"
_DOUBTED = pattern(f"[\u200d\ufe0e\ufe0f\u20e3\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U0001fa70-\U0001faff{_WORD}]")
_ALL_WORD = pattern(f"[{_WORD}\u200c\u200d]+")

_PARTS = pattern(
    r"(?P<text>[^\x00-\x1f]+)|\x1b\[(?P<numbers>[0-9;?<=>$]*)(?P<final>[a-zA-Z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|.",
    re.DOTALL,
)
_STAYING = "mhlpu"
"""Sequences that leave the cursor where it is end so."""

_count = rich_cells._cell_len
_split = rich_cells.split_graphemes


def mend() -> None:
    """Have Rich count joiners as terminals do, and in one way.

    It takes any joiner to swallow what follows it, and at the beginning of a text not always: cutting such a text fails.
    """
    vars(rich_cells)["_cell_len"] = _cell_count
    vars(rich_cells)["split_graphemes"] = letters
    rich_cells.cached_cell_len.cache_clear()


def _cell_count(text: str, unicode_version: str) -> int:
    return _count(_IDLE_JOINER.sub("", text) if "\u200d" in text else text, unicode_version)


def letters(text: str, unicode_version: str = "auto") -> tuple[list[CellSpan], int]:
    """The letters of a text, each with its first character, the one after its last, and its cells; and all its cells."""
    if "\u200d" not in text or not (idle := [one.span() for one in _IDLE_JOINER.finditer(text)]):
        spans, count = _split(text, unicode_version)
        return _with_flags(text, spans), count
    dropped = {place for start, end in idle for place in range(start, end)}
    kept = [place for place in range(len(text)) if place not in dropped]
    spans, count = _split("".join(text[place] for place in kept), unicode_version)
    if not spans:
        return [(0, len(text), 0)], 0
    # A joiner is one letter with what is before it.
    starts = [0, *(kept[start] for start, _, _ in spans[1:])]
    ends = [*starts[1:], len(text)]
    whole = [(start, end, cells) for start, end, (_, _, cells) in zip(starts, ends, spans, strict=True)]
    return _with_flags(text, whole), count


def _with_flags(text: str, spans: list[CellSpan]) -> list[CellSpan]:
    """Letters, the two that make a flag being one."""
    if not _FLAG.search(text):
        return spans
    joined: list[CellSpan] = []
    for span in spans:
        start, end, cells = joined[-1] if joined else (0, 0, 0)
        if joined and end - start == 1 and _FLAG.match(text, start):
            joined[-1] = (start, span[1], cells + span[2])
        else:
            joined.append(span)
    return joined


def cut(text: str, room: int) -> str:
    """A text in so many cells at most, with an ellipsis where it goes on."""
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, room - 1).rstrip() + "…" if room > 0 else ""


def placed(output: str) -> str:
    """What is written to a terminal, with every letter put where it belongs whose cells terminals differ over."""
    if not _DOUBTED.search(output):
        return output
    written: list[str] = []
    column: int | None = None
    for part in _PARTS.finditer(output):
        text, final = part["text"], part["final"]
        if text is not None:
            written += [text] if column is None or not _DOUBTED.search(text) else _put(text, column)
            column = None if column is None else column + cell_len(text)
            continue
        written.append(part[0])
        if final == "H":
            column = int(part["numbers"].partition(";")[2] or 1)
        elif (final is not None and final not in _STAYING) or part[0] in "\r\n":
            column = None
    return "".join(written)


def _put(text: str, column: int) -> Iterator[str]:
    """A text that begins at a column, counted from 1."""
    for part, cells, is_doubted in _runs(text):
        if not is_doubted:
            yield part
        elif cells:
            yield f"{' ' * cells}\x1b[{column}G{part}\x1b[{column + cells}G"
        column += cells


def _runs(text: str) -> Iterator[tuple[str, int, bool]]:
    """Parts of a text with their cells: a letter that is doubted, a word of such letters, or what is between them."""
    kind, first, last, total = "", 0, 0, 0
    for start, end, cells in letters(text)[0]:
        letter = text[start:end]
        now = "word" if _ALL_WORD.fullmatch(letter) else "letter" if _DOUBTED.search(letter) else "plain"
        if now != kind or now == "letter":
            if last > first:
                yield text[first:last], total, kind != "plain"
            kind, first, total = now, start, 0
        last, total = end, total + cells
    if last > first:
        yield text[first:last], total, kind != "plain"
