"""Markdown as lines: all of what it means, within the width, and nothing that was not meant."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from tests.app.transcript.drawing import (
    PLAIN,
    SAMPLES,
    STYLED,
    WIDTHS,
    assert_fits,
    cut_cells,
    meant,
    said_by,
    shown,
    squash,
    text_of,
)
from tests.payloads import payloads
from tui.app.transcript.code_blocks import code_blocks
from tui.app.transcript.markdown import DEEP, TANGLE, define_links, parser, render
from tui.app.transcript.wrap import Link
from tui.text import FORBIDDEN

MIXED = "\n\n".join(SAMPLES.values())

ODD = {"table", "table odd", "table wide", "table long", "links", "long link", "images", "entities", "tasks", "crlf"}
"""Samples that say more, or in another order, than the parser's words: they are looked at one by one."""

URL = "https://example.com/x"


def draw(source: str, width: int = 40) -> list[str]:
    return shown(render(source, width, PLAIN))


def links_in(source: str, width: int = 60) -> list[tuple[str, str]]:
    """The texts and the targets of what can be opened."""
    lines = render(source, width, STYLED)
    return [(cut_cells(line, link.start, link.end), link.url) for line in lines for link in line.links]


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


def test_emphasis_is_style_and_not_text() -> None:
    (line,) = render("a **b *c*** ~~d~~ `e`", 40, PLAIN)
    bold, both = Style(bold=True), Style(bold=True, italic=True)
    expected = [("a ", Style()), ("b ", bold), ("c", both), (" ", Style()), ("d", Style(strike=True)), (" e", Style())]
    assert [(segment.text, segment.style) for segment in line.segments] == expected


@pytest.mark.parametrize(
    ("source", "links"),
    [
        (f"[text]({URL})", [("text", URL)]),
        (f"a [*text* `code`]({URL} 'title') b", [("text code", URL)]),
        (f"<{URL}>", [(URL, URL)]),
        ("<a@b.c>", [("a@b.c", "mailto:a@b.c")]),
        (f"see {URL}.", [(URL, URL)]),
        (f"({URL}) **{URL}** {URL}/(a)_(b), *{URL}*", [(URL, URL), (URL, URL), (f"{URL}/(a)_(b)", f"{URL}/(a)_(b)"), (URL, URL)]),
        (f"`{URL}`", []),
        (f"漢字 [文]({URL})", [("文", URL)]),
        (f"> - [text]({URL})", [("text", URL)]),
        (f"# [text]({URL})", [("text", URL)]),
        (f"[a][b] [b] [c]\n\n[b]: {URL}", [("a", URL), ("b", URL)]),
        (f"[]({URL})", [(URL, URL)]),
        (f"![alt]({URL})", [("[image: alt]", URL)]),
        (f"[![alt](http://a/b.png)]({URL})", [("[image: alt]", URL)]),
    ],
)  # fmt: skip
def test_links_can_be_opened_where_they_are_drawn(source: str, links: list[tuple[str, str]]) -> None:
    assert links_in(source) == links


def test_a_link_in_a_table_is_where_its_text_is() -> None:
    source = f"| a | b |\n|---|--:|\n| 漢字 | x [one]({URL}) |\n| [two]({URL}) [three](http://b) | long enough |"
    assert links_in(source, 30) == [("one", URL), ("two", URL), ("three", "http://b")]


def test_a_link_that_is_broken_is_a_link_on_every_line() -> None:
    lines = render(f"a [link that is broken]({URL}) b", 10, STYLED)
    assert [line.links for line in lines] == [(Link(2, 6, URL),), (Link(0, 7, URL),), (Link(0, 6, URL),)]


