"""Cleaning of text that others wrote, before a terminal sees it.

Terminals obey some characters. Those are shown as what they are instead: C0 controls as control pictures, the rest by
number or as a replacement character. Nothing is dropped silently but the marks that only hint at direction, and
combining marks where there are too many on one character.
"""

from __future__ import annotations

import re
import unicodedata

from tui.patterns import pattern

TAB = "    "
MARK_LIMIT = 8
"""Combining marks shown on one base character; more than that is an attack on the renderer (CVE-2021-27135)."""


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {code: chr(0x2400 + code) for code in range(0x20)}
    table[0x0A] = "\n"
    table[0x09] = TAB
    table[0x7F] = "\u2421"
    table |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")
    table |= dict.fromkeys((0x85, 0x2028, 0x2029), " ")
    table |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
    table |= dict.fromkeys((0x200E, 0x200F, 0x061C))
    marked = [0xAD, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x3164, 0xFEFF, 0xFFA0]
    marked += [*range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFFF9, 0xFFFC)]
    table |= {code: f"<U+{code:04X}>" for code in marked}
    return table


_TABLE = _table()
_LINE_END = pattern("\r+\n")
_HIDDEN = pattern("[\U000e0000-\U000e0fff]+")
_OBEYED = (
    "\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_SUSPECT = pattern(f"[{_OBEYED}]")
FORBIDDEN = pattern(f"[\n{_OBEYED}]")
"""What may never be in a line on its way to a terminal, whatever produced it."""

_WITH_MARKS = pattern(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u1dff\u200c\u200d\u20d0-\u20f0\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u302a-\u309a"
    f"\ua66f-\uabed\ufb1e\ufe00-\ufe2f\U000101fd-\U0001e94a]{{{MARK_LIMIT + 1},}}"
)
"""A run of characters from the blocks that marks are in: letters of those scripts are among them, so it needs a look."""


class Cleaner:
    """Cleans text that comes in pieces: whatever the pieces, the result is that of the whole."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def feed(self, text: str) -> str:
        """The clean form of `text`, less what only the next piece can decide."""
        keep = len(text)
        while keep and _is_open(text[keep - 1]):
            keep -= 1
        if not keep:
            self._held.append(text)
            return ""
        ready = "".join(self._held) + text[:keep]
        self._held = [text[keep:]]
        return clean(ready)

    def flush(self) -> str:
        """The clean form of what was still held back."""
        held, self._held = "".join(self._held), []
        return clean(held)


def clean(text: str) -> str:
    """`text` with everything a terminal could obey, or a reader could miss, made visible. Idempotent."""
    if _SUSPECT.search(text):
        text = _LINE_END.sub("\n", text)
        text = _HIDDEN.sub(_count_hidden, text).translate(_TABLE)
    return _WITH_MARKS.sub(_cap_marks, text)


def typed(text: str) -> str:
    """Pasted text as it goes into an input: line ends made one kind, tabs kept, what a terminal would obey made visible."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\t".join(clean(part) for part in text.split("\t"))


def one_line(text: str, limit: int = 500) -> str:
    """`clean` text on a single line of at most `limit` characters, for labels, titles and messages."""
    text = text.lstrip()
    head = text[: limit * 4]
    line = " ".join(clean(head).split())
    if len(line) <= limit and len(head) == len(text):
        return line
    return line[: limit - 1].rstrip() + "…"


def counted(count: int, thing: str) -> str:
    """A number of things in words: "1 turn", "2,000 turns"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def shell_word(text: str) -> str:
    """`text` as a word of a shell's command line that means it exactly, without anything in it that a terminal obeys."""
    import shlex

    if clean(text) == text and "\n" not in text:
        return shlex.quote(text)
    return "$'" + "".join(char if char.isalnum() and char.isascii() else _escape(char) for char in text) + "'"


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if char <= "\uffff" else f"\\U{ord(char):08x}"


def _is_open(char: str) -> bool:
    """Whether what follows decides how `char` is shown: half a line end, a hidden character, a mark, a dropped one."""
    return char in "\r\u061c\u200e\u200f" or _is_mark(char) or "\U000e0000" <= char <= "\U000e0fff"


def _is_mark(char: str) -> bool:
    return char in "\u200c\u200d" or (char >= "\u0300" and unicodedata.category(char) in ("Mn", "Me"))


def _count_hidden(match: re.Match[str]) -> str:
    count = len(match[0])
    return f"⟨{count} hidden character{'s' if count > 1 else ''}⟩"


def _cap_marks(match: re.Match[str]) -> str:
    kept: list[str] = []
    count = 0
    for char in match[0]:
        count = count + 1 if _is_mark(char) else 0
        if count <= MARK_LIMIT:
            kept.append(char)
    return "".join(kept)


def cap_marks(text: str, before: int) -> tuple[str, int]:
    """A clean text that goes on after one that ends in `before` marks, without those too many for one letter; and how many
    marks it ends in.
    """
    if text.isascii():
        return text, before if not text else 0
    first = next((place for place, char in enumerate(text) if not _is_mark(char)), len(text))
    text = text[max(0, min(first, before + first - MARK_LIMIT)) :]
    last = next((place for place, char in enumerate(reversed(text)) if not _is_mark(char)), len(text))
    return text, last if last < len(text) else before + last


def storable(text: str) -> str:
    """`text` as SQLite can keep it: lone surrogates replaced, NUL shown as a picture, all else untouched."""
    if "\x00" in text:
        text = text.replace("\x00", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        return _without_surrogates(text)
    return text


def _without_surrogates(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


_LINK = pattern(r"(?i)(https?://(?![^/?#]*@)|mailto:)[^\s\x00-\x20\x7f-\x9f\"<>\\^`{|}]+\Z")


def safe_url(url: str) -> str | None:
    """`url` if it may be opened or written into a terminal's link sequence: http, https or mailto, and plain.

    One with a user's name is none: what stands before the @ passes for the host.
    """
    if len(url) > 2048 or FORBIDDEN.search(url) or not _LINK.match(url):
        return None
    return url
