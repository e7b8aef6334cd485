"""What `palaver ask` asks: words, standard input and files, as one prompt."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tui.attachments import read_attachment, with_attachments
from tui.errors import UsageError
from tui.fences import fenced
from tui.pictures import Picture

INPUT_LIMIT = 8 * 1024 * 1024
"""The most input that is read, in bytes."""

_PIECE = 64 * 1024


def read_prompt(words: Sequence[str], files: Sequence[str], attached: Sequence[str]) -> tuple[str, tuple[Picture, ...]]:
    """The words, the input and the files, as one prompt; with the pictures among those attached.

    Raises:
        UsageError: Something cannot be read, is no text, or is too large.
    """
    parts = [" ".join(words)] if words else []
    given = _read_input()
    if given.strip():
        parts.append(given)
    parts += [_read_file(name) for name in files]
    read = [read_attachment(name) for name in attached]
    prompt = with_attachments("\n\n".join(parts), [file for file, _ in read])
    if len(prompt.encode("utf-8", "surrogatepass")) > INPUT_LIMIT:
        raise UsageError(f"The prompt is larger than {INPUT_LIMIT // 1024 // 1024} MiB.")
    return prompt, tuple(picture for _, picture in read if picture is not None)


def _read_input() -> str:
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return ""
    try:
        raw = _read_all(sys.stdin.fileno())
    except OSError as error:
        raise UsageError(f"Standard input cannot be read: {error.strerror}.") from None
    return _decode(raw, "Standard input")


def _read_all(descriptor: int) -> bytes:
    """What there is, or more of it than may be sent.

    Piece by piece: a signal that comes between two reads of one call is not seen before the next piece is there.
    """
    raw = bytearray()
    while len(raw) <= INPUT_LIMIT and (piece := os.read(descriptor, _PIECE)):
        raw += piece
    return bytes(raw)


def _read_file(name: str) -> str:
    path = Path(name)
    try:
        with path.open("rb") as stream:
            text = _decode(stream.read(INPUT_LIMIT + 1), name)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}.") from None
    return f"{path.name}:\n\n{fenced(text.rstrip())}"


def _decode(raw: bytes, what: str) -> str:
    if len(raw) > INPUT_LIMIT:
        raise UsageError(f"{what} is larger than {INPUT_LIMIT // 1024 // 1024} MiB.")
    if b"\x00" in raw:
        raise UsageError(f"{what} is not text.")
    return raw.decode("utf-8", "replace").removeprefix("\ufeff")
