"""What a user is writing, with what is folded into it: a long paste, a file.

Three forms there are. *Kept*, as a draft is stored: each thing folded stands in its place, whole, between two marks; what
is being made of another prompt meanwhile comes after it all.
*Shown*, as it is edited: a placeholder stands for it. *Sent*, as the server gets it. The marks are characters that Unicode
sets aside for a program's own use, so that no text has them: what only looks like a placeholder is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from tui.attachments import Attachment, parted, with_attachments
from tui.patterns import pattern
from tui.values import dataclass

OPEN, CLOSE, NAME, PICTURE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
"""The marks around what is folded, the one after its name, and the one before what a picture is known by."""

CHANGE = "\ufdd4"
"""The mark between a draft and a prompt that is being changed."""

DIGITS = 9
"""How many digits a depth has, at most."""

PASTE_LINES, PASTE_CHARACTERS = 20, 2000
"""A paste with more than that is folded."""

_MARKS = f"{OPEN}{CLOSE}{NAME}"
_FOLDED = pattern(f"{OPEN}(?:([^{_MARKS}]*){NAME})?([^{_MARKS}]*){CLOSE}")
PLACEHOLDER = pattern(f"{OPEN}[^{_MARKS}\n]*{CLOSE}")
"""A placeholder in a text that is shown."""


@dataclass(frozen=True, slots=True)
class Folded:
    """Something that a placeholder stands for: pasted text, or that of a file, which has a name. Of a picture there is
    what it is known by."""

    text: str
    name: str = ""

    @property
    def label(self) -> str:
        """What the placeholder says."""
        if self.name:
            return _file(self.name, self.text).chip
        lines = self.text.count("\n") + (not self.text.endswith("\n"))
        if lines > PASTE_LINES:
            return f"Pasted {lines:,} lines"
        return f"Pasted {len(self.text):,} characters"


@dataclass(frozen=True, slots=True)
class Change:
    """What is being made of a prompt, whose turn or place in the queue has the id `of`, while a `draft` waits.

    A turn has a depth as well. Both texts are as drafts are kept.
    """

    of: str
    depth: int | None
    text: str
    draft: str = ""

    @property
    def kept(self) -> str:
        """All of it as one draft."""
        depth = "" if self.depth is None else self.depth
        return f"{self.draft}{CHANGE}{self.of}{NAME}{depth}{NAME}{self.text}"


def change_in(draft: str) -> Change | None:
    """What is being made of another prompt, as a kept draft tells of it."""
    own, mark, change = draft.partition(CHANGE)
    if not mark:
        return None
    of, _, rest = change.partition(NAME)
    depth, _, text = rest.partition(NAME)
    return Change(of, int(depth) if depth.isdecimal() and len(depth) <= DIGITS else None, text, own)


def unsent(draft: str, prompt: str) -> str:
    """What is left of a kept draft once a prompt was sent, or is to be."""
    change = change_in(draft)
    if change is None:
        return "" if sent(draft) == prompt else draft
    if sent(change.text) == prompt:
        return change.draft
    return replace(change, draft="").kept if sent(change.draft) == prompt else draft


def is_long(text: str) -> bool:
    """Whether a paste is to be folded."""
    return len(text) > PASTE_CHARACTERS or text.count("\n") >= PASTE_LINES


def without_marks(text: str) -> str:
    """`text` with nothing in it that could be taken for a mark."""
    marks = _MARKS + PICTURE + CHANGE
    return re.sub(f"[{marks}]", "\ufffd", text) if any(mark in text for mark in marks) else text


def folded_file(file: Attachment) -> Folded:
    """What a placeholder stands for where a file was named."""
    text = f"{PICTURE}{file.picture} {file.size}" if file.picture else without_marks(file.text)
    return Folded(text, without_marks(file.name))


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
    return _FOLDED.sub(lambda match: fold(_folded(match), known), kept)


def kept(text: str, known: Mapping[str, Folded]) -> str:
    """A text that is shown, as it is kept."""

    def whole(match: re.Match[str]) -> str:
        folded = known.get(match[0])
        return _kept(folded) if folded is not None else ""

    return PLACEHOLDER.sub(whole, text)


def sent(draft: str) -> str:
    """A kept draft as it is sent: pastes in their places, files after it all."""
    if OPEN not in draft:
        return draft
    files = [_file(match[1], match[2]) for match in _FOLDED.finditer(draft) if match[1]]
    return with_attachments(unfolded(draft), files)


def unfolded(draft: str) -> str:
    """A kept draft with its pastes in full, and its files named."""
    return _FOLDED.sub(lambda match: f"@{match[1]}" if match[1] else match[2], draft)


def written(prompt: str) -> str:
    """What was sent, as a draft: with its files folded where they are named, or at its end."""
    said, files = parted(prompt)
    draft, at = "", 0
    for one in files:
        name = f"@{one.name}"
        place = said.find(name, at)
        if place < 0:
            said = f"{said} {name}" if said else name
            place = len(said) - len(name)
        draft += said[at:place] + _kept(folded_file(one))
        at = place + len(name)
    return draft + said[at:]


def _file(name: str, text: str) -> Attachment:
    if not text.startswith(PICTURE):
        return Attachment(name, text)
    key, _, size = text.removeprefix(PICTURE).partition(" ")
    return Attachment(name, picture=key, size=size)


def _folded(match: re.Match[str]) -> Folded:
    return Folded(match[2], match[1] or "")


def _kept(folded: Folded) -> str:
    return f"{OPEN}{folded.name + NAME if folded.name else ''}{folded.text}{CLOSE}"
