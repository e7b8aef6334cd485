"""Messages in pieces: cut by their text alone, small whatever comes, and drawn as the whole would be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.app.transcript.drawing import (
    PLAIN,
    SAMPLES,
    assert_fits,
    document,
    ground,
    meant,
    message_lines,
    said_by,
    shown,
    split,
    squash,
    text_of,
)
from tui.app.transcript.blocks import draw_piece
from tui.app.transcript.markdown import render
from tui.app.transcript.pieces import (
    CODE_LINES,
    LINE_CUT,
    LONG,
    MOST,
    MOST_BLANKS,
    TABLE_ROWS,
    Kind,
    Piece,
    Splitter,
    split_code,
    split_plain,
)

LARGEST = MOST + 2 * LINE_CUT
"""No piece is larger: what may not be passed, and the line that comes when it was not."""

MEGABYTE = {
    "one paragraph": "Some words in a sentence. " * 40_000,
    "one paragraph of many lines": "Some words in a sentence,\nand more in the next one. " * 20_000,
    "one word": "x" * 1_000_000,
    "one word of ideographs": "漢" * 350_000,
    "one fence": "```python\n" + "def f(x):\n    return [x]\n\n" * 40_000 + "```",
    "one line of code": "```json\n" + '{"a": [1, 2, 3]}, ' * 55_000 + "\n```",
    "one list": "- an item of some words\n" * 42_000,
    "one loose list": "1. an item\n\n" * 83_000,
    "one item": "- " + "an item without end " * 50_000,
    "one item of many lines": "- item\n" + "  more of it, in the same item\n" * 32_000,
    "one nested list": "- item\n" + "  - below it, some words\n" * 40_000,
    "a fence in a list": "- item\n\n  ```python\n" + "  x = 1\n" * 125_000 + "  ```\n",
    "a fence deep in a list": "1. a\n   - b\n     - c\n       ```\n" + "       y = 2\n" * 75_000 + "       ```\n",
    "one table": "| a | b |\n|---|---|\n" + "| some words | and more |\n" * 38_000,
    "one table of long rows": "| a | b |\n|---|---|\n" + f"| {'word ' * 1100} | x |\n" * 180,
    "one quote": "> quoted words\n" * 66_000,
    "one long line of a quote": "> " + "quoted words " * 77_000,
    "indented code": "    x = 1\n" * 100_000,
    "empty lines": "a" + "\n" * 1_000_000 + "b",
    "empty lines in a fence": "```\na" + "\n" * 1_000_000 + "b\n```",
    "blanks": "a" + " " * 1_000_000 + "b",
    "headings": "# Title\n" * 125_000,
    "brackets": "[" * 1_000_000,
    "asterisks": "*a " * 333_000,
    "html": "<b>\n" * 250_000,
    "definitions": "[a]: http://b\n" * 71_000,
}


def fed(text: str, sizes: list[int]) -> list[Piece]:
    splitter = Splitter()
    at = 0
    for size in sizes:
        splitter.feed(text[at : at + size])
        splitter.open()
        at += size
    splitter.feed(text[at:])
    return splitter.sealed + splitter.open()


@given(st.sampled_from(list(SAMPLES)), st.lists(st.integers(1, 60), max_size=30))
def test_how_a_text_arrives_does_not_change_its_pieces(name: str, sizes: list[int]) -> None:
    assert fed(SAMPLES[name], sizes) == split(SAMPLES[name])


LINES = "``` ```py ~~~ - 1. > # text x| |---|---| |a|b|".split()
LINES += ["", "", "  ```", "- a", "  - b", "   1. c", "    x", "  y", "x\r", "w " * 3000, "x" * 7000, "- " + "z" * 9000]


@given(st.lists(st.sampled_from(LINES), max_size=25), st.lists(st.integers(1, 5000), max_size=20))
def test_how_any_lines_arrive_does_not_change_their_pieces(lines: list[str], sizes: list[int]) -> None:
    text = "\n".join(lines)
    assert fed(text, sizes) == split(text)


def test_a_long_text_of_tokens_has_the_pieces_of_the_whole() -> None:
    text = "\n\n".join([document(seed) for seed in range(12)] + ["word " * 3000, "- item\n" * 600, "x" * 9000])
    rng = random.Random(1)
    assert fed(text, [rng.randint(1, 9) for _ in range(len(text) // 5)]) == split(text)


@pytest.mark.fault("T29", "T30", "T34")
@pytest.mark.parametrize("name", MEGABYTE)
def test_a_piece_is_small_whatever_comes(name: str) -> None:
    pieces = split(MEGABYTE[name])
    assert max(len(piece.source) for piece in pieces) <= LARGEST
    assert max(piece.source.count("\n") for piece in pieces) <= 1100
    for piece in [*pieces[:3], *pieces[-3:]]:
        assert_fits(draw_piece(piece, ground(10), {}), 10)
        assert len(draw_piece(piece, ground(60), {})) <= 1100


@pytest.mark.parametrize("name", MEGABYTE)
def test_nothing_of_it_is_lost_where_it_is_cut(name: str) -> None:
    source = MEGABYTE[name][:40_000]
    drawn = said_by(message_lines(source, 77))
    if "table" in name:
        assert sorted(drawn) == sorted(meant(source))
    else:
        assert drawn == meant(source)


@pytest.mark.parametrize("seed", range(60))
def test_an_ordinary_answer_in_pieces_looks_like_the_whole(seed: int) -> None:
    source = document(seed)
    assert len(split(source)) > 3
    for width in (30, 80):
        assert shown(message_lines(source, width)) == shown(render(source, width, PLAIN))


@pytest.mark.parametrize("name", SAMPLES)
def test_no_word_of_a_sample_is_lost_between_pieces(name: str) -> None:
    drawn, whole = said_by(message_lines(SAMPLES[name], 60)), said_by(render(SAMPLES[name], 60, PLAIN))
    assert drawn == whole


def test_lines_of_all_sorts_in_pieces_say_what_the_whole_says() -> None:
    lines = [line for line in LINES if len(line) < 100 and line not in ("-", ">", "1.", "x\r")]
    lines += ["- ```", "> ```", "text | x", "---", "* f", "10) z", "      deep", "- - e", "> - g", "| c | d |"]
    marks = str.maketrans("", "", "•.─0123456789")
    rng = random.Random(7)
    for _ in range(3000):
        source = "\n".join(rng.choice(lines) for _ in range(rng.randint(1, 9)))
        whole, drawn = said_by(render(source, 60, PLAIN)), said_by(message_lines(source, 60))
        assert drawn.translate(marks) == whole.translate(marks), source


@pytest.mark.parametrize(
    ("source", "pieces"),
    [
        ("one\n\ntwo", ["one", "two"]),
        ("one\ntwo\n\n\n\nthree", ["one\ntwo", "three"]),
        ("# a\n\n- b\n\n  c\n\n- d", ["# a", "- b\n\n  c", "- d"]),
        ("a\n```\nb\n\nc\n```\nd", ["a", "```\nb\n\nc\n```", "d"]),
        ("```\na\n```", ["```\na\n```"]),
        ("```\na\n\nb", ["```\na\n\nb"]),
        ("```\na\n``", ["```\na\n``"]),
        ("~~~\n```\na\n\nb\n~~~\nc", ["~~~\n```\na\n\nb\n~~~", "c"]),
        ("````\n```\n\na\n```\n````\nb", ["````\n```\n\na\n```\n````", "b"]),
        ("```\n    ```\n\na\n```\nb", ["```\n    ```\n\na\n```", "b"]),
        ("``` not `code`\n\na", ["``` not `code`", "a"]),
        ("- ```\n  a\n\n  b\n  ```\n\nc\n\nd", ["- ```\n  a\n\n  b\n  ```", "c", "d"]),
        ("- ```\n  a\n\nb\n\nc", ["- ```\n  a", "b", "c"]),
        ("1. a\n   ```\n   b\n\n   c\n   ```\n2. d\n\ne", ["1. a\n   ```\n   b\n\n   c\n   ```\n2. d", "e"]),
        ("    ```\n\na\n\nb", ["    ```", "a", "b"]),
        ("text\n| a | b |\n|---|---|\n| c | d |", ["text", "| a | b |\n|---|---|\n| c | d |"]),
        ("text | with pipe\n---\nmore", ["text | with pipe\n---\nmore"]),
        ("- x\n| a | b |\n|---|---|", ["- x\n| a | b |\n|---|---|"]),
        ("a\r\n\r\nb\r\n", ["a", "b"]),
        ("", []),
        ("\n\n", []),
        ("\n\na", ["a"]),
    ],
)
def test_where_the_cuts_are(source: str, pieces: list[str]) -> None:
    assert [piece.source for piece in split(source)] == pieces


def test_an_empty_line_stands_between_pieces_that_were_apart() -> None:
    gaps = [
        piece.gap
        for piece in split("a\n\n" + "- b\n" * (LONG // 4 + 9) + "\n```\n" + "c\n" * (CODE_LINES + 9) + "```\nd")
    ]
    assert gaps == [True, True, False, True, False, True]


def test_long_code_is_cut_and_drawn_as_one_block() -> None:
    code = "\n".join(f"line {number}" if number % 7 else "" for number in range(CODE_LINES * 4)) + "\nend"
    source = f"```python\n{code}\n```\n\nafter"
    pieces = split(source)
    assert [piece.kind for piece in pieces] == [Kind.MARKDOWN, *[Kind.CODE] * (len(pieces) - 2), Kind.MARKDOWN]
    assert len(pieces) >= 5
    assert {piece.info for piece in pieces[1:-1]} == {"python"}
    assert text_of(message_lines(source, 40)) == f"{code}\n\nafter"
    assert shown(message_lines(source, 40)) == shown(render(source, 40, PLAIN))


@pytest.mark.parametrize("ending", ["", "\n", "\n```", "\n```\n", "\n``"])
@pytest.mark.parametrize("lines", [1, CODE_LINES - 1, CODE_LINES, CODE_LINES + 1, 2 * CODE_LINES + 1])
def test_code_at_the_end_of_an_answer_is_drawn_however_it_ends(lines: int, ending: str) -> None:
    source = "```sh\n" + "\n".join(f"line {number}" for number in range(lines)) + ending
    assert shown(message_lines(source, 30)) == shown(render(source, 30, PLAIN))


def test_a_fence_that_closes_at_once_leaves_no_piece() -> None:
    source = "```\n" + "\n".join(["x"] * CODE_LINES) + "\n```\n\nafter"
    assert [piece.source for piece in split(source)][1:] == ["after"]


@pytest.mark.parametrize("indent", ["  ", "    "])
def test_long_code_in_a_list_is_cut_and_stays_in_its_place(indent: str) -> None:
    marks = {"  ": "-", "    ": "10."}
    code = [f"line {number}" for number in range(CODE_LINES * 3)]
    body = "\n".join(indent + line for line in ["```sh", *code, "```", "", "after it"])
    source = f"{marks[indent]} before\n\n{body}\n\ntext"
    lines = message_lines(source, 50)
    assert text_of(lines).split("\n")[2 : len(code) + 2] == code
    assert shown(lines) == shown(render(source, 50, PLAIN))


def test_a_long_item_is_cut_and_goes_on_below_its_mark() -> None:
    source = "1. first\n   - below\n     " + "\n     ".join(["many words of a nested item"] * 900) + "\n2. second"
    lines = message_lines(source, 60)
    assert len(split(source)) > 2
    assert {line.text[:5] for line in lines[2:-1]} == {" " * 5}
    assert lines[-1].text == "2. second"
    assert said_by(lines) == meant(source)


@pytest.mark.parametrize(
    "source",
    [
        "- a\n" + "  - an item below\n    - deeper\n" * 300,
        "- a\n\n" + "  - an item below\n\n    more of it\n\n" * 200,
        "1. a\n\n" + "   text of it\n\n" * 700,
        "> - item\n" * 600,
        "text\n" + "- item\n" * 900 + "\nafter",
    ],
)
def test_what_is_cut_within_a_list_looks_like_the_whole(source: str) -> None:
    assert len(split(source)) > 1
    assert shown(message_lines(source, 60)) == shown(render(source, 60, PLAIN))


def test_a_long_table_keeps_its_columns() -> None:
    rows = [
        f"| {'short' if number < 30 else 'longer than those before'} | {number} |" for number in range(TABLE_ROWS * 3)
    ]
    source = "\n".join(["| key | number |", "|:----|-------:|", *rows]) + "\n\nafter"
    pieces = split(source)
    assert [piece.kind for piece in pieces] == [Kind.MARKDOWN, Kind.TABLE, Kind.TABLE, Kind.TABLE, Kind.MARKDOWN]
    lines = message_lines(source, 60)
    assert len({line.text.index("│") for line in lines if "│" in line.text}) == 1
    assert shown(lines) == shown(render(source, 60, PLAIN))


def test_a_table_that_grows_never_moves_the_rows_of_finished_pieces() -> None:
    source = "| key | number |\n|---|---|\n" + "".join(
        f"| row {number} | {'x' * (number // 9)} |\n" for number in range(150)
    )
    splitter = Splitter()
    finished: list[list[str]] = []
    for line in source.splitlines(keepends=True):
        splitter.feed(line)
        drawn = [shown(draw_piece(piece, ground(40), {})) for piece in splitter.sealed]
        assert drawn[: len(finished)] == finished
        finished = drawn
    assert len(finished) == 3


def test_what_ends_a_long_table_is_no_row_of_it() -> None:
    source = "| a | b |\n|---|---|\n" + "| c | d |\n" * (TABLE_ROWS * 2)
    for after in ("text\n", "- item\n" * 50, "# head\n", "```\ncode\n```", "\n  indented"):
        lines = shown(message_lines(source + after, 30))
        assert lines[-1].strip(" •") in ("text", "item", "head", "code", "indented")
        assert "│" not in lines[-1]


def test_ordered_lists_go_on_counting_over_empty_lines() -> None:
    assert shown(message_lines("1. a\n\n1. b\n\n   more\n\n1. c\n1. d\n\ntext\n\n1. e\n\n2) f\n\n1) g")) == [
        *["1. a", "", "2. b", "", "   more", "", "3. c", "4. d", "", "text", "", "1. e", "", "2. f", "", "3. g"]
    ]


def test_a_line_that_was_cut_goes_on_as_text_whatever_it_looks_like() -> None:
    for start in (
        "- no item ",
        "1. no number ",
        "# no head ",
        "> no quote ",
        "``` no code ",
        "| no table ",
        "<div> ",
        "---",
        "[a]: b ",
    ):
        source = "word " * (LINE_CUT // 5) + start + "word " * (LINE_CUT // 5) + "\nafter"
        lines = message_lines(source, 80)
        assert len(split(source)) > 1
        assert squash(text_of(lines)) == squash(source)


def test_a_line_that_was_cut_is_copied_as_one() -> None:
    for source in ("word " * 3000 + "end", "x" * 20_000, "```\n" + "x y " * 4000 + "\n```", "- item " * 3000):
        text = text_of(message_lines(source, 70))
        assert "\n" not in text
        assert text.strip() == source.removeprefix("```\n").removesuffix("\n```").strip().replace("- item", "• item", 1)


def test_a_quote_that_was_cut_stays_a_quote() -> None:
    lines = message_lines("> " + "quoted words " * 1500 + "\n> and more", 60)
    assert {line.text[:2] for line in lines} == {"▎ "}


def test_links_defined_later_are_known_in_all_pieces() -> None:
    source = "[one] and [two][2]\n\n" + "text\n\n" * 50 + "[one]: http://a\n[2]: http://b\n"
    lines = message_lines(source, 60)
    assert [link.url for line in lines for link in line.links] == ["http://a", "http://b"]
    assert text_of(lines).rstrip("\n").endswith("text")


@pytest.mark.parametrize(
    "text", ["one\ntwo\n\nthree", "a\r\nb\r\n", "x" * 9000, "word " * 3000, "line\n" * 5000, "", "\n\n"]
)
def test_plain_text_in_pieces_is_all_there(text: str) -> None:
    pieces = split_plain(text)
    assert max(len(piece.source) for piece in pieces) <= LINE_CUT
    assert [piece.gap for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    whole = "".join(piece.source + ("" if piece.is_cut else "\n") for piece in pieces)
    assert whole.rstrip("\n") == text.replace("\r\n", "\n").rstrip("\n")


@pytest.mark.fault("T34")
def test_empty_lines_without_end_are_fewer() -> None:
    for text in ("a" + "\n" * 100_000 + "b", "a" + "\n  " * 50_000 + "\nb"):
        assert sum(piece.source.count("\n") + 1 for piece in split_plain(text)) == MOST_BLANKS + 2
    assert len(message_lines("```\na" + "\n" * 100_000 + "b\n```")) == MOST_BLANKS + 2
    assert shown(message_lines("a" + "\n" * 100_000 + "b")) == ["a", "", "b"]


@pytest.mark.parametrize("text", ["{}", "a\n\nb", "```\nx\n```\n````", "x" * 30_000, "line\n" * 500, ""])
def test_code_of_its_own_is_cut_like_that_of_a_message(text: str) -> None:
    pieces = split_code(text, "json")
    assert {(piece.kind, piece.info, piece.gap) for piece in pieces} == {(Kind.CODE, "json", False)}
    assert max(len(piece.source) for piece in pieces) <= LARGEST
    assert "".join(piece.source + ("" if piece.is_cut else "\n") for piece in pieces).rstrip("\n") == text.rstrip("\n")
