"""F1: every key, and whether it does something now; and a few words on what is on the screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from textwrap import wrap
from typing import Any, NamedTuple

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Static

from tui.app.key_names import first_key, key_name
from tui.app.screens.sheet import Sheet

MARKS = (
    ("◌", "a session that is answering"),
    ("●", "an answer you have not seen"),
    ("✗", "the last prompt failed; <view.next>, then <transcript.resend> sends it again"),
    ("◆", "a note on how a turn went"),
    ("■", "an answer that was stopped or broke off; what came is kept"),
    ("?", "the answer waits for your approval"),
    ("↳", "a prompt to be sent after the answer"),
    ("□", "a prompt that waits for you"),
    ("▸", "folded: reasoning, a tool's call; <transcript.fold> or a click unfolds it"),
)
"""Marks and what they mean, with keys by the names of what they do."""

_GROUPS = {
    "prompt": "Writing",
    "turn": "Answers",
    "queue": "Prompts that wait (in the empty input)",
    "session": "Sessions",
    "transcript": "In the transcript (<view.next> goes there, <transcript.leave> comes back)",
    "sidebar": "In the sidebar",
    "view": "The screen",
    "find": "In the find bar",
    "list": "In the list above the input",
    "app": "Palaver",
}


class Key(NamedTuple):
    """Keys as they are shown, what they do, the name to bind them by, and whether they do it now."""

    shown: str
    text: str
    name: str
    is_active: bool


def keys_of(app: App[Any], widgets: Iterable[DOMNode], keymap: Mapping[str, str]) -> dict[str, list[Key]]:
    """Every key of these widgets and of what has the focus, by group; those of no group, such as a dialog's, left out.

    `keymap` is what the user bound otherwise, by name.
    """
    found: dict[str, tuple[Binding, list[str], bool]] = {}
    for active in app.screen.active_bindings.values():
        _note(found, app, active.binding, is_active=active.enabled)
    for widget in widgets:
        for binding in _bindings_of(type(widget)):
            if binding.id and binding.id not in found:
                for key in keymap.get(binding.id, binding.key).split(","):
                    _note(found, app, binding.with_key(key), is_active=False)
    groups: dict[str, list[Key]] = {heading: [] for heading in _GROUPS.values()}
    for name, (binding, shown, is_active) in found.items():
        heading = _GROUPS.get(name.partition(".")[0])
        if heading is not None:
            groups[heading].append(Key(" ".join(shown), binding.description, name, is_active))
    return {heading: keys for heading, keys in groups.items() if keys}


def _bindings_of(kind: type) -> Iterator[Binding]:
    """What a class of widgets binds, and what those it derives from do; the class's own first."""
    for one in kind.__mro__:
        yield from Binding.make_bindings(vars(one).get("BINDINGS", ()))


def _note(
    found: dict[str, tuple[Binding, list[str], bool]], app: App[Any], binding: Binding, *, is_active: bool
) -> None:
    if binding.id and binding.description:
        _, shown, was_active = found.setdefault(binding.id, (binding, [], is_active))
        name = key_name(app, binding)
        if name not in shown:
            shown.append(name)
        found[binding.id] = (binding, shown, was_active or is_active)


KEYS_WIDE = 18
"""Columns for the keys of an action; where it has more, they go on in the next line."""


def _lines(keys: str) -> list[str]:
    return wrap(keys, KEYS_WIDE, break_long_words=False, break_on_hyphens=False) or [""]


FRAME = 7
"""Columns of a sheet for its frame, the space within and the scrollbar."""


_GREY = "$foreground 45%"


def _in_columns(key: Key, texts: int, gap: str) -> Content:
    """A key in a line: what to press, what it does in so many columns, and after a gap the name to bind it by."""
    first, *others = _lines(key.shown)
    about = Content.styled(f"{first:<{KEYS_WIDE}}  {key.text:<{texts}}", "" if key.is_active else _GREY)
    return about + Content.styled("".join([f"{gap}{key.name}", *(f"\n{more}" for more in others)]), _GREY)


def _narrow(key: Key) -> Content:
    """A key where there is no room for columns: what it does, and under it the keys, and the name to bind them by."""
    about = Content.styled(f"{key.text}\n  {key.shown}", "" if key.is_active else _GREY)
    return about + Content.styled(f"\n  {key.name}", _GREY)


class HelpScreen(Sheet):
    """All keys, those that do nothing at this moment in grey."""

    BINDINGS = [Binding("escape,f1,q,enter", "dismiss(None)", "Close", id="help.close")]

    def __init__(self, groups: dict[str, list[Key]]) -> None:
        super().__init__()
        self._groups = groups
        self._shown: list[tuple[Static, list[Key]]] = []

    @property
    def _room(self) -> int:
        """The columns there are for text."""
        return int(self.app.size.width * 0.98) - FRAME

    @property
    def _has_little_room(self) -> bool:
        """Whether the columns for keys, what they do and names do not fit beside each other."""
        every = [key for keys in self._groups.values() for key in keys]
        widest = max((len(key.text) for key in every), default=0) + max((len(key.name) for key in every), default=0)
        return self._room < KEYS_WIDE + 3 + widest

    def on_resize(self) -> None:
        for shown, keys in self._shown:
            shown.update(Content("\n").join(self._told(keys)))

    def _told(self, keys: list[Key]) -> list[Content]:
        """Keys with what they do and their names: in columns, where there is room for them."""
        if self._has_little_room:
            return [_narrow(key) for key in keys]
        texts = max((len(key.text) for keys in self._groups.values() for key in keys), default=8)
        gap = " " * (1 if self._room < 72 else 2)
        return [_in_columns(key, texts, gap) for key in keys]

    def _with_keys(self, text: str) -> str:
        """A text that names keys by what they do, with the keys as they are bound."""
        first = {key.name: key.shown.split(" ")[0] for keys in self._groups.values() for key in keys}
        return re.sub(r"<([a-z.-]+)>", lambda name: first[name[1]], text)

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content("Keys")
            for heading, keys in self._groups.items():
                yield Static(Content(self._with_keys(heading)), classes="sheet--title")
                shown = Static(Content("\n").join(self._told(keys)))
                self._shown.append((shown, keys))
                yield shown
            yield Static(Content("Marks"), classes="sheet--title")
            yield Static(Content("\n".join(f"{mark}  {self._with_keys(text)}" for mark, text in MARKS)))
            note = "Grey keys do nothing at this moment. The grey names are those to bind keys by, under [keys] in config.toml. "
            yield Static(Content(f"{note}{first_key(self, 'help.close')} closes this."), classes="sheet--note")
