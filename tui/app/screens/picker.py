"""A list to choose from by a few letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.app.fuzzy import TextMatcher
from tui.app.steady import Steady
from tui.app.widgets.line import Line
from tui.text import one_line

_MATCHED = Style(bold=True, underline=True)

MOST = 100
"""Choices listed at once; more letters find the others."""


class Choice(NamedTuple):
    """Something to choose: what choosing it gives, and how it is called."""

    value: str
    text: str


class Picker(Steady, ModalScreen[str | None]):
    """Choices that fit what is typed. Gives the value of the chosen one.

    With `new` what fits no choice can be taken as it is typed, as "new:" and the text; it says what that would do, with
    `{}` for the text.
    """

    DEFAULT_CSS = """
    Picker {
        align: center top;
        & > Vertical {
            margin-top: 2; width: 70; max-width: 95%; height: auto; max-height: 80%; padding: 0 1;
            border: round $primary; background: $surface; border-title-style: bold;
        }
        & Input, & Input:focus { border: none; height: 1; margin: 1 0; padding: 0 1; background: $background; }
        & OptionList {
            height: auto; max-height: 20; border: none; background: $surface;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        & .picker--empty { color: $foreground 60%; margin-bottom: 1; }
    }
    """

    BINDINGS = [
        Binding("escape", "dismiss(None)", "Close", id="picker.close"),
        Binding("up", "move(-1)", "Up", id="picker.up", show=False, priority=True),
        Binding("down", "move(1)", "Down", id="picker.down", show=False, priority=True),
        Binding("pageup", "move(-10)", "Page up", id="picker.page-up", show=False, priority=True),
        Binding("pagedown", "move(10)", "Page down", id="picker.page-down", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], *, hint: str, empty: str, new: str = "") -> None:
        super().__init__()
        self._title = title
        self._choices = choices
        self._hint = hint
        self._empty = empty
        self._new = new

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Line(placeholder=self._hint)
            yield OptionList(markup=False)
            yield Static(Content(""), classes="picker--empty")

    def on_mount(self) -> None:
        self._list("")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._list(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        options = self.query_one(OptionList)
        if options.highlighted is not None and options.option_count:
            self._choose(options.highlighted)
        elif event.value.strip() and self._new:
            self.dismiss(f"new:{event.value.strip()}")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._choose(event.option_index)

    def _choose(self, place: int) -> None:
        self.dismiss(self._found[place].value)

    def action_move(self, step: int) -> None:
        options = self.query_one(OptionList)
        if options.option_count:
            options.highlighted = max(0, min(options.option_count - 1, (options.highlighted or 0) + step))

    def _list(self, words: str) -> None:
        words = words.strip()
        options = self.query_one(OptionList)
        options.clear_options()
        found = self._matching(words)
        self._found = [choice for choice, _ in found]
        options.add_options([Option(text) for _, text in found])
        if found:
            options.highlighted = 0
        empty = self.query_one(".picker--empty", Static)
        empty.display = not found
        nothing = self._new.format(one_line(words, 40)) if self._new else "Nothing matches."
        empty.update(Content(nothing if words else self._empty))

    def _matching(self, words: str) -> list[tuple[Choice, Content]]:
        """Choices with their names, best match first, the matching letters marked."""
        if not words:
            return [(choice, Content(choice.text)) for choice in self._choices[:MOST]]
        matcher = TextMatcher(words, match_style=_MATCHED)
        scored = [(matcher.match(choice.text), choice) for choice in self._choices]
        best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])[:MOST]
        return [(choice, matcher.highlight(choice.text)) for _, choice in best]
