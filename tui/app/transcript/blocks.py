"""Blocks: what in a turn can be pointed at and copied, made of units that are drawn one by one."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from tui.app.transcript.palette import Palette
from tui.app.transcript.pieces import Kind, Piece, Splitter, split_plain
from tui.app.transcript.wrap import Line, indented, plain_lines
from tui.model import Item
from tui.text import clean
from tui.values import dataclass

MOST_LINKS = 500
"""Link definitions of a message that are heeded."""


class NamedKeys(NamedTuple):
    """Keys that lines of ours name, in words: what sends a prompt `again` from the input, and what answers a question."""

    again: str = "Tab, then r"
    verdict: str = "a approves, d denies"


UNBOUND = NamedKeys()
"""What lines of ours name before they are drawn."""


class Look(Enum):
    """What a block is, as far as its drawing goes."""

    PROMPT = "prompt"
    ANSWER = "answer"
    FOLD = "fold"
    FOOT = "foot"


@dataclass(frozen=True, slots=True)
class Ground:
    """What all drawing depends on: `keys` are those to name, as they are bound. A line is drawn again on another ground,
    even one that is equal."""

    width: int
    palette: Palette
    keys: NamedKeys = UNBOUND


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
        return self.block.is_title(self)

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

    def is_title(self, unit: Unit) -> bool:  # noqa: ARG002 - for those that fold
        """Whether a unit is the one line that the block shows while it is folded."""
        return False

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
    """What the user said, as it was typed; files sent along are shown apart."""

    look = Look.PROMPT

    def __init__(self, prompt: str, said: str) -> None:
        self._prompt = prompt
        super().__init__(split_plain(said))

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
        self._text = GrowingText(self, item.text)

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


class GrowingText:
    """Markdown that may be growing, as units: finished ones are never made or drawn again.

    It is taken apart once its units are asked for: most of what is at hand is never looked at, and what grows is looked
    at less often than it grows.
    """

    def __init__(self, block: Block, text: str) -> None:
        self.links: dict[str, Any] = {}
        self._block = block
        self._text = text
        self._taken = 0
        self._splitter = Splitter()
        self._sealed: list[Unit] = []
        self._open: list[Unit] = []
        self._sealed_links: dict[str, Any] = {}

    def grow(self, text: str) -> bool:
        """Go on to a longer text. False where it is another one altogether."""
        if not text.startswith(self._text):
            return False
        self._text = text
        return True

    def units(self) -> Iterator[Unit]:
        """The units of the whole text as it is now."""
        if self._taken < len(self._text):
            self._take(self._text[self._taken :])
        yield from self._sealed
        yield from self._open

    def _take(self, grown: str) -> None:
        self._taken = len(self._text)
        self._splitter.feed(grown)
        sealed = self._splitter.sealed[len(self._sealed) :]
        growing = self._splitter.open()
        # What was open may be sealed now, as it was.
        units = _kept([*sealed, *growing], self._block, self._open)
        self._sealed += units[: len(sealed)]
        self._open = units[len(sealed) :]
        self._define_links(sealed, growing)

    def _define_links(self, sealed: list[Piece], growing: list[Piece]) -> None:
        """Note the links that pieces define. What may refer to them is drawn again when it is next looked at."""
        for piece in sealed:
            _define_links(piece, self._sealed_links)
        links = self._sealed_links.copy()
        for piece in growing:
            _define_links(piece, links)
        if links != self.links:
            self.links = links
            for unit in (*self._sealed, *self._open):
                if "[" in unit.piece.source:
                    unit.drop()


def draw_piece(piece: Piece, ground: Ground, links: dict[str, Any]) -> list[Line]:
    """A piece of Markdown as lines. `links` are the link definitions of the whole text."""
    from tui.app.transcript import markdown
    from tui.app.transcript.code import code_lines

    palette = ground.palette
    indent = min(piece.indent, max(0, ground.width - markdown.LEAST_ROOM))
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
        from tui.app.transcript.parsing import define_links

        define_links(piece.source, links)
