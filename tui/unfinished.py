"""The files that are being made under names of their own, and are of no use to anyone if the program ends amid that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_files: set[Path] = set()


@contextmanager
def unfinished(*files: Path) -> Iterator[None]:
    """With files that are to be gone should the program end now. Nothing happens to them when this is left."""
    _files.update(files)
    try:
        yield
    finally:
        _files.difference_update(files)


def take_away() -> None:
    """Delete them. The program is to end at once: whoever makes them, in whatever thread, may not have noticed."""
    for file in tuple(_files):
        with suppress(OSError):
            file.unlink(missing_ok=True)
