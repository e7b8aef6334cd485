"""The words that begin a command, and the command that opens a session."""

from __future__ import annotations

COMMANDS = tuple("ask sessions search profiles config history doctor open export import completion".split())
"""First words that are commands; a session of that label is opened with `palaver open`."""


def command_to_open(label: str) -> str:
    """The command line that opens a session, whatever its label. Nothing in it is obeyed by a terminal."""
    from tui.text import shell_word

    before = "open -- " if label.startswith("-") else "open " if label in COMMANDS else ""
    return f"palaver {before}{shell_word(label)}"
