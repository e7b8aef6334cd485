"""B3: paging, going to both ends, other window sizes and finding, in a session of 10,000 messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import histories
from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, history, home
from tests.bench.rows import Setting
from tests.bench.watched import Frame, Watched

_PAGE_UP, _HOME, _END, _TAB = "\x1b[5~", "\x1b[H", "\x1b[F", "\t"
_FIND, _CLOSE = "\x06", "\x1b"
_PANE = (1, 30, 31, 119)
"""Top, bottom, left, right of what certainly belongs to the transcript in a window of 120 by 40."""


def measure(setting: Setting) -> list[Figure]:
    # Made anew: the place a session was left at is kept, and this row leaves it elsewhere.
    history("move").with_name("seeded").unlink(missing_ok=True)
    histories.seed(history("move"), {"size-10000": 10_000})
    taken = Samples()
    with Watched([str(PALAVER), "size-10000"], env=home("move")) as program:
        program.wait_for(histories.end_of("size-10000"))
        program.wait_quiet(0.5)
        taken.add("idle", *(program.echo() * 1e3 for _ in range(20)))
        _press(program, taken, "page", [_PAGE_UP] * (50 if setting.quick else 200))
        program.type(_TAB)
        program.wait_quiet(0.3)
        ends = [_HOME, _END] * (3 if setting.quick else 10)
        _press(program, taken, "ends", ends)
        since = program.mark()
        resized = list(_resize(program, 3 if setting.quick else 10))
        words = ("error", "cache", "handler", "stream") * (1 if setting.quick else 4)
        found = [letter for word in words for letter in _find(program, word)]
        # All at once: what is on the screen is worked out from the program's first byte on each time.
        frames = list(program.frames(since))
        _settle(taken, "resize", resized, frames)
        _settle(taken, "find", found, frames, *_PANE)
        _settle(taken, "count", found, frames)
    return [
        Figure(
            "B3", "PgUp to the settled frame", "ms", taken.of("page"), taken.of("idle"), "echo of a key", "p95", 50.0
        ),
        Figure("B3", "Home, End to the settled frame", "ms", taken.of("ends"), taken.of("idle"), "", "p95", 50.0),
        Figure("B3", "resize 80 ↔ 200 to the settled frame", "ms", taken.of("resize"), limit=120.0),
        Figure("B3", "Ctrl+F: a key to what is marked", "ms", taken.of("find"), taken.of("idle"), "", "p95", 50.0),
        Figure("B3", "Ctrl+F: a key to all of them counted", "ms", taken.of("count"), taken.of("idle")),
    ]


def _press(program: Watched, taken: Samples, name: str, keys: list[str]) -> None:
    """Press one key after the other. Each takes until the last frame that changed what is shown of the transcript."""
    since = program.mark()
    pressed: list[float] = []
    for key in keys:
        pressed.append(program.type(key))
        program.wait_quiet(0.08)
    frames = list(program.frames(since))
    before = frames[0].part(*_PANE) if frames else ()
    ends = [*pressed[1:], float("inf")]
    for at, until in zip(pressed, ends, strict=True):
        last = None
        for frame in frames:
            if at <= frame.at < until and frame.part(*_PANE) != before:
                last, before = frame.at, frame.part(*_PANE)
        if last is not None:
            taken.add(name, (last - at) * 1e3)


@dataclass(frozen=True)
class _Done:
    """Something done, the moment, and until when it was left alone."""

    at: float
    until: float


def _resize(program: Watched, rounds: int) -> Iterator[_Done]:
    for _ in range(rounds):
        for width in (80, 200):
            at = program.resize(width, 40)
            program.wait_quiet(0.3)
            yield _Done(at, time.monotonic())


def _find(program: Watched, word: str) -> Iterator[_Done]:
    """Look for a word, letter by letter."""
    program.type(_FIND)
    program.wait_quiet(0.3)
    for letter in word:
        at = program.type(letter)
        program.wait_quiet(0.4)
        yield _Done(at, time.monotonic())
    program.type(_CLOSE)
    program.wait_quiet(0.3)


def _settle(taken: Samples, name: str, done: list[_Done], frames: list[Frame], *pane: int) -> None:
    """Each takes until the first frame that shows, there or everywhere, what the last one shows that came of it."""
    for one in done:
        came = [
            (frame.at, frame.part(*pane) if pane else frame.lines) for frame in frames if one.at <= frame.at < one.until
        ]
        settled = next((at for at, lines in came if lines == came[-1][1]), None)
        if settled is not None:
            taken.add(name, (settled - one.at) * 1e3)
