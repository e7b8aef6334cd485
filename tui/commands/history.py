"""Look after the history's file: where it is, whether it is whole, a copy of it, its repair."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui import paths
from tui.aside import aside
from tui.commands.table import print_json, print_line
from tui.console import print_error
from tui.errors import Exit, StoreError
from tui.signals import run
from tui.store import place, upkeep
from tui.store.check import Findings
from tui.text import counted, one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("path", help="where it is")
    check = commands.add_parser("check", help="whether it is whole (the default)")
    backup = commands.add_parser("backup", help="copy it, also while windows are open")
    backup.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a new file (default: beside the history)")
    repair = commands.add_parser("repair", help="begin it again with all that can be read of it, and keep the old one")
    for command in (check, backup, repair):
        command.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    file = paths.find().history_file
    paths.require(file.parent)
    as_json = getattr(args, "json", False)
    match args.command:
        case "path":
            print_line(str(file))
            for line in place.remarks(file):
                print_error(f"note: {one_line(line, 500)}")
        case "backup":
            return run(_back_up(file, args.file, as_json=as_json))
        case "repair":
            return run(_repair(file, as_json=as_json))
        case _:
            return run(_check(file, as_json=as_json))
    return int(Exit.DONE)


async def _check(file: Path, *, as_json: bool) -> int:
    found = await aside(lambda: upkeep.check(file))
    if as_json:
        print_json(
            {
                "file": str(file),
                "wrong": list(found.wrong),
                "remarks": list(found.remarks),
                "schema": found.version,
                "sessions": found.sessions,
                "turns": found.turns,
            }
        )
        return int(Exit.HISTORY if found.wrong else Exit.DONE)
    print_line(f"{file}: {_amount(found)}")
    for line in found.remarks:
        print_line(f"note: {one_line(line, 500)}")
    for line in found.wrong:
        print_line(f"wrong: {one_line(line, 500)}")
    if found.wrong:
        raise StoreError("The history is not in order.", hint="see `palaver history repair`")
    print_line("Nothing is wrong.")
    return int(Exit.DONE)


async def _back_up(file: Path, to: Path | None, *, as_json: bool) -> int:
    copy = await aside(lambda: upkeep.back_up(file, to.absolute() if to else None))
    if as_json:
        print_json({"file": str(copy.file), "bytes": copy.size, "sessions": copy.sessions, "turns": copy.turns})
    else:
        print_line(f"{copy.file}: {_amount(copy)}, {copy.size:,} bytes")
    return int(Exit.DONE)


async def _repair(file: Path, *, as_json: bool) -> int:
    done = await aside(lambda: upkeep.repair(file))
    if as_json:
        print_json(
            {
                "file": str(file),
                "wrong": list(done.wrong) if done else [],
                "kept_as": str(done.kept_as) if done else None,
                "sessions": done.sessions if done else None,
                "turns": done.turns if done else None,
            }
        )
    elif done is None:
        print_line("Nothing is wrong with the history; nothing was changed.")
    else:
        for line in done.wrong:
            print_line(f"wrong: {one_line(line, 500)}")
        print_line(f"{file}: new, with {_amount(done)}")
        print_line(f"{done.kept_as}: the damaged one, as it was")
    return int(Exit.DONE)


def _amount(of: Findings | upkeep.Copy | upkeep.Repaired) -> str:
    return f"{counted(of.sessions, 'session')}, {counted(of.turns, 'turn')}"
