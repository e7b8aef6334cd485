"""Files sent along with a prompt: read, put after it, and told apart from it again."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable

from tui.errors import UsageError
from tui.fences import fenced
from tui.patterns import pattern
from tui.pictures import Picture, picture_of
from tui.sizes import size_words
from tui.text import one_line, typed
from tui.values import dataclass

LARGEST = 1024 * 1024
"""The most bytes a text file may have."""

LARGEST_PICTURE = 5 * LARGEST
"""The same for a picture: servers take no larger ones."""

_HEAD = pattern(r"^@([^\n]+) \((\d+ bytes?|[\d,]+ KB)(?:, picture ([0-9a-f]{16})\)$|\):\n\n(`{3,})\n)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file under the name the user gave it: its text, clean and without its last line end; or the `picture` it is, by
    that one's key, with its size in words."""

    name: str
    text: str = ""
    picture: str = ""
    size: str = ""

    @property
    def chip(self) -> str:
        """What stands for it."""
        if self.picture:
            return f"@{self.name} ({self.size}, picture)"
        return f"@{self.name} ({size_words(len(self.text.encode()))})"


def read_attachment(path: str, name: str = "") -> tuple[Attachment, Picture | None]:
    """A file, called `name`, or else as its path is; with the picture that it is, if it is one.

    Raises:
        UsageError: It is neither text nor a picture, too large, or cannot be read.
    """
    name = one_line(name or path, 200)
    try:
        # Opening alone has effects on some devices, and waits at a pipe.
        _check_kind(name, os.stat(path).st_mode)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as stream:
            found = os.fstat(stream.fileno())
            _check_kind(name, found.st_mode)
            raw = stream.read(LARGEST_PICTURE + 1)
    except (OSError, ValueError) as error:
        raise UsageError(_trouble(name, error)) from None
    picture = picture_of(raw)
    what, most = ("file", LARGEST) if picture is None else ("picture", LARGEST_PICTURE)
    if len(raw) > most:
        size = size_words(max(found.st_size, len(raw)))
        raise UsageError(f"{name} has {size}; a {what} may have up to {size_words(most)}.")
    if picture is not None:
        return Attachment(name, picture=picture.key, size=size_words(len(raw))), picture
    if b"\x00" in raw:
        raise UsageError(f"{name} is not text.")
    try:
        text = typed(raw.decode().removeprefix("\ufeff")).removesuffix("\n")
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text.") from None
    if not text.strip():
        raise UsageError(f"{name} is empty.")
    return Attachment(name, text), None


def with_attachments(prompt: str, attachments: Iterable[Attachment]) -> str:
    """A prompt with files after it: a text under its name, in a fence longer than any in it; a picture by its key."""
    parts = [prompt] if prompt else []
    for one in dict.fromkeys(attachments):
        if one.picture:
            parts.append(f"@{one.name} ({one.size}, picture {one.picture})")
            continue
        parts.append(f"{one.chip}:\n\n{fenced(one.text)}")
    return "\n\n".join(parts)


def parted(prompt: str) -> tuple[str, tuple[Attachment, ...]]:
    """What was said in a prompt, and the files that were put after it."""
    if prompt.endswith(("```", ")")):
        for match in _HEAD.finditer(prompt):
            at = match.start()
            if at == 0 or prompt[at - 2 : at] == "\n\n":
                found = _read_all(prompt, at)
                if found:
                    return prompt[: max(0, at - 2)], found
    return prompt, ()


def pictures_in(prompt: str) -> tuple[str, ...]:
    """The keys of the pictures that were put after a prompt."""
    return tuple(one.picture for one in parted(prompt)[1] if one.picture)


def _read_all(prompt: str, at: int) -> tuple[Attachment, ...]:
    """The files from a place to the end, if there is nothing else; they are as they say."""
    found: list[Attachment] = []
    while True:
        match = _HEAD.match(prompt, at)
        if match is None:
            return ()
        if match[3]:
            one, at = Attachment(match[1], picture=match[3], size=match[2]), match.end()
        else:
            end = prompt.find(f"\n{match[4]}", match.end())
            one, at = Attachment(match[1], prompt[match.end() : end]), end + 1 + len(match[4])
            if end < 0 or not match[0].startswith(f"{one.chip}:"):
                return ()
        found.append(one)
        if at == len(prompt):
            return tuple(found)
        if prompt[at : at + 2] != "\n\n":
            return ()
        at += 2


def _check_kind(name: str, mode: int) -> None:
    for is_it, what in (
        (stat.S_ISDIR, "a folder; attach the files in it one by one"),
        (stat.S_ISFIFO, "a pipe and no file"),
        (stat.S_ISSOCK, "a socket and no file"),
        (stat.S_ISCHR, "a device and no file"),
        (stat.S_ISBLK, "a device and no file"),
    ):
        if is_it(mode):
            raise UsageError(f"{name} is {what}.")


def _trouble(name: str, error: OSError | ValueError) -> str:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENOTDIR:
            return f"There is no file {name}."
        case errno.EACCES | errno.EPERM:
            return f"{name} may not be read."
        case errno.ELOOP:
            return f"{name} is a link that leads round in a circle."
        case _:
            return f"{name} cannot be read: {getattr(error, 'strerror', None) or error}."
