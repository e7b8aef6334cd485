"""What is known of a thread before its turns are written: its names, and what each turn is about."""

from __future__ import annotations

from tui.exchange.mask import Mask
from tui.model import Turn, title_from
from tui.objects import iso
from tui.values import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A turn, as a list of contents has it. `number` counts from 1, and only what is written."""

    number: int
    title: str
    at: float
    model: str


@dataclass(frozen=True, slots=True)
class Outline:
    """A thread that is about to be written."""

    label: str
    title: str
    turns: tuple[Heading, ...]

    @property
    def name(self) -> str:
        return self.title or self.label

    @property
    def models(self) -> tuple[str, ...]:
        """The models that answered, in the order they first did."""
        return tuple(dict.fromkeys(turn.model for turn in self.turns if turn.model))


def heading(turn: Turn, number: int, mask: Mask) -> Heading:
    """What a list of contents says of a turn, less what `mask` takes away."""
    title = mask.name(title_from(mask.text(turn.prompt), 80))
    return Heading(number, title, turn.created_at, mask.text(turn.model))


def iso_moment(seconds: float) -> str:
    """A time as bundles have it, to the millisecond; empty where it is not known."""
    moment = iso(round(seconds, 3)) if seconds > 0 else None
    return moment.replace("+00:00", "Z") if moment else ""
