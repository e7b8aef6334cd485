"""Regular expressions that are compiled when they are first used: a start uses few of them, and one takes up to 3 ms."""

from __future__ import annotations

import re

__all__ = ["pattern"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import compile as pattern
    from typing import Any
else:

    def pattern(source: str, flags: int = 0) -> _Pattern:
        """What `re.compile` gives, to be used like that."""
        return _Pattern(source, flags)


class _Pattern:
    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """A method of the compiled pattern, which is found without this from then on."""
        found = getattr(re.compile(self._source, self._flags), name)
        setattr(self, name, found)
        return found
