"""Numbers of bytes in words."""

from __future__ import annotations

from tui.text import counted

_LARGE = 10_000
"""Kilobytes from which on larger units are used: what may be attached is told in kilobytes."""

_UNITS = ("MB", "GB", "TB")


def size_words(size: float) -> str:
    """A number of bytes as people read it. A kilobyte has 1,024 of them."""
    if size < 1000:
        return counted(int(size), "byte")
    size /= 1024
    if size < _LARGE:
        return f"{max(1, round(size)):,} KB"
    for unit in _UNITS:
        size /= 1024
        if size < 1000 or unit == _UNITS[-1]:
            break
    return f"{size:,.1f} {unit}" if size < 10 else f"{size:,.0f} {unit}"
