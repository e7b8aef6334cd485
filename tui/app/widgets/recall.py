"""What the user said before, gone through step by step: in this session first, then in others."""

from __future__ import annotations

from collections.abc import Iterable


class Recall:
    """Prompts, oldest first, and how many steps back from what is being written one is.

    What is being written is put aside with the first step and given again with the last. `is_put_by` is whether the first
    step back leads to what was put by a moment ago.
    """

    def __init__(self) -> None:
        self._own: list[str] = []
        self._others: list[str] | None = None
        self._back = 0
        self._aside = ""
        self.is_put_by = False
        self._put_by: set[str] = set()

    def set(self, prompts: Iterable[str]) -> None:
        """Begin anew, in a session where this was said."""
        self._own = _in_a_row(prompts)
        self._others = None
        self._back = 0
        self.is_put_by = False

    def fill(self, earlier: Iterable[str]) -> None:
        """Add what was said before what is known so far; who has begun to recall stays where they are."""
        self._own = _in_a_row([*earlier, *self._own])

    def fill_others(self, prompts: Iterable[str]) -> None:
        """Take what was said in other sessions."""
        self._others = _in_a_row(prompts)

    def add(self, prompt: str) -> None:
        """Something was said just now."""
        self._own = _in_a_row([*self._own, prompt])
        self._back = 0
        self.is_put_by = False

    def put_by(self, prompt: str) -> None:
        """Something was written, and given up without being said."""
        self.add(prompt)
        self._put_by.add(prompt)
        self.is_put_by = True

    def leave(self) -> None:
        """What is in the input now is a text of its own."""
        self._back = 0

    @property
    def said(self) -> list[str]:
        """What was said in this session."""
        return list(self._own)

    @property
    def needs_others(self) -> bool:
        """Whether the next step back leads out of this session, and it is not known to where."""
        return self._others is None and self._back == len(self._own)

    @property
    def is_back(self) -> bool:
        """Whether it is a prompt from before that is shown."""
        return self._back > 0

    @property
    def is_unsaid(self) -> bool:
        """Whether what is shown was never said, so that it is nowhere else."""
        return self._back > 0 and self._all[-self._back] in self._put_by

    @property
    def aside(self) -> str:
        """What was being written before a prompt was shown; nothing, where none is."""
        return self._aside if self._back else ""

    def step(self, step: int, aside: str) -> str | None:
        """The prompt before (-1) or after the present one; None where there is none that way. `aside` is what is being
        written, given again after the newest prompt."""
        back = self._back - step
        if not 0 <= back <= len(self._all):
            return None
        if not self._back:
            self._aside = aside
        self._back = back
        self.is_put_by = False
        return self._all[-back] if back else self._aside

    @property
    def _all(self) -> list[str]:
        return [*(self._others or ()), *self._own]


def _in_a_row(prompts: Iterable[str]) -> list[str]:
    """`prompts` less those that are as the one before."""
    found: list[str] = []
    for prompt in prompts:
        if found[-1:] != [prompt]:
            found.append(prompt)
    return found
