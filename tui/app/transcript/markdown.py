"""Markdown as lines: a piece of a message in, what is drawn out.

Text comes in uncleaned and is cleaned before it is parsed; what the parser decodes (entities, percent escapes) passes a
second gate, since it can bring back what was cleaned away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style

from tui.app.transcript.code import code_lines
from tui.app.transcript.inline import TASK, inline_runs
from tui.app.transcript.palette import Palette
from tui.app.transcript.parsing import gate, parser
from tui.app.transcript.tables import Row, table_lines
from tui.app.transcript.wrap import Line, Run, plain_lines, wrap
from tui.markup import is_too_deep
from tui.text import clean
from tui.values import dataclass

if TYPE_CHECKING:
    from markdown_it.token import Token

LEAST_ROOM = 8
"""Where no more cells than this are left, what is nested deeper is not indented any more."""

_BULLETS = "•◦▪"


def render(
    source: str,
    width: int,
    palette: Palette,
    references: Mapping[str, Any] | None = None,
    *,
    number: int = 0,
    level: int = 0,
) -> list[Line]:
    """A piece of Markdown as lines at most `width` cells wide.

    `references` are link definitions from elsewhere. `number` is what an ordered list at its beginning goes on with, and
    `level` how many items the piece is in already.
    """
    text = clean(source.expandtabs(4))
    tokens = parser().parse(text, {"references": dict(references or {})})
    if is_too_deep(tokens):
        return plain_lines(text.strip("\n"), width, palette.text)
    if number and tokens and tokens[0].type == "ordered_list_open":
        tokens[0].attrs["start"] = number
    return _Renderer(width, palette, level).render(tokens)


def render_rows(
    like: str, source: str, width: int, palette: Palette, references: Mapping[str, Any] | None = None
) -> list[Line]:
    """The rows `source` that go on with the table `like`, in columns as wide as that one's."""
    renderer = _Renderer(width, palette)
    renderer.like = _rows_of(like)
    head = "\n".join(like.split("\n")[:2])
    tokens = parser().parse(clean(f"{head}\n{source}".expandtabs(4)), {"references": dict(references or {})})
    return renderer.render(tokens)


@lru_cache(maxsize=8)
def _rows_of(source: str) -> list[Row]:
    """The rows of a table, to measure them."""
    renderer = _Renderer(LEAST_ROOM, Palette())
    renderer.render(parser().parse(clean(source.expandtabs(4))))
    return renderer.rows


@dataclass(slots=True)
class _Box:
    """A container of blocks. `first` and `rest` go before its first line and all others. Without a `style` it is an item."""

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
    level: int = 0
    lines: list[Line] = field(default_factory=list)
    boxes: list[_Box] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    like: list[Row] | None = None

    def render(self, tokens: Sequence[Token]) -> list[Line]:
        nothing: list[Segment] = []
        self.boxes.append(_Box(nothing, nothing, self.width))
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
                code = gate(token.content).removesuffix("\n")
                self._emit(code_lines(code, gate(token.info.strip()), self._room, self.palette))
            case "hr":
                self._begin_block()
                self._emit([Line([Segment("─" * self._room, self.palette.rule)], lead=self._room - 3)])
            case "html_block":
                self._begin_block()
                self._emit(plain_lines(gate(token.content).rstrip("\n"), self._room, self.palette.muted))
            case "table_open":
                self._begin_block()
                return self._table(tokens, at)
            case "bullet_list_open" | "ordered_list_open":
                self._begin_block()
                start = int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else None
                self.lists.append(_List(start, _is_tight(tokens, at), self.level + len(self.lists)))
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
            case "list_item_open":
                self._open_item(tokens, at)
            case "blockquote_open":
                self._begin_block()
                bar = [Segment("▎ ", self.palette.rule)] if self._room - 2 >= LEAST_ROOM else []
                self.boxes.append(_Box(bar, bar, self._room - 2 * len(bar), style=self.palette.quote))
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
            bars = 0
            begins_item = False
            for box in self.boxes:
                before += box.rest if box.is_begun else box.first
                if box.style is not None:
                    bars = sum(len(segment.text) for segment in before)
                begins_item = begins_item or not (box.is_begun or box.style or box.first is box.rest)
                box.is_begun = True
            if before:
                shift = sum(len(segment.text) for segment in before)
                line.segments = [*before, *line.segments]
                line.links = tuple(link._replace(start=link.start + shift, end=link.end + shift) for link in line.links)
                # Where an item begins, its indent and its mark belong to the text.
                line.lead += bars if begins_item and not line.lead else shift
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
        width = parent.width - len(mark)
        if width >= LEAST_ROOM:
            self.boxes.append(_Box([Segment(mark, self.palette.muted)], [Segment(indent)], width, one.is_tight))
        else:
            self._emit(wrap([Run(mark.rstrip(), self.palette.muted)], parent.width))
            self.boxes.append(_Box([], [], parent.width, one.is_tight, is_begun=True))

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
                    cells.append(tuple(self._runs(token, style, is_cell=True)))
                case "tr_close":
                    # A head without words is only there because the syntax wants one.
                    if not is_head or any(cells):
                        rows.append(Row(tuple(cells), is_head))
            at += 1
        self.rows = rows
        shown = rows if self.like is None else [row for row in rows if not row.is_head]
        self._emit(table_lines(shown, aligns, self._room, self.palette, like=self.like))
        return at + 1

    def _runs(self, inline: Token, base: Style, *, is_cell: bool = False) -> list[Run]:
        return [run for run in inline_runs(inline.children or [], base, self.palette, is_cell) if run.text]


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
    match = TASK.match(inline.content)
    if match is None or not inline.children or inline.children[0].type != "text":
        return None
    inline.children[0].meta["task"] = True
    return match[1] != " "
