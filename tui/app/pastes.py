"""Pasted text told from keys, whatever is in it: up to its end mark nothing in it is a key.

An end mark may be lost, as where a connection breaks and is taken up again. A terminal sends a paste in one go, so that
after a pause in it a single key can only be one that was pressed after it. Enter is none for all that: it would send.
"""

from __future__ import annotations

from collections.abc import Iterator

from tui.patterns import pattern

BEGIN, END = "\x1b[200~", "\x1b[201~"

_KEY = pattern(r"[^\r\n]|\x1b\[[0-9;:?]*[A-Za-z~]|\x1b[^\r\n]{1,2}|(?:\x1b\[<[0-9;]*[Mm])+")
"""One key, as terminals send it, or what the mouse did."""


class Pastes:
    """Cuts what a terminal sends, in pieces that end anywhere, into keys and pastes."""

    def __init__(self) -> None:
        self._held = ""
        self._pasted: list[str] | None = None
        self._is_in_doubt = False

    @property
    def is_coming(self) -> bool:
        """Whether more of a paste is to come, and no pause in it was told of."""
        return self._pasted is not None and not self._is_in_doubt

    def pause(self) -> str:
        """Nothing has come for so long that the end mark may be lost. Gives what has come so far of the paste."""
        text, self._pasted, self._is_in_doubt = "".join(self._pasted or ()), [], True
        return text

    def feed(self, text: str, *, goes_on: bool) -> Iterator[tuple[bool, str]]:
        """Each part of `text`, as far as it is clear, and whether it was pasted. A paste comes whole.

        `goes_on` tells that more is there to be read: without that, an Escape at the end is the key.
        """
        if self._is_in_doubt:
            self._is_in_doubt = False
            if _KEY.fullmatch(text) and not (self._held + text).startswith(END):
                if self._held:
                    yield True, self._held
                self._held, self._pasted = "", None
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
