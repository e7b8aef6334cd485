"""A thread as a page of HTML that stands for itself: no script, nothing fetched, everything others wrote as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tui.attachments import parted
from tui.exchange.markdown import ENDINGS, title_of
from tui.exchange.moments import moment
from tui.exchange.outline import Outline
from tui.exchange.page_style import STYLE
from tui.exchange.prose import prose
from tui.model import Item, ItemKind, Turn
from tui.pictures import Picture
from tui.text import clean, counted, one_line

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

CONTENTS_FROM = 4
"""How many turns make a list of contents worth its place."""

_HEAD = """<!DOCTYPE html>
<html lang="">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="facts">{facts}</p>
</header>
{contents}<main>
"""
_FOOT = """</main>
<footer>{count} · written by Palaver</footer>
</body>
</html>
"""


class PageWriter:
    """Writes a thread as a page."""

    suffix = ".html"

    def __init__(self) -> None:
        self._number = 0

    def head(self, outline: Outline) -> str:
        self._number = 0
        first, last = (moment(turn.at) for turn in (outline.turns[0], outline.turns[-1])) if outline.turns else ("", "")
        when = first if first == last or not last else f"{first} – {last}"
        facts = [counted(len(outline.turns), "turn"), when, *(one_line(model, 60) for model in outline.models[:5])]
        return _HEAD.format(
            policy=escape(POLICY),
            title=_shown(outline.name),
            style=STYLE,
            facts=" · ".join(_shown(fact) for fact in facts if fact),
            contents=_contents(outline),
        )

    def turn(self, turn: Turn, pictures: Mapping[str, Picture]) -> str:
        self._number += 1
        number = self._number
        when = " · ".join(_shown(part) for part in (moment(turn.created_at), one_line(turn.model, 60)) if part)
        parts = [
            f'<article id="turn-{number}">',
            f'<section class="prompt" aria-label="Prompt {number}"><a class="number" href="#turn-{number}">{number}</a>'
            f'<div class="said">{_said(turn.prompt, pictures)}</div></section>',
            '<section class="answer" aria-label="Answer">',
            *(_item(item) for item in turn.items if item.text or item.name),
        ]
        if turn.status in ENDINGS:
            parts.append(f'<p class="ending">■ {ENDINGS[turn.status]}</p>')
        if when:
            parts.append(f'<p class="when">{when}</p>')
        return "\n".join([*parts, "</section>", "</article>", ""])

    def foot(self, outline: Outline) -> str:
        return _FOOT.format(count=counted(len(outline.turns), "turn"))


def _said(prompt: str, pictures: Mapping[str, Picture]) -> str:
    """A prompt, and after it the files that went along: folded, or shown where they are pictures."""
    said, files = parted(prompt)
    shown, seen = [escape(clean(said))], set()
    for file in files:
        name = _shown(file.chip)
        if not file.picture:
            shown.append(f'<details class="file"><summary>{name}</summary>{_code(file.text)}</details>')
        elif file.picture in pictures and file.picture not in seen:
            seen.add(file.picture)
            shown.append(f'<img src="{escape(pictures[file.picture].url)}" alt="{name}"><p class="facts">{name}</p>')
        else:
            shown.append(f'<p class="facts">{name}</p>')
    return "".join(shown)


def _item(item: Item) -> str:
    if item.kind is ItemKind.MESSAGE:
        mark = f'<p class="notice">{_shown(item.name)}</p>' if item.name else ""
        return f'{mark}<div class="prose">{prose(item.text)}</div>'
    if item.kind is ItemKind.NOTICE and "\n" not in item.text and len(item.text) < 300:
        told = f"{item.name}: {item.text}" if item.name else item.text
        return f'<p class="notice">◆ {_shown(told, 400)}</p>'
    body = f'<div class="prose">{prose(item.text)}</div>' if item.kind is ItemKind.REASONING else _code(item.text)
    kind = item.kind.value.replace("_", "-")
    state = f" {item.state.value}" if item.state else ""
    hint = one_line(item.text, 90) if item.kind in (ItemKind.TOOL_CALL, ItemKind.APPROVAL) else ""
    note = f' <span class="hint">{escape(hint)}</span>' if hint else ""
    return f'<details class="{kind}{state}"><summary>{_shown(title_of(item))}{note}</summary>{body}</details>'


def _code(text: str) -> str:
    return f"<pre><code>{escape(clean(text))}</code></pre>"


def _contents(outline: Outline) -> str:
    if len(outline.turns) < CONTENTS_FROM:
        return ""
    links = "\n".join(
        f'<li><a href="#turn-{turn.number}">{_shown(turn.title) or "…"}</a></li>' for turn in outline.turns
    )
    is_open = " open" if len(outline.turns) <= 12 else ""
    return f"<nav><details{is_open}><summary>Contents</summary>\n<ol>\n{links}\n</ol>\n</details></nav>\n"


def _shown(text: str, limit: int = 500) -> str:
    """Others' words on one line, as text that is nothing but text, also within quotation marks."""
    return escape(one_line(text, limit))
