"""Emphasis is style, a link is where its text is, and one that is not what it says is told."""

from __future__ import annotations

import re

import pytest
from rich.style import Style

from tests.app.transcript.drawing import (
    PLAIN,
    STYLED,
    URL,
    draw,
    links_in,
)
from tui.app.transcript.markdown import render
from tui.app.transcript.wrap import Link
from tui.text import MARK_LIMIT

MARKS = "\u0301" * MARK_LIMIT


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
        ("[ github.com](https://evil.example)", "github.com (https://evil.example)"),
        ("[(github.com)](https://evil.example)", "(github.com) (https://evil.example)"),
        ('["https://good.example"](https://evil.example)', '"https://good.example" (https://evil.example)'),
        ("[go to mybank.de](https://evil.example)", "go to mybank.de (https://evil.example)"),
        ("[google\u2024com](https://evil.example)", "google\u2024com (https://evil.example)"),
        ("[google\u3002com](https://evil.example)", "google\u3002com (https://evil.example)"),
        ("[google\uff0ecom](https://evil.example)", "google\uff0ecom (https://evil.example)"),
        ("[google.\u034fcom](https://evil.example)", "google.\u034fcom (https://evil.example)"),
        ("[goo\u200dgle.c\u200dom](https://evil.example)", "goo\u200dgle.c\u200dom (https://evil.example)"),
        ("[https\uff1a//google](https://evil.example)", "https\uff1a//google (https://evil.example)"),
        ("[1.1.1.1](https://evil.example)", "1.1.1.1 (https://evil.example)"),
        ("[at \\[::1\\]](https://evil.example)", "at [::1] (https://evil.example)"),
        ("[localhost:8080](https://evil.example)", "localhost:8080 (https://evil.example)"),
        ("[docs.rs/serde](https://evil.example)", "docs.rs/serde (https://evil.example)"),
        ("[docs.rs\u2044serde](https://evil.example)", "docs.rs\u2044serde (https://evil.example)"),
        ("[accounts.google](https://evil.example)", "accounts.google (https://evil.example)"),
        ("[my.security](https://evil.example)", "my.security (https://evil.example)"),
        ("[пример.рф](https://evil.example)", "пример.рф (https://evil.example)"),
        ("[x.xn--p1ai](https://evil.example)", "x.xn--p1ai (https://evil.example)"),
        ("[docs.rs/serde](https://docs.rs/serde)", "docs.rs/serde"),
        ("[github.com](https:///evil.example)", "github.com (https:///evil.example)"),
        ("[view.py:42](https://example.com)", "view.py:42"),
        ("[config.toml](https://example.com)", "config.toml"),
        ("[src/main.rs, e.g. in 1.2.3 at 12:30](https://example.com)", "src/main.rs, e.g. in 1.2.3 at 12:30"),
        ("[a café, naïve](https://example.com)", "a café, naïve"),
        ("[view.py](https://example.com)", "view.py"),
        ("[a README.md for Node.js](https://example.com)", "a README.md for Node.js"),
        ("[asyncio.run()](https://example.com)", "asyncio.run()"),
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
        ("https://good.example:y@evil.example/", "x (https://good.example:y@evil.example/)"),
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
    (line, *others) = draw(f"[x](data:image/png;base64,{'A' * 7000})", 300)
    assert line.startswith("x (data:image/png;base64,AAA")
    assert line.endswith("A…)")
    assert not others


@pytest.mark.fault("T24")
@pytest.mark.parametrize(
    "source",
    [
        f"a{f'**{MARKS}' * 300}",
        f"a{MARKS}**{MARKS}**",
        f"a`{MARKS}`{MARKS}",
        f"a[{MARKS}]({URL})[{MARKS}]({URL})",
        f"a*{MARKS}***{MARKS}**~~{MARKS}~~",
    ],
    ids=["very many", "bold", "code", "links", "all kinds"],
)
def test_no_letter_has_more_marks_for_what_markdown_puts_between_them(source: str) -> None:
    text = "".join(draw(source, 80))
    assert text.startswith(f"a{MARKS}")
    assert all(len(run) <= MARK_LIMIT for run in re.findall("\u0301+", text))


@pytest.mark.fault("T17")
def test_images_are_told_and_not_fetched() -> None:
    assert draw("![a *b*\nc](http://x/y.png) ![](http://x/track.gif)", 60) == ["[image: a b c] [image]"]


def test_a_line_break_in_a_cell_breaks_the_line() -> None:
    assert draw("| a | b |\n|---|---|\n| one<br>two | x<BR />y |") == ["a   │ b", "────┼──", "one │ x", "two │ y"]
