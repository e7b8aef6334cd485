"""Markdown as lines: a piece of a message in, what is drawn out.

Text comes in uncleaned and is cleaned before it is parsed; what the parser decodes (entities, percent escapes) passes a
second gate, since it can bring back what was cleaned away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style

from tui.app.transcript.code import code_lines
from tui.app.transcript.palette import Palette
from tui.app.transcript.tables import Row, table_lines
from tui.app.transcript.wrap import Line, Link, Run, plain_lines, wrap
from tui.text import FORBIDDEN, clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

TANGLE = 400
"""More brackets or emphasis marks than this in one piece are taken as text: parsing them can take seconds."""

_BULLETS = "•◦▪"
_MARKS = re.compile(r"[\[\]*_`~]")
_BARE_URL = re.compile(r"https?://[^\s<>\"'`\\^{|}\[\]]*[^\s<>\"'`\\^{|}\[\].,;:!?)]")
_TASK = re.compile(r"\[([ xX])\] ")


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The parser, made on first use."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").enable("strikethrough")


def render(source: str, width: int, palette: Palette, references: dict[str, Any] | None = None) -> list[Line]:
    """A piece of Markdown as lines at most `width` cells wide. `references` are link definitions shared by pieces."""
    text = clean(source)
    if len(_MARKS.findall(text)) > TANGLE:
        return plain_lines(text.strip("\n"), width, palette.text)
    env: dict[str, Any] = {"references": references} if references is not None else {}
    return _Renderer(width, palette).render(parser().parse(text, env))


def render_rows(
    like: str, source: str, width: int, palette: Palette, references: dict[str, Any] | None = None
) -> list[Line]:
    """The body rows of the table `source`, in columns as wide as those of the table `like`."""
    env: dict[str, Any] = {"references": references} if references is not None else {}
    model, own = _Renderer(width, palette), _Renderer(width, palette)
    model.render(parser().parse(clean(like), env))
    own.like = model.rows
    lines = own.render(parser().parse(clean(source), env))
    return lines[own.head_lines :]


@dataclass(slots=True)
class _Box:
    """A container of blocks. `first` and `rest` go before its first line and all others."""

    first: list[Segment]
    rest: list[Segment]
    width: int
    is_tight: bool = False
    blocks: int = 0
    is_begun: bool = False
    style: Style | None = None


@dataclass(slots=True)
class _List:
    number: int | None
    is_tight: bool
    level: int


@dataclass(slots=True)
class _Renderer:
    width: int
    palette: Palette
    lines: list[Line] = field(default_factory=list)
    boxes: list[_Box] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    like: list[Row] | None = None
    head_lines: int = 0

    def render(self, tokens: Sequence[Token]) -> list[Line]:
        self.boxes.append(_Box([], [], self.width))
        at = 0
        while at < len(tokens):
            at = self._token(tokens, at)
        return self.lines

    def _token(self, tokens: Sequence[Token], at: int) -> int:
        """Draw the block that begins at `at`, or step into or out of a container. Gives where to go on."""
        token = tokens[at]
        match token.type:
            case "paragraph_open":
                self._begin_block()
                self._paragraph(tokens[at + 1])
                return at + 3
            case "heading_open":
                self._begin_block()
                self._heading(tokens[at + 1], int(token.tag[1]))
                return at + 3
            case "fence" | "code_block":
                self._begin_block()
                language = token.info.split()[0] if token.info.strip() else ""
                code = _gate(token.content)
                self._emit(code_lines(code, _gate(language), self._room, self.palette))
            case "hr":
                self._begin_block()
                self._emit([Line([Segment("─" * self._room, self.palette.rule)], lead=self._room)])
            case "html_block":
                self._begin_block()
                self._emit(plain_lines(_gate(token.content).rstrip("\n"), self._room, self.palette.muted))
            case "table_open":
                self._begin_block()
                return self._table(tokens, at)
            case "bullet_list_open" | "ordered_list_open":
                self._begin_block()
                start = int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else None
                self.lists.append(_List(start, _is_tight(tokens, at), len(self.lists)))
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
            case "list_item_open":
                self._open_item(tokens, at)
            case "blockquote_open":
                self._begin_block()
                bar = [Segment("▎ ", self.palette.rule)]
                self.boxes.append(_Box(bar, bar, max(8, self._room - 2), style=self.palette.quote))
            case "list_item_close" | "blockquote_close":
                box = self.boxes[-1]
                if not box.is_begun:
                    self._emit([Line([])])
                self.boxes.pop()
        return at + 1

    @property
    def _room(self) -> int:
        return self.boxes[-1].width

    @property
    def _base(self) -> Style:
        return next((box.style for box in reversed(self.boxes) if box.style is not None), self.palette.text)

    def _begin_block(self) -> None:
        """Leave a line free before a block that is not its container's first, except in tight lists."""
        box = self.boxes[-1]
        if box.blocks and not box.is_tight:
            self._emit([Line([])])
        box.blocks += 1

    def _emit(self, lines: list[Line]) -> None:
        for line in lines:
            before: list[Segment] = []
            lead = 0
            for box in self.boxes:
                before += box.rest if box.is_begun else box.first
                if box.is_begun or box.first is box.rest:
                    lead += sum(len(segment.text) for segment in box.rest)
                box.is_begun = True
            if before:
                shift = sum(len(segment.text) for segment in before)
                line.segments = [*before, *line.segments]
                line.links = tuple(Link(link.start + shift, link.end + shift, link.url) for link in line.links)
                line.lead += lead
            self.lines.append(line)

    def _paragraph(self, inline: Token) -> None:
        self._emit(wrap(self._runs(inline, self._base), self._room))

    def _heading(self, inline: Token, level: int) -> None:
        style = self.palette.heading if level <= 2 else self.palette.subheading
        if level == 1:
            style += Style(underline=True)
        self._emit(wrap(self._runs(inline, style), self._room))

    def _open_item(self, tokens: Sequence[Token], at: int) -> None:
        one = self.lists[-1]
        parent = self.boxes[-1]
        if parent.blocks > 1 and not one.is_tight and parent.is_begun and self.lines and self.lines[-1].segments:
            self._emit([Line([])])
        parent.blocks += 1
        if one.number is None:
            mark = f"{_BULLETS[min(one.level, len(_BULLETS) - 1)]} "
        else:
            mark = f"{one.number}. "
            one.number += 1
        task = _task_of(tokens, at)
        if task is not None:
            mark = "☑ " if task else "☐ "
        indent = " " * len(mark)
        width = max(8, parent.width - len(mark))
        self.boxes.append(_Box([Segment(mark, self.palette.muted)], [Segment(indent)], width, is_tight=one.is_tight))

    def _table(self, tokens: Sequence[Token], at: int) -> int:
        rows: list[Row] = []
        aligns: list[str] = []
        cells: list[tuple[Run, ...]] = []
        is_head = False
        while tokens[at].type != "table_close":
            token = tokens[at]
            match token.type:
                case "tr_open":
                    cells = []
                case "th_open":
                    is_head = True
                    aligns.append(str(token.attrs.get("style", "")).removeprefix("text-align:") or "left")
                case "td_open":
                    is_head = False
                case "inline":
                    style = self.palette.strong if is_head else self._base
                    cells.append(tuple(run for run in self._runs(token, style) if run.text != "\n"))
                case "tr_close":
                    # A head without words is only there because the syntax wants one.
                    if not is_head or any(cells):
                        rows.append(Row(tuple(cells), is_head))
            at += 1
        self.rows = rows
        if self.like is not None:
            head = [row for row in rows if row.is_head]
            self.head_lines = len(table_lines(head, aligns, self._room, self.palette, like=self.like))
        self._emit(table_lines(rows, aligns, self._room, self.palette, like=self.like))
        return at + 1

    def _runs(self, inline: Token, base: Style) -> list[Run]:
        return [run for run in _inline(inline.children or [], base, self.palette) if run.text]


