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
    marked += [*range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B)]
    table |= {code: f"<U+{code:04X}>" for code in marked}
    return table


_TABLE = _table()
_LINE_END = pattern("\r+\n")
_HIDDEN = pattern("[\U000e0000-\U000e0fff]+")
_PLAIN = (
    "\x20-\x7e\xa0-\xac\xae-\u061b\u061d-\u115e\u1161-\u17b3\u17b6-\u180d\u180f-\u200a\u200c\u200d\u2010-\u2027"
    "\u202f-\u205f\u2070-\u3163\u3165-\ud7ff\ue000-\ufefe\uff00-\uff9f\uffa1-\ufff8\ufffc-\uffff"
    "\U00010000-\U0001bc9f\U0001bca4-\U0001d172\U0001d17b-\U000dffff\U000e1000-\U0010ffff"
)
"""All but what the table or the count of hidden characters is for: most characters are found at once to be among these."""

_SUSPECT = pattern(f"[^\n{_PLAIN}]")
FORBIDDEN = pattern(f"[^{_PLAIN}]")
"""What may never be in a line on its way to a terminal, whatever produced it."""

_WITH_MARKS = pattern(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u1dff\u200c\u200d\u20d0-\u20f0\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u302a-\u309a"
    "\ua66f-\uabed\ud7b0-\ud7ff\ufb1e\ufe00-\ufe2f\ufff0-\ufff8\U000101fd-\U0001f3ff]"
    f"{{{MARK_LIMIT + 1},}}"
)
"""A run of characters from the blocks that marks are in: letters of those scripts are among them, so it needs a look."""


_MARKS = frozenset(("Mn", "Me", "Mc"))
_DRAWN_ON = frozenset(
    chr(code)
    for first, _, last in (
        part.partition("-")
        for part in (
            "200c-200d 1160-11ff d7b0-d7ff fff0-fff8 13430-13440 13447-13455 1f3fb-1f3ff 897 cf3 ece 1acf-1add 1ae0-1aeb "
            "10d69-10d6d 10efa-10eff 11241 113b8-113c0 113c2 113c5 113c7-113ca 113cc-113d0 113d2 113e1-113e2 11b60-11b67 "
            "11f00-11f01 11f03 11f34-11f3a 11f3e-11f42 11f5a 1611e-1612f 1e08f 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 "
            "1e6ee-1e6ef 1e6f5"
        ).split()
    )
    for code in range(int(first, 16), int(last or first, 16) + 1)
)
"""What else takes no cell: joiners, the later parts of a Korean syllable, skin colours, and marks that are newer than
Python's tables may be."""


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
    return text if text.isascii() else _WITH_MARKS.sub(_cap_marks, text)


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
    """Whether it takes no cell of its own, but is drawn onto what stands before it."""
    return char >= "\u0300" and (unicodedata.category(char) in _MARKS or char in _DRAWN_ON)


def _count_hidden(match: re.Match[str]) -> str:
    count = len(match[0])
    return f"⟨{count} hidden character{'s' if count > 1 else ''}⟩"


def _cap_marks(match: re.Match[str]) -> str:
    kept: list[str] = []
    count, category = 0, unicodedata.category
    for char in match[0]:
        # As `_is_mark` has it, for which it is called too often here.
        count = count + 1 if category(char) in _MARKS or char in _DRAWN_ON else 0
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


_LINK = pattern(r"(?i)(https?://(?![/?#:])(?![^/?#]*@)|mailto:)[^\s\x00-\x20\x7f-\x9f\"<>\\^`{|}]+\Z")


def safe_url(url: str) -> str | None:
    """`url` if it may be opened or written into a terminal's link sequence: http, https or mailto, plain, and with a host.

    One with a user's name is none: what stands before the @ passes for the host.
    """
    if len(url) > 2048 or FORBIDDEN.search(url) or not _LINK.match(url):
        return None
    return url
