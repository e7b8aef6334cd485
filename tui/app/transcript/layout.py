"""How high each turn of a session is: measured where it was drawn, guessed elsewhere."""

from __future__ import annotations

from array import array

CHUNK = 256
"""Turns whose heights are summed together, so that finding a place takes a few hundred steps at any length."""

GUESS = 12
"""The height of a turn nothing is known of."""


class Layout:
    """The heights of a session's turns, by depth."""

    def __init__(self, count: int = 0, guess: int = GUESS) -> None:
        self.reset(count, guess)

    def reset(self, count: int, guess: int = GUESS) -> None:
        """Forget all heights."""
        self._heights = array("I", [guess]) * count
        self._sums = [guess * len(self._heights[at : at + CHUNK]) for at in range(0, count, CHUNK)]
        self._guess = guess

    def __len__(self) -> int:
        return len(self._heights)

    def grow(self, count: int) -> None:
        """Make room for new turns at the end, or drop the last ones."""
        if count < len(self._heights):
            del self._heights[count:]
        else:
            self._heights.extend([self._guess] * (count - len(self._heights)))
        first = min(len(self._sums) - 1, count // CHUNK) if self._sums else 0
        first = max(0, first - 1)
        self._sums[first:] = [sum(self._heights[at : at + CHUNK]) for at in range(first * CHUNK, count, CHUNK)]

    def set(self, depth: int, height: int) -> None:
        before = self._heights[depth]
        if before != height:
            self._heights[depth] = height
            self._sums[depth // CHUNK] += height - before

    def height(self, depth: int) -> int:
        return self._heights[depth]

    @property
    def total(self) -> int:
        return sum(self._sums)

    def top_of(self, depth: int) -> int:
        """The number of lines before a turn."""
        chunk = depth // CHUNK
        return sum(self._sums[:chunk]) + sum(self._heights[chunk * CHUNK : depth])

    def locate(self, line: int) -> tuple[int, int]:
        """The turn that a line of the whole belongs to, and the line within it."""
        line = max(0, line)
        chunk = 0
        while chunk < len(self._sums) - 1 and line >= self._sums[chunk]:
            line -= self._sums[chunk]
            chunk += 1
        depth = chunk * CHUNK
        while depth < len(self._heights) - 1 and line >= self._heights[depth]:
            line -= self._heights[depth]
            depth += 1
        return depth, line
