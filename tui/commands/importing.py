"""Make sessions of what was said elsewhere: Palaver's bundles, and the exports of other programs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

from tui.commands.sessions import history
from tui.commands.table import print_line
from tui.console import print_error
from tui.errors import Exit
from tui.exchange import Outcome, Result, summary
from tui.text import one_line

SHOWN = 20
"""How many threads are named one by one; the rest is counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file that holds one thread or many")
    parser.add_argument("--label", default="", metavar="LABEL", help="the session's label, where it is one thread")


def main(args: argparse.Namespace) -> int:
    return asyncio.run(_main(args))


async def _main(args: argparse.Namespace) -> int:
    counts: list[Outcome] = []
    named: dict[Result, int] = {}
    async with history() as chat:
        with _progress() as show:
            try:
                files = [Path(name) for name in args.files]
                async with aclosing(chat.exchange.take_in(files, args.label)) as outcomes:
                    async for outcome in outcomes:
                        counts.append(_light(outcome))
                        show(outcome)
                        named[outcome.result] = named.get(outcome.result, 0) + 1
                        if named[outcome.result] <= SHOWN:
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
        print_line(f"{one_line(session.label)}  {session.turns:,} turn{'s' if session.turns != 1 else ''}  {name}")
    elif outcome.result is Result.KNOWN and session is not None:
        where = "in the trash, as" if session.deleted_at is not None else "as"
        print_error(f"palaver: {name} is already here, {where} {one_line(session.label)}")
    elif outcome.result is Result.REFUSED:
        print_error(
            f"palaver: {one_line(outcome.why, 1000) if not outcome.total else f'{name}: {one_line(outcome.why, 500)}'}"
        )


@contextmanager
def _progress() -> Iterator[Callable[[Outcome], None]]:
    """A bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda outcome: progress.update(task, completed=outcome.done, total=outcome.total or None)
