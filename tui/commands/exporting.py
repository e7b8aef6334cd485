"""Write a session to a file: for someone else to go on from, or for reading."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.commands.sessions import history, named
from tui.commands.table import print_line
from tui.console import print_error, write_out
from tui.errors import Exit
from tui.exchange import Form, Plan, form_of
from tui.signals import run
from tui.text import counted, one_line

_FORMS = {form.value: form for form in Form} | {"json": Form.BUNDLE, "md": Form.MARKDOWN}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("label", metavar="LABEL", help="the session")
    parser.add_argument(
        "--until",
        metavar="TURN",
        default="",
        help="the last turn to write, counted from 1 (default: the last that has ended)",
    )
    parser.add_argument(
        "--format", choices=sorted(_FORMS), default="", metavar="FORMAT",
        help="bundle, to be imported by Palaver; markdown or html, for reading (default: as the file's name says)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="",
        help="the new file, - for standard output (default: one named after the label, in the present folder)",
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    return run(_main(args))


async def _main(args: argparse.Namespace) -> int:
    form = _FORMS[args.format] if args.format else form_of(args.output)
    async with history() as chat:
        session = await named(chat, args.label)
        if args.output == "-":
            plan = await chat.exchange.plan(session, args.until)
            await chat.exchange.write(plan, form, lambda text: write_out(text.encode("utf-8", "replace")))
        else:
            exported = await chat.exchange.export(session, form, Path(args.output) if args.output else None, args.until)
            plan = exported.plan
            print_line(one_line(str(exported.file), 1000))
        _tell(plan)
    return int(Exit.DONE)


def _tell(plan: Plan) -> None:
    """Say what is not in it, and what may be in it."""
    if plan.left_out:
        print_error(f"palaver: left out {counted(plan.left_out, 'turn')} that failed or had not ended")
    for name in plan.unread:
        print_error(f"palaver: the key of {one_line(name, 60)} could not be read, so it was not looked for in the text")
