"""A key that every test's servers are sent, and the watch over everything else it might have got into.

Looked for are the key itself, as a URL or a query has it, and as base64 has it wherever it stands in what is encoded:
all of them hold its middle, which is the same however the rest is quoted.
"""

from __future__ import annotations

import base64
import mmap
import os
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

NAME = "PALAVER_CANARY"
"""The environment variable that holds it: the same key in all processes of a run."""

KEY = os.environ.setdefault(NAME, f"sk-CANARY+/{uuid.uuid4().hex}/=")
_MIDDLE = KEY.encode()[11:43]


def forms(middle: bytes = _MIDDLE) -> tuple[bytes, ...]:
    """What gives the key away, in any text: its middle, and the base64 of it at each of the three places it can have."""
    found = [middle]
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + middle)
        # The first and the last characters depend on what stands beside it.
        found.append(encoded[-(-before * 4 // 3) : (before + len(middle)) * 4 // 3 - 1].strip(b"="))
    return tuple(found)


FORMS = forms()


def is_in(data: bytes | mmap.mmap) -> bool:
    """Whether the key is in there, in any form."""
    return any(data.find(form) >= 0 for form in FORMS)


def files_with_it(files: Iterable[Path]) -> Iterator[Path]:
    """Those of `files` that hold it, or have it in their name."""
    for file in files:
        if is_in(os.fsencode(file)):
            yield file
            continue
        try:
            with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                held = is_in(data)
        except (OSError, ValueError):
            # Gone, not to be read, or empty.
            continue
        if held:
            yield file


def files_in(folder: Path, since: float = 0.0, depth: int = 20) -> Iterator[Path]:
    """Ordinary files, changed since then, so many folders deep. Links are not followed: they may lead anywhere."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth:
                    yield from files_in(Path(entry.path), since, depth - 1)
            elif entry.is_file(follow_symlinks=False):
                info = entry.stat(follow_symlinks=False)
                if info.st_size and info.st_mtime >= since:
                    yield Path(entry.path)
        except OSError:
            continue


class Watch:
    """What went by in a test: the output of programs it ran, of terminals, and of itself."""

    def __init__(self) -> None:
        self.leaks: list[str] = []

    def look(self, where: str, data: bytes | str | None) -> None:
        """Note it where `data` holds the key."""
        if data and is_in(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data):
            self.leaks.append(where)

    def take(self) -> list[str]:
        """What was noted since the last time."""
        taken, self.leaks = self.leaks, []
        return taken


watch = Watch()
"""Of this process."""


def begin() -> None:
    """Look, from now on, at what programs print to whoever runs them, and at what tests take from pytest's capture."""
    communicate = subprocess.Popen.communicate
    readouterr = pytest.CaptureFixture.readouterr

    def seen_communicate(self: subprocess.Popen[Any], *args: Any, **more: Any) -> tuple[Any, Any]:
        out, err = communicate(self, *args, **more)
        watch.look("standard output of a program", out)
        watch.look("standard error of a program", err)
        return out, err

    def seen_readouterr(self: pytest.CaptureFixture[Any]) -> Any:
        result = readouterr(self)
        watch.look("captured standard output", result.out)
        watch.look("captured standard error", result.err)
        return result

    subprocess.Popen.communicate = seen_communicate
    pytest.CaptureFixture.readouterr = seen_readouterr


def shared_places() -> list[tuple[Path, int]]:
    """Folders that no test owns, where a program may leave something all the same, and how deep they are looked into."""
    home = Path.home()
    named = [os.environ.get(f"XDG_{kind}_HOME") for kind in ("CACHE", "CONFIG", "DATA", "STATE")]
    root = Path(__file__).parent.parent
    return [
        (home / ".cache", 5),
        *((Path(name), 5) for name in named if name),
        *((home / ".config" / one, 5) for one in ("palaver",)),
        *((home / ".local" / kind / "palaver", 5) for kind in ("share", "state")),
        (root, 0),
        *((root / one, 5) for one in (".hypothesis", ".pytest_cache", ".bench", ".fuzz", "tests/app/__snapshots__")),
        (Path(os.environ.get("TMPDIR") or "/tmp"), 0),
    ]
