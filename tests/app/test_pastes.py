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
    return told_apart(found)


def parts_of(made: Pastes, text: str) -> tuple[str, list[str]]:
    """The same of one more piece."""
    return told_apart(list(made.feed(text, goes_on=False)))


def told_apart(found: list[tuple[bool, str]]) -> tuple[str, list[str]]:
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
@pytest.mark.parametrize(
    "key",
    [
        "a",
        "é",
        "\x1b",
        "\x03",
        "\x11",
        "\x1b[A",
        "\x1b[1;5C",
        "\x1bOP",
        "\x1bx",
        "\x1b[27;2;13~",
        "\x1b[<35;1;5M\x1b[<35;1;6M",
    ],
)
@pytest.mark.parametrize("cut", ["", "\x1b[20"], ids=["without its end mark", "with a part of it"])
def test_a_key_after_a_paste_that_lost_its_end_mark_is_a_key(key: str, cut: str) -> None:
    made = Pastes()
    assert list(made.feed(f"{BEGIN}pasted{cut}", goes_on=False)) == []
    assert made.is_coming
    assert made.pause() == "pasted"
    assert not made.is_coming
    assert list(made.feed(key, goes_on=False)) == [*([(True, cut)] if cut else []), (False, key)]
    assert parts_of(made, f"b{BEGIN}more{END}c") == ("bc", ["more"])


@pytest.mark.fault("G18")
@pytest.mark.parametrize("rest", ["\r", "\n", "two\r", "\x1b\r", "\r\x1b[A", "\x1b[A\r"])
def test_what_comes_of_a_paste_after_a_pause_presses_no_key(rest: str) -> None:
    made = Pastes()
    assert list(made.feed(f"{BEGIN}one ", goes_on=False)) == []
    assert made.pause() == "one "
    assert parts_of(made, f"{rest}{END}k") == ("k", [rest])
    assert list(made.feed(f"{BEGIN}one \x1b[201", goes_on=False)) == []
    assert made.pause() == "one "
    assert parts_of(made, "~") == ("", [""])
    assert list(made.feed(f"{BEGIN}one ", goes_on=False)) == []
    assert made.pause() == "one "
    # It may be all that has come by now, or an Enter: neither is to send anything.
    assert parts_of(made, rest) == ("", [])
    assert made.pause() == rest
    assert parts_of(made, "k") == ("k", [])


@pytest.mark.fault("G18")
def test_a_paste_without_an_end_swallows_no_keys_for_ever() -> None:
    with terminal() as t:
        t.shows("Type a message")
        t.type(f"{BEGIN}pasted\rtext")
        t.shows("│ text ")
        t.type("s")
        t.shows("│ texts ")
        t.type("\x03\x11")
        assert t.ends() == 0


@pytest.mark.fault("G18")
def test_a_paste_with_keys_in_it_presses_none() -> None:
    with terminal() as t:
        t.shows("Type a message")
        t.type(f"{BEGIN}one\x1b[2J\rtwo\x1b\x11three{END}")
        t.shows("two␛␑three")
        assert t.shows("one␛[2J")
        t.type("\x03\x11")
        assert t.ends() == 0
