"""What a terminal was sent, read strictly: text, and the few sequences Palaver has any reason to write.

This is a reading of its own, which asks nothing of the program's cleaning: what it does not know is wrong.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from wcwidth import wcwidth

SEQUENCES = {
    "colours": re.compile(r"\x1b\[([0-9;]*)m"),
    "cursor": re.compile(r"\x1b\[[0-9]*(?:;[0-9]*)?[HABCDG]"),
    "erasing": re.compile(r"\x1b\[[0-2]?[JK]"),
    "alternate screen": re.compile(r"\x1b\[\?1049[hl]"),
    "cursor shown": re.compile(r"\x1b\[\?25[hl]"),
    "wrapping": re.compile(r"\x1b\[\?7[hl]"),
    "mouse": re.compile(r"\x1b\[\?(?:1000|1002|1003|1006|1015|1016)[hl]"),
    "focus": re.compile(r"\x1b\[\?1004[hl]"),
    "bracketed paste": re.compile(r"\x1b\[\?2004[hl]"),
    "synchronized output": re.compile(r"\x1b\[\?2026(?:[hl]|\$p)"),
    "sizes in band": re.compile(r"\x1b\[\?2048(?:[hl]|\$p)"),
    "keyboard protocol": re.compile(r"\x1b\[(?:>[0-9]+|<)u"),
    "pointer shape": re.compile(r"\x1b\]22;[a-z-]*(?:\x07|\x1b\\)"),
    "clipboard": re.compile(r"\x1b\]52;c;([A-Za-z0-9+/=]*)(?:\x07|\x1b\\)"),
    "notification": re.compile(r"\x1b\](?:9;Palaver: |777;notify;Palaver;)([^\x00-\x1f\x7f-\x9f]{1,100})\x07"),
}
"""Every sequence that may be written, by what it is for. There is no title and no link among them."""

_ANY = re.compile("|".join(one.pattern for one in SEQUENCES.values()))

MARKS = 8
"""Combining marks that may follow one character."""

_STYLES = {*range(8), 9, 21, 22, 23, 24, 25, 27, 29, *range(30, 38), 39, *range(40, 48), 49, *range(90, 98),
           *range(100, 108)} - {5, 6}  # fmt: skip
_KINDS = {"]": "OSC", "P": "DCS", "_": "APC", "^": "PM", "X": "SOS", "[": "CSI"}
_HIDDEN = re.compile(
    "[\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
_HIDDEN_KINDS = (
    ("bidi", re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")),
    ("tag", re.compile("[\U000e0000-\U000e0fff]")),
    ("line end", re.compile("[\u2028\u2029]")),
)
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")


@dataclass
class Reading:
    """What was read: sequences by what they are for, texts copied, names told, and everything that had no business there."""

    bytes: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    copied: list[str] = field(default_factory=list)
    notified: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Reading) -> None:
        self.bytes += other.bytes
        self.seen += other.seen
        self.copied += other.copied
        self.notified += other.notified
        self.wrong += other.wrong


def read(data: bytes, *, sequences: bool = True, layout: str = "\r\n") -> Reading:
    """Read all of `data`. Without `sequences` none may be in it; `layout` are the control characters that may."""
    reading, marks = Reading(len(data)), 0
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        reading.wrong.append(f"not UTF-8: {data[max(0, error.start - 20) : error.start + 20]!r}")
        text = data.decode("utf-8", "replace")
    for part, is_text in _parts(text):
        if is_text:
            marks = _read_text(part, reading, marks)
            continue
        if _kind(part) != "colours":
            marks = 0
        if part[0] == "\x1b" and len(part) > 1:
            _read_sequence(part, reading, allowed=sequences)
        elif part not in layout:
            kind = "C1" if part >= "\x80" else "ESC" if part == "\x1b" else "control"
            reading.wrong.append(f"{kind}: {part!r}")
    return reading


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Runs of text, escape sequences, single controls; and whether each is text."""
    at = 0
    while at < len(text):
        run = _TEXT.match(text, at)
        if run:
            yield run[0], True
            at = run.end()
        elif text[at] == "\x1b":
            end = _end_of_sequence(text, at)
            yield text[at:end], False
            at = end
        else:
            yield text[at], False
            at += 1


