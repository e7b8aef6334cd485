"""A window that payloads are put through: keys go in, and its bytes and its screen are read."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len

from tests.sequences import bare, read
from tests.untrusted.commands import Found
from tests.untrusted.home import Home
from tests.untrusted.screen import Window

WIDTH = 200

_FRAME = str.maketrans("", "", "▎▌│┃╭╮╰╯─━▸▾◆✗■·")


class Sitting:
    """A window, and what is looked for in it."""

    def __init__(
        self, home: Home, found: Found, height: int, *args: str, module: str = "tui", more: dict[str, str] | None = None
    ) -> None:
        self.found = found
        self.t = Window(module, args, (WIDTH, height), home.environment | (more or {}))

    def sees(self, entry: str, *expected: str, seconds: float = 30.0) -> None:
        """Wait until all that is expected is on the screen; what is not by then is wrong."""
        missing = {_plain(one): one for one in expected}

        def all_seen(lines: list[str]) -> bool:
            screen = "".join(map(_plain, lines))
            for one in [one for one in missing if one in screen]:
                del missing[one]
            return not missing

        try:
            self.t.until(all_seen, seconds)
        except AssertionError:
            self.found.reading.wrong += [f"{entry}: {one!r} is not on the screen" for one in missing.values()]
        self.found.looked_for += len(expected)

    def sees_either(self, entry: str, *expected: str) -> None:
        """Wait until one of what is expected is on the screen."""
        try:
            self.t.until(lambda lines: any(one in line for line in lines for one in expected))
        except AssertionError:
            self.found.reading.wrong.append(f"{entry}: none of {expected!r} is on the screen")
        self.found.looked_for += 1

    def until_gone(self, text: str) -> None:
        self.t.until(lambda lines: not any(text in line for line in lines))

    def paste(self, text: str) -> None:
        self.t.type(f"\x1b[200~{text.encode('utf-8', 'replace').decode()}\x1b[201~")

    def says(self, text: str) -> None:
        """Put a line into the prompt and send it."""
        self.paste(text)
        self.t.type("\r")

    def starts_anew(self) -> None:
        """Go to an empty session, and wait until nothing of the last one is left on the screen."""
        self.t.type("\x0e")
        self.t.until(lambda lines: any("A new session" in line for line in lines) and "done in" not in "".join(lines))

    def leaves(self, copies: int | None = None) -> None:
        """Quit, and read everything that was written."""
        self.t.type("\x11\x11")
        try:
            self.t.ends(30)
        finally:
            self.t.close()
        reading = read(self.t.output)
        if copies is not None and len(reading.copied) != copies:
            reading.wrong.append(f"{len(reading.copied)} copies instead of {copies}")
        self.found.reading.add(reading)


@lru_cache(maxsize=20_000)
def _plain(text: str) -> str:
    return bare(text.translate(_FRAME))


def within(text: str, cells: int) -> str:
    """As much of a text as fits into so many cells."""
    return next(text[:end] for end in range(len(text), -1, -1) if cell_len(text[:end]) <= cells)
