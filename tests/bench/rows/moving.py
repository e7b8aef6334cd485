"""B3: paging, going to both ends, other window sizes and finding, in a session of 10,000 messages."""

from __future__ import annotations

from tests.bench import histories
from tests.bench.figures import Figure, Samples
from tests.bench.program import PALAVER, history, home
from tests.bench.rows import Setting
from tests.bench.watched import Watched

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
        _resize(program, taken, 3 if setting.quick else 10)
        for word in ("error", "cache", "handler", "stream") * (1 if setting.quick else 4):
            _find(program, taken, word)
    return [
        Figure(
            "B3", "PgUp to the settled frame", "ms", taken.of("page"), taken.of("idle"), "echo of a key", "p95", 50.0
        ),
        Figure("B3", "Home, End to the settled frame", "ms", taken.of("ends"), taken.of("idle"), "", "p95", 50.0),
        Figure("B3", "resize 80 ↔ 200 to the settled frame", "ms", taken.of("resize"), limit=120.0),
        Figure("B3", "Ctrl+F: a key to the settled frame", "ms", taken.of("find"), taken.of("idle"), "", "p95", 50.0),
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


def _resize(program: Watched, taken: Samples, rounds: int) -> None:
    for _ in range(rounds):
        for width in (80, 200):
            since = program.mark()
            at = program.resize(width, 40)
            program.wait_quiet(0.3)
            frames = list(program.frames(since))
            settled = next((frame.at for frame in frames if frame.lines == frames[-1].lines), None)
            if settled is not None:
                taken.add("resize", (settled - at) * 1e3)


def _find(program: Watched, taken: Samples, word: str) -> None:
    """Look for a word: each of its letters takes until the last frame that it changed, the count of places included."""
    program.type(_FIND)
    program.wait_quiet(0.3)
    for letter in word:
        since = program.mark()
        at = program.type(letter)
        program.wait_quiet(0.4)
        frames = list(program.frames(since))
        settled = next((frame.at for frame in frames if frame.lines == frames[-1].lines), None)
        if settled is not None:
            taken.add("find", (settled - at) * 1e3)
    program.type(_CLOSE)
    program.wait_quiet(0.3)
