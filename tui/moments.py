"""A moment as people write it down, in this machine's time zone."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float | None, *, to_the_second: bool = False) -> str:
    """A time in seconds since the epoch, to the minute; empty where there is none, a question mark where it is no time."""
    if seconds is None:
        return ""
    try:
        local = datetime.fromtimestamp(seconds, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return "?"
    return local.strftime("%Y-%m-%d %H:%M:%S" if to_the_second else "%Y-%m-%d %H:%M")
