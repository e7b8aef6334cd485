"""What a terminal is sent to have it tell its user something: a notification where it knows one, else the bell."""

from __future__ import annotations

from collections.abc import Mapping

from tui.text import one_line

BELL = "\x07"

LONGEST = 100
"""Characters of a name in a notification."""

_KNOWN_TERM = ("xterm-kitty", "xterm-ghostty", "wezterm")
_KNOWN_PROGRAM = ("iTerm.app", "WezTerm", "ghostty", "WarpTerminal")
_MULTIPLEXERS = ("TMUX", "STY", "ZELLIJ")
"""What is set inside programs that swallow a notification, or give it to the wrong terminal."""

_OTHERS = ("VTE_VERSION", "XTERM_VERSION", "KONSOLE_VERSION")
"""What terminals set that, begun from another one, still have that one's variables."""


def notification(name: str, setting: str, environ: Mapping[str, str]) -> str:
    """The characters that have the terminal tell of a session.

    `name` is text that others may have written. `setting` is that of the configuration: with "auto" the environment says
    what the terminal knows, "bell" is the bell anywhere, "off" nothing.
    """
    if setting == "off":
        return ""
    number = _understood(environ) if setting == "auto" else ""
    if not number:
        return BELL
    name = one_line(name, LONGEST)
    if number == "777":
        return f"\x1b]777;notify;Palaver;{name}{BELL}"
    # Begun with a word of our own: some terminals take a number at the beginning for a command.
    return f"\x1b]9;Palaver: {name}{BELL}"


def _understood(environ: Mapping[str, str]) -> str:
    """The number of the sequence that the terminal is known to show as a notification; empty where none is known."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if term.startswith(("screen", "tmux")) or any(environ.get(one) for one in _MULTIPLEXERS):
        return ""
    if term.startswith(_KNOWN_TERM):
        return "9"
    if term.startswith("foot"):
        return "777"
    if program or any(environ.get(one) for one in _OTHERS):
        return "9" if program in _KNOWN_PROGRAM else ""
    return "9" if environ.get("KITTY_WINDOW_ID") or environ.get("LC_TERMINAL") == "iTerm2" else ""
