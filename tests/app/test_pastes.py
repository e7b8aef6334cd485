"""Pastes on their way in: nothing in them is a key, wherever what the terminal sends is cut."""

from __future__ import annotations

import pytest

from tests.payloads import payloads
from tests.terminal import terminal
from tui.app.pastes import BEGIN, END, Pastes


def parts(pieces: list[str], *, goes_on: bool = True) -> tuple[str, list[str]]:
    """All keys, and the pastes."""
    made = Pastes()
    found = [one for piece in pieces for one in made.feed(piece, goes_on=goes_on)]
    return "".join(text for pasted, text in found if not pasted), [text for pasted, text in found if pasted]


@pytest.mark.fault("G18")
@pytest.mark.parametrize("text", [*payloads()[::7], "a\x1b[200~b\rc", "", "\x1b\r\x11", "x\x1b[201"])
def test_a_paste_is_whole_whatever_is_in_it(text: str) -> None:
    sent = f"k{BEGIN}{text}{END}\x1b[Al"
    for cut in range(len(sent) + 1):
        assert parts([sent[:cut], sent[cut:]]) == ("k\x1b[Al", [text])
    assert parts(list(sent)) == ("k\x1b[Al", [text])


@pytest.mark.parametrize("keys", ["\x1b", "\x1b[", "\x1b[A", "\x1b[2~", "\x1bOP", "\x1b\r", "abc"])
def test_keys_are_handed_on_at_once(keys: str) -> None:
    assert parts([keys], goes_on=False)[0] == keys or keys == "\x1b[2~"
    assert parts([keys, "x"], goes_on=False) == (f"{keys}x", [])


@pytest.mark.fault("G18")
def test_a_paste_with_keys_in_it_presses_none() -> None:
    with terminal() as t:
        t.shows("Type a message")
        t.type(f"{BEGIN}one\x1b[2J\rtwo\x1b\x11three{END}")
        t.shows("two␛␑three")
        assert t.shows("one␛[2J")
        t.type("\x03\x11")
        assert t.ends() == 0
