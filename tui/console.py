"""The words that begin a command, and the way to say something on standard error."""

from __future__ import annotations

import sys

COMMANDS = ("ask", "sessions", "search", "profiles", "config", "history", "open", "export", "import", "completion")
"""First words that are commands; a session of that label is opened with `palaver open`."""


def print_error(line: str) -> None:
    """A line on standard error, cleaned of what a terminal would obey, whatever the stream's encoding."""
    from tui.text import clean

    line = clean(line)
    try:
        sys.stderr.write(line.encode(sys.stderr.encoding or "utf-8", "replace").decode(sys.stderr.encoding or "utf-8"))
        sys.stderr.write("\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
