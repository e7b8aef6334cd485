"""What a user is writing, with what is folded into it: a long paste, a file.

Three forms there are. *Kept*, as a draft is stored: each thing folded stands in its place, whole, between two marks.
*Shown*, as it is edited: a placeholder stands for it. *Sent*, as the server gets it. The marks are characters that Unicode
sets aside for a program's own use, so that no text has them: what only looks like a placeholder is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

OPEN, CLOSE, NAME = "\ufdd0", "\ufdd1", "\ufdd2"
"""The marks around what is folded, and the one after its name."""

PASTE_LINES, PASTE_CHARACTERS = 20, 2000
"""A paste with more than that is folded."""

_MARKS = f"{OPEN}{CLOSE}{NAME}"
_FOLDED = re.compile(f"{OPEN}([^{_MARKS}]*){CLOSE}")
PLACEHOLDER = re.compile(f"{OPEN}[^{_MARKS}\n]*{CLOSE}")
"""A placeholder in a text that is shown."""


@dataclass(frozen=True, slots=True)
class Folded:
    """Something that a placeholder stands for: pasted text."""

    text: str

    @property
    def label(self) -> str:
        """What the placeholder says."""
        lines = self.text.count("\n") + (not self.text.endswith("\n"))
        if lines > PASTE_LINES:
            return f"Pasted {lines:,} lines"
        return f"Pasted {len(self.text):,} characters"


def is_long(text: str) -> bool:
    """Whether a paste is to be folded."""
    return len(text) > PASTE_CHARACTERS or text.count("\n") >= PASTE_LINES


def without_marks(text: str) -> str:
    """`text` with nothing in it that could be taken for a mark."""
    return re.sub(f"[{_MARKS}]", "\ufffd", text) if any(mark in text for mark in _MARKS) else text


def fold(folded: Folded, known: dict[str, Folded]) -> str:
    """The placeholder for something, unlike those of all else that is `known`, of which it is part from then on."""
    number = 1
    while True:
        placeholder = f"{OPEN}{folded.label}{f' #{number}' if number > 1 else ''}{CLOSE}"
        if known.setdefault(placeholder, folded) == folded:
            return placeholder
        number += 1


def shown(kept: str, known: dict[str, Folded]) -> str:
    """A kept draft as it is shown; what its placeholders stand for is added to `known`."""
    return _FOLDED.sub(lambda match: fold(Folded(match[1]), known), kept)


def kept(text: str, known: Mapping[str, Folded]) -> str:
    """A text that is shown, as it is kept."""

    def whole(match: re.Match[str]) -> str:
        folded = known.get(match[0])
        return f"{OPEN}{folded.text}{CLOSE}" if folded is not None else ""

    return PLACEHOLDER.sub(whole, text)


def sent(draft: str) -> str:
    """A kept draft as it is sent."""
    return _FOLDED.sub(lambda match: match[1], draft)
