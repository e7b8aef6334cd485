"""Lines with joined letters in them: as wide as they are counted, in every terminal, and never a reason to stop."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pyte
import pytest
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip

from tests import sequences
from tests.app.driving import window
from tests.app.test_widths import LETTERS
from tests.fake_server import PROFILE
from tui.app.cells import letters, mend, placed
from tui.app.run import Wish
from tui.app.widgets.key_bar import KeyBar
from tui.model import Session, TitleSource, new_id

JOINED = {
    **LETTERS,
    "Sinhala": "ශ්\u200dරී",
    "Hindi": "हिन्दी",
    "half a flag": "🇩",
    "a lone tone": "🏽",
    "joiners before a wide letter": "\u200d\u200d\u5bbd",
    "a joiner before a letter": "\u200da",
    "a joiner after a letter": "a\u200d",
}
PARTS = [
    "a",
    "\u200d",
    "\ufe0f",
    "👩",
    "\u5bbd",
    "❤",
    " ",
    "e\u0301",
    "🏽",
    "🇩",
    "\u200c",
    "क",
    "ि",
    "\u094d",
    "1",
    "\u20e3",
]


@pytest.fixture(autouse=True)
def mended() -> None:
    mend()


@pytest.mark.fault("T23")
def test_text_is_counted_in_one_way_and_can_be_cut_anywhere() -> None:
    chance = random.Random(23)
    for text in [*JOINED.values(), *("".join(chance.choices(PARTS, k=chance.randrange(1, 9))) for _ in range(1500))]:
        spans, cells = letters(text)
        assert "".join(text[start:end] for start, end, _ in spans) == text
        assert sum(one for _, _, one in spans) == cells == cell_len(text), ascii(text)
        for width in range(cells + 2):
            assert cell_len(set_cell_size(text, width)) == width, ascii(text)
            assert cell_len(Strip([Segment("ab"), Segment(text)]).adjust_cell_length(width + 2).text) == width + 2


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("ශ්\u200dරී", 2),
        ("क्\u200dष", 2),
        ("a\u200db", 2),
        ("\u200d\u200d\u5bbd", 2),
        ("👨\u200d👩\u200d👧", 2),
        ("🏴\u200d☠️", 2),
    ],
)
def test_a_joiner_joins_pictures_only(text: str, cells: int) -> None:
    assert cell_len(text) == cells


@pytest.mark.fault("T23")
@pytest.mark.parametrize("letter", JOINED.values(), ids=JOINED)
def test_what_follows_a_letter_is_where_it_belongs_in_a_terminal_that_counts_otherwise(letter: str) -> None:
    for before in ("", "ab ", "漢"):
        cells = cell_len(before + letter * 3)
        screen = pyte.Screen(60, 2)
        pyte.Stream(screen).feed("\x1b[1;1H" + "x" * 60)
        frame = placed(f"\x1b[1;5H\x1b[1m{before}{letter * 3}\x1b[0m\x1b[2m| and on to the end |\x1b[0m\x1b[2;1H")
        assert sequences.read(frame.encode()).wrong == []
        pyte.Stream(screen).feed(sequences.for_a_model(frame.encode()))
        assert "".join(screen.buffer[0][x].data for x in range(4 + cells, 25 + cells)) == "| and on to the end |"
        assert not any(screen.buffer[0][x].data == "x" for x in range(4, 4 + cells))


def test_output_without_such_letters_is_written_as_it_is() -> None:
    for text in ("", "plain", "\x1b[1;1H╭─ 漢字 é …\n", "no place \u200d🇩🇪"):
        assert placed(text) == text


@pytest.mark.fault("T23")
@pytest.mark.parametrize("width", [61, 84])
async def test_every_line_of_the_window_is_as_wide_as_its_widget(history: Path, width: int) -> None:
    everything = "".join(JOINED.values())
    profile = replace(PROFILE, model=everything)
    async with window(history, profile, wish=Wish(label=everything), size=(width, 40)) as w:
        for letter in JOINED.values():
            session = Session(new_id(), letter * 9, letter * 40, TitleSource.USER, profile=profile.name)
            await w.talk.store.create(session)
        await w.exchange(everything, f"# {everything * 2}\n\n`{everything * 3}`\n\n```\n{everything * 3}\n```")
        await w.until(lambda: len(w.screen.sidebar._entries) > len(JOINED))
        for step in range(20):
            w.screen.status_bar.show((everything[step:], "here"), everything[step:] * 3, trouble=letter * 3)
            for widget in (w.screen.sidebar, w.screen.status_bar, w.screen.query_one(KeyBar), w.screen.transcript):
                for y in range(widget.size.height):
                    line = widget.render_line(y)
                    assert sum(cell_len(one.text) for one in line) == line.cell_length == widget.size.width
