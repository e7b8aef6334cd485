"""Markdown as lines: all of what it means, within the width, and nothing that was not meant."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.app.transcript.drawing import (
    PLAIN,
    SAMPLES,
    STYLED,
    WIDTHS,
    assert_fits,
    draw,
    meant,
    said_by,
    shown,
    squash,
    text_of,
)
from tests.payloads import payloads
from tui.app.transcript.code_blocks import code_blocks
from tui.app.transcript.markdown import render
from tui.text import FORBIDDEN

MIXED = "\n\n".join(SAMPLES.values())

ODD = {"table", "table odd", "table wide", "table long", "links", "long link", "images", "entities", "tasks", "crlf"}
"""Samples that say more, or in another order, than the parser's words: they are looked at one by one."""


@pytest.mark.parametrize("name", SAMPLES)
def test_every_line_fits(name: str) -> None:
    for width in WIDTHS:
        assert_fits(render(SAMPLES[name], width, STYLED), width)


def test_everything_at_once_fits_at_every_width() -> None:
    for width in range(10, 201, 3):
        assert_fits(render(MIXED, width, PLAIN), width)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ODD])
def test_no_word_is_lost_and_none_is_added(name: str) -> None:
    words = meant(SAMPLES[name])
    for width in WIDTHS:
        assert said_by(render(SAMPLES[name], width, PLAIN)) == words


@pytest.mark.parametrize("name", ["table", "table odd", "table wide", "table long", "links", "long link"])
def test_no_letter_is_lost(name: str) -> None:
    words = Counter(letter for letter in meant(SAMPLES[name]) if letter.isalnum())
    for width in WIDTHS:
        assert words <= Counter(said_by(render(SAMPLES[name], width, PLAIN)))


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("- a\n- b\n  - c\n    - d\n      - e\n- f", ["• a", "• b", "  ◦ c", "    ▪ d", "      ▪ e", "• f"]),
        ("- a\n\n- b\n\n  more\n\n- c", ["• a", "", "• b", "", "  more", "", "• c"]),
        ("9. a\n10. b\n    - c", ["9. a", "10. b", "    ◦ c"]),
        ("1. a\n1. b\n1. c", ["1. a", "2. b", "3. c"]),
        ("- [ ] a\n- [x] *b*\n- [y] c\n- [ ]", ["☐ a", "☑ b", "• [y] c", "• [ ]"]),
        ("- a long item to be wrapped", ["• a long item to", "  be wrapped"]),
        ("> a\n> b\n>\n> c", ["▎ a b", "▎", "▎ c"]),
        ("> a\n> > b\n>\n> - c", ["▎ a", "▎", "▎ ▎ b", "▎", "▎ • c"]),
        ("- a\n\n  > b\n- c", ["• a", "", "  ▎ b", "", "• c"]),
        ("- a\n  ```\n  b\n  ```\n- c", ["• a", "   b", "• c"]),
        ("1. a\n\n   ```sh\n   b\n   ```\n\n2. c", ["1. a", "", "               sh", "    b", "", "2. c"]),
        ("-\n- a\n-", ["•", "• a", "•"]),
        ("a\\\nb  \nc\nd", ["a", "b", "c d"]),
        ("# A\ntext\n## B\n\ntext", ["A", "", "text", "", "B", "", "text"]),
        ("a\n\n---\n\nb", ["a", "", "──────────────────", "", "b"]),
        ("<b>\nx\n</b>\n\na <i>b</i> <br>", ["<b>", "x", "</b>", "", "a <i>b</i> <br>"]),
        ("", []),
        ("\n\n", []),
        ("[a]: http://b", []),
    ],
)
def test_what_is_drawn(source: str, lines: list[str]) -> None:
    assert draw(source, 18) == lines


def test_where_there_is_no_room_for_indents_there_are_none() -> None:
    assert draw("- a\n  - b\n    - deep down", 11) == ["• a", "  ◦", "  b", "  ▪", "  deep down"]


@pytest.mark.fault("T18")
@pytest.mark.parametrize("source", payloads("imitation"))
def test_raw_html_and_imitations_are_text(source: str) -> None:
    assert squash(source) == squash(text_of(render(source, 60, PLAIN))).replace("◦", "-")


@pytest.mark.fault("T10", "T11")
@pytest.mark.parametrize("source", [text for text in payloads("markup") if "](" not in text])
def test_what_looks_like_markup_is_text(source: str) -> None:
    for text in (source, f"# {source}", f"- {source}", f"> {source}", f"a {source} b", f"**{source}**"):
        lines = render(text, 60, PLAIN)
        literal = source.replace("\\[", "[").replace("\\]", "]") if "\\" in source else source
        assert literal in text_of(lines)
        assert not any(segment.style and segment.style.meta for line in lines for segment in line.segments)
    assert [block.rstrip("\n") for block in code_blocks(f"```\n{source}\n```")] == [source]
    assert source in text_of(render(f"```\n{source}\n```", 60, PLAIN))


@pytest.mark.parametrize("text", payloads())
def test_no_payload_comes_through(text: str) -> None:
    for source in (
        text,
        f"`{text}`",
        f"```{text}\n{text}\n```",
        f"| {text} |\n|---|\n| {text} |",
        f"[{text}](<http://a/{text}>)",
    ):
        lines = render(source, 40, PLAIN)
        assert_fits(lines, 40)
        assert not FORBIDDEN.search("".join(line.text + line.join.strip("\n") for line in lines))


@pytest.mark.fault("T32")
@pytest.mark.parametrize("name", SAMPLES)
def test_every_beginning_of_a_text_can_be_drawn(name: str) -> None:
    source = SAMPLES[name]
    for end in range(0, len(source), 1 if len(source) < 300 else 3):
        assert_fits(render(source[:end], 40, PLAIN), 40)


@given(
    st.text(st.sampled_from("ab \n\t-*_`~#>|[]()<>!:\\&;=+.1\r漢👩\u200d\u0301\x1b\u202e"), max_size=120),
    st.sampled_from([10, 40]),
)
def test_nothing_makes_it_stumble(source: str, width: int) -> None:
    lines = render(source, width, PLAIN)
    assert_fits(lines, width)
    assert not FORBIDDEN.search("".join(line.text for line in lines))


def test_tabs_are_columns_of_four() -> None:
    assert draw("```\na\tb\n\tc\n```", 20) == [" a   b", "     c"]
    assert draw("-\tone\n\n\ttwo", 20) == ["• one", "", "  two"]


def test_a_list_goes_on_with_its_number() -> None:
    assert shown(render("1. a\n1. b", 20, PLAIN, number=7)) == ["7. a", "8. b"]
    assert shown(render("text\n\n1. a", 20, PLAIN, number=7)) == ["text", "", "1. a"]


def test_code_blocks_are_found_as_they_were_written() -> None:
    source = "```py\nx = 1\n\n\ty\n```\n\n- a\n  ```\n  in list\n  ```\n\n> ~~~\n> quoted\n> ~~~\n\n    indented\n\n```\nopen"
    assert code_blocks(source) == ["x = 1\n\n\ty\n", "in list\n", "quoted\n", "indented\n", "open"]
