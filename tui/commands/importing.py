"""Make sessions of what was said elsewhere: Palaver's bundles, and the exports of other programs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tui.commands.sessions import history
from tui.commands.table import print_line
from tui.console import print_error
from tui.errors import Exit
from tui.exchange import Outcome, Result, summary
from tui.signals import run
from tui.text import counted, one_line

if TYPE_CHECKING:
    from rich.progress import Progress

SHOWN = 20
"""How many threads are named one by one; the rest is counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file that holds one thread or many")
    parser.add_argument("--label", default="", metavar="LABEL", help="the session's label, where it is one thread")


def main(args: argparse.Namespace) -> int:
    return run(_main(args))


async def _main(args: argparse.Namespace) -> int:
    counts: list[Outcome] = []
    named: dict[Result, int] = {}
    async with history() as chat:
        with _progress() as bar:
            try:
                files = [Path(name) for name in args.files]
                async with aclosing(chat.exchange.take_in(files, args.label, bar.show_turns)) as outcomes:
                    async for outcome in outcomes:
                        counts.append(_light(outcome))
                        bar.show(outcome)
                        named[outcome.result] = named.get(outcome.result, 0) + 1
                        if named[outcome.result] <= SHOWN:
                            with bar.put_away():
                                _tell(outcome)
            except asyncio.CancelledError:
                print_error(f"palaver: stopped. {summary(counts)}; the same command goes on from there")
                raise
    for result, count in named.items():
        if count > SHOWN and result is not Result.EMPTY:
            print_error(f"palaver: and {count - SHOWN:,} more {_WORDS[result]}")
    print_error(f"palaver: {summary(counts)}")
    return int(Exit.HISTORY if named.get(Result.REFUSED) else Exit.DONE)


_WORDS = {Result.IMPORTED: "imported", Result.KNOWN: "already here", Result.REFUSED: "refused"}


def _light(outcome: Outcome) -> Outcome:
    return Outcome(outcome.result, "", outcome.file)


def _tell(outcome: Outcome) -> None:
    name, session = one_line(outcome.name, 80), outcome.session
    if outcome.result is Result.IMPORTED and session is not None:
        print_line(f"{one_line(session.label)}  {counted(session.turns, 'turn')}  {name}")
    elif outcome.result is Result.KNOWN and session is not None:
        where = "in the trash, as" if session.deleted_at is not None else "as"
        print_error(f"palaver: {name} is already here, {where} {one_line(session.label)}")
    elif outcome.result is Result.REFUSED:
        print_error(
            f"palaver: {one_line(outcome.why, 1000) if not outcome.total else f'{name}: {one_line(outcome.why, 500)}'}"
        )


class _NoBar:
    """What is shown of an import's progress where no one looks: nothing."""

    def show(self, outcome: Outcome) -> None:
        """A thread is done with."""

    def show_turns(self, saved: int, turns: int) -> None:
        """So many turns of the only thread are saved."""

    @contextmanager
    def put_away(self) -> Iterator[None]:
        """Room for lines of another kind."""
        yield


class _Bar(_NoBar):
    """A bar: of the threads in a file, or of the turns of the only one in it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("Reading", total=None, count="")

    def show(self, outcome: Outcome) -> None:
        if outcome.total > 1:
            self._tell(outcome.done, outcome.total, "threads")

    def show_turns(self, saved: int, turns: int) -> None:
        self._tell(saved, turns, "turns")

    def _tell(self, done: int, total: int, what: str) -> None:
        count = f"{done:,} of {total:,} {what}"
        self._progress.update(self._task, description="Importing", completed=done, total=total, count=count)

    @contextmanager
    def put_away(self) -> Iterator[None]:
        self._progress.stop()
        yield
        self._progress.start()


@contextmanager
def _progress() -> Iterator[_NoBar]:
    """A bar on standard error, where that is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _NoBar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress)
