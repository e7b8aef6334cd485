"""The parser of Markdown, made for text from anyone: nothing in it is lost, or takes longer than it should."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tui.text import FORBIDDEN, clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore

TANGLE = 50
"""More brackets that open within brackets, in one paragraph, are taken as text: parsing them can take seconds."""

DEEP = 20
"""The parser drops what is nested deeper than this; a piece that goes there is shown as text."""

MOST_CELLS = 10_000
"""What could be a table of more cells is taken as text: a row with nothing in it costs as much as one that is full."""

_TANGLED = re.compile(r"\[(?=[^\]]*\[)")


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The parser, made on first use."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"maxNesting": DEEP}).enable("table").enable("strikethrough")
    made.core.ruler.at("inline", _parse_inline)
    made.block.ruler.at("table", _parse_table, {"alt": ["paragraph", "reference"]})
    return made


def _parse_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a table as the parser's own rule does, unless it may have too many cells."""
    from markdown_it.rules_block import table

    columns = state.src.count("|", state.bMarks[start], state.eMarks[start])
    if columns * (end - start) > MOST_CELLS:
        rows = next((line for line in range(start, end) if state.isEmpty(line)), end) - start
        if columns * rows > MOST_CELLS:
            return False
    return table(state, start, end, silent)


def _parse_inline(state: StateCore) -> None:
    """Parse what stands in paragraphs, headings and cells, as the parser's own rule does, but for what is a tangle."""
    from markdown_it.token import Token

    for token in state.tokens:
        if token.type == "inline":
            token.children = []
            if len(_TANGLED.findall(token.content)) > TANGLE:
                token.children.append(Token("text", "", 0, content=token.content))
            else:
                state.md.inline.parse(token.content, state.md, state.env, token.children)


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
