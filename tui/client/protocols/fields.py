"""Fields of what servers send: each is read as what it should be, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Payload = Mapping[str, Any]


def text(value: object) -> str:
    """A field that should be a string."""
    return value if isinstance(value, str) else ""


def table(value: object) -> Payload:
    """A field that should be an object."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[Payload]:
    """A field that should be a list of objects."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def count(value: object) -> int | None:
    """A field that should be a count of tokens."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def plain(value: object) -> str:
    """A field that may be anything, as text: JSON, unless it is text already."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def seconds_of(value: object) -> float | None:
    """A field that should be a time (ISO 8601), in seconds since the epoch; None where there is none."""
    try:
        time = datetime.fromisoformat(text(value))
        seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None
