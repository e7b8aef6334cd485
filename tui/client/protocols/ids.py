"""Conversation ids as servers issue them: which of them can be sent again."""

from __future__ import annotations

import re
from urllib.parse import quote

from tui.errors import Refused

_ID_LIMIT = 4096
_UNUSABLE = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]|\A\.\.?\Z")


def check_id(value: object, host: str) -> str:
    """A conversation id that may be kept and sent again.

    Raises:
        Refused: It is empty, huge, or is or holds what has no place in a header or an address.
    """
    if not isinstance(value, str) or not value or len(value) > _ID_LIMIT or _UNUSABLE.search(value):
        shown = quote(str(value)[:40], errors="replace")
        raise Refused(f"{host} issued a conversation id that cannot be used: “{shown}”.")
    return value
