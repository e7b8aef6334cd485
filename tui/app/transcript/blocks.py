"""A turn as blocks (its prompt, the items of its answer, its foot), and blocks as units that are drawn one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tui.app.transcript import markdown
from tui.app.transcript.code import code_lines
from tui.app.transcript.markdown import LEAST_ROOM
from tui.app.transcript.palette import Palette
from tui.app.transcript.pieces import Kind, Piece, Splitter, split_code, split_plain
from tui.app.transcript.wrap import Line, indented, plain_lines
from tui.model import Item, ItemKind, Turn, TurnStatus
from tui.text import clean, one_line

MOST_LINKS = 500
"""Link definitions of a message that are heeded."""


class Look(Enum):
    """What a block is, as far as its drawing goes."""

    PROMPT = "prompt"
    ANSWER = "answer"
    FOLD = "fold"
    FOOT = "foot"


@dataclass(frozen=True, slots=True)
class Ground:
    """What all drawing depends on. A line is drawn again on another ground, even one that is equal."""

    width: int
    palette: Palette


class Unit:
    """A part of a block that is drawn in one go. Its lines are kept until they are dropped or the ground changes."""

    __slots__ = ("_drawn_on", "_height", "_sized_on", "block", "gap", "lines_or_none", "piece")

    def __init__(self, block: Block, piece: Piece, gap: bool) -> None:
        self.block = block
        self.piece = piece
        self.gap = gap
        self.lines_or_none: list[Line] | None = None
        self._drawn_on: Ground | None = None
        self._sized_on: Ground | None = None
        self._height = 0

    def lines(self, ground: Ground) -> list[Line]:
        """The lines, drawn now if they are not at hand. There may be none."""
        if self.lines_or_none is None or self._drawn_on is not ground:
            drawn = self.block.draw(self.piece, ground)
            if drawn and self.piece.is_cut:
                has_blank = self.piece.source.endswith(" ") and not drawn[-1].said.endswith(" ")
                drawn[-1].join = " " if has_blank else ""
            self.lines_or_none = [Line([]), *drawn] if self.gap and drawn else drawn
            self._drawn_on = self._sized_on = ground
            self._height = len(self.lines_or_none)
        return self.lines_or_none

    @property
    def is_title(self) -> bool:
        """Whether this is the one line that a folded block shows."""
        return isinstance(self.block, FoldBlock) and self.block.is_title(self)

    def drop(self) -> None:
        """Forget the lines; they can be drawn again."""
        self.lines_or_none = None

    def height(self, ground: Ground) -> int:
        """The number of lines, or where they were never drawn on this ground, a guess from the text's length."""
        if self._sized_on is not ground:
            self._height = self.block.guess(self.piece, ground) + self.gap
            self._sized_on = ground
        return self._height


def _kept(pieces: list[Piece], block: Block, before: list[Unit]) -> list[Unit]:
    """Units for `pieces`, the ones there were before where nothing changed, so that they keep their lines."""
    return [
        before[place] if place < len(before) and before[place].piece == piece else Unit(block, piece, piece.gap)
        for place, piece in enumerate(pieces)
    ]


class Block:
    """Something in a turn that can be pointed at, copied, and sometimes unfolded."""

    look = Look.ANSWER

    def units(self) -> Iterator[Unit]:
        """The units as things stand."""
        raise NotImplementedError

    def draw(self, piece: Piece, ground: Ground) -> list[Line]:
        raise NotImplementedError

    def guess(self, piece: Piece, ground: Ground) -> int:
        return piece.source.count("\n") + len(piece.source) // max(1, ground.width) + 1

    @property
    def source(self) -> str:
        """What copying the block gives: Markdown as it came."""
        return ""


class _Fixed(Block):
    """A block whose pieces never change."""

    def __init__(self, pieces: list[Piece]) -> None:
        super().__init__()
        self._units = [Unit(self, piece, piece.gap) for piece in pieces]

    def units(self) -> Iterator[Unit]:
        return iter(self._units)


class PromptBlock(_Fixed):
    """What the user said, as it was typed."""

    look = Look.PROMPT

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt
        super().__init__(split_plain(prompt))

    def draw(self, piece: Piece, ground: Ground) -> list[Line]:
        return plain_lines(clean(piece.source), ground.width, ground.palette.prompt)

    @property
    def source(self) -> str:
        return self._prompt


