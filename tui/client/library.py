"""httpx, imported in this one place, so that another library could take its place."""

from __future__ import annotations

import sys

# httpx imports its command line too, where click is installed: a third of its import time (36 of 102 ms measured).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402

__all__ = ["httpx"]
