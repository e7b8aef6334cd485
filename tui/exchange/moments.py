"""Times as people read them, the same wherever they are read."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """A day and a time, in UTC; empty where it is not known."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds > 0 else ""
    except (OverflowError, ValueError, OSError):
        return ""