class MessageBlock(Block):
    """A message of the answer: Markdown that may be growing."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self._item = item
        self._text = _GrowingText(self, item.text)

    def update(self, item: Item) -> bool:
        """Go on with a newer state of the item. False where it is another text altogether."""
        if item.name != self._item.name or not self._text.grow(item.text):
            return False
        self._item = item
        return True

    def units(self) -> Iterator[Unit]:
        return self._text.units()

    def draw(self, piece: Piece, ground: Ground) -> list[Line]:
        return draw_piece(piece, ground, self._text.links)

    @property
    def source(self) -> str:
        return self._item.text


class _GrowingText:
    """Markdown that may be growing, as units: finished ones are never made or drawn again."""

    def __init__(self, block: Block, text: str) -> None:
        self.links: dict[str, Any] = {}
        self._block = block
        self._text = ""
        self._splitter = Splitter()
        self._sealed: list[Unit] = []
        self._open: list[Unit] = []
        self._sealed_links: dict[str, Any] = {}
        self.grow(text)

    def grow(self, text: str) -> bool:
        """Go on to a longer text. False where it is another one altogether."""
        if not text.startswith(self._text):
            return False
        grown = text[len(self._text) :]
        self._text = text
        if grown:
            self._splitter.feed(grown)
            sealed = self._splitter.sealed[len(self._sealed) :]
            growing = self._splitter.open()
            # What was open may be sealed now, as it was.
            units = _kept([*sealed, *growing], self._block, self._open)
            self._sealed += units[: len(sealed)]
            self._open = units[len(sealed) :]
            self._define_links(sealed, growing)
        return True

    def units(self) -> Iterator[Unit]:
        yield from self._sealed
        yield from self._open

    def _define_links(self, sealed: list[Piece], growing: list[Piece]) -> None:
        """Note the links that pieces define. What may refer to them is drawn again when it is next looked at."""
        for piece in sealed:
            _define_links(piece, self._sealed_links)
        links = self._sealed_links.copy()
        for piece in growing:
            _define_links(piece, links)
        if links != self.links:
            self.links = links
            for unit in self.units():
                if "[" in unit.piece.source:
                    unit.drop()


def draw_piece(piece: Piece, ground: Ground, links: dict[str, Any]) -> list[Line]:
    """A piece of Markdown as lines. `links` are the link definitions of the whole text."""
    palette = ground.palette
    indent = min(piece.indent, max(0, ground.width - LEAST_ROOM))
    width = ground.width - indent
    match piece.kind:
        case Kind.CODE:
            lines = code_lines(clean(piece.source.expandtabs(4)), clean(piece.info), width, palette, is_start=False)
        case Kind.TABLE:
            lines = markdown.render_rows(piece.info, piece.source, width, palette, links)
        case Kind.MARKDOWN:
            lines = markdown.render(piece.source, width, palette, links, number=piece.number, level=piece.level)
        case Kind.PLAIN:
            lines = plain_lines(clean(piece.source), width, palette.text)
    return indented(lines, indent)


def _define_links(piece: Piece, links: dict[str, Any]) -> None:
    if "]:" in piece.source and piece.kind is Kind.MARKDOWN and len(links) < MOST_LINKS:
        markdown.define_links(piece.source, links)


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
        mark = "▸ " if self.is_folded else "▾ "
        strong, rest = self._label()
        palette = ground.palette
        room = ground.width - len(mark)
        segments = [Segment(mark, palette.muted)]
        for text, style in ((strong, self._label_style(palette)), (rest, palette.muted)):
            text = _fit(text, room)
            if text:
                segments.append(Segment(text, style))
                room -= cell_len(text)
        return Line(segments)

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
        self._text: _GrowingText | None = None
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
            self._text = _GrowingText(self, self._item.text)
        return list(self._text.units())

    def _draw_body(self, piece: Piece, ground: Ground) -> list[Line]:
        palette = ground.palette
        quiet = replace(palette, text=palette.reasoning, strong=palette.reasoning + Style(bold=True))
        links = self._text.links if self._text else {}
        return indented(draw_piece(piece, Ground(ground.width - 2, quiet), links), 2)


class ToolBlock(FoldBlock):
    """A tool's call, with its result once there is one; or a question for approval."""

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
        name = one_line(self._call.name or "tool", 60)
        if self._call.kind is ItemKind.TOOL_RESULT:
            return "result ", one_line(self._call.text, 300)
        ask = "wants approval: " if self._call.kind is ItemKind.APPROVAL else ""
        arguments = one_line(self._call.text, 300)
        result = f"→ {one_line(self._result.text, 200)}" if self._result else ""
        return f"{ask}{name} ", " ".join(part for part in (arguments, result) if part)

    def _pieces(self) -> list[Piece]:
        parts: list[Piece] = []
        if self._call.kind is ItemKind.TOOL_RESULT:
            return split_plain(pretty_json(self._call.text))
        if self._call.text:
            pretty = pretty_json(self._call.text)
            parts += split_code(pretty, "json" if pretty != self._call.text else "text")
        if self._result is not None and self._result.text:
            first, *others = split_plain(pretty_json(self._result.text))
            parts += [replace(first, gap=bool(parts)), *others]
        return parts

    def _draw_body(self, piece: Piece, ground: Ground) -> list[Line]:
        if piece.kind is Kind.CODE:
            return indented(draw_piece(piece, Ground(ground.width - 2, ground.palette), {}), 2)
        return super()._draw_body(piece, ground)


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


