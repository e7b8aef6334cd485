"""Labels, titles, identifiers and what counts as having been said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tui.errors import UsageError
from tui.model import (
    Item,
    ItemKind,
    Message,
    Turn,
    TurnStatus,
    check_label,
    messages_of,
    new_id,
    numbered_label,
    title_from,
)


@pytest.mark.fault("L01", "L02", "L11")
@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("", "empty"),
        (" \u00a0 ", "empty"),
        ("x" * 1025, "1,025 bytes"),
        ("x" * 10_000, "10,000 bytes"),
        ("é" * 513, "1,026 bytes"),
        ("a\nb", r"U\+000A at position 2"),
        ("a\tb", r"U\+0009"),
        ("\x1b]0;x\x07", r"U\+001B at position 1"),
        ("a\x7f", r"U\+007F"),
        ("a\x9b", r"U\+009B"),
        ("a\x00", r"U\+0000"),
        ("lab\udcff", "not valid UTF-8"),
    ],
)
def test_labels_that_are_refused_say_why(label: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_label(label)
    assert caught.value.exit_status == 2
    assert caught.value.hint


@pytest.mark.fault("L03", "L05", "L06", "L09")
@pytest.mark.parametrize(
    ("label", "kept"),
    [
        (" work ", "work"),
        ("x" * 1024, "x" * 1024),
        ("../../etc", "../../etc"),
        ("-rf", "-rf"),
        ("'; drop table sessions--", "'; drop table sessions--"),
        ('100% "_[x]', '100% "_[x]'),
        ("cafe\u0301", "caf\u00e9"),
        ("日本語 👩‍👩‍👧", "日本語 👩‍👩‍👧"),
        ("ﬁ", "ﬁ"),
        ("\u202eevil", "\u202eevil"),
    ],
)
def test_labels_as_they_are_kept(label: str, kept: str) -> None:
    assert check_label(label) == kept
    assert check_label(kept) == kept


@pytest.mark.parametrize(
    ("label", "number", "numbered"),
    [
        ("work", 2, "work-2"),
        ("x" * 1022, 2, "x" * 1022 + "-2"),
        ("x" * 1022, 10, "x" * 1021 + "-10"),
        ("é" * 512, 2, "é" * 511 + "-2"),
        ("é" * 512, 10, "é" * 510 + "-10"),
    ],
    ids=["short", "just right", "letters", "wide", "wide letters"],
)
def test_a_label_with_a_number_is_not_too_long(label: str, number: int, numbered: str) -> None:
    assert numbered_label(label, number) == check_label(numbered) == numbered


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("hello", "hello"),
        ("\n\n  # What is   this?\nmore", "What is this?"),
        ("- a list", "a list"),
        ("```\ncode\n```", "code"),
        ("   \n", ""),
        ("one two three four five six seven eight nine ten eleven twelve thirteen", None),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_titles(prompt: str, title: str | None) -> None:
    made = title_from(prompt)
    if title is None:
        assert made == "one two three four five six seven eight nine ten eleven…"
    else:
        assert made == title
    assert len(made) <= 60


def test_identifiers_are_unique_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [new_id() for _ in range(5_000)]
    assert len(set(made)) == len(made)
    assert all(len(one) == 26 for one in made)
    import time

    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    later = new_id()
    assert later > max(made)


def test_what_becomes_context() -> None:
    said = Turn(
        "1", "s", 0, "question", items=(Item("a", ItemKind.MESSAGE, "answer"), Item("b", ItemKind.REASONING, "hm"))
    )
    silent = replace(said, items=())
    assert messages_of([replace(said, status=TurnStatus.DONE)]) == (
        Message("user", "question"),
        Message("assistant", "answer"),
    )
    for status in (TurnStatus.CANCELLED, TurnStatus.INTERRUPTED):
        assert len(messages_of([replace(said, status=status)])) == 2
        assert messages_of([replace(silent, status=status)]) == ()
    for status in (TurnStatus.FAILED, TurnStatus.PENDING, TurnStatus.STREAMING):
        assert messages_of([replace(said, status=status)]) == ()
    assert messages_of([replace(silent, status=TurnStatus.DONE)]) == (Message("user", "question"),)
