"""The window with standard streams that are closed, full, or of an encoding that is not UTF-8."""

from __future__ import annotations

import sys

import pytest

from tests.terminal import Terminal, is_restored, terminal

PLAIN = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.fault("G14")
@pytest.mark.parametrize(
    ("label", "env", "back"),
    [
        ("naïve", {"PYTHONIOENCODING": "ascii"}, "palaver naïve"),
        ("naïve", {"PYTHONIOENCODING": "latin-1:strict"}, "palaver naïve"),
        ("plain", {"LC_ALL": "C", **PLAIN}, "palaver plain"),
        ("plain", {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii:strict", **PLAIN}, "palaver plain"),
    ],
)
def test_the_window_is_drawn_in_utf8_whatever_the_locale(label: str, env: dict[str, str], back: str) -> None:
    with terminal("-p", "guide", label, env=env) as t:
        t.shows("Type a message")
        t.type("hello\r")
        t.shows("done in")
        t.type("\x11")
        assert t.leaves() == 0
        assert is_restored(t)
        assert back in t.output.decode("utf-8").replace("'", "")
        assert "│" in t.output.decode("utf-8")
        assert b"\\u2" not in t.output
        assert b"internal error" not in t.output


@pytest.mark.fault("G17")
@pytest.mark.parametrize("how", [">/dev/full", ">&-", "<&0 >/dev/null"])
def test_a_window_whose_standard_output_takes_nothing_ends_well(how: str) -> None:
    """The command that comes back is told on the terminal all the same."""
    t = Terminal(["/bin/sh", "-c", f'exec "$0" "$@" {how}', sys.executable, "-m", "tui", "-p", "guide", "work"])
    try:
        t.shows("Type a message")
        t.type("hello\r")
        t.shows("done in")
        t.type("\x11")
        assert t.leaves() == 0
        assert is_restored(t)
        after = t.output.rpartition(b"\x1b[?1049l")[2]
        assert (b"palaver work" in after) is (how != "<&0 >/dev/null")
    finally:
        t.close()
