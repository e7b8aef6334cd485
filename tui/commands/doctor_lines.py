"""What `palaver doctor` says: lines, each about one thing, with a mark and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from tui import crash
from tui.errors import PalaverError
from tui.values import dataclass


class Mark(StrEnum):
    """How it is with a thing: in order, worth a look, or in the way of working with Palaver."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Line:
    """What is found about one thing, in words, and what to do about it, or nothing."""

    mark: Mark
    about: str
    text: str
    remedy: str = ""


def guarded(about: str, look: Callable[[], Iterable[Line]], subject: str = "this") -> Iterator[Line]:
    """What `look` finds, and a line that says why where it cannot go on looking at `subject`."""
    try:
        yield from look()
    except PalaverError as error:
        yield Line(Mark.WRONG, about, error.message, error.hint)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        yield Line(Mark.WRONG, about, f"{place}{error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - one part that fails is a finding, and the others are still looked at
        yield Line(Mark.WRONG, about, f"{subject} could not be looked at: {crash.sentence(error)}")
