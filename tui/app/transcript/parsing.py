"""The parser of Markdown for what is drawn, and what has to be done with what it gives back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tui.markup import new_parser
from tui.text import FORBIDDEN, clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The parser, made on first use."""
    return new_parser()


def define_links(source: str, references: dict[str, Any]) -> None:
    """Add the link definitions in a piece to `references`."""
    parser().block.parse(clean(source), parser(), {"references": references}, [])


def gate(text: str) -> str:
    """Text as the parser gives it back, without what no line may hold."""
    return "\n".join(map(gate_inline, text.split("\n")))


def gate_inline(text: str) -> str:
    """The same of what stands in one line."""
    if FORBIDDEN.search(text):
        text = FORBIDDEN.sub("\ufffd", text.replace("\n", " ").replace("\t", " "))
    return text if text.isascii() else clean(text)
