"""Names that came from elsewhere, made fit to be labels or names of files here."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from tui.errors import UsageError
from tui.model import check_label
from tui.text import one_line

FALLBACK = "imported"
"""The label of what has no name."""

_HANDLE_LIMIT = 48
_SLUG_LIMIT = 60
_SLUG_BYTES = 180
"""File systems limit names to 255 bytes, and a suffix, a hash and a number come after the slug."""

_DEVICES = frozenset("con prn aux nul clock$".split()) | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}


def mended_label(text: str) -> str:
    """A label as near to `text` as a label can be."""
    try:
        return check_label(text)
    except UsageError:
        pass
    try:
        return check_label(one_line(text, 120))
    except UsageError:
        return FALLBACK


def handle(title: str) -> str:
    """A label made of a title: its first words in lower case, with dashes between."""
    title = unicodedata.normalize("NFKC", title[: _HANDLE_LIMIT * 8]).casefold()
    label = ""
    for word in re.findall(r"\w+", title.replace("'", "").replace("’", "")):
        longer = f"{label}-{word}" if label else word[:_HANDLE_LIMIT]
        if len(longer) > _HANDLE_LIMIT:
            break
        label = longer
    return label or FALLBACK


def file_name(label: str, suffix: str) -> str:
    """The name of a file for `label`: letters, digits, dots and dashes, in no other folder. A label that had to be
    changed for that is told from others by a hash."""
    slug = re.sub(r"[^\w.-]+", "-", label).strip("-._")[:_SLUG_LIMIT]
    slug = slug.encode()[:_SLUG_BYTES].decode(errors="ignore")
    if slug != label or slug.partition(".")[0].casefold() in _DEVICES:
        slug = f"{slug or 'thread'}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
    return f"{slug}{suffix}"
