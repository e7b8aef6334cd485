"""A turn as blocks: its prompt, the items of its answer, its foot."""

from __future__ import annotations

from tui.app.transcript.blocks import Block, Ground, MessageBlock, PromptBlock, Unit
from tui.app.transcript.folds import ApprovalBlock, AttachmentBlock, NoticeBlock, ReasoningBlock, ToolBlock
from tui.app.transcript.foot import FootBlock, MarkBlock
from tui.attachments import parted
from tui.model import Item, ItemKind, Turn, Variants


class TurnBlocks:
    """The blocks of a turn, kept up with it while it changes.

    `before` and `after` are lines of ours above and below it, `variants` the turns there are in its place.
    """

    def __init__(self, turn: Turn, before: str = "", after: str = "", variants: Variants | None = None) -> None:
        self.turn = turn
        self._code: list[str] | None = None
        self._before = [MarkBlock("◆", before)] if before else []
        if variants is not None:
            place = f"{variants.place + 1}/{len(variants.turn_ids)} › Left and Right show the others."
            self._before.append(MarkBlock("‹", place))
        self._after = [MarkBlock("⇡", after)] if after else []
        self._take_prompt(turn.prompt)
        self._items: dict[str, Block] = {}
        self._foot = FootBlock(turn)
        self._take(turn)

    def update(self, turn: Turn) -> None:
        """Go on with a newer state of the turn."""
        if turn.prompt != self.turn.prompt:
            self._take_prompt(turn.prompt)
        self.turn = turn
        self._code = None
        if not self._foot.says_same(turn):
            self._foot = FootBlock(turn)
        self._take(turn)

    @property
    def blocks(self) -> list[Block]:
        """All of them, from the prompt to the foot, less those that have nothing to show."""
        foot = [self._foot] if self._foot.source else []
        return [*self._before, self.prompt, *self._attached, *self._items.values(), *foot, *self._after]

    def units(self) -> list[Unit]:
        return [unit for block in self.blocks for unit in block.units()]

    def height(self, ground: Ground) -> int:
        """The number of lines, guessed where they are not drawn."""
        return sum(unit.height(ground) for unit in self.units())

    @property
    def code(self) -> list[str]:
        """The code blocks of its answer, in order."""
        if self._code is None:
            from tui.app.transcript.code_blocks import code_blocks

            self._code = code_blocks(self.turn.text)
        return self._code

    def _take_prompt(self, prompt: str) -> None:
        said, attached = parted(prompt)
        self.prompt = PromptBlock(prompt, said)
        self._attached = [AttachmentBlock(one) for one in attached]

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
            case ItemKind.APPROVAL:
                approval = known if isinstance(known, ApprovalBlock) else ApprovalBlock(item)
                approval.update(item)
                return approval
            case ItemKind.TOOL_CALL | ItemKind.TOOL_RESULT:
                tool = known if isinstance(known, ToolBlock) else ToolBlock(item, result)
                tool.update(item, result)
                return tool
            case _:
                return known if isinstance(known, NoticeBlock) and known.source == item.text else NoticeBlock(item)