@pytest.mark.fault("T16")
@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("[http://good.example](http://evil.example)", "http://good.example (http://evil.example)"),
        ("[github.com](https://evil.example/github.com)", "github.com (https://evil.example/github.com)"),
        ("[www.good.example](http://evil.example)", "www.good.example (http://evil.example)"),
        ("[http://good.example/](http://good.example)", "http://good.example/"),
        ("[good.com](https://www.good.com/)", "good.com"),
        ("[me@good.com](mailto:me@good.com)", "me@good.com"),
        ("[view.py](https://example.com)", "view.py"),
        ("<http://\u0430pple.com>", "http://\u0430pple.com (http://xn--pple-43d.com)"),
        ("http://\u0430pple.com/", "http://\u0430pple.com/ (http://xn--pple-43d.com/)"),
        ("[x](http://\u0430pple.com)", "x"),
    ],
)
def test_a_link_that_says_it_goes_elsewhere_is_told(source: str, line: str) -> None:
    assert draw(source, 80) == [line]
    assert all(url.isascii() for _, url in links_in(source, 80))


@pytest.mark.fault("T15")
@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("vscode://file/x", "x (vscode://file/x)"),
        ("ssh://-oProxyCommand=y", "x (ssh://-oProxyCommand=y)"),
        ("smb://host/share", "x (smb://host/share)"),
        ("../../etc/passwd", "x (../../etc/passwd)"),
        ("//host/path", "x (//host/path)"),
        ("data:image/png;base64,AAAA", "x (data:image/png;base64,AAAA)"),
        ("javascript:alert(1)", "[x](javascript:alert(1))"),
        ("file:///etc/passwd", "[x](file:///etc/passwd)"),
        ("data:text/html,y", "[x](data:text/html,y)"),
    ],
)
def test_what_may_not_be_opened_is_told_and_is_no_link(target: str, told: str) -> None:
    assert draw(f"[x]({target})", 80) == [told]
    assert links_in(f"[x]({target}) ![x]({target})") == []


def test_a_target_without_end_is_told_in_short() -> None:
    (line, *others) = draw(f"[x](data:image/png;base64,{'A' * 9000})", 300)
    assert line.startswith("x (data:image/png;base64,AAA")
    assert line.endswith("A…)")
    assert not others


@pytest.mark.fault("T17")
def test_images_are_told_and_not_fetched() -> None:
    assert draw("![a *b*\nc](http://x/y.png) ![](http://x/track.gif)", 60) == ["[image: a b c] [image]"]


@pytest.mark.fault("T18")
@pytest.mark.parametrize("source", payloads("imitation"))
def test_raw_html_and_imitations_are_text(source: str) -> None:
    assert squash(source) == squash(text_of(render(source, 60, PLAIN))).replace("◦", "-")


def test_a_line_break_in_a_cell_breaks_the_line() -> None:
    assert draw("| a | b |\n|---|---|\n| one<br>two | x<BR />y |") == ["a   │ b", "────┼──", "one │ x", "two │ y"]


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


def test_links_defined_elsewhere_are_known() -> None:
    known: dict[str, object] = {}
    define_links(f"text\n\n[One]: {URL}\n[two]: <http://b> 'title'\n\n    [three]: http://c", known)
    lines = render("[x][one] [two] [three]", 60, STYLED, known)
    assert [link.url for line in lines for link in line.links] == [URL, "http://b"]
    assert set(known) == {"ONE", "TWO"}


def test_a_list_goes_on_with_its_number() -> None:
    assert shown(render("1. a\n1. b", 20, PLAIN, number=7)) == ["7. a", "8. b"]
    assert shown(render("text\n\n1. a", 20, PLAIN, number=7)) == ["text", "", "1. a"]


def test_code_blocks_are_found_as_they_were_written() -> None:
    source = "```py\nx = 1\n\n\ty\n```\n\n- a\n  ```\n  in list\n  ```\n\n> ~~~\n> quoted\n> ~~~\n\n    indented\n\n```\nopen"
    assert code_blocks(source) == ["x = 1\n\n\ty\n", "in list\n", "quoted\n", "indented\n", "open"]
