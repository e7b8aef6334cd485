"""Code blocks: every character kept, every row as wide as the block, highlighting that costs what it may."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from tests.app.transcript.drawing import PLAIN, STYLED, assert_fits, text_of
from tui.app.transcript.code import code_lines
from tui.app.transcript.palette import Palette
from tui.markup import find_lexer

PYTHON = 'def f(x):\n    """Doc."""\n\n    return [x, "y"]  # done\n'


@pytest.mark.parametrize(
    "language", ["", "python", "text", "console", "pycon", "json", "no-such-language", "diff", "html"]
)
@pytest.mark.parametrize(
    "code",
    [
        PYTHON,
        "",
        "\n",
        "\n\nx\n\n",
        "  x  ",
        "$ ls\nfile\n$ ",
        ">>> 1\n1",
        "漢字 = '👩‍👩‍👧'",
        "a" * 300,
        "'''unclosed",
        "é\u0301",
    ],
)
def test_every_character_is_kept_and_every_row_is_full(code: str, language: str) -> None:
    for width in (10, 21, 80):
        lines = code_lines(code, language, width, STYLED)
        assert_fits(lines, width)
        assert text_of(lines) == code
        assert {line.width for line in lines} == {width}


@given(
    st.text(st.sampled_from("ab \n(){}[]\"'#/*<>=\\$%漢👩"), max_size=200),
    st.sampled_from(["python", "c", "html", "sh", "js"]),
)
def test_no_code_is_changed_by_highlighting(code: str, language: str) -> None:
    lines = code_lines(code, language, 20, PLAIN)
    assert_fits(lines, 20)
    assert text_of(lines) == code


def test_a_row_that_goes_on_is_joined_without_anything_between() -> None:
    lines = code_lines("one two three four", "", 12, PLAIN)
    assert [line.text for line in lines] == [" one two th ", " ree four   "]
    assert [line.join for line in lines] == ["", "\n"]


def test_what_the_fence_says_stands_above_and_is_not_copied() -> None:
    label, first, *_ = code_lines(PYTHON, 'python title="x.py"', 40, PLAIN)
    assert label.text == 'python title="x.py" '.rjust(40)
    assert (label.said, label.join) == ("", "")
    assert first.said == "def f(x):"


@pytest.mark.parametrize("info", ["x" * 100, "漢字" * 30, "a " * 40])
def test_a_label_is_cut_to_fit(info: str) -> None:
    label = code_lines("x", info, 20, PLAIN)[0]
    assert label.width == 20
    assert "…" in label.text


def test_more_of_a_block_has_no_label() -> None:
    assert [line.said for line in code_lines("x\n\ny", "python", 20, PLAIN, is_start=False)] == ["x", "", "y"]


def test_tokens_have_their_styles() -> None:
    line = code_lines("return 'x'", "python", 40, STYLED)[1]
    styles = {segment.text: segment.style for segment in line.segments}
    assert styles["return"] == Style(color="red")
    assert styles["'x'"] == Style(color="green")
    assert styles[" "] == STYLED.fence


def test_a_token_type_without_a_style_has_that_of_a_wider_one() -> None:
    palette = Palette(fence=Style(dim=True), tokens={"Name": Style(bold=True), "Name.Function": Style(italic=True)})
    assert palette.token("Name.Function.Magic") == Style(italic=True)
    assert palette.token("Name.Variable.Global") == Style(bold=True)
    assert palette.token("Comment") == palette.token("") == Style(dim=True)


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ("python", "Python"),
        ("Python", "Python"),
        ("py", "Python"),
        ("{.python .numberLines}", "Python"),
        ("python:src/x.py", "Python"),
        ("language-js", "JavaScript"),
        ("rust,ignore", "Rust"),
        ("c++", "C++"),
        ("c#", "C#"),
        ("jsonc", "JSON"),
        ("patch", "Diff"),
        ("sh", "Bash"),
        ("", None),
        ("text", None),
        ("no-such-language", None),
        ("{}", None),
        ("[@click=x]", None),
    ],
)
def test_languages_are_known_by_their_names(info: str, name: str | None) -> None:
    lexer = find_lexer(info)
    assert (lexer.name if lexer else None) == name


def test_a_highlighter_that_was_removed_meanwhile_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pygments loads each from its own file, and an upgrade takes those away under an open window."""
    monkeypatch.setitem(sys.modules, "pygments.lexers.fortran", None)
    find_lexer.cache_clear()
    assert find_lexer("fortran") is None
    find_lexer.cache_clear()


@pytest.mark.parametrize("name", ["tnt", "ahk", "systemd", "x++"])
def test_highlighters_that_take_for_ever_are_not_used(name: str) -> None:
    assert find_lexer(name) is None


def test_code_with_a_very_long_line_is_not_highlighted() -> None:
    code = "return " + "x" * 2000
    assert {segment.style for line in code_lines(code, "python", 80, STYLED)[1:] for segment in line.segments} == {
        STYLED.fence
    }
    assert text_of(code_lines(code, "python", 80, STYLED)) == code
