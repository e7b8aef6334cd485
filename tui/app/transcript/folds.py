"""Blocks that are folded to one line unless they are asked for: reasoning, tools, approvals, notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tui.app.transcript.blocks import Block, Ground, GrowingText, Look, Unit, draw_piece
from tui.app.transcript.data import MOST_ROWS, query_of, table_of
from tui.app.transcript.palette import Palette
from tui.app.transcript.pieces import Kind, Piece, Splitter, split_code, split_plain
from tui.app.transcript.wrap import Line, indented, plain_lines
from tui.attachments import Attachment
from tui.model import Item, ItemKind, ItemState
from tui.text import clean, one_line


class FoldBlock(Block):
    """Something that is folded to one line unless it is asked for."""

    look = Look.FOLD

    def __init__(self) -> None:
        super().__init__()
        self.is_folded = True
        self._head: Unit | None = None
        self._body: list[Unit] | None = None

    def units(self) -> Iterator[Unit]:
        if self._head is None:
            self._head = Unit(self, Piece("", Kind.PLAIN), True)
        yield self._head
        if not self.is_folded:
            if self._body is None:
                self._body = self._body_units()
            yield from self._body

    def toggle(self) -> None:
        """Unfold what is folded, and the other way round."""
        self.is_folded = not self.is_folded
        if self._head is not None:
            self._head.drop()

    def is_title(self, unit: Unit) -> bool:
        return unit is self._head

    def changed(self) -> None:
        """What is shown has to be made again."""
        self._head = self._body = None

    def draw(self, piece: Piece, ground: Ground) -> list[Line]:
        if self._head is not None and piece is self._head.piece:
            return [self._title(ground)]
        return self._draw_body(piece, ground)

    def guess(self, piece: Piece, ground: Ground) -> int:
        return 1 if self._head is not None and piece is self._head.piece else super().guess(piece, ground)

    def _title(self, ground: Ground) -> Line:
        strong, rest = self._label()
        palette = ground.palette
        room = ground.width
        segments = []
        for text, style in ((strong, self._label_style(palette)), (rest, palette.muted)):
            text = _fit(text, room)
            if text:
                segments.append(Segment(text, style))
                room -= cell_len(text)
        return Line(segments, mark=Segment(self._mark(), palette.muted))

    def _mark(self) -> str:
        return "▸ " if self.is_folded else "▾ "

    def _label(self) -> tuple[str, str]:
        """What the one line says: a name, and more."""
        raise NotImplementedError

    def _label_style(self, palette: Palette) -> Style:
        return palette.tool

    def _body_units(self) -> list[Unit]:
        return [Unit(self, piece, piece.gap) for piece in self._pieces()]

    def _pieces(self) -> list[Piece]:
        raise NotImplementedError

    def _draw_body(self, piece: Piece, ground: Ground) -> list[Line]:
        lines = plain_lines(clean(piece.source), ground.width - 2, ground.palette.muted)
        return indented(lines, 2)


class ReasoningBlock(FoldBlock):
    """What a model says to itself."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self._item = item
        self._text: GrowingText | None = None
        self.is_live = False

    def update(self, item: Item, is_live: bool) -> None:
        if item != self._item or is_live != self.is_live:
            self._item, self.is_live = item, is_live
            self.changed()

    @property
    def source(self) -> str:
        return self._item.text

    def _label(self) -> tuple[str, str]:
        if self.is_live:
            return "Thinking… ", one_line(self._item.text[-400:])[-160:]
        words = len(self._item.text.split())
        return "Reasoning ", f"· {words:,} word{'s' if words != 1 else ''}" if words else "· not shown by the server"

    def _label_style(self, palette: Palette) -> Style:
        return palette.reasoning

    def _body_units(self) -> list[Unit]:
        if self._text is None or not self._text.grow(self._item.text):
            self._text = GrowingText(self, self._item.text)
        return list(self._text.units())

    def _draw_body(self, piece: Piece, ground: Ground) -> list[Line]:
        palette = ground.palette
        quiet = replace(palette, text=palette.reasoning, strong=palette.reasoning + Style(bold=True))
        links = self._text.links if self._text else {}
        return indented(draw_piece(piece, Ground(ground.width - 2, quiet), links), 2)


class AttachmentBlock(FoldBlock):
    """A file that was sent along with a prompt."""

    def __init__(self, file: Attachment) -> None:
        super().__init__()
        self._file = file

    @property
    def source(self) -> str:
        return self._file.text or self._file.chip

    def toggle(self) -> None:
        # Of a picture there is no more to show.
        if not self._file.picture:
            super().toggle()

    def _mark(self) -> str:
        return "▪ " if self._file.picture else super()._mark()

    def _label(self) -> tuple[str, str]:
        return one_line(self._file.chip), ""

    def _pieces(self) -> list[Piece]:
        return split_plain(self._file.text)


