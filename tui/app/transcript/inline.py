"""What stands in a paragraph of Markdown as runs: emphasis, code, links that tell where they go."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rich.style import Style

from tui.app.transcript.palette import Palette
from tui.app.transcript.parsing import gate_inline, parser
from tui.app.transcript.wrap import Run
from tui.text import cap_marks, one_line, safe_url

if TYPE_CHECKING:
    from markdown_it.token import Token

_BARE_URL = re.compile(r"https?://(?:[^\s<>\"'`\\^{|}\[\]()]|\([^\s<>\"'`\\^{|}\[\]()]*\))+")
_FILE = (
    "bash|bat|c|cc|cfg|conf|cpp|cs|css|csv|cxx|dll|docx|env|exe|gif|go|gz|h|hpp|html?|ini|ipynb|java|jpe?g|js|json|jsonl|jsx|kts?"
    "|lock|log|lua|md|mdx|pdf|php|png|py|pyi|rb|rs|rst|sh|sql|svg|swift|tar|toml|tsx?|txt|vue|xlsx|xml|ya?ml"
)
_ADDRESS = re.compile(
    r"(?i)https?:|mailto:|://|www\.|\.xn--"
    r"|[\w-]\.(?!(?:js|md|py|rb|rs|sh|ts)\b)"
    r"(?:[a-z]{2}|com|org|net|info|biz|dev|gov|edu|int|mil|app|bank|cloud|site|online|shop|store|tech|name|xyz)(?![\w-])"
    rf"|[\w-]\.(?!(?:{_FILE})\b)[^\W\d_]{{2,}}(?![\w(-])"
    r"|[\w-]\.[^\W\d_]{2,}(?::\d+)?/"
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|\[(?=[\da-f.]*:)[\da-f:.]+\]"
    rf"|(?<![\w.-])(?=[\d.-]*[^\W\d])(?![\w.-]*\.(?:{_FILE}):)[\w.-]+:\d{{2,5}}(?![\w.])"
)
"""What in a link's words passes for where it goes. The letters excepted end names of files far more often; a name before a
parenthesis is a function's."""

_LOOKALIKES = str.maketrans("\u3002\u06d4\ua4f8\u2236\ua789\u2044\u2215", "...:://")

TASK = re.compile(r"\[([ xX])\] ")
"""What makes an item of a list a task, if it begins with it."""

_LINE_BREAK = re.compile(r"(?i)<br\s*/?>")


def inline_runs(tokens: Sequence[Token], base: Style, palette: Palette, is_cell: bool) -> Iterator[Run]:
    """Inline tokens as runs, some of them empty.

    Signs of Markdown between marks are not drawn, so that marks are counted once more.
    """
    marks = 0
    for run in _runs(tokens, base, palette, is_cell):
        text, marks = cap_marks(run.text, marks)
        yield run if text == run.text else run._replace(text=text)


def _runs(tokens: Sequence[Token], base: Style, palette: Palette, is_cell: bool) -> Iterator[Run]:
    stack: list[tuple[Style, str]] = []
    style, url = base, ""
    target, said = "", ""
    for number, token in enumerate(tokens):
        text = gate_inline(token.content)
        match token.type:
            case "text":
                if number == 0 and token.meta.get("task"):
                    text = TASK.sub("", text, count=1)
                if not target and "://" in text:
                    yield from _linked(text, style, palette)
                else:
                    yield Run(text, style, url)
            case "code_inline":
                yield Run(text, style + palette.code, url)
            case "softbreak":
                text = " "
                yield Run(text, style, url)
            case "hardbreak":
                yield Run("\n", style)
            case "strong_open" | "em_open" | "s_open":
                stack.append((style, url))
                style += _EMPHASIS[token.type]
            case "link_open":
                stack.append((style, url))
                target, said, text = gate_inline(str(token.attrs.get("href", ""))), "", ""
                url = safe_url(target) or ""
                style = style + palette.link if url else style
            case "link_close":
                yield from _told_target(said, target, style, palette)
                style, url = stack.pop() if stack else (base, "")
                target = ""
            case "strong_close" | "em_close" | "s_close":
                style, url = stack.pop() if stack else (base, "")
            case "image":
                parts = (" " if child.type == "softbreak" else child.content for child in token.children or [])
                name = gate_inline("".join(parts)).strip()
                source = gate_inline(str(token.attrs.get("src", "")))
                text = f"[image: {name}]" if name else "[image]"
                yield Run(text, style + palette.link if safe_url(source) else style, url or safe_url(source) or "")
                yield from _told_target(text, source, style, palette)
            case "html_inline" if is_cell and _LINE_BREAK.fullmatch(text):
                yield Run("\n", style)
            case _:
                yield Run(text, style, url)
        said += text


_EMPHASIS = {"strong_open": Style(bold=True), "em_open": Style(italic=True), "s_open": Style(strike=True)}


def _linked(text: str, style: Style, palette: Palette) -> Iterator[Run]:
    """Text with the addresses written out in it made links."""
    at = 0
    for match in _BARE_URL.finditer(text):
        if match.start() > at:
            yield Run(text[at : match.start()], style)
        address = match[0].rstrip(".,;:!?*_~")
        target = gate_inline(parser().normalizeLink(address))
        url = safe_url(target) or ""
        yield Run(address, style + palette.link if url else style, url)
        yield from _told_target(address, target, style, palette)
        at = match.start() + len(address)
    if at < len(text):
        yield Run(text[at:], style)


def _told_target(said: str, target: str, style: Style, palette: Palette) -> Iterator[Run]:
    """Where a link goes, in so many words, if it cannot be opened or says that it goes elsewhere."""
    url = safe_url(target)
    if url is not None and said.strip() and not _ADDRESS.search(_as_read(said)):
        return
    if _bare(said) != _bare(target):
        text = one_line(target, 200)
        yield Run(f" ({text})" if said else text, style + palette.muted, url or "")


def _as_read(said: str) -> str:
    """Words as a reader takes them: letters and signs in the form they are known in, and without what is not seen."""
    if said.isascii():
        return said
    text = unicodedata.normalize("NFKC", said).translate(_LOOKALIKES)
    return "".join(char for char in text if unicodedata.category(char) not in ("Mn", "Me", "Cf"))


def _bare(address: str) -> str:
    """An address without what may be left out when it is written down."""
    address = unquote(address).casefold().strip().removeprefix("mailto:")
    return address.removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")
