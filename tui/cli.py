"""The command line: which front end or command is meant, and how its errors are told.

Nothing heavy is imported before it is known to be needed: `palaver --help` is a matter of milliseconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tui import __version__
from tui.command_words import COMMANDS
from tui.console import print_error, write_out
from tui.errors import Exit, PalaverError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # typing costs as much as all the rest of `palaver --version`.
    from typing import Any, NoReturn

_OVERVIEW = """\
palaver [LABEL]            open the session LABEL (made if new); without one, the session used last
palaver open LABEL         the same, for a label that is also a command's name
palaver ask [PROMPT...]    one prompt, one answer, on standard output
palaver sessions ...       list, show, rename, title, pin, archive, delete, restore, fork, share, …
palaver export LABEL       write a session to a file, for others or for reading
palaver import FILE...     make sessions of bundles or other programs' exports
palaver search QUERY       what was said in all sessions, found by words
palaver profiles ...       list, show or test the servers
palaver config ...         show where the configuration is, and what is in force
palaver completion SHELL   print a shell completion script
palaver history ...        check, copy or repair the history's file, or show where it is
palaver doctor             look over everything Palaver needs, for you and for a bug report
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, found without `shutil`, which brings the compression libraries along."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class _RawHelp(_Help, argparse.RawTextHelpFormatter):
    """The same, with all texts as they are written."""


def _columns() -> int:
    """The terminal's columns, as COLUMNS says or else as the terminal does; 80 where neither does."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns or 80
    except (OSError, ValueError):
        return 80


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line, with the exit status for that."""

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """What the arguments say.

        Raises:
            UsageError: They are not to be understood.
        """
        args, unknown = self.parse_known_args(argv)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(_names(unknown))}")
        return args

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"see {self.prog} --help")

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002 - argparse's own signature
        # Private in argparse, which hides that nothing can be written; a test fails when its help goes another way.
        write_out(message.encode("utf-8", "replace"))


def _names(unknown: Sequence[str]) -> list[str]:
    """Arguments that no command has, as they may be repeated: an option without its value, which may be a key."""
    names: list[str] = []
    has_option = False
    for word in unknown:
        if word.startswith("-"):
            has_option = True
            names.append(word.partition("=")[0] if word.startswith("--") else word[:2])
        elif not has_option:
            names.append(word)
    return names


def main(argv: Sequence[str]) -> int:
    """Run the command line and give its exit status."""
    try:
        return _dispatch(list(argv))
    except PalaverError as error:
        tell(error)
        return int(error.exit_status)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPT)
    except BrokenPipeError:
        return int(Exit.READER_LEFT)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback ever reaches the user
        from tui import crash

        return crash.tell(error)


def tell(error: PalaverError) -> None:
    """Say an error on standard error, in words."""
    from tui.text import clean, one_line

    print_error(f"palaver: {one_line(str(error), 2000)}")
    detail = getattr(error, "detail", "")
    if detail:
        print_error(clean(detail))


def _dispatch(argv: list[str]) -> int:
    check_arguments(argv)
    command = argv[0] if argv and argv[0] in COMMANDS else ""
    match command:
        case "":
            return _open(_parser("palaver", label_required=False).parse(argv))
        case "open":
            return _open(_parser("palaver open", label_required=True).parse(argv[1:]))
    module = _module(command)
    about, style = (module.__doc__ or "").partition("\n")[0], _Help
    if command == "ask":
        about, style = module.__doc__ or "", _RawHelp
    parser = _Parser(prog=f"palaver {command}", description=about, formatter_class=style)
    module.add_arguments(parser)
    args = parser.parse(argv[1:])
    return int(module.main(args, _parsers) if command == "completion" else module.main(args))


def _module(command: str) -> Any:
    """What carries out a command, and says which arguments it takes."""
    match command:
        case "ask":
            from tui import ask

            return ask
        case "sessions":
            from tui.commands import sessions

            return sessions
        case "search":
            from tui.commands import search

            return search
        case "profiles":
            from tui.commands import profiles

            return profiles
        case "config":
            from tui.commands import config

            return config
        case "history":
            from tui.commands import history

            return history
        case "doctor":
            from tui.commands import doctor

            return doctor
        case "export":
            from tui.commands import exporting

            return exporting
        case "import":
            from tui.commands import importing

            return importing
        case _:
            from tui.commands import completion

            return completion


def check_arguments(argv: Sequence[str]) -> None:
    """Refuse what is not text.

    Raises:
        UsageError: An argument is not valid UTF-8.
    """
    for number, word in enumerate(argv, 1):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"Argument {number} is not valid UTF-8.", hint="check the terminal's encoding") from None


def _parsers() -> dict[str, argparse.ArgumentParser]:
    """The parsers of all commands, by their names; that of the window has none."""
    parsers: dict[str, argparse.ArgumentParser] = {
        "": _parser("palaver", label_required=False),
        "open": _parser("palaver open", label_required=True),
    }
    for command in COMMANDS:
        if command not in parsers:
            parsers[command] = argparse.ArgumentParser()
            _module(command).add_arguments(parsers[command])
    return parsers


def _parser(prog: str, *, label_required: bool) -> _Parser:
    parser = _Parser(
        prog=prog,
        description="A terminal chat client for developers who talk to model and agent servers all day.",
        epilog=_OVERVIEW,
        formatter_class=_Help,
        usage=f"{prog} [-h] [--version] [--new] [-p PROFILE] [-m MODEL] [LABEL]",
    )
    parser.add_argument("label", metavar="LABEL", nargs=None if label_required else "?", help="the session to open")
    parser.add_argument("--new", action="store_true", help="begin a new session")
    parser.add_argument("-p", "--profile", default="", help="the server to talk to, by its profile's name")
    parser.add_argument("-m", "--model", default="", help="the model to ask for")
    parser.add_argument("--version", action="version", version=f"palaver {__version__}")
    return parser


def _open(args: argparse.Namespace) -> int:
    """Open the terminal interface."""
    if args.new and args.label is not None:
        raise UsageError("LABEL and --new do not go together.", hint="a LABEL that is new makes a new session")
    if not (os.isatty(0) and os.isatty(2)):
        raise UsageError("Palaver's window needs a terminal.", hint="use `palaver ask` in scripts and pipes")
    if os.environ.get("TERM") == "dumb":
        raise UsageError(
            "The terminal can only show lines (TERM is dumb).", hint="use `palaver ask`, or another terminal"
        )
    from tui import app
    from tui.model import check_label

    label = check_label(args.label) if args.label is not None else ""
    return app.main(label, new=args.new, profile=args.profile, model=args.model)