class FootBlock(Block):
    """How a turn stands, where that is not simply well: notes, errors, what it waits for."""

    look = Look.FOOT

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self._lines = _foot_lines(turn)
        self._unit = Unit(self, Piece("\n".join(text for _, _, text in self._lines), Kind.PLAIN), True)

    def says_same(self, turn: Turn) -> bool:
        return self._lines == _foot_lines(turn)

    def units(self) -> Iterator[Unit]:
        if self._lines:
            yield self._unit

    def draw(self, piece: Piece, ground: Ground) -> list[Line]:  # noqa: ARG002 - a foot has one piece only
        palette = ground.palette
        styles = {"note": palette.note, "error": palette.error, "muted": palette.muted}
        lines: list[Line] = []
        for mark, look, text in self._lines:
            wrapped = plain_lines(text, max(8, ground.width - 2), styles[look])
            for number, line in enumerate(wrapped):
                line.segments.insert(0, Segment("  " if number else f"{mark} ", styles[look]))
                line.lead = 2
            lines += wrapped
        return lines

    @property
    def source(self) -> str:
        return "\n".join(text for _, _, text in self._lines)


def _foot_lines(turn: Turn) -> tuple[tuple[str, str, str], ...]:
    """The foot's lines: a mark, how to draw it, and the words."""
    lines = [("◆", "note", one_line(note)) for note in turn.notes]
    match turn.status:
        case TurnStatus.FAILED:
            lines += _error_lines("✗", turn)
        case TurnStatus.INTERRUPTED if turn.error:
            lines += _error_lines("■", turn)
        case TurnStatus.INTERRUPTED:
            lines.append(("■", "error", "Interrupted; what came is kept."))
        case TurnStatus.CANCELLED:
            kept = "Cancelled; what came is kept." if turn.has_output else "Cancelled before anything came."
            lines.append(("■", "note", kept))
        case TurnStatus.DONE if turn.finish:
            lines.append(("■", "note", f"The server stopped early: {one_line(turn.finish, 100)}."))
        case TurnStatus.DONE if not turn.has_output:
            lines.append(("·", "muted", "The server finished without saying anything."))
        case TurnStatus.PENDING | TurnStatus.STREAMING if turn.waiting_for:
            lines.append(("·", "muted", f"Waiting: {one_line(turn.waiting_for)}"))
        case TurnStatus.PENDING:
            lines.append(("·", "muted", "Waiting for an answer…"))
    return tuple(lines)


def _error_lines(mark: str, turn: Turn) -> list[tuple[str, str, str]]:
    """What went wrong, and under it what can be done about it."""
    error = turn.error
    said = one_line(error.message).rstrip(".") + "." if error else "It failed."
    hint = one_line(error.hint).rstrip(".") if error else ""
    again = "" if "press r" in hint else "r sends the prompt again"
    advice = (" " if hint.endswith("?") else "; ").join(part for part in (hint, again) if part)
    return [(mark, "error", said), (" ", "muted", f"{advice}.")]


class TurnBlocks:
    """The blocks of a turn, kept up with it while it changes."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._prompt = PromptBlock(turn.prompt)
        self._items: dict[str, Block] = {}
        self._foot = FootBlock(turn)
        self._take(turn)

    def update(self, turn: Turn) -> None:
        """Go on with a newer state of the turn."""
        if turn.prompt != self.turn.prompt:
            self._prompt = PromptBlock(turn.prompt)
        self.turn = turn
        if not self._foot.says_same(turn):
            self._foot = FootBlock(turn)
        self._take(turn)

    @property
    def blocks(self) -> list[Block]:
        """All of them, from the prompt to the foot, less those that have nothing to show."""
        foot = [self._foot] if self._foot.source else []
        return [self._prompt, *self._items.values(), *foot]

    def units(self) -> list[Unit]:
        return [unit for block in self.blocks for unit in block.units()]

    def height(self, ground: Ground) -> int:
        """The number of lines, guessed where they are not drawn."""
        return sum(unit.height(ground) for unit in self.units())

    def _take(self, turn: Turn) -> None:
        results = {item.call_id: item for item in turn.items if item.kind is ItemKind.TOOL_RESULT and item.call_id}
        called = {item.call_id for item in turn.items if item.kind is ItemKind.TOOL_CALL}
        kept: dict[str, Block] = {}
        newest = turn.items[-1] if turn.items else None
        for item in turn.items:
            if item.kind is ItemKind.TOOL_RESULT and item.call_id in called:
                continue
            if not item.text and not item.name and item.kind is not ItemKind.REASONING:
                continue
            is_live = item is newest and not turn.status.is_final
            result = results.get(item.call_id) if item.kind is ItemKind.TOOL_CALL else None
            kept[item.key] = self._block(item, result, is_live)
        self._items = kept

    def _block(self, item: Item, result: Item | None, is_live: bool) -> Block:
        known = self._items.get(item.key)
        match item.kind:
            case ItemKind.MESSAGE:
                return known if isinstance(known, MessageBlock) and known.update(item) else MessageBlock(item)
            case ItemKind.REASONING:
                reasoning = known if isinstance(known, ReasoningBlock) else ReasoningBlock(item)
                reasoning.update(item, is_live)
                return reasoning
            case ItemKind.TOOL_CALL | ItemKind.APPROVAL | ItemKind.TOOL_RESULT:
                tool = known if isinstance(known, ToolBlock) else ToolBlock(item, result)
                tool.update(item, result)
                return tool
            case _:
                return known if isinstance(known, NoticeBlock) and known.source == item.text else NoticeBlock(item)


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
