"""Markdown that others wrote, as HTML that does nothing: text, structure, colours, and links that are safe to show."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from tui.markup import highlighted, is_too_deep, new_parser
from tui.text import clean, one_line, safe_url

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from pygments.formatters.html import HtmlFormatter

LONGEST = 400_000
"""Characters of one message that are laid out; a longer one is shown as it stands."""

CODE_AT_ONCE = 8192
"""Characters of a code block that are coloured at once: some highlighters take a time that grows with its square."""

_TASK = re.compile(r"\[([ xX])\] ")


def prose(text: str) -> str:
    """`text`, which is Markdown, as HTML. Nothing in it is fetched, run or styled by whoever wrote it."""
    text = clean(text)
    if len(text) > LONGEST:
        return _plain(text)
    try:
        tokens = _parser().parse(text)
    except (RecursionError, IndexError, ValueError):
        return _plain(text)
    return _plain(text) if is_too_deep(tokens) else _rendered(tokens)


def _plain(text: str) -> str:
    return f'<pre class="plain">{escape(text)}</pre>'


@cache
def _parser() -> MarkdownIt:
    return new_parser(html=False, highlight=_code_block)


@cache
def _formatter() -> HtmlFormatter[str]:
    from pygments.formatters.html import HtmlFormatter

    return HtmlFormatter(nowrap=True)


def _rendered(tokens: Sequence[Token]) -> str:
    parser = _parser()
    for token in _all(tokens):
        # The parser decodes what had been written in other signs, so what it gives is cleaned once more.
        token.content = clean(token.content)
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


def _code_block(code: str, language: str, _attributes: str) -> str:
    """A code block, with colours where its language is known."""
    # What the fence says is decoded by the renderer, just before it comes here.
    language = one_line(language, 100)
    label = f' data-language="{escape(language)}"' if language else ""
    body = "".join(_coloured(part, language) for part in _parts(code))
    return f"<pre{label}><code>{body}</code></pre>"


def _parts(code: str) -> Iterator[str]:
    """Code in parts that are short enough, cut at the end of a line where there is one."""
    while len(code) > CODE_AT_ONCE:
        cut = code.rfind("\n", 0, CODE_AT_ONCE) + 1 or CODE_AT_ONCE
        yield code[:cut]
        code = code[cut:]
    yield code


def _coloured(code: str, language: str) -> str:
    lines = code.removesuffix("\n")
    tokens = highlighted(lines, language) if language else []
    if not tokens:
        return escape(code)
    out = io.StringIO()
    _formatter().format(iter(tokens), out)
    return out.getvalue() if code != lines else out.getvalue().removesuffix("\n")
