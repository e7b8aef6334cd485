"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import re

import pytest

from tui.patterns import pattern


def test_it_is_what_re_compiles() -> None:
    word = pattern(r"(?P<first>\w)\w*", re.ASCII)
    assert [one["first"] for one in word.finditer("two words")] == ["t", "w"]
    assert word.sub("x", "two words") == "x x"
    assert word.match("über") is None
    assert (word.pattern, word.flags & re.ASCII) == (r"(?P<first>\w)\w*", re.ASCII)


def test_it_is_compiled_once_it_is_used_and_not_before() -> None:
    broken = pattern("(")
    for _ in range(2):
        with pytest.raises(re.error, match="missing \\)"):
            broken.match("")


def test_a_method_is_looked_up_once() -> None:
    word = pattern(r"\w+")
    assert vars(word).get("match") is None
    assert word.match("two") is not None
    assert vars(word)["match"].__self__ is re.compile(r"\w+")


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'colour'"):
        _ = pattern("x").colour  # type: ignore[attr-defined]
