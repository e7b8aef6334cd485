"""An input of many lines in which placeholders stand for what is folded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.text import Text
from textual import events
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from tui.app.widgets.letters import letter_end, letter_start
from tui.drafts import CLOSE, OPEN, PLACEHOLDER, Folded, fold, kept, sent, shown, unfolded, without_marks
from tui.text import typed

Place = tuple[int, int]
"""A row and a column."""


class FoldingArea(TextArea):
    """The cursor passes and takes out whole letters and whole placeholders, and is never within one."""

    COMPONENT_CLASSES = {"folding-area--placeholder"}

    DEFAULT_CSS = """
    FoldingArea { & .folding-area--placeholder { color: $primary; text-style: bold; } }
    """

    _known: dict[str, Folded]
    _is_stepping = False

    @property
    def kept(self) -> str:
        """The text as a draft is kept: with all that is folded."""
        return kept(self.text, self._known) if self._known else self.text

    @property
    def whole(self) -> str:
        """The text as it is sent."""
        return sent(self.kept)

    @property
    def unfolded(self) -> str:
        """The text as someone can go on with it elsewhere: with pastes in full."""
        return unfolded(self.kept)

    def folded_again(self, text: str) -> str:
        """A text made of the one that was `unfolded`, with what is still in it folded as it was."""
        for placeholder, folded in self._known.items():
            if placeholder in self.text:
                text = text.replace(f"@{folded.name}" if folded.name else folded.text, placeholder, 1)
        return text

    def restore(self, draft: str) -> None:
        """Put a kept draft in place of everything, with the cursor at its end."""
        self._known = {}
        self.load_text(shown(typed(draft), self._known))
        self.move_cursor(self.document.end)

    def insert_folded(self, folded: Folded, start: Place, end: Place) -> None:
        """Put a placeholder in place of what is between two places, and the cursor after it."""
        result = self._replace_via_keyboard(fold(folded, self._known), start, end)
        if result is not None:
            self.move_cursor(result.end_location)

    def insert_typed(self, text: str) -> None:
        """Put a text that came in one go in place of the selection, as it stands."""
        result = self._replace_via_keyboard(without_marks(typed(text)), *self.selection)
        if result is not None:
            self.move_cursor(result.end_location)

    def placeholders(self) -> list[tuple[Place, Place, Folded]]:
        """Where placeholders stand, and what for."""
        if not self._known:
            return []
        return [
            ((row, match.start()), (row, match.end()), self._known[match[0]])
            for row, line in enumerate(self.text.split("\n"))
            for match in PLACEHOLDER.finditer(line)
            if match[0] in self._known
        ]

    def edit(self, edit: Edit) -> EditResult:
        """Make a change; what takes part of a placeholder takes all of it."""
        if self._known:
            start, end = sorted((edit.from_location, edit.to_location))
            last = self._after(end)
            first = last if start == end else self._before(start)
            if (first, last) != (start, end):
                edit = replace(edit, from_location=first, to_location=last)
        return super().edit(edit)

    @property
    def selected_text(self) -> str:
        return sent(kept(super().selected_text, self._known))

    def action_cut(self) -> None:
        start, end = sorted(self.selection)
        cut = self.get_text_range(start, end) if start != end else f"{self.document.get_line(start[0])}\n"
        super().action_cut()
        if OPEN in cut:
            self.app.copy_to_clipboard(sent(kept(cut, self._known)))

    # Undoing. Textual looks at the cursor before it has put it back into a text that is shorter by then.

    def undo(self) -> None:
        with self._stepping():
            super().undo()

    def redo(self) -> None:
        with self._stepping():
            super().redo()

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        self._is_stepping = True
        try:
            yield
        finally:
            self._is_stepping = False
        self._refresh_size()

    def _refresh_size(self) -> None:
        if not self._is_stepping:
            super()._refresh_size()

    # The cursor

    def get_cursor_left_location(self) -> Place:
        row, column = super().get_cursor_left_location()
        return self._before((row, letter_start(self.document.get_line(row), column)))

    def get_cursor_right_location(self) -> Place:
        return self._after(super().get_cursor_right_location())

    def get_cursor_up_location(self) -> Place:
        return self._after(super().get_cursor_up_location())

    def get_cursor_down_location(self) -> Place:
        return self._after(super().get_cursor_down_location())

    def get_cursor_word_left_location(self) -> Place:
        return self._before(super().get_cursor_word_left_location())

    def get_cursor_word_right_location(self) -> Place:
        return self._after(super().get_cursor_word_right_location())

    def get_target_document_location(self, event: events.MouseEvent) -> Place:
        return self._after(super().get_target_document_location(event))

    def _after(self, place: Place) -> Place:
        """Where the letter or placeholder ends that a place is in; the place itself, where it is in none."""
        row, column = place
        line = self.document.get_line(row)
        for match in PLACEHOLDER.finditer(line) if OPEN in line else ():
            if match.start() < column < match.end():
                return row, match.end()
        return row, letter_end(line, column)

    def _before(self, place: Place) -> Place:
        """Where the placeholder begins that a place is in; the place itself, where it is in none."""
        row, column = place
        line = self.document.get_line(row)
        for match in PLACEHOLDER.finditer(line) if OPEN in line else ():
            if match.start() < column < match.end():
                return row, match.start()
        return place

    # Drawing

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if OPEN not in line.plain:
            return line
        drawn = Text(line.plain.replace(OPEN, "[").replace(CLOSE, "]"), end="", no_wrap=True)
        style = self.get_component_rich_style("folding-area--placeholder", partial=True)
        for match in PLACEHOLDER.finditer(line.plain):
            drawn.stylize(style, match.start(), match.end())
        return drawn
