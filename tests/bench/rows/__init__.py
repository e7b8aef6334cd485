"""What is measured, by the name of its row: each is a module with `measure(setting)`."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {
    "B1": "start",
    "B2": "opening",
    "B3": "moving",
    "B4": "streaming",
    "B5": "stopping",
    "B6": "switching",
    "B7": "searching",
    "B8": "asking",
    "B9": "helping",
    "B10": "writing",
    "B11": "idling",
    "B12": "weight",
}
"""The modules of the rows."""


@dataclass(frozen=True)
class Setting:
    """What a run is like: the server's address, and whether it has to be short."""

    url: str
    quick: bool = False

    def rounds(self, usual: int) -> int:
        """How often something is repeated."""
        return max(3, usual // 4) if self.quick else usual
