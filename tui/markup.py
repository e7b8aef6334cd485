"""Markdown and code that anyone may have written, taken apart in a time that grows with their length and no faster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from pygments.lexer import Lexer

TANGLE = 50
"""More brackets that open within brackets, in one paragraph, are taken as text: parsing them can take seconds."""

DEEP = 20
"""The parser drops what is nested deeper than this; text that goes there is shown as it stands."""

MOST_CELLS = 10_000
"""What could be a table of more cells, most of them empty, is taken as text: a row with nothing in it costs as much as
one that is full."""

MOST_AT_ONCE = 8192
"""Characters of a paragraph that are taken apart at once; signs that belong together are not found beyond that."""

LINE_LIMIT = 1000
"""Code with a longer line is not highlighted: some highlighters take a time that grows with its square."""

_TANGLED = re.compile(r"\[(?=[^\[\]]*\[)")
_TEXT_ENDS = "palaver text ends"

_PLAIN = {"", "text", "plain", "plaintext", "txt", "output", "console-output"}
_OTHER_NAMES = {
    "cmd": "bat", "conf": "ini", "curl": "bash", "cxx": "cpp", "dotenv": "bash", "env": "bash", "gradle": "groovy",
    "h": "c", "hpp": "cpp", "ipython": "python", "jinja2": "jinja", "jsonc": "json", "jsonl": "json", "kt": "kotlin",
    "ndjson": "json", "patch": "diff", "svelte": "html", "svg": "xml", "terminal": "console",
}  # fmt: skip
_SLOW = {"autohotkey", "autoit", "easytrieve", "fan", "nemerle", "pug", "systemd", "tnt", "xpp"}
"""Highlighters that take for ever on some text, by one of their names."""

_LANGUAGE = re.compile(r"[\w+#][\w+#.-]*")


# Markdown


def new_parser(**options: Any) -> MarkdownIt:
    """A parser of Markdown with tables. `options` are markdown-it's."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"maxNesting": DEEP, **options}).enable("table").enable("strikethrough")
    made.core.ruler.at("inline", _parse_inline)
    made.block.ruler.at("table", _parse_table, {"alt": ["paragraph", "reference"]})
    return made


def is_too_deep(tokens: list[Token]) -> bool:
    """Whether there may be more in a text than the parser has given of it."""
    return any(token.level >= DEEP - 1 and token.type in ("blockquote_open", "list_item_open") for token in tokens)


def _parse_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a table as the parser's own rule does, unless it may have too many cells, or those before it had."""
    from markdown_it.rules_block import table

    columns = state.src.count("|", state.bMarks[start], state.eMarks[start])
    if columns * (end - start) > MOST_CELLS:
        stop = _text_end(state, start, end)
        if columns * (stop - start) > max(MOST_CELLS, state.eMarks[stop - 1] - state.bMarks[start]):
            return False
    if len(state.tokens) > 2 * state.eMarks[start] + 3 * MOST_CELLS:
        return False
    return table(state, start, end, silent)


def _text_end(state: StateBlock, start: int, end: int) -> int:
    """The line after the last one of those from `start` that no empty one is between."""
    known: tuple[int, int] = state.env.get(_TEXT_ENDS, (0, 0))
    # Every line may be asked about, so that it is looked for once only.
    if not known[0] <= start < known[1]:
        known = start, next((line for line in range(start, end) if state.isEmpty(line)), end)
        state.env[_TEXT_ENDS] = known
    return max(start + 1, min(known[1], end))


def _parse_inline(state: StateCore) -> None:
    """Parse what stands in paragraphs, headings and cells, as the parser's own rule does, but for what is a tangle."""
    for token in state.tokens:
        if token.type == "inline":
            children: list[Token] = []
            for part in _parts(token.content):
                _parse_part(state, part, children)
            token.children = children


def _parse_part(state: StateCore, part: str, children: list[Token]) -> None:
    from markdown_it.token import Token

    if part == "\n":
        children.append(Token("softbreak", "br", 0))
    elif len(_TANGLED.findall(part)) > TANGLE:
        children.append(Token("text", "", 0, content=part))
    else:
        state.md.inline.parse(part, state.md, state.env, children)


def _parts(text: str) -> Iterator[str]:
    """A paragraph in parts that are short enough, cut at a line's end or a blank where there is one."""
    while len(text) > MOST_AT_ONCE:
        cut = text.rfind("\n", MOST_AT_ONCE // 2, MOST_AT_ONCE)
        if cut > 0:
            yield text[:cut]
            yield "\n"
            text = text[cut + 1 :].lstrip(" ")
        else:
            cut = text.rfind(" ", MOST_AT_ONCE // 2, MOST_AT_ONCE) + 1 or MOST_AT_ONCE
            yield text[:cut]
            text = text[cut:]
    yield text


# Code


def highlighted(code: str, info: str) -> list[tuple[Any, str]]:
    """Code and a line end, as the highlighter for what a fence says takes them apart: kinds and what is of them.

    Nothing where there is none, where it could take too long, or where it would change the code.
    """
    lexer = find_lexer(info)
    if lexer is None or not _has_short_lines(code):
        return []
    tokens = list(lexer.get_tokens(code + "\n"))
    return tokens if "".join(text for _, text in tokens) == code + "\n" else []


def _has_short_lines(code: str) -> bool:
    return len(code) <= LINE_LIMIT or max(map(len, code.split("\n"))) <= LINE_LIMIT


@lru_cache(maxsize=256)
def find_lexer(info: str) -> Lexer | None:
    """The highlighter for what a fence says ("python", "rust,ignore", "{.sh}"), where Pygments itself has one."""
    from pygments.lexers import get_lexer_by_name

    match = _LANGUAGE.search(info)
    name = match[0].lower().removeprefix("language-") if match else ""
    name = _OTHER_NAMES.get(name, name)
    if name in _PLAIN or name not in _known_names():
        return None
    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ImportError:  # Pygments was upgraded or removed meanwhile
        return None


@lru_cache(maxsize=1)
def _known_names() -> frozenset[str]:
    from pygments.lexers import get_all_lexers

    lexers = [names for _, names, _, _ in get_all_lexers(plugins=False) if not _SLOW.intersection(names)]
    return frozenset(name for names in lexers for name in names)