def _inline(tokens: Sequence[Token], base: Style, palette: Palette) -> Iterator[Run]:
    """Inline tokens as runs."""
    stack: list[tuple[Style, str]] = []
    style, url = base, ""
    for number, token in enumerate(tokens):
        match token.type:
            case "text":
                text = _gate(token.content)
                if number == 0:
                    text = _TASK.sub("", text, count=1) if token.meta.get("task") else text
                if not url and "://" in text:
                    yield from _linked(text, style, palette)
                else:
                    yield Run(text, style, url)
            case "code_inline":
                yield Run(_gate(token.content), style + palette.code, url)
            case "softbreak":
                yield Run(" ", style, url)
            case "hardbreak":
                yield Run("\n", style)
            case "strong_open" | "em_open" | "s_open":
                stack.append((style, url))
                style += _EMPHASIS[token.type]
            case "link_open":
                stack.append((style, url))
                style, url = style + palette.link, _gate(str(token.attrs.get("href", "")))
            case "strong_close" | "em_close" | "s_close" | "link_close":
                style, url = stack.pop() if stack else (base, "")
            case "image":
                name = _gate(token.content) or "image"
                yield Run(f"[image: {name}]", style + palette.link, _gate(str(token.attrs.get("src", ""))))
            case _:
                yield Run(_gate(token.content).replace("\n", " "), style, url)


_EMPHASIS = {"strong_open": Style(bold=True), "em_open": Style(italic=True), "s_open": Style(strike=True)}


def _linked(text: str, style: Style, palette: Palette) -> Iterator[Run]:
    """Text with the addresses written out in it made links."""
    at = 0
    for match in _BARE_URL.finditer(text):
        if match.start() > at:
            yield Run(text[at : match.start()], style)
        yield Run(match[0], style + palette.link, match[0])
        at = match.end()
    if at < len(text):
        yield Run(text[at:], style)


def _gate(text: str) -> str:
    """Text as the parser gives it back, without what no line may hold."""
    if FORBIDDEN.search(text):
        return "\n".join(FORBIDDEN.sub("\ufffd", line) for line in text.split("\n"))
    return text


def _is_tight(tokens: Sequence[Token], at: int) -> bool:
    """Whether the list that opens at `at` has no empty lines between its items."""
    level = tokens[at].level + 2
    for token in tokens[at + 1 :]:
        if token.level < level - 1:
            break
        if token.type == "paragraph_open" and token.level == level:
            return bool(token.hidden)
    return True


def _task_of(tokens: Sequence[Token], at: int) -> bool | None:
    """Whether the item that opens at `at` is a task, and then whether it is done."""
    if at + 2 >= len(tokens) or tokens[at + 1].type != "paragraph_open":
        return None
    inline = tokens[at + 2]
    match = _TASK.match(inline.content)
    if match is None or not inline.children or inline.children[0].type != "text":
        return None
    inline.children[0].meta["task"] = True
    return match[1] != " "
