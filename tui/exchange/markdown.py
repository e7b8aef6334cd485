"""A thread as Markdown, for reading: prompts as quotes, answers as they came."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tui.exchange.moments import moment
from tui.exchange.outline import Outline
from tui.fences import fence_for, fenced
from tui.markup import new_parser
from tui.model import Item, ItemKind, ItemState, Turn, TurnStatus
from tui.pictures import Picture
from tui.text import clean, counted, one_line

ENDINGS = {TurnStatus.CANCELLED: "Stopped here.", TurnStatus.INTERRUPTED: "Broke off here."}
"""What is said below an answer that did not come to its end."""

_KINDS = {
    ItemKind.TOOL_CALL: "Tool",
    ItemKind.TOOL_RESULT: "Result",
    ItemKind.APPROVAL: "Asked for approval",
    ItemKind.REASONING: "Reasoning",
    ItemKind.NOTICE: "Notice",
}
_STATES = {ItemState.APPROVED: "approved", ItemState.DENIED: "denied", ItemState.FAILED: "failed"}
_VERBATIM = re.compile(r"(?i)<(script|pre|style|textarea)")
_HTML_ENDS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>", "<!": ">"}
_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]<>#|~&])")


class MarkdownWriter:
    """Writes a thread as Markdown."""

    suffix = ".md"

    def head(self, outline: Outline) -> str:
        lines = [f"# {_plain(outline.name)}", ""]
        count = len(outline.turns)
        facts = [counted(count, "turn"), moment(outline.turns[0].at) if outline.turns else ""]
        facts += [_plain(one_line(model, 60)) for model in outline.models[:5]]
        return "\n".join([*lines, " · ".join(filter(None, facts)), "", ""])

    def turn(self, turn: Turn, pictures: Mapping[str, Picture]) -> str:  # noqa: ARG002 - named, not shown
        parts = ["---", _quoted(clean(turn.prompt))]
        for item in turn.items:
            if item.kind is ItemKind.MESSAGE:
                parts.append(_whole(clean(item.text)))
            elif item.text or item.name:
                parts.append(_folded(item))
        if turn.status in ENDINGS:
            parts.append(f"*{ENDINGS[turn.status]}*")
        return "\n\n".join(filter(None, parts)) + "\n\n"

    def foot(self, outline: Outline) -> str:  # noqa: ARG002 - what others write
        return "---\n"


def title_of(item: Item) -> str:
    """What to call a part of an answer that is no message."""
    words = [_KINDS.get(item.kind, "Notice")]
    name = one_line(item.name, 120)
    if name and item.kind in (ItemKind.NOTICE, ItemKind.REASONING):
        words = [name[:1].upper() + name[1:]]
    elif name:
        words.append(name)
    return " ".join(words) + (f" ({_STATES[item.state]})" if item.state in _STATES else "")


def _folded(item: Item) -> str:
    text = clean(item.text)
    if not text.strip():
        return f"**{_plain(title_of(item))}**"
    if item.kind is ItemKind.REASONING:
        return f"**{_plain(title_of(item))}**\n\n{_quoted(text)}"
    return f"**{_plain(title_of(item))}**\n\n{fenced(text)}"


def _quoted(text: str) -> str:
    """Text that stays as it is and apart from the rest: in a quote, as a block that nothing in it ends."""
    fence = fence_for(text)
    return "\n".join(f"> {line}".rstrip() for line in [f"{fence}text", *text.split("\n"), fence])


@cache
def _parser() -> MarkdownIt:
    # One for all answers: it refers to itself, and so each of them would stay in memory until all of that is looked through.
    return new_parser()


def _whole(text: str) -> str:
    """An answer, with what it left open closed, so that it ends where it ends."""
    parser, tokens = _parser(), list[Token]()
    parser.block.parse(f"{text}\n\nbelow", parser, {}, tokens)
    # What stands below an empty line is a paragraph, unless it is in a block that only a sign of its own ends.
    last = tokens[-1]
    if last.type == "fence":
        return f"{text}\n{last.markup}"
    if last.type == "html_block":
        return f"{text}\n{_end_of_html(last.content.lstrip())}"
    return text


def _end_of_html(block: str) -> str:
    """What ends a block of HTML, and a comment that is open in it."""
    tag = _VERBATIM.match(block)
    if tag is None:
        return next(end for begin, end in _HTML_ENDS.items() if block.startswith(begin))
    comment = "-->" if block.rfind("<!--") > block.rfind("-->") else ""
    return f"{comment}</{tag[1]}>"


def _plain(text: str) -> str:
    """A line of text in which nothing means anything in Markdown."""
    line = _MEANS_SOMETHING.sub(r"\\\1", one_line(text, 500))
    return re.sub(r"^(\s*)(\d+)([.)])", r"\1\2\\\3", re.sub(r"^(\s*)([-+=:])", r"\1\\\2", line))
