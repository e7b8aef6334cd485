"""Commands that can be typed into the prompt, after a slash."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tui.app.widgets.offer_list import Offer
from tui.values import dataclass


@dataclass(frozen=True, slots=True)
class Slash:
    """A command: what it does given the rest of the line, and a line of help.

    `argument` is what may follow, as help writes it: in brackets where it may be left out. `choices` are arguments to
    choose from, with a note on each.
    """

    run: Callable[[str], object]
    help: str
    argument: str = ""
    choices: Mapping[str, str] | None = None

    @property
    def needs_argument(self) -> bool:
        return bool(self.argument) and not self.argument.startswith("[")


Commands = Mapping[str, Slash]
"""All that can be typed, by the word for it."""


def run(text: str, commands: Commands) -> bool:
    """Carry out `text` if it is a command. What is none is for the server: it may know words of its own."""
    word, _, rest = text.strip().partition(" ")
    command = commands.get(word) if "\n" not in text.strip() else None
    if command is None:
        return False
    command.run(rest.strip())
    return True


def offers(text: str, commands: Commands) -> list[Offer]:
    """What a prompt that begins like `text` may become: commands, or arguments of one."""
    word, blank, rest = text.partition(" ")
    if not word.startswith("/") or "\n" in text:
        return []
    if not blank:
        fitting = ((name, one) for name, one in commands.items() if name.startswith(word))
        return [
            Offer(name + " " * bool(one.argument), f"{name} {one.argument}".rstrip(), one.help, not one.needs_argument)
            for name, one in fitting
        ]
    command = commands.get(word)
    choices = command.choices if command is not None and command.choices is not None else {}
    return [Offer(f"{word} {one}", one, note, True) for one, note in choices.items() if one.startswith(rest.lstrip())]
