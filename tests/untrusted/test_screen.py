"""The screen of these tests, held against a real emulator's."""

from __future__ import annotations

import pyte
import pytest

from tests import sequences
from tests.untrusted.recording import SIZE, recorded
from tests.untrusted.screen import Screen

LOOKS = 16
"""How often the two are compared: each look at the whole of the emulator's screen takes it 10 ms."""


def test_it_shows_what_an_emulator_shows() -> None:
    model, screen = pyte.Screen(*SIZE), Screen(*SIZE)
    emulator = pyte.Stream(model)
    output = recorded()
    seen = set()
    read = 0
    for look in range(1, LOOKS + 1):
        end = sequences.whole(output[: len(output) * look // LOOKS])
        # Without colours, which neither of them is asked for and the emulator takes most of its time for.
        emulator.feed(sequences.SEQUENCES["colours"].sub("", sequences.for_a_model(output[read:end])))
        screen.feed(output[read:end].decode())
        read = end
        shown = [line.rstrip() for line in model.display]
        assert screen.lines() == shown, f"after {end} bytes"
        seen.update(shown)
    assert read == len(output)
    text = "\n".join(seen)
    assert all(word in text for word in ("漢字", "Switch session", "─ Keys ─", "done in", "A new session"))


@pytest.mark.parametrize(
    "written",
    [
        "漢字漢字\x1b[1;3Hxy漢",
        "abcdef\x1b[1;4H\x1b[K",
        "abcdef\x1b[1;4H\x1b[1K",
        "abcdef\r\nghi\x1b[1;2H\x1b[J",
        "abcdef\r\nghi\x1b[2;2H\x1b[1J",
        "abcdef\x1b[2J",
        "ab\x1b[3Ccd\x1b[2Dx\x1b[2By\x1b[Az\x1b[9Gend",
        "\x1b[4;1Hlast\nline",
    ],
    ids=ascii,
)
def test_it_moves_and_erases_as_an_emulator_does(written: str) -> None:
    model, screen = pyte.Screen(12, 5), Screen(12, 5)
    pyte.Stream(model).feed(sequences.for_a_model(written.encode()))
    screen.feed(written)
    assert screen.lines() == [line.rstrip() for line in model.display]


def test_of_a_wide_letter_neither_half_stays_without_the_other() -> None:
    screen = Screen(12, 1)
    screen.feed("漢字漢字\x1b[1;2Hx\x1b[1;7Hy")
    assert screen.lines() == [" x字漢y"]


def test_what_joins_is_in_the_cells_of_its_letter() -> None:
    screen = Screen(30, 1)
    screen.feed("👨\u200d👩\u200d👧|👍🏽|🇩🇪🇩🇪|❤\ufe0f|❤|1\ufe0f\u20e3|e\u0301|ක\u0dca\u200dර\x1b[1;29H!")
    assert screen.lines() == ["👨👩👧|👍🏽|🇩🇪🇩🇪|❤|❤|1|e|කර     !"]
