"""What the eye takes for one letter, where Unicode has several characters: families, flags, accents, keycaps."""

from __future__ import annotations

from rich.cells import get_character_cell_size

_JOINER = "\u200d"


def letter_start(line: str, at: int) -> int:
    """Where the letter begins that the place `at` is in, or `at` itself where it is between two."""
    while 0 < at < len(line) and _goes_on(line, at):
        at -= 1
    return at


def letter_end(line: str, at: int) -> int:
    """Where the letter ends that the place `at` is in, or `at` itself where it is between two."""
    while 0 < at < len(line) and _goes_on(line, at):
        at += 1
    return at


def _goes_on(line: str, at: int) -> bool:
    """Whether the character at a place belongs to the one before it."""
    if line[at - 1] == _JOINER or get_character_cell_size(line[at]) == 0:
        return True
    if not _is_flag_letter(line[at]):
        return False
    first = at
    while first and _is_flag_letter(line[first - 1]):
        first -= 1
    return (at - first) % 2 == 1


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
