"""What is tangled, nested or encoded comes through the parser whole, soon and clean."""

from __future__ import annotations

import pytest

from tests.app.transcript.drawing import (
    PLAIN,
    STYLED,
    URL,
    assert_fits,
    draw,
    squash,
    text_of,
)
from tests.payloads import payloads
from tui.app.transcript.markdown import render
from tui.app.transcript.parsing import define_links, parser
from tui.markup import DEEP, TANGLE
from tui.text import FORBIDDEN


@pytest.mark.fault("T13", "T14")
@pytest.mark.parametrize("source", payloads("decoded", "links"))
def test_what_the_parser_decodes_is_gated(source: str) -> None:
    for width in (10, 40, 100):
        lines = render(source, width, STYLED)
        assert_fits(lines, width)
        assert not FORBIDDEN.search("".join(line.text for line in lines))
        assert not any(FORBIDDEN.search(link.url) for line in lines for link in line.links)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("<http://a/%1b]52;c;x%1b%5c>", "http://a/\ufffd]52;c;x\ufffd\\ (http://a/%1b%5D52;c;x%1b%5c)"),
        ("a&#x202e;b &lrm; &ZeroWidthSpace; &#xE0041;", "a\ufffdb \ufffd \ufffd \ufffd"),
        ("&#x1b;[2J", "\ufffd[2J"),
        ("a&NewLine;b&Tab;c", "a b c"),
        ("a" + "&#x301;" * 50, "a" + "\u0301" * 8),
    ],
)
def test_what_is_shown_of_it(source: str, line: str) -> None:
    assert draw(source, 100) == [line]


@pytest.mark.fault("T31")
@pytest.mark.parametrize("mark", ["[", "![", "[[]", "*", "**a", "`", "~~", "_a", "<", "&", "(", "[a](", "]", "\\", "|"])
def test_a_tangle_costs_no_more_than_text(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = mark * (8000 // len(mark))
    steps = 0
    skip = parser().inline.skipToken

    def counted(state: object) -> None:
        nonlocal steps
        steps += 1
        skip(state)

    monkeypatch.setattr(parser().inline, "skipToken", counted)
    lines = render(source, 80, PLAIN)
    assert steps <= 4 * len(source)
    assert_fits(lines, 80)
    assert mark in ("`", "~~") or squash(text_of(lines))


def test_a_tangled_paragraph_is_text_and_leaves_the_others_alone() -> None:
    source = f"*one*\n\n{'[' * (TANGLE + 10)} *two*\nthree\n\n*four*"
    assert draw(source, 100) == ["one", "", "[" * (TANGLE + 10) + " *two* three", "", "four"]


@pytest.mark.fault("T31")
@pytest.mark.parametrize("mark", ["> ", ">", "- ", "1. ", "> - "])
def test_nesting_without_end_is_text(mark: str) -> None:
    source = mark * 10_000 + "the end"
    lines = render(source, 40, PLAIN)
    assert_fits(lines, 40)
    assert squash(text_of(lines)) == squash(source)


@pytest.mark.parametrize("depth", [*range(1, DEEP + 3)])
@pytest.mark.parametrize("mark", ["> ", "- ", "1. "])
def test_nothing_is_lost_at_any_depth(depth: int, mark: str) -> None:
    assert "the end" in text_of(render(mark * depth + "the end", 80, PLAIN))
    nested = "\n".join(" " * (len(mark) * level) + f"{mark}level {level}" for level in range(depth))
    if mark != "> ":
        assert all(f"level {level}" in text_of(render(nested, 80, PLAIN)) for level in range(depth))


def test_links_defined_elsewhere_are_known() -> None:
    known: dict[str, object] = {}
    define_links(f"text\n\n[One]: {URL}\n[two]: <http://b> 'title'\n\n    [three]: http://c", known)
    lines = render("[x][one] [two] [three]", 60, STYLED, known)
    assert [link.url for line in lines for link in line.links] == [URL, "http://b"]
    assert set(known) == {"ONE", "TWO"}


@pytest.mark.fault("T30", "T31")
@pytest.mark.parametrize("indent", ["", "  "])
def test_empty_rows_of_very_many_columns_are_text(indent: str) -> None:
    """The parser fills up every row: 10 KB of such a table came to 65,000 cells."""
    lines = ["| a " * 1350 + "|", "|---" * 1350 + "|", *["|"] * 600]
    source = ("- " if indent else "") + f"\n{indent}".join(lines)
    assert len(parser().parse(source)) < 3000
    small = "| a | b |\n|---|---|\n" + "| c |\n" * 300 + "\n" + "text\n" * 5000
    assert sum(token.type == "td_open" for token in parser().parse(small)) == 600
