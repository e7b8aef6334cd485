"""B7: searching a history of 1,000,000 messages, as it is typed into the window."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.bench import histories
from tests.bench.figures import Figure, Samples, quantile
from tests.bench.program import PALAVER, history, home
from tests.bench.rows import Setting
from tests.bench.watched import Frame, Watched

SESSIONS, MESSAGES = 500, 2000
FRAME = 1e3 / 60
"""Milliseconds of a frame."""

_SEARCH, _CLEAR, _CLOSE = "\x12", "\x15", "\x1b"
_KEYS_EVERY = 0.08
"""Seconds between two keys of a fast typist."""

_KINDS = {
    "a rare word": [histories.name_of(rank) for rank in (9_000, 10_500, 12_200, 14_700)],
    "a common word": ["error", "cache", "session", "handler"],
    "a prefix": ["sess", "retu", "que", "pars"],
    "a phrase": ['"event loop"', '"the cache"', '"file line"', '"call time"'],
}


def measure(setting: Setting) -> list[Figure]:
    sessions = {f"search-{number}": MESSAGES for number in range(SESSIONS)}
    histories.seed(history("search"), sessions, names=True)
    taken = Samples()
    with Watched([str(PALAVER), "search-0"], env=home("search")) as program:
        program.wait_for(histories.end_of("search-0"))
        program.wait_quiet(0.5)
        taken.add("idle", *(program.echo() * 1e3 for _ in range(20)))
        program.type(_SEARCH)
        program.wait_shown("Search")
        since = program.mark()
        queries = [(kind, query) for kind, queries in _KINDS.items() for query in queries * setting.rounds(4)]
        pasted = [_paste(program, kind, query) for kind, query in queries]
        typed = [_type(program, kind, query) for kind, query in queries]
        frames = list(program.frames(since))
        for sought, add in ((pasted, _add_pages), (typed, _add_keys)):
            for one in sought:
                add(taken, one, [frame for frame in frames if one.pressed[0] <= frame.at < one.until])
        program.type(_CLOSE)
    late = quantile(taken.of("idle"), 0.95) + FRAME
    figures = []
    for kind in _KINDS:
        what = f"{kind}: to the first page"
        figures.append(Figure("B7", what, "ms", taken.of(kind), taken.of("idle"), "echo", "p95", 50.0))
        figures.append(Figure("B7", "  to the last one", "ms", taken.of(f"{kind}, last"), taken.of("idle"), "echo"))
    key = Figure("B7", "a key while one searches", "ms", taken.of("key"), taken.of("idle"), "echo", "p95", late)
    return [*figures, key]


@dataclass(frozen=True)
class _Sought:
    """A query: the moment of each of its letters, or of all of them, and until when it was left alone."""

    kind: str
    query: str
    pressed: tuple[float, ...]
    until: float


def _paste(program: Watched, kind: str, query: str) -> _Sought:
    """Put a query into the empty line, whole: what is listed after that is its own."""
    program.type(_CLEAR)
    program.wait_quiet(0.3)
    at = program.type(f"\x1b[200~{query}\x1b[201~")
    program.wait_quiet(0.6)
    return _Sought(kind, query, (at,), time.monotonic())


def _type(program: Watched, kind: str, query: str) -> _Sought:
    """Type a query as one types: what comes of a key is not waited for."""
    program.type(_CLEAR)
    program.wait_quiet(0.3)
    pressed = []
    for letter in query:
        pressed.append(program.type(letter))
        program.wait_quiet(_KEYS_EVERY, _KEYS_EVERY)
    program.wait_quiet(0.4)
    return _Sought(kind, query, tuple(pressed), time.monotonic())


def _add_pages(taken: Samples, sought: _Sought, frames: list[Frame]) -> None:
    """The first page is the first frame that lists anything, the last one the first frame that lists what the end does."""
    (at,) = sought.pressed
    listed = [one for one in frames if _list(one)]
    if listed:
        taken.add(sought.kind, (listed[0].at - at) * 1e3)
        last = next(one.at for one in listed if _list(one) == _list(listed[-1]))
        taken.add(f"{sought.kind}, last", (last - at) * 1e3)


def _add_keys(taken: Samples, sought: _Sought, frames: list[Frame]) -> None:
    """A letter takes until it is seen."""
    for number, at in enumerate(sought.pressed, start=1):
        shown = next((one.at for one in frames if one.at >= at and _holds(one, sought.query[:number])), None)
        if shown is not None:
            taken.add("key", (shown - at) * 1e3)


def _list(frame: Frame) -> list[str]:
    """The messages that are listed."""
    return [line for line in frame.lines if "  you  " in line or "  answer  " in line]


def _holds(frame: Frame, typed: str) -> bool:
    """Whether this much of a query stands in the line it is typed into, below the window's border."""
    return any(f"│  {typed} " in line for line in frame.lines[:5])
