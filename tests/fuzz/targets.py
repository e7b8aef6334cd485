"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import engine, imports, machines, searches, servers, texts

TARGETS = texts.TARGETS | searches.TARGETS | imports.TARGETS | servers.TARGETS | machines.TARGETS


def run(name: str, count: int, seed: int, seconds: float) -> engine.Counts:
    """Give the target of that name its inputs; for a process of its own."""
    return engine.run(name, TARGETS[name], count, seed, seconds)
