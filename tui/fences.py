"""Fences around text in Markdown."""

from __future__ import annotations

import re


def fence_for(text: str, sign: str = "`") -> str:
    """A fence that nothing in `text` closes."""
    longest = max(map(len, re.findall(f"{re.escape(sign)}+", text)), default=0)
    return sign * max(3, longest + 1)


def fenced(text: str) -> str:
    """A text in a fence that nothing in it closes."""
    fence = fence_for(text)
    return f"{fence}\n{text}\n{fence}"