def _end_of_sequence(text: str, at: int) -> int:
    known = _ANY.match(text, at)
    if known:
        return known.end()
    # One of its own kind is at fault from its beginning; what follows is read on its own.
    return min(at + 2, len(text))


def _read_sequence(part: str, reading: Reading, *, allowed: bool) -> None:
    kind = _kind(part) if allowed else ""
    if not kind:
        reading.wrong.append(f"{_KINDS.get(part[1], 'ESC')}: {part!r}")
        return
    reading.seen[kind] += 1
    if kind == "colours":
        reading.wrong += _wrong_style(part[2:-1])
    elif kind == "clipboard" and (copied := SEQUENCES[kind].fullmatch(part)):
        _read_copy(copied[1], reading)
    elif kind == "notification" and (told := SEQUENCES[kind].fullmatch(part)):
        _read_text(told[1], reading)
        reading.notified.append(told[1])


@lru_cache(maxsize=10_000)
def _kind(part: str) -> str:
    """What a sequence is for; nothing where it is none that is known."""
    return next((kind for kind, known in SEQUENCES.items() if known.fullmatch(part)), "")


@lru_cache(maxsize=10_000)
def _wrong_style(numbers: str) -> tuple[str, ...]:
    codes, wrong = [int(number or 0) for number in numbers.split(";")], list[str]()
    while codes:
        code = codes.pop(0)
        if code in (38, 48, 58):
            kind = codes.pop(0) if codes else 0
            values = [codes.pop(0) for _ in range({2: 3, 5: 1}.get(kind, 0)) if codes]
            if len(values) != {2: 3, 5: 1}.get(kind) or any(value > 255 for value in values):
                wrong.append(f"CSI: no colour in {numbers!r}")
        elif code not in _STYLES:
            wrong.append(f"CSI: {'concealed text' if code == 8 else 'a strange style'} in {numbers!r}")
    return tuple(wrong)


def _read_copy(encoded: str, reading: Reading) -> None:
    try:
        copied = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        reading.wrong.append(f"OSC: a copy that is no text: {encoded[:40]!r}")
        return
    within = read(copied.encode(), sequences=False, layout="\n\t")
    reading.wrong += [f"in a copy: {one}" for one in within.wrong]
    reading.copied.append(copied)


def _read_text(text: str, reading: Reading, before: int = 0) -> int:
    """Gives how many marks it ends in, `before` being those that it goes on after: colours come between marks, too."""
    if text.isascii():
        return 0
    for char in _HIDDEN.findall(text):
        kind = next((name for name, some in _HIDDEN_KINDS if some.match(char)), "hidden")
        reading.wrong.append(f"{kind}: U+{ord(char):04X}")
    count = before
    for char in text:
        count = count + 1 if char in "\u200c\u200d" or unicodedata.category(char) in ("Mn", "Me") else 0
        if count == MARKS + 1:
            reading.wrong.append(f"marks: more than {MARKS} on one character")
    return count


def bare(text: str) -> str:
    """`text` less blanks and whatever takes no room, to find it again however it was wrapped."""
    return "".join(char for char in text if not char.isspace() and wcwidth(char) > 0)


def whole(data: bytes) -> int:
    """How much of `data` can be read by itself: what is after that is the beginning of a sequence, or of a character."""
    end = len(data)
    for back in range(1, min(4, end + 1)):
        # The first byte of a character tells how many there are.
        if data[end - back] >= 0xC0:
            end -= back if back < (2 if data[end - back] < 0xE0 else 3 if data[end - back] < 0xF0 else 4) else 0
            break
    start = data.rfind(b"\x1b", max(0, end - 4096), end)
    begun = data[start:end].decode("utf-8", "replace") if start >= 0 else ""
    if begun and not any(one.match(begun) for one in SEQUENCES.values()):
        return start
    return end


def for_a_model(data: bytes) -> str:
    """`data` as pyte can read it: less some private sequences, and less what takes no room, after which it goes astray."""
    text = _PRIVATE.sub("", data.decode("utf-8", "replace"))
    return text if text.isascii() else "".join(char for char in text if char < "\x7f" or wcwidth(char) > 0)


_PRIVATE = re.compile(
    r"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1b\](?:9|22|52|777);[^\x1b\x07]*(?:\x07|\x1b\\)"
)
