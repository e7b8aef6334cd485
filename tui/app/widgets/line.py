"""A field for one line of text, that takes and shows only what is clean."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from tui.text import clean, one_line


class Line(Input):
    """An input of one line. What is pasted into it is one line, whatever it was."""

    def __init__(self, value: str = "", *, placeholder: str = "", select_on_focus: bool = True) -> None:
        self._given = value
        self._shown = clean(value).replace("\n", " ")
        super().__init__(self._shown, placeholder=placeholder, select_on_focus=select_on_focus)

    @property
    def text(self) -> str:
        """What the user means: the text given, exactly, where nothing of it as it is shown was changed."""
        return self._given if self.value == self._shown else self.value

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = one_line(event.text, len(event.text) * 16 + 16)
        if text:
            self.replace(text, *self.selection)
            # Textual does not go to the cursor after the first change of a value, be it as long as it may.
            cursor, self.cursor_position = self.cursor_position, 0
            self.cursor_position = cursor