class ToolBlock(FoldBlock):
    """A tool's call, with its result once there is one; or a result alone. Queries and tables are shown as such."""

    def __init__(self, call: Item, result: Item | None) -> None:
        super().__init__()
        self._call = call
        self._result = result

    def update(self, call: Item, result: Item | None) -> None:
        if (call, result) != (self._call, self._result):
            self._call, self._result = call, result
            self.changed()

    @property
    def source(self) -> str:
        call = "\n".join(part for part in (self._call.name, self._call.text) if part)
        return f"{call}\n\n{self._result.text}" if self._result else call

    def _label(self) -> tuple[str, str]:
        if self._call.kind is ItemKind.TOOL_RESULT:
            return "result ", _in_short(self._call)
        name = one_line(self._call.name or "tool", 60)
        query = query_of(self._call.text)
        arguments = one_line(query.sql if query else self._call.text, 300)
        result = f"→ {_in_short(self._result)}" if self._result else ""
        return f"{name} ", " ".join(part for part in (arguments, result) if part)

    def _pieces(self) -> list[Piece]:
        if self._call.kind is ItemKind.TOOL_RESULT:
            return _result_pieces(self._call.text)
        parts = _argument_pieces(self._call.text)
        if self._result is not None and self._result.text:
            first, *others = _result_pieces(self._result.text)
            parts += [replace(first, gap=bool(parts)), *others]
        return parts

    def _draw_body(self, piece: Piece, ground: Ground) -> list[Line]:
        if piece.kind is Kind.PLAIN:
            return super()._draw_body(piece, ground)
        return indented(draw_piece(piece, Ground(ground.width - 2, ground.palette), {}), 2)


def _argument_pieces(arguments: str) -> list[Piece]:
    query = query_of(arguments)
    if query is not None:
        rest = split_code(pretty_json(query.rest), "json") if query.rest else []
        return split_code(query.sql, "sql") + rest
    pretty = pretty_json(arguments)
    return split_code(pretty, "json" if pretty != arguments else "text") if arguments else []


def _result_pieces(result: str) -> list[Piece]:
    table = table_of(result)
    if table is None:
        return split_plain(pretty_json(result))
    splitter = Splitter()
    splitter.feed(table.markdown())
    left_out = len(table.rows) - MOST_ROWS
    more = split_plain(f"… and {left_out:,} more rows; y copies all of them") if left_out > 0 else []
    return splitter.sealed + splitter.open() + more


def _in_short(result: Item) -> str:
    """A result in a few words."""
    table = table_of(result.text)
    said = table.size if table else one_line(result.text, 200)
    match result.state:
        case ItemState.FAILED:
            return f"✗ {said}" if said else "✗ failed"
        case ItemState.DENIED:
            return f"denied: {said}" if said else "denied"
        case _:
            return said


class ApprovalBlock(FoldBlock):
    """Something a server wants to be allowed to do, in full while it waits for the user's word."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self.item = item
        self.is_folded = not self.is_open

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.item.state is ItemState.OPEN

    def update(self, item: Item) -> None:
        if item != self.item:
            self.is_folded = self.is_folded or (self.is_open and item.state is not ItemState.OPEN)
            self.item = item
            self.changed()

    @property
    def source(self) -> str:
        return "\n".join(part for part in (self.item.name, self.item.text) if part)

    def _label(self) -> tuple[str, str]:
        name = one_line(self.item.name or "something", 60)
        if self.is_open:
            return f"{name} ", "wants your approval"
        said = {ItemState.APPROVED: "approved", ItemState.DENIED: "denied"}.get(self.item.state, "wanted approval")
        return f"{name} ", " ".join(part for part in (said, one_line(self.item.text, 200)) if part)

    def _label_style(self, palette: Palette) -> Style:
        return palette.note if self.is_open else palette.tool

    def _pieces(self) -> list[Piece]:
        return _argument_pieces(self.item.text)

    def _draw_body(self, piece: Piece, ground: Ground) -> list[Line]:
        return indented(draw_piece(piece, Ground(ground.width - 2, ground.palette), {}), 2)


class NoticeBlock(FoldBlock):
    """Something the server sent that is neither talk nor a tool."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self._item = item

    @property
    def source(self) -> str:
        return self._item.text

    def _label(self) -> tuple[str, str]:
        return f"{one_line(self._item.name, 60)} " if self._item.name else "", one_line(self._item.text, 300)

    def _pieces(self) -> list[Piece]:
        return split_plain(pretty_json(self._item.text))


def pretty_json(text: str) -> str:
    """JSON laid out for reading; anything else as it is."""
    if len(text) > 200_000 or text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _fit(text: str, room: int) -> str:
    """`text` cut to `room` cells, with an ellipsis where something is missing."""
    if cell_len(text) <= room:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, max(0, room - 1)).rstrip() + "…" if room > 0 else ""
