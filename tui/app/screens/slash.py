"""Commands that can be typed into the prompt, after a slash."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Commands = Mapping[str, Callable[[str], object]]
"""What each word does, given the rest of the line."""


def run(text: str, commands: Commands) -> bool:
    """Carry out `text` if it is a command. What is none is for the server: it may know words of its own."""
    word, _, rest = text.strip().partition(" ")
    command = commands.get(word) if "\n" not in text.strip() else None
    if command is None:
        return False
    command(rest.strip())
    return True
