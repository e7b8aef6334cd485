"""What a path being typed after an `@` may become."""

from __future__ import annotations

import heapq
import os
import re
import stat
from collections.abc import Callable, Iterator

from tui.app.widgets.offer_list import Offer
from tui.drafts import CLOSE, OPEN
from tui.text import clean

MOST = 100
"""Paths offered at once; more letters find the others."""

_BEGIN = r"(?:^|(?<=[\s(\[{<\"'`,;:=]))@"
_LETTER = rf"(?:\\.|[^\s\\{OPEN}{CLOSE}])"
_WORD = re.compile(rf"{_BEGIN}({_LETTER}*)$")
_WORDS = re.compile(rf"{_BEGIN}{_LETTER}*")
_AFTER = ".,;:!?…)]}>\"'`”’»"
_STEP = 1000


def path_word(before: str) -> tuple[int, str] | None:
    """Where in a line the path begins that is being typed at its end, its `@` included, and the path; None without one."""
    match = _WORD.search(before)
    return (match.start(), _path(match[1])) if match is not None else None


def path_words(text: str) -> Iterator[re.Match[str]]:
    """The words in a text that may name files, their `@` included."""
    return _WORDS.finditer(text) if "@" in text else iter(())


def named_file(word: str) -> tuple[str, str]:
    """How much of a word names something that is there and no folder, and the path of that: all of it, or all but the signs
    that a sentence or a bracket ends with. Empty where nothing of it does."""
    for part in dict.fromkeys((word, word.rstrip(_AFTER))):
        path = _path(part[1:])
        if path and _is_there(place_of(path)):
            return part, path
    return "", ""


def _path(written: str) -> str:
    """A path without the backslashes before blanks and the like."""
    return re.sub(r"\\(.)", r"\1", written)


def _is_there(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def place_of(path: str) -> str:
    """Where a path leads that was typed; only a folder in it can be someone's home."""
    folder, slash, name = path.rpartition("/")
    return f"{os.path.expanduser(f'{folder}{slash}')}{name}"


class Folders:
    """Lists folders; the one listed last is read again only once it has changed."""

    def __init__(self) -> None:
        self._listed: tuple[str, int, list[os.DirEntry[str]]] | None = None

    def offers(self, path: str, is_wanted: Callable[[], bool]) -> list[Offer]:
        """What begins as `path` does, hidden files only where it says so; nothing, once it is wanted no more."""
        if path == "~":
            return [Offer("@~/", "~/", ends=False)]
        folder, slash, start = path.rpartition("/")
        under = f"{folder}{slash}"
        fold = str.lower if start == start.lower() else str
        found = []
        for number, entry in enumerate(self._entries(os.path.expanduser(under) or ".", is_wanted)):
            if number % _STEP == 0 and not is_wanted():
                return []
            name = entry.name
            if fold(name).startswith(start) and (start.startswith(".") or not name.startswith(".")):
                found.append(entry)
        return [_offer(under, entry) for entry in heapq.nsmallest(MOST, found, key=lambda one: one.name.lower())]

    def _entries(self, folder: str, is_wanted: Callable[[], bool]) -> list[os.DirEntry[str]]:
        try:
            changed = os.stat(folder).st_mtime_ns
            if self._listed is not None and self._listed[:2] == (folder, changed):
                return self._listed[2]
            entries = []
            with os.scandir(folder) as listing:
                for entry in listing:
                    entries.append(entry)
                    if len(entries) % _STEP == 0 and not is_wanted():
                        return []
        except (OSError, ValueError):
            return []
        self._listed = (folder, changed, entries)
        return entries


def _offer(under: str, entry: os.DirEntry[str]) -> Offer:
    try:
        is_folder = entry.is_dir()
    except OSError:
        is_folder = False
    path = f"{under}{entry.name}"
    written = re.sub(r"([\s\\])", r"\\\1", path)
    if is_folder:
        return Offer(f"@{written}/", f"{clean(entry.name)}/", ends=False)
    return Offer(f"@{written}", clean(entry.name), path=path)
