"""Where things of a name stand among a million of them: a table of numbers alone, as names would take all of the memory."""

from __future__ import annotations

from array import array

_FIRST = 64


class Places:
    """Places by name. Names are known by their hashes: of 64 bits, no two among a million are the same."""

    def __init__(self) -> None:
        self._hashes = array("q", bytes(8 * _FIRST))
        self._places = array("q", [-1]) * _FIRST
        self._count = 0

    def put(self, name: str, place: int) -> bool:
        """Note the place of a name. Gives whether it had one before."""
        if self._count * 3 > len(self._places) * 2:
            self._grow()
        digest = hash(name)
        slot = self._slot(digest)
        is_known = self._places[slot] >= 0
        self._count += not is_known
        self._hashes[slot], self._places[slot] = digest, place
        return is_known

    def get(self, name: str) -> int | None:
        """The place of a name; None where it has none."""
        place = self._places[self._slot(hash(name))]
        return None if place < 0 else place

    def _slot(self, digest: int) -> int:
        mask = len(self._places) - 1
        slot = digest & mask
        while self._places[slot] >= 0 and self._hashes[slot] != digest:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        hashes, places = self._hashes, self._places
        self._hashes = array("q", bytes(8 * 2 * len(hashes)))
        self._places = array("q", [-1]) * (2 * len(places))
        for digest, place in zip(hashes, places, strict=True):
            if place >= 0:
                slot = self._slot(digest)
                self._hashes[slot], self._places[slot] = digest, place
