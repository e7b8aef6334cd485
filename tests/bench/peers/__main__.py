"""`python -m tests.bench.peers [PROGRAM...] [--quick] [--only WORK]`: one table, ours beside the others'."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.bench import histories
from tests.bench.__main__ import keep, machine
from tests.bench.figures import Figure, Samples
from tests.bench.peers import commands
from tests.bench.peers.programs import PEERS, Peer, weight
from tests.bench.server import END, Stand
from tests.bench.watched import Watched

_TYPED = "xqjZ"
"""Typed before the first frame: letters that hardly stand on any screen, least of all the last one."""

_PATIENCE = 120.0
"""Seconds after which something counts as not done."""


class Taken:
    """Samples by (work, program), and why there are none."""

    def __init__(self) -> None:
        self.samples = Samples()
        self.troubles: dict[tuple[str, str], str] = {}
        self.units: dict[str, tuple[str, str]] = {}

    def add(self, row: str, work: str, unit: str, peer: Peer, value: float | None, trouble: str = "") -> None:
        """A sample, or what went wrong."""
        self.units.setdefault(work, (row, unit))
        if value is None:
            self.troubles[work, peer.name] = trouble or f"not within {_PATIENCE:.0f} s"
        else:
            self.samples.add(f"{work}|{peer.name}", value)

    def figures(self, names: list[str]) -> Iterator[Figure]:
        """One line for each program under each work; the floor is what ours needs."""
        for work, (row, unit) in self.units.items():
            ours = self.samples.of(f"{work}|palaver")
            for name in names:
                found = self.samples.of(f"{work}|{name}")
                trouble = self.troubles.get((work, name), "")
                if found or trouble:
                    floor = () if name == "palaver" else ours
                    yield Figure(row, work, unit, found, floor, "palaver", trouble=trouble, who=name)


def start(taken: Taken, peer: Peer, url: str) -> None:
    """From exec to the first frame, typing ahead."""
    env = peer.prepare(100, url, _model(1000))
    with Watched(peer.argv(_model(1000)), env=env) as program:
        for letter in _TYPED if peer.has_screen else "":
            program.type(letter)
            time.sleep(0.02)
        program.wait_for(peer.ready, 0, 60)
        settled = program.wait_idle()
        at = program.first_shown(lambda text: peer.ready.strip() in text)
        taken.add("B1", "start: first frame", "ms", peer, at and (at - program.began) * 1e3, _why(program))
        taken.add("B1", "start: settled", "ms", peer, settled and (settled - program.began) * 1e3)
        taken.add("B1", "start: memory", "MB", peer, program.memory())
        if peer.has_screen and at:
            text = "\n".join(program.screen())
            kept = max(size for size in range(len(_TYPED) + 1) if _TYPED[len(_TYPED) - size :] in text)
            taken.add("B1", "start: keys lost of 4 typed ahead", "", peer, float(len(_TYPED) - kept))
            for key in peer.enters:
                program.type(key)
                time.sleep(peer.pause)
            _echo(taken, "B1", "idle: echo of a key", peer, program)


def opening(messages: int) -> Callable[[Taken, Peer, str], None]:
    """From the key that opens a long conversation to its end being shown. Where it once is not, it is not tried again."""
    work = f"open {messages:,} messages"

    def measure(taken: Taken, peer: Peer, url: str) -> None:
        if peer.opens is None or (work, peer.name) in taken.troubles:
            return
        env = peer.prepare(messages, url, _model(1000))
        with Watched(peer.argv(_model(1000), peer.begins), env=env) as program:
            program.wait_for(peer.ready, 0, 60)
            program.wait_idle()
            *before, last = peer.opens
            for key in before:
                program.type(key)
                time.sleep(peer.pause)
            since = program.mark()
            used, pressed = program.cpu(), program.type(last)
            seen = program.wait_for(histories.end_of(f"long-{messages}"), since, _PATIENCE)
            why = f"{peer.known}; {_why(program)}" if peer.known else _why(program)
            taken.add("B2", work, "ms", peer, seen and (seen - pressed) * 1e3, why)
            if seen is None:
                return
            program.wait_idle(seconds=60)
            taken.add("B2", f"{work}: CPU", "s", peer, program.cpu() - used)
            taken.add("B2", f"{work}: memory", "MB", peer, program.memory())
            for _ in range(5):
                _echo(taken, "B2", f"{work}: echo of a key then", peer, program)

    return measure


def streaming(rate: int, seconds: int) -> Callable[[Taken, Peer, str], None]:
    """An answer of mixed Markdown at a rate: whether it keeps up, what it costs, how typing feels. Where its end once is not
    shown, it is not tried again."""
    work = f"stream {rate:,} tokens/s for {seconds} s"
    ending = f"{work}: end shown after it was sent"
    model = _model(rate, 4 * rate * seconds)

    def measure(taken: Taken, peer: Peer, _url: str) -> None:
        if (ending, peer.name) in taken.troubles:
            return
        with Stand() as stand:
            env = peer.prepare(100, stand.url, model)
            with Watched(peer.argv(model), env=env) as program:
                program.wait_for(peer.ready, 0, 60)
                program.wait_idle()
                *before, last = peer.sends
                for key in before:
                    program.type(key)
                    time.sleep(peer.pause)
                since, used = program.mark(), program.cpu()
                pressed = program.type(last)
                about = stand.newest(0, "first")
                if "first" not in about:
                    taken.add("B4", ending, "s", peer, None, f"nothing was asked; {_why(program)}")
                    return
                end = None
                while end is None and not program.is_over and time.monotonic() < pressed + seconds + _PATIENCE:
                    if peer.has_screen:
                        _echo(taken, "B4", f"{work}: echo of a key", peer, program, 30)
                    end = program.wait_for(END, since, 0.1)
                sent = stand.newest(0, "last").get("last")
                late = end - sent if end and sent else None
                taken.add("B4", ending, "s", peer, late, _why(program))
                taken.add("B4", f"{work}: CPU", "s", peer, program.cpu() - used)
                taken.add("B4", f"{work}: memory", "MB", peer, program.memory())

    return measure


def _echo(taken: Taken, row: str, work: str, peer: Peer, program: Watched, seconds: float = 10) -> None:
    """How long a key takes to be seen, where it is."""
    took = program.echo(seconds)
    is_seen = took < seconds
    taken.add(row, work, "ms", peer, took * 1e3 if is_seen else None, f"a key was not seen within {seconds:.0f} s")


def _by_command(measure: Callable[[commands.Add, Peer, str], None], taken: Taken, peer: Peer, url: str) -> None:
    """What is done without a window."""
    measure(taken.add, peer, url)


def _model(rate: int, characters: int = 2000) -> str:
    return f"mixed-{characters}-{rate}"


def _why(program: Watched) -> str:
    """What a program that did not do it looks like now."""
    state = "it ended" if program.is_over else f"not within {_PATIENCE:.0f} s"
    lines = [line.strip() for line in program.screen() if line.strip()]
    return f"{state}; its screen ends with: {lines[-1][:60]}" if lines else f"{state}; its screen is empty"


def main(argv: list[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("programs", metavar="PROGRAM", nargs="*", help=f"of {', '.join(PEERS)}; all of them")
    parser.add_argument(
        "--only", choices=("start", "open", "stream", "ask", "help"), action="append", help="only this work"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is done, in turn (5)")
    parser.add_argument("--quick", action="store_true", help="shorter streams and conversations")
    args = parser.parse_args(argv)
    names = args.programs or list(PEERS)
    unknown = set(names) - set(PEERS)
    if unknown:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    versions = {name: PEERS[name].install() for name in names}
    described = machine() | {"programs": ", ".join(f"{name} {version}" for name, version in versions.items())}
    few = max(1, args.rounds // 2)
    works = [("start", args.rounds, start), ("open", args.rounds, opening(100))]
    works += [("ask", args.rounds, partial(_by_command, commands.ask))]
    works += [("help", args.rounds, partial(_by_command, commands.show_help))]
    works += [("stream", few, streaming(1_000, 5 if args.quick else 20))]
    if not args.quick:
        works += [("open", few, opening(1_000)), ("stream", few, streaming(5_000, 20))]
    taken = Taken()
    with Stand() as stand:
        for kind, rounds, measure in works:
            if args.only and kind not in args.only:
                continue
            for number in range(rounds):
                for name in names:
                    print(f"  {kind} {number + 1} of {rounds}: {name}", flush=True)
                    measure(taken, PEERS[name], stand.url)
            keep("peers-so-far", list(taken.figures(names)), described, is_quick=args.quick)
    for name in names:
        taken.add("B12", "installed, with pip", "MB", PEERS[name], weight(PEERS[name]))
    print(keep("peers", list(taken.figures(names)), described, is_quick=args.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
