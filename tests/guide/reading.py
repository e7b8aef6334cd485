"""The manual, taken apart for the tests: code blocks, tables, code spans, quotations."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tui.guide.manual import Passage, passages, titled

PACKAGE = Path(__file__).parents[2] / "tui"
_FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$\n?")
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


class Code(NamedTuple):
    """A code block, and the section it stands in."""

    title: str
    language: str
    text: str


def codes(language: str) -> list[Code]:
    """All code blocks in a language."""
    found = [Code(passage.title, *fence) for passage in passages() for fence in _FENCE.findall(passage.text)]
    return [code for code in found if code.language == language]


def prose(passage: Passage) -> str:
    """A section without its code blocks."""
    return _FENCE.sub("", passage.text)


def spans() -> list[tuple[str, str]]:
    """All code spans, each with its section's title."""
    return [(passage.title, span) for passage in passages() for span in _SPAN.findall(prose(passage))]


def spans_in(text: str) -> list[str]:
    return _SPAN.findall(text)


def without_spans(text: str) -> str:
    return _SPAN.sub("", text)


def rows(title: str) -> list[list[str]]:
    """The cells of all tables in a section, less their heads."""
    passage = titled(title)
    assert passage is not None, title
    return [row for table in tables(passage) for row in table[2:]]


def tables(passage: Passage) -> Iterator[list[list[str]]]:
    """The tables in a section, with their heads."""
    table: list[list[str]] = []
    for line in [*prose(passage).splitlines(), ""]:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip().strip("|").split(" | ")] if "---" not in line else [])
        elif table:
            yield table
            table = []


def commands(line: str) -> list[list[str]]:
    """The simple commands in a line of shell, as words; redirections and assignments are left out."""
    lexer = shlex.shlex(line.replace("$(", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    skip = False
    for token in lexer:
        if set(token) <= set("|&;()"):
            found.append([])
        elif set(token) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        else:
            found[-1].append(token)
    plain = [words[next((i for i, word in enumerate(words) if "=" not in word), len(words)) :] for words in found]
    return [words for words in plain if words]


def shell_lines() -> list[tuple[str, str]]:
    """Every line of shell in the manual, with its section's title; lines that go on are joined."""
    found: list[tuple[str, str]] = []
    for code in codes("sh"):
        for line in code.text.splitlines():
            if found and found[-1][1].count('"') % 2:
                found[-1] = (code.title, f"{found[-1][1]}\n{line}")
            elif line.strip():
                found.append((code.title, line))
    return found


@lru_cache(maxsize=1)
def constants() -> tuple[str, ...]:
    """Every text in the program, in lower case; those with values in them in pieces."""
    found: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.lower())
    return tuple(found)


def is_said(words: str) -> bool:
    """Whether the program can say these words: each piece between punctuation and numbers stands in one of its texts."""
    pieces = re.split(r"[…\d:;,.()·→]+", words.lower())
    return all(any(piece.strip() in constant for constant in constants()) for piece in pieces if piece.strip())
