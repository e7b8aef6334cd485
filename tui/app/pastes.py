"""Pasted text told from keys, whatever is in it: up to its end mark nothing in it is a key."""

from __future__ import annotations

from collections.abc import Iterator

BEGIN, END = "\x1b[200~", "\x1b[201~"


class Pastes:
    """Cuts what a terminal sends, in pieces that end anywhere, into keys and pastes."""

    def __init__(self) -> None:
        self._held = ""
        self._pasted: list[str] | None = None

    def feed(self, text: str, *, goes_on: bool) -> Iterator[tuple[bool, str]]:
        """Each part of `text`, as far as it is clear, and whether it was pasted. A paste comes whole.

        `goes_on` tells that more is there to be read: without that, an Escape at the end is the key.
        """
        text, self._held = self._held + text, ""
        while text:
            mark = BEGIN if self._pasted is None else END
            before, found, after = text.partition(mark)
            if not found:
                before, self._held = self._open_end(text, mark, 1 if goes_on or mark == END else 3)
            if self._pasted is not None:
                self._pasted.append(before)
                if found:
                    yield True, "".join(self._pasted)
                    self._pasted = None
            elif before:
                yield False, before
            if not found:
                return
            if mark == BEGIN:
                self._pasted = []
            text = after

    @staticmethod
    def _open_end(text: str, mark: str, least: int) -> tuple[str, str]:
        """`text` cut before what may be the beginning of `mark`, if it is at least so long."""
        for size in range(len(mark) - 1, least - 1, -1):
            if text.endswith(mark[:size]):
                return text[:-size], text[-size:]
        return text, ""
