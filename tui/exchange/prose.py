"""Markdown that others wrote, as HTML that does nothing: text, structure, colours, and links that are safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from tui.text import clean, safe_url

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 400_000
"""Characters of one message that are laid out; a longer one is shown as it stands."""

CODE_LONGEST = 100_000
"""Characters of one code block that are coloured."""

_DEEPEST = 20
_TASK = re.compile(r"\[([ xX])\] ")


def prose(text: str) -> str:
    """`text`, which is Markdown, as HTML. Nothing in it is fetched, run or styled by whoever wrote it."""
    text = clean(text)
    if len(text) > LONGEST:
        return f'<pre class="plain">{escape(text)}</pre>'
    try:
        tokens = _parser().parse(text)
    except (RecursionError, IndexError, ValueError):
        return f'<pre class="plain">{escape(text)}</pre>'
    return _rendered(tokens)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST, "highlight": _coloured})
    return made.enable("table").enable("strikethrough")


def _rendered(tokens: Sequence[Token]) -> str:
    parser = _parser()
    for token in _all(tokens):
        # The parser decodes what had been written in other signs, so what it gives is cleaned once more.
        token.content = clean(token.content)
        token.info = clean(token.info)
        _tame(token)
    _tick(tokens)
    return str(parser.renderer.render(tokens, parser.options, {}))


def _tick(tokens: Sequence[Token]) -> None:
    """Have items that are tasks begin with a box, as they do in the window."""
    for opened, _, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        first = inline.children[0] if inline.children else None
        task = _TASK.match(first.content) if first is not None and first.type == "text" else None
        if first is not None and task is not None and opened.type == "list_item_open":
            first.content = f"{'☐' if task[1] == ' ' else '☑'} {first.content[task.end() :]}"
            opened.attrs = {"class": "task"}


def _all(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        if token.children:
            yield from _all(token.children)


def _tame(token: Token) -> None:
    """Leave nothing in a token that could lead elsewhere unseen."""
    if token.type == "image":
        alt = "".join(child.content for child in token.children or ()) or "picture"
        source = str(token.attrs.get("src", ""))
        token.type, token.tag, token.children = "text", "", None
        token.content = clean(f"[{alt}: {source}]" if safe_url(source) else f"[{alt}]")
        token.attrs = {}
    elif token.type == "link_open":
        url = safe_url(str(token.attrs.get("href", "")))
        if url is None:
            token.attrs = {"class": "dead"}
        else:
            token.attrs = {"href": url, "rel": "noopener noreferrer nofollow", "title": url}
    elif token.type == "fence":
        token.attrs = {}
    elif token.attrs:
        kept: dict[str, Any] = {name: value for name, value in token.attrs.items() if name in ("start", "style")}
        token.attrs = kept


def _coloured(code: str, language: str, _attributes: str) -> str:
    """A code block with colours, where its language is known."""
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    label = f' data-language="{escape(language)}"' if language else ""
    try:
        if not language or len(code) > CODE_LONGEST:
            raise ClassNotFound
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except (ClassNotFound, ValueError, ImportError):
        body = escape(code)
    else:
        body = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f"<pre{label}><code>{body}</code></pre>"
