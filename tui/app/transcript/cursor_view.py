"""The part of a transcript's widget that has a cursor, to say what is to be done with the message on it."""

from __future__ import annotations

from textual.message import Message
from textual.scroll_view import ScrollView

from tui.app.transcript.blocks import Block
from tui.app.transcript.cursor import Cursor
from tui.app.transcript.folds import FoldBlock
from tui.model import Item, Turn


class CursorView(ScrollView):
    """Messages to step through. Those who derive from it draw them, and bind the keys."""

    _cursor: Cursor

    class ResendWanted(Message):
        """The prompt of this turn is to be sent again."""

        def __init__(self, turn: Turn) -> None:
            super().__init__()
            self.turn = turn

    class AnswerWanted(Message):
        """A question of the server's is to be answered: with yes or no, for all like it, with a reason to ask for."""

        def __init__(self, turn: Turn, item: Item, approved: bool, for_all: bool, with_reason: bool) -> None:
            super().__init__()
            self.turn = turn
            self.item = item
            self.approved = approved
            self.for_all = for_all
            self.with_reason = with_reason

    class ForkWanted(Message):
        """A session that goes on after this turn is wanted."""

        def __init__(self, turn: Turn) -> None:
            super().__init__()
            self.turn = turn

    class EditWanted(Message):
        """The prompt of this turn is to be changed and sent in its place."""

        def __init__(self, turn: Turn) -> None:
            super().__init__()
            self.turn = turn

    class VariantWanted(Message):
        """Another turn is wanted in the place of one."""

        def __init__(self, turn_id: str) -> None:
            super().__init__()
            self.turn_id = turn_id

    class Copied(Message):
        """Text is to be copied; `what` names it."""

        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text = text
            self.what = what

    class NothingToCopy(Message):
        """There is no code where some was wanted."""

    @property
    def current(self) -> tuple[Turn, Block] | None:
        """The message the cursor is on, with its turn."""
        return self._cursor.current

    @property
    def question(self) -> tuple[Turn, Item] | None:
        """What waits for the user's word: under the cursor, or else first in the newest turn."""
        return self._cursor.question

    def action_step(self, direction: int) -> None:
        """Put the cursor on the next block, or the one before."""
        if self.current is None:
            self._put_cursor_in_view(last=direction < 0)
            return
        beside = self._cursor.beside(direction)
        if beside is not None:
            self._set_cursor(beside)
        elif direction > 0:
            self._go_down()

    def action_toggle_fold(self) -> None:
        if self._cursor.fold is not None:
            self._toggle(self._cursor.fold)

    def action_copy_block(self) -> None:
        if self.current is not None:
            self.post_message(self.Copied(self.current[1].source, "the message"))

    @property
    def has_answer(self) -> bool:
        """Whether the turn that keys mean has an answer in words."""
        turn = self._cursor.turn
        return turn is not None and bool(turn.text)

    def copy_answer(self) -> None:
        """Copy the answer of the turn the cursor is in, or else of the newest."""
        turn = self._cursor.turn
        if turn is not None:
            self.post_message(self.Copied(turn.text, "the answer"))

    def action_next_code(self) -> None:
        """Copy the next code block of the answer the cursor is on, or else of the newest one that has any."""
        found = self._cursor.next_code()
        self.post_message(self.Copied(*found) if found is not None else self.NothingToCopy())

    def is_offered(self, action: str) -> bool:
        """Whether the line of keys is to tell of an action that could be taken."""
        return action != "next_code" or self._cursor.may_have_code

    def action_answer(self, approved: bool, for_all: bool = False, with_reason: bool = False) -> None:
        asked = self.question
        if asked is not None:
            self.post_message(self.AnswerWanted(*asked, approved, for_all, with_reason))

    def action_fork(self) -> None:
        turn = self._cursor.turn
        if turn is not None:
            self.post_message(self.ForkWanted(turn))

    def action_resend(self) -> None:
        turn = self._cursor.resendable
        if turn is not None:
            self.post_message(self.ResendWanted(turn))

    def action_edit(self) -> None:
        turn = self._cursor.resendable
        if turn is not None:
            self.post_message(self.EditWanted(turn))

    def action_variant(self, step: int) -> None:
        variants = self._cursor.variants
        if variants is not None and 0 <= variants.place + step < len(variants.turn_ids):
            self.post_message(self.VariantWanted(variants.turn_ids[variants.place + step]))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "toggle_fold":
                return self._cursor.fold is not None
            case "copy_block":
                return self.current is not None
            case "answer":
                return self.question is not None
            case "resend" | "edit":
                return self._cursor.resendable is not None
            case "variant":
                return self._cursor.variants is not None
            case _:
                return super().check_action(action, parameters)

    def _put_cursor_in_view(self, *, last: bool, is_chosen: bool = True) -> None:
        at = self._cursor.in_view(last=last)
        if at is not None:
            self._set_cursor(at, is_chosen=is_chosen)

    def _set_cursor(self, at: tuple[int, Block], *, is_chosen: bool = True) -> None:
        self._show_cursor(has_moved=self._cursor.go_to(at, is_chosen=is_chosen))

    def _show_cursor(self, *, has_moved: bool) -> None:
        """Paint everything, the cursor being elsewhere, and maybe the place too."""
        raise NotImplementedError

    def go_to_end(self) -> None:
        """Go to the live end."""
        raise NotImplementedError

    def _go_down(self) -> None:
        """Go to the live end, with the cursor where it is."""
        raise NotImplementedError

    def _toggle(self, block: FoldBlock) -> None:
        """Unfold a block, or fold it."""
        raise NotImplementedError
