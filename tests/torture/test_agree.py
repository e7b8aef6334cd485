"""How `tests.torture.agree` tells how far one window is behind another."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tests.terminal import Terminal
from tests.torture.agree import lags


@dataclass(frozen=True)
class Film:
    """A window that showed these lines at these moments."""

    frames: tuple[tuple[float, list[str]], ...]

    def as_it_came(self) -> tuple[tuple[float, list[str]], ...]:
        return self.frames


def test_a_window_is_behind_the_one_a_word_was_said_in_and_behind_the_server_of_a_script() -> None:
    one = Film(((1.0, ["a0w000"]), (1.5, ["a0w000 a0w001", "b0w000"]), (2.0, ["c0w000 c0w001 a9w000"])))
    other = Film(((1.1, ["a0w000"]), (1.2, ["b0w000"]), (1.75, ["a0w001"]), (2.25, ["c0w000"])))
    found = lags([one, other], {"a0w000": 0.5, "a0w001": 0.5, "b0w000": 0.5, "c0w000": 1.0, "c0w001": 1.0})
    assert sorted(round(late, 6) for late in found.window) == [0.1, 0.25, 0.3]
    assert found.script == (1.25,)


def test_a_terminal_knows_when_each_line_came() -> None:
    code = "print('first'); input(); print('\\x1b[1;1Hsecond'); input()"
    terminal = Terminal([sys.executable, "-c", code], (20, 5))
    try:
        terminal.shows("first")
        terminal.type("\r")
        terminal.shows("second")
        came = [(when, line) for when, lines in terminal.as_it_came() for line in lines]
    finally:
        terminal.close()
    first, second = (min(when for when, line in came if text in line) for text in ("first", "second"))
    assert first < second
    assert {line.rstrip() for _, line in came} >= {"first", "second"}
