"""What is printed of an answer while it comes, up to its end."""

from __future__ import annotations

import os

import pytest

from tui.model import Item, ItemKind, Turn, TurnStatus
from tui.output import Emitter, TextPrinter


def printed(*texts: str) -> str:
    """What stands on standard output when the answer read so, one text after the other."""
    reading, writing = os.pipe()
    out = Emitter(writing)
    printer = TextPrinter(out)
    for text in texts[:-1]:
        printer.show(answered(text))
    printer.end(answered(texts[-1]), "")
    out.close()
    os.close(writing)
    with open(reading, "rb") as stream:
        return stream.read().decode()


def answered(text: str) -> Turn:
    return Turn("t", "s", 0, "hello", TurnStatus.DONE, (Item("m", ItemKind.MESSAGE, text),))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("turn", "turn 4"), "turn 4\n"),
        (("turn 4 ", "turn 4"), "turn 4 \n"),
        (("turn 4\n\n", "turn 4"), "turn 4\n\n"),
        (("turn 4 ", "turn 4\n"), "turn 4 \n"),
        (("turn 3", "turn 4"), "turn 3\n\nturn 4\n"),
        (("turn 4 and", "turn 4"), "turn 4 and\n\nturn 4\n"),
        ((" ", ""), " \n"),
        (("", ""), ""),
    ],
)
def test_a_final_text_follows_only_where_it_says_something_else(texts: tuple[str, ...], expected: str) -> None:
    assert printed(*texts) == expected
