"""The cursor of a transcript: the message on it, with what the keys find there."""

from __future__ import annotations

from collections.abc import Iterator

from tui.app.transcript.blocks import Block, Look
from tui.app.transcript.folds import ApprovalBlock, FoldBlock
from tui.app.transcript.turn_blocks import TurnBlocks
from tui.app.transcript.viewport import Place, Row, Viewport
from tui.model import Item, Turn, Variants


class Cursor:
    """A place among the blocks that `port` looks at, or none. Without one, keys mean the newest turn."""

    def __init__(self, port: Viewport) -> None:
        self._port = port
        self._at: tuple[int, Block] | None = None
        self._code = (-1, -1)
        self._is_chosen = False

    # Where it is

    @property
    def depth(self) -> int:
        """The turn it is in; -1 where there is none."""
        return self._at[0] if self._at is not None else -1

    @property
    def block(self) -> Block | None:
        return self._at[1] if self._at is not None else None

    @property
    def current(self) -> tuple[Turn, Block] | None:
        """The message it is on, with its turn, as long as there is one."""
        if self._at is None:
            return None
        depth, block = self._at
        blocks = self._port.at_hand.blocks_of(depth)
        return (blocks.turn, block) if blocks is not None and block in blocks.blocks else None

    def put(self, at: tuple[int, Block]) -> None:
        """Put it on a block, given with its turn's depth."""
        self._at, self._is_chosen = at, True

    def go_to(self, at: tuple[int, Block], *, is_chosen: bool = True) -> bool:
        """Put it on a block, and bring that into view. True where the window has moved for it. What the user has not
        `chosen` is where it happens to be."""
        depth, block = self._at = at
        self._is_chosen = is_chosen
        self._code = (-1, -1)
        blocks = self._port.at_hand.blocks_of(depth)
        if blocks is None:
            return False
        port = self._port
        shown = [row for row in port.rows if row.block is block]
        units = blocks.units()
        first = next((number for number, unit in enumerate(units) if unit.block is block), 0)
        height = sum(unit.height(port.ground) for unit in units if unit.block is block)
        if len(shown) >= min(height, port.height):
            return False
        port.go_to(port.up(Place(depth, first), min(3, port.height // 4)))
        port.following = port.is_at_end()
        return True

    def in_view(self, *, last: bool) -> tuple[int, Block] | None:
        """The first block in view, or the last, to put it on."""
        rows = self._port.rows[::-1] if last else self._port.rows
        return next((at for row in rows if (at := _block_of(row)) is not None), None)

    def beside(self, direction: int) -> tuple[int, Block] | None:
        """The block after the one it is on, or before that where `direction` is negative; None where there is none at
        hand."""
        assert self._at is not None
        depth, block = self._at
        blocks = self._port.at_hand.blocks_of(depth)
        assert blocks is not None
        place = blocks.blocks.index(block) + direction
        other = self._port.at_hand.blocks_of(depth + direction)
        if 0 <= place < len(blocks.blocks):
            return depth, blocks.blocks[place]
        return (depth + direction, other.blocks[0 if direction > 0 else -1]) if other is not None else None

    # What is there

    @property
    def fold(self) -> FoldBlock | None:
        """What can be unfolded."""
        block = self.block
        return block if isinstance(block, FoldBlock) else None

    @property
    def turn(self) -> Turn | None:
        """The turn that keys mean, if it is at hand."""
        current = self.current
        return current[0] if current else self._newest

    @property
    def resendable(self) -> Turn | None:
        """The turn to send again, once it is over."""
        turn = self.turn
        return turn if turn is not None and turn.status.is_final else None

    @property
    def variants(self) -> Variants | None:
        """The turns there are in the place of that one."""
        current = self.current
        return self._port.at_hand.variants_at(current[0].depth if current else len(self._port.layout) - 1)

    @property
    def question(self) -> tuple[Turn, Item] | None:
        """What waits for the user's word: under the cursor, or else first in the newest turn."""
        current = self.current
        if current and isinstance(current[1], ApprovalBlock) and current[1].is_open:
            return current[0], current[1].item
        newest = self._newest
        waiting = newest.open_approvals if newest is not None else ()
        return (newest, waiting[0]) if newest is not None and waiting else None

    def next_code(self) -> tuple[str, str] | None:
        """The next code block, with a name for it: of the answer that was chosen, or else of the one it is on, or else of
        the newest one that has any."""
        blocks = next((one for one in self._sources if one.code), None)
        if blocks is None:
            return None
        depth = blocks.turn.depth
        before, number = self._code
        number = (number + 1) % len(blocks.code) if depth == before else 0
        self._code = (depth, number)
        return blocks.code[number], f"code block {number + 1} of {len(blocks.code)}"

    @property
    def may_have_code(self) -> bool:
        """Whether there seems to be a next code block. Nothing is parsed for it: this is asked with every move."""
        from tui.app.transcript.code_blocks import may_hold_code

        return any(may_hold_code(blocks.turn.text) for blocks in self._sources)

    @property
    def _sources(self) -> Iterator[TurnBlocks]:
        """The turns whose code may be meant, the first one first."""
        at_hand, current = self._port.at_hand, self.current
        depths = at_hand.depths()[::-1]
        if current is not None:
            depths = [current[0].depth, *([] if self._is_chosen else depths)]
        return (blocks for depth in depths if (blocks := at_hand.blocks_of(depth)) is not None)

    @property
    def _newest(self) -> Turn | None:
        return self._port.at_hand.turn_at(len(self._port.layout) - 1)


def _block_of(row: Row) -> tuple[int, Block] | None:
    return (row.depth, row.block) if row.block is not None and row.block.look is not Look.FOOT else None
