"""A session looked at: turns that come when the test brings them, told apart by their lines."""

from __future__ import annotations

import random
from collections import Counter

from tui.app.transcript.viewport import Place, Viewport
from tui.model import Item, ItemKind, Turn, TurnStatus

HEIGHT = 20


def turn(depth: int, text: str, *, status: TurnStatus = TurnStatus.DONE, name: str = "") -> Turn:
    return Turn(f"{name}{depth}", "session", depth, f"Prompt {depth}", status, (Item("m", ItemKind.MESSAGE, text),))


def talk(count: int, *, seed: int = 1, most: int = 12) -> list[Turn]:
    """Turns of all heights, every line of which is told apart from all others."""
    rng = random.Random(seed)
    return [
        turn(depth, "\n\n".join(f"{depth}.{number} word" for number in range(rng.randint(1, most))))
        for depth in range(count)
    ]


class Session:
    """A viewport, and the turns it may ask for. What it asks for comes when `bring` is called."""

    def __init__(
        self, turns: list[Turn], *, place: Place | None = None, height: int = HEIGHT, at_hand: int = 0
    ) -> None:
        self.turns = turns
        self.asked: list[tuple[int, int]] = []
        self.all_asked: Counter[int] = Counter()
        self.port = Viewport(self._ask)
        self.port.resize(60, height)
        self.port.open(len(turns), place or Place(), following=place is None)
        self.port.put(turns[len(turns) - at_hand :])
        self.port.update()

    def _ask(self, start: int, until: int) -> None:
        assert 0 <= start < until <= len(self.turns)
        self.asked.append((start, until))
        self.all_asked.update(range(start, until))

    def bring(self) -> None:
        """Bring what was asked for, and what is asked for then."""
        for _ in range(20):
            if not self.asked:
                return
            asked, self.asked = self.asked, []
            for start, until in asked:
                self.port.put(self.turns[start:until])
            self.port.update()
        raise AssertionError("it never has enough")

    def texts(self) -> list[str]:
        return [row.line.text.rstrip() for row in self.port.rows]

    def known(self) -> dict[int, str]:
        """The lines in view of turns that are at hand, by their numbers."""
        return {row.key: row.line.text for row in self.port.rows if row.unit is not None}


def all_texts(turns: list[Turn]) -> list[str]:
    """All lines of a session, as a window without end would show them."""
    port = Viewport(lambda _start, _until: None)
    port.resize(60, 10)
    port.open(turns[-1].depth + 1 if turns else 0, Place(), following=False)
    port.put(turns)
    return [line.text.rstrip() for _, line in port.all_lines(0, len(port.layout))]
