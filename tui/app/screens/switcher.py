"""Ctrl+O: find a session by a few letters of its name, and go there."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.model import Session
from tui.text import one_line

_MATCHED = Style(bold=True, underline=True)

MOST = 100
"""Sessions listed at once; more letters find the others."""


class Switcher(ModalScreen[str | None]):
    """Sessions that fit what is typed. Gives the chosen session's id, or "new:" and a label for a new one."""

    DEFAULT_CSS = """
    Switcher {
        align: center top;
        & > Vertical {
            margin-top: 2; width: 70; max-width: 95%; height: auto; max-height: 80%; padding: 0 1;
            border: round $primary; background: $surface; border-title-style: bold;
        }
        & Input, & Input:focus { border: none; height: 1; margin: 1 0; padding: 0 1; background: $background; }
        & OptionList { height: auto; max-height: 20; border: none; background: $surface; }
        & .switcher--empty { color: $foreground 60%; margin-bottom: 1; }
    }
    """

    BINDINGS = [
        Binding("escape,ctrl+o", "dismiss(None)", "Close", id="switcher.close"),
        Binding("up", "move(-1)", "Up", id="switcher.up", show=False, priority=True),
        Binding("down", "move(1)", "Down", id="switcher.down", show=False, priority=True),
        Binding("pageup", "move(-10)", "Page up", id="switcher.page-up", show=False, priority=True),
        Binding("pagedown", "move(10)", "Page down", id="switcher.page-down", show=False, priority=True),
    ]

    def __init__(self, sessions: Sequence[Session], current: str) -> None:
        super().__init__()
        # The session one is in is the last one would switch to.
        self._sessions = sorted(sessions, key=lambda session: session.id == current)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content("Switch session")
            yield Input(placeholder="A few letters of a label or title")
            yield OptionList(markup=False)
            yield Static(Content(""), classes="switcher--empty")

    def on_mount(self) -> None:
        self._list("")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._list(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        options = self.query_one(OptionList)
        if options.highlighted is not None and options.option_count:
            self.dismiss(options.get_option_at_index(options.highlighted).id)
        elif event.value.strip():
            self.dismiss(f"new:{event.value.strip()}")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option.id)

    def action_move(self, step: int) -> None:
        options = self.query_one(OptionList)
        if options.option_count:
            options.highlighted = max(0, min(options.option_count - 1, (options.highlighted or 0) + step))

    def _list(self, words: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        found = self._matching(words.strip())
        options.add_options([Option(name, id=session.id) for session, name in found])
        if found:
            options.highlighted = 0
        empty = self.query_one(".switcher--empty", Static)
        empty.display = not found
        empty.update(
            Content(f"No session fits. Enter begins “{one_line(words, 40)}”." if words.strip() else "None yet.")
        )

    def _matching(self, words: str) -> list[tuple[Session, Content]]:
        """Sessions with their names, best match first, the matching letters marked."""
        if not words:
            return [(session, Content(_name(session))) for session in self._sessions[:MOST]]
        matcher = Matcher(words, match_style=_MATCHED)
        scored = [(matcher.match(_name(session)), session) for session in self._sessions]
        best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])[:MOST]
        return [(session, matcher.highlight(_name(session))) for _, session in best]


def _name(session: Session) -> str:
    label, title = one_line(session.label, 60), one_line(session.title, 80)
    return f"{label} — {title}" if title and title != label else label
