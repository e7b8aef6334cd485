"""What the window loads with its first use, loaded ahead of it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import tui

_COMMAND_LINE = {
    "tui.__main__",
    "tui.agents",
    "tui.ask",
    "tui.ask_approvals",
    "tui.ask_input",
    "tui.cli",
    "tui.commands",
}
"""What a window never runs."""


def preload() -> None:
    """Load, in whatever thread has the time, all that the first frame does without and a key or an answer may need.

    Then the rest of what a window can run: Palaver may be upgraded or removed while a window is open, and what is loaded
    after that is gone, or of another version.
    """
    from tui.app.screens import help, picker, search, switcher  # noqa: A004, F401
    from tui.app.transcript import find, markdown  # noqa: F401
    from tui.app.transcript.preloading import preload as preload_painting
    from tui.app.widgets import dialogs  # noqa: F401

    preload_painting()
    for name in _ours("tui", list(tui.__path__)):
        import_module(name)
    _preload_others()


def _ours(package: str, paths: list[str]) -> Iterator[str]:
    """Every module of a package that a window may run."""
    for module in iter_modules(paths, f"{package}."):
        if module.name in _COMMAND_LINE:
            continue
        yield module.name
        if module.ispkg:
            yield from _ours(module.name, list(import_module(module.name).__path__))


def _preload_others() -> None:
    """Load and read what those modules do only as they are used."""
    import yaml  # noqa: F401

    from tui.exchange.prose import prose
    from tui.guide.manual import passages

    prose("```python\nNone\n```")
    passages()
