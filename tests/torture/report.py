"""What a long run came to: counts to print, and everything that was wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Report:
    """Of one run. It has failed if anything is `wrong`."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def expect(self, holds: object, otherwise: str) -> None:
        """Note `otherwise` if it does not hold."""
        if not holds:
            self.wrong.append(otherwise)

    def text(self) -> str:
        """A line of counts, and a line for everything that is wrong."""
        parts = [f"{count:,} {name}" for name, count in self.counts.items()]
        parts += [f"{name} {value}" for name, value in self.figures.items()]
        lines = [f"{self.name}: {', '.join(parts)}; {len(self.wrong)} wrong"]
        return "\n".join([*lines, *(f"  {one}" for one in self.wrong[:50])])
