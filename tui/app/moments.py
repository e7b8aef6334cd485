"""A moment as it is shown: its day and minute, in this machine's time zone."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float | None) -> str:
    """A time in seconds since the epoch, 16 characters wide; blank where there is none, question marks where it is no time."""
    if seconds is None:
        return " " * 16
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "?" * 16
