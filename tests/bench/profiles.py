"""Where the time goes, by py-spy: `python -m tests.bench profile [B1|B2|B4|B6...] [--of DIRECTORY] [--name NAME]`.

Of each row three files are written into .bench: collapsed stacks (which speedscope and flamegraph.pl read), a flame graph as
SVG, a table of functions.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from pathlib import Path

from tests.bench import histories
from tests.bench.program import FOLDER, PYTHON, ROOT, history, home, install
from tests.bench.server import Stand
from tests.bench.streams import Stream, argv_of, measure
from tests.bench.watched import Watched

_SPY = PYTHON.with_name("py-spy")
_DOWN, _UP, _QUIT = "\x1b[1;3B", "\x1b[1;3A", "\x11"
_ROWS = ("B1", "B2", "B4", "B6")


def main(argv: list[str]) -> int:
    """Profile the rows asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench profile", description=__doc__)
    parser.add_argument("rows", metavar="ROW", nargs="*", type=str.upper, help=f"of {', '.join(_ROWS)}; all of them")
    parser.add_argument("--of", type=Path, default=ROOT, help="the working tree to profile; this one")
    parser.add_argument("--name", default="now", help="what the files are called")
    parser.add_argument("--shape", default="mixed")
    parser.add_argument("--rate", type=int, default=1_000)
    args = parser.parse_args(argv)
    unknown = [row for row in args.rows if row not in _ROWS]
    if unknown:
        parser.error(f"cannot be profiled: {unknown[0]}")
    if not PYTHON.exists():
        install()
    subprocess.run(
        [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", "py-spy>=0.4"], check=True
    )
    tree = args.of.resolve()
    for row in args.rows or _ROWS:
        file = FOLDER / f"profile-{row}-{args.name}.folded"
        file.unlink(missing_ok=True)
        match row:
            case "B1":
                _starts(tree, file)
            case "B2":
                _openings(tree, file)
            case "B6":
                _switches(tree, file)
            case _:
                with Stand() as stand:
                    stream = Stream(args.shape, 15, args.rate, is_typed_beside=True)
                    print(measure(stand, stream, tree, partial(_spied, file=file, seconds=12)))
        stacks = _stacks(file)
        file.with_suffix(".svg").write_text(_flames(stacks), encoding="utf-8")
        table = _table(stacks)
        file.with_suffix(".txt").write_text(table, encoding="utf-8")
        print(f"{row}: {file.with_suffix('.txt')}\n{table}")
    return 0


@contextmanager
def _spied(pid: int, file: Path, seconds: float) -> Iterator[None]:
    command = [str(_SPY), "record", "--nonblocking", "-r", "200", "-f", "raw", "-o", str(file), "-d", str(seconds)]
    with subprocess.Popen([*command, "-p", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as spy:
        try:
            yield
        finally:
            spy.wait(seconds + 30)


def _starts(tree: Path, file: Path) -> None:
    """Several cold starts, to the first frame that takes a key."""
    histories.seed(history("sessions-10000"), {"here": 20}, 9_999)
    argv, more = argv_of(tree)
    parts = []
    for number in range(5):
        part = file.with_suffix(f".{number}")
        spy = [str(_SPY), "record", "--nonblocking", "-r", "500", "-f", "raw", "-o", str(part), "--"]
        with Watched([*spy, *argv], env=home("sessions-10000") | more) as program:
            program.wait_shown("Send")
            program.wait_quiet(0.5)
            program.type(_QUIT)
            deadline = time.monotonic() + 10
            while not part.exists() and time.monotonic() < deadline:
                program.wait_quiet(0.1)
        parts.append(part.read_text(encoding="utf-8") if part.exists() else "")
        part.unlink(missing_ok=True)
    file.write_text("".join(parts), encoding="utf-8")


def _openings(tree: Path, file: Path) -> None:
    """To and fro between a small session and one of 10,000 messages."""
    histories.seed(history("open-10000"), {"small": 10, "size-10000": 10_000})
    argv, more = argv_of(tree)
    with Watched([*argv, "small"], env=home("open-10000") | more) as program:
        program.wait_for(histories.end_of("small"))
        program.wait_quiet(0.4)
        with _spied(program.pid, file, 8):
            ends = time.monotonic() + 8
            while time.monotonic() < ends:
                for label, key in (("size-10000", _DOWN), ("small", _UP)):
                    since = program.mark()
                    program.type(key)
                    program.wait_for(histories.end_of(label), since, 5)


def _switches(tree: Path, file: Path) -> None:
    """To and fro between two sessions of 10,000 messages, one of which answers."""
    histories.seed(history("switch"), {"answers": 10_000, "rests": 10_000})
    argv, more = argv_of(tree)
    with Stand() as stand:
        env = home("switch", url=stand.url, model="paragraph-400000-1000") | more
        with Watched([*argv, "answers"], env=env) as program:
            program.wait_for(histories.end_of("answers"))
            program.wait_quiet(0.5)
            program.type("go\r")
            stand.newest(0, "sent")
            with _spied(program.pid, file, 10):
                ends = time.monotonic() + 10
                while time.monotonic() < ends:
                    for seen, key in ((histories.end_of("rests"), _DOWN), ("answers · bench", _UP)):
                        since = program.mark()
                        program.type(key)
                        program.wait_for(seen, since, 5)
                        program.wait_quiet(0.1, 0.5)


def _stacks(file: Path) -> Counter[tuple[str, ...]]:
    """How often each stack was seen, outermost function first."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        stack, _, count = line.rpartition(" ")
        frames = tuple(frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in stack.split(";"))
        stacks[frames] += int(count)
    return stacks


def _table(stacks: Counter[tuple[str, ...]]) -> str:
    """The functions that took most, by themselves and with all they call."""
    total = max(1, sum(stacks.values()))
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for frame in set(stack):
            whole[frame] += count
    lines = [f"{total} samples", "", "with all they call"]
    lines += [f"{100 * count / total:6.1f} %  {frame}" for frame, count in whole.most_common(90)]
    lines += ["", "by themselves"]
    lines += [f"{100 * count / total:6.1f} %  {frame}" for frame, count in own.most_common(40)]
    return "\n".join(lines) + "\n"


def _flames(stacks: Counter[tuple[str, ...]]) -> str:
    """A flame graph: the wider a box, the more often its function was seen; what it calls stands above it."""
    total = max(1, sum(stacks.values()))
    width, height = 1600, 16
    boxes: list[str] = []
    deepest = max(map(len, stacks), default=1)

    def draw(part: list[tuple[tuple[str, ...], int]], depth: int, left: float) -> None:
        groups: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for stack, count in part:
            if len(stack) > depth:
                groups.setdefault(stack[depth], []).append((stack, count))
        for frame, group in groups.items():
            size = sum(count for _, count in group) * width / total
            if size >= 1:
                top = (deepest - depth) * height
                hue = sum(map(ord, frame)) % 50
                said = f"{escape(frame)}: {100 * size / width:.1f} %"
                words = escape(frame[: int(size // 7)]) if size > 20 else ""
                boxes.append(
                    f'<g><title>{said}</title><rect x="{left:.1f}" y="{top}" width="{size:.1f}" height="{height - 1}" '
                    f'fill="hsl({hue},80%,65%)"/><text x="{left + 2:.1f}" y="{top + 12}">{words}</text></g>'
                )
                draw(group, depth + 1, left)
            left += size

    draw(sorted(stacks.items()), 0, 0.0)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{(deepest + 2) * height}"'
    return f'{head} font-family="monospace" font-size="11">' + "".join(boxes) + "</svg>\n"
