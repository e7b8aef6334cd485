"""What is selected is copied as it was meant: without bars, indents and padding, on the lines it was written on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Offset
from textual.selection import SELECT_ALL, Selection

from tests.app.transcript.drawing import SAMPLES, document, message_lines, text_of
from tui.app.transcript.selection import GUTTER, depth_of, key_of, selected_text
from tui.app.transcript.viewport import Place, Viewport
from tui.app.transcript.wrap import Line
from tui.model import Item, ItemKind, Turn, TurnStatus


def numbered(lines: list[Line]) -> list[tuple[int, Line]]:
    return [(key_of(0, 0, number), line) for number, line in enumerate(lines)]


def copied(source: str, width: int = 30) -> str:
    """All of a message, selected and copied."""
    return selected_text(numbered(message_lines(source, width)), SELECT_ALL)


def between(lines: list[Line], start: tuple[int, int], end: tuple[int, int]) -> str:
    """What is copied of `lines` from one (line, character) to another, as drawn without the gutter."""
    first, last = (Offset(character + GUTTER, key_of(0, 0, line)) for line, character in (start, end))
    return selected_text(numbered(lines), Selection(first, last))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("A paragraph that is wrapped,\nand goes on.", "A paragraph that is wrapped, and goes on."),
        ("one\n\ntwo\\\nthree", "one\n\ntwo\nthree"),
        ("# Head\n\ntext", "Head\n\ntext"),
        ("- an item that will be wrapped\n  - below\n- two", "• an item that will be wrapped\n  ◦ below\n• two"),
        ("- one\n\n  more of it\n\n- two", "• one\n\nmore of it\n\n• two"),
        ("1. one\n   ```sh\n   pip install  x\n     y\n   ```\n2. two", "1. one\npip install  x\n  y\n2. two"),
        ("> quoted words that will be wrapped\n>\n> - x\n>   - y", "quoted words that will be wrapped\n\n• x\n  ◦ y"),
        ("```python\ndef f():\n    return 1\n\n\nx = 2\n```\n\nafter", "def f():\n    return 1\n\n\nx = 2\n\nafter"),
        ("```\n" + "word " * 12 + "\n```", "word " * 12),
        ("`" + "x" * 70 + "`", "x" * 70),
        ("日本語の文章がここにあります、とても長い文章です。", "日本語の文章がここにあります、とても長い文章です。"),
        ("[a link that is so long that it is wrapped](http://a)", "a link that is so long that it is wrapped"),
        ("| a | b |\n|---|--:|\n| one | 2 |\n| | x |", "a   │ b\none │ 2\n    │ x"),
        ("a\n\n---\n\nb", "a\n\n───\n\nb"),
        ("<b>\n  raw\n</b>", "<b>\n  raw\n</b>"),
    ],
)  # fmt: skip
def test_all_of_a_message_is_copied_as_it_was_meant(source: str, text: str) -> None:
    assert copied(source) == text


@pytest.mark.parametrize("name", [name for name in SAMPLES if "table" not in name and name not in ("crlf", "rules")])
def test_the_width_makes_no_difference_to_what_is_copied(name: str) -> None:
    assert {copied(SAMPLES[name], width) for width in (30, 47, 80, 200)} == {copied(SAMPLES[name], 150)}


def test_a_part_of_a_line_is_copied() -> None:
    lines = message_lines("one two three four five", 12)
    assert [line.text for line in lines] == ["one two", "three four", "five"]
    assert between(lines, (0, 4), (0, 7)) == "two"
    assert between(lines, (0, 4), (1, 5)) == "two three"
    assert between(lines, (0, 7), (1, 0)) == " "
    assert between(lines, (1, 6), (2, 99)) == "four five"
    assert between(lines, (0, -GUTTER), (0, 3)) == "one"
    assert between(lines, (0, -GUTTER), (0, -1)) == ""


def test_a_selection_that_begins_or_ends_in_decoration_leaves_it_out() -> None:
    lines = message_lines("> a quote that is wrapped\n\n```py\nx = 1\n```", 16)
    assert [line.text.rstrip() for line in lines] == [
        "▎ a quote that",
        "▎ is wrapped",
        "",
        " " * 12 + " py",
        "  x = 1".removeprefix(" "),
    ]
    assert between(lines, (0, 0), (1, 4)) == "a quote that is"
    assert between(lines, (1, 1), (1, 99)) == "is wrapped"
    assert between(lines, (3, 5), (4, 3)) == "x "
    assert between(lines, (4, 0), (4, 14)) == "x = 1"
    assert between(lines, (4, 9), (4, 14)) == ""


@given(st.integers(0, 30), st.data())
def test_two_selections_side_by_side_are_the_whole(seed: int, data: st.DataObject) -> None:
    lines = message_lines(document(seed), 40)
    number = data.draw(st.integers(0, len(lines) - 1))
    character = data.draw(st.integers(0, len(lines[number].text)))
    left, right = between(lines, (0, 0), (number, character)), between(lines, (number, character), (len(lines), 0))
    assert left + right == text_of(lines)


def test_several_turns_are_copied_with_an_empty_line_between() -> None:
    port = Viewport(lambda _start, _until: None)
    port.resize(20, 10)
    port.open(3, Place(), following=False)
    for depth in range(3):
        item = Item("m", ItemKind.MESSAGE, "An answer that is wrapped.\n\n```\ncode  here\n```")
        prompt = f"  Prompt {depth} that is wrapped\nand goes on"
        port.put([Turn(str(depth), "s", depth, prompt, TurnStatus.DONE, (item,))])
    lines = list(port.all_lines(0, 2))
    whole = [
        f"\n  Prompt {n} that is wrapped\nand goes on\n\nAn answer that is wrapped.\n\ncode  here" for n in range(3)
    ]
    assert selected_text(lines, SELECT_ALL) == "\n".join(whole)
    first, last = lines[0][0], [key for key, _ in lines if depth_of(key) == 1][-1]
    assert selected_text(lines, Selection(Offset(0, first), Offset(99, last))) == "\n".join(whole[:2])


def test_a_number_grows_downwards_and_stays_in_its_turn() -> None:
    keys = [key_of(depth, unit, line) for depth in (0, 1, 100_000) for unit in (0, 1, 9000) for line in (0, 1, 4000)]
    assert keys == sorted(set(keys))
    assert [depth_of(key) for key in keys[::9]] == [0, 1, 100_000]
    assert depth_of(key_of(7, 1 << 30, 1 << 30)) == 7
