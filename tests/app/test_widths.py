"""Letters that are wide, or made of several characters: they take the cells a terminal gives them, and are never cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from wcwidth import wcswidth

from tests.app.driving import window
from tui.app.widgets.letters import letter_end, letter_start
from tui.app.widgets.prompt import Prompt

LETTERS = {
    "a family": "👨‍👩‍👧",
    "a skin tone": "👍🏽",
    "a flag": "🇩🇪",
    "a flag of tags": "🏴‍☠️",
    "a heart": "❤️",
    "a telephone": "☎",
    "a keycap": "1️⃣",
    "an ideograph": "漢",
    "kana": "か",
    "hangul": "한",
    "an accent": "e\u0301",
    "fullwidth": "Ａ",
    "plain": "a",
}


@pytest.mark.fault("T23")
@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_letter_takes_what_terminals_give_it_and_is_one(letter: str) -> None:
    for text in (letter, f"a{letter}b", letter * 3, f"漢{letter}"):
        assert cell_len(text) == wcswidth(text)
    line = f"a{letter}{letter}b"
    places = [1, 1 + len(letter), 1 + 2 * len(letter)]
    for at in range(len(line) + 1):
        assert letter_start(line, at) in (0, *places, at if at >= places[-1] else -1)
        start, end = letter_start(line, at), letter_end(line, at)
        assert (start == end == at) if at in (0, *places, len(line)) else (end - start == len(letter))


class Alone(App[None]):
    """A prompt with nothing beside it."""

    def compose(self) -> ComposeResult:
        yield Prompt()


@pytest.mark.fault("T23")
async def test_the_cursor_is_after_whole_letters_and_where_they_end() -> None:
    app = Alone()
    async with app.run_test(size=(60, 8)) as pilot:
        prompt = app.query_one(Prompt)
        prompt.focus()
        prompt.replace_text("".join(LETTERS.values()))
        left = prompt.content_region.x
        at = 0
        await pilot.press("home")
        for letter in LETTERS.values():
            assert prompt.cursor_location == (0, at)
            assert prompt.cursor_screen_offset.x - left == wcswidth(prompt.text[:at])
            await pilot.press("right")
            at += len(letter)
        for letter in reversed(LETTERS.values()):
            assert prompt.cursor_location == (0, at)
            await pilot.press("backspace")
            at -= len(letter)
            assert prompt.text == "".join(LETTERS.values())[:at]


@pytest.mark.fault("T23")
async def test_neither_up_and_down_nor_the_mouse_end_within_a_letter() -> None:
    app = Alone()
    async with app.run_test(size=(60, 8)) as pilot:
        prompt = app.query_one(Prompt)
        prompt.focus()
        family = LETTERS["a family"]
        prompt.replace_text(f"{family}b\nabc")
        prompt.move_cursor((1, 2))
        await pilot.press("up")
        assert prompt.cursor_location == (0, len(family))
        for x in range(3):
            await pilot.click(Prompt, offset=(2 + x, 1))
            assert prompt.cursor_location[1] in (0, len(family))


@pytest.mark.fault("T23")
async def test_every_line_of_an_answer_ends_at_the_same_cell(history: Path) -> None:
    text = "\n\n".join(f"{name}: {letter * 60}" for name, letter in LETTERS.items())
    table = "| a | b |\n|---|---|\n" + "".join(f"| {letter * 3} | x |\n" for letter in LETTERS.values())
    async with window(history, size=(100, 90)) as w:
        await w.exchange("".join(LETTERS.values()), f"{table}\n\n{text}")
        view = w.screen.transcript
        shown = [view.render_line(y).text for y in range(view.size.height)]
        for line in shown:
            assert wcswidth(line) == view.size.width, line
        rows = [line for line in shown if "│ x" in line]
        assert len(rows) == len(LETTERS)
        assert {wcswidth(row[: row.index("│")]) for row in rows} == {wcswidth(rows[0][: rows[0].index("│")])}
        said = "".join("".join(line.split()) for line in shown)
        for letter in LETTERS.values():
            assert letter * 60 in said
