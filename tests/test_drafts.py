"""Drafts: kept with all that is folded in them, shown with placeholders, sent whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.drafts import (
    CHANGE,
    CLOSE,
    NAME,
    OPEN,
    Change,
    Folded,
    change_in,
    fold,
    is_long,
    kept,
    sent,
    shown,
    unsent,
    without_marks,
)

PLAIN = st.text(
    alphabet=st.sampled_from("ab [P]\n1") | st.characters(codec="utf-8", exclude_characters=OPEN + CLOSE + NAME)
)


@given(parts=st.lists(st.tuples(PLAIN, PLAIN), max_size=4), end=PLAIN)
def test_what_is_folded_comes_back_whole(parts: list[tuple[str, str]], end: str) -> None:
    draft = "".join(f"{before}{OPEN}{paste}{CLOSE}" for before, paste in parts) + end
    known: dict[str, Folded] = {}
    text = shown(draft, known)
    assert kept(text, known) == draft
    assert sent(draft) == "".join(before + paste for before, paste in parts) + end
    assert {folded.text for folded in known.values()} == {paste for _, paste in parts}


def test_placeholders_say_what_they_stand_for_and_none_is_anothers() -> None:
    known: dict[str, Folded] = {}
    lines = [fold(Folded(f"{letter}\n" * 1234), known) for letter in "aba"]
    assert [one.strip(OPEN + CLOSE) for one in lines] == [
        "Pasted 1,234 lines", "Pasted 1,234 lines #2", "Pasted 1,234 lines"]  # fmt: skip
    assert fold(Folded("x" * 5000), known) == f"{OPEN}Pasted 5,000 characters{CLOSE}"
    assert kept(f"{OPEN}never seen{CLOSE}.", known) == "."


def test_what_is_long() -> None:
    assert not is_long("line\n" * 19 + "line")
    assert is_long("line\n" * 20 + "line")
    assert not is_long("x" * 2000)
    assert is_long("x" * 2001)


def test_a_text_never_brings_marks() -> None:
    assert without_marks(f"a{OPEN}b{CLOSE}c{NAME}d{CHANGE}") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert without_marks("[Pasted 3 lines]") == "[Pasted 3 lines]"


@pytest.mark.parametrize("depth", [None, 0, 12])
def test_a_change_is_kept_beside_a_draft(depth: int | None) -> None:
    change = Change("an id", depth, f"look at {OPEN}a{NAME}b{CLOSE}\n", f"{OPEN}x{CLOSE}")
    assert change_in(change.kept) == change
    assert change_in("only a draft") is None
    assert change_in(f"a{CHANGE}damaged") == Change("damaged", None, "", "a")
    assert change_in(f"a{CHANGE}damaged{NAME}{'9' * 5000}{NAME}b") == Change("damaged", None, "b", "a")


def test_what_is_left_of_a_draft_once_something_was_sent() -> None:
    both = Change("an id", 1, f"an{OPEN}other{CLOSE}", "mine").kept
    assert unsent("mine", "mine") == ""
    assert unsent("mine", "other") == "mine"
    assert unsent(both, "another") == "mine"
    assert unsent(both, "mine") == Change("an id", 1, f"an{OPEN}other{CLOSE}").kept
    assert unsent(both, "something else") == both
