"""Ask one question and print the answer.

The prompt is the words given, standard input, or both: then the words come first, an empty line, and the input.
Standard output is the answer and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import replace

from tui import config_file, logs, paths
from tui.arguments import seconds, whole_number
from tui.aside import aside
from tui.ask_approvals import Approvals
from tui.ask_input import read_prompt
from tui.chat import Change, Chat, TurnChanged
from tui.client import Client
from tui.command_words import command_to_open
from tui.config import Config
from tui.console import out_descriptor, print_error, refused, tell
from tui.errors import Exit, NoSuchSession, StoreError, UsageError
from tui.model import Failure, HolderKind, Provenance, Session, Turn, TurnStatus, Verdict, check_label
from tui.objects import without_keys
from tui.output import Emitter, JsonLinesPrinter, JsonPrinter, Printer, TextPrinter
from tui.pictures import Picture
from tui.shown_pictures import refuse_pictures
from tui.signals import ENDING, Ended, begin_raising, heeded
from tui.store import Store
from tui.store.access import WAITING, Health
from tui.text import one_line, shell_word

READER_PATIENCE = 0.5
"""Seconds given to a reader to take what was printed, once it was told to end."""

CANCELLED = "Cancelled."

_CUT_SHORT = ("length", "max_output_tokens", "max_tokens", "max_messages", "content_filter", "incomplete")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", nargs="*", metavar="PROMPT", help="what to ask")
    parser.add_argument("-s", "--session", metavar="LABEL", help="keep it as a turn of this session (made if new)")
    parser.add_argument(
        "--at", metavar="TURN", type=whole_number, help="in the place of this turn, on a branch (with -s)"
    )
    parser.add_argument("--take-over", action="store_true", help="stop what another process answers in it (with -s)")
    parser.add_argument("--fresh", action="store_true", help="in a new conversation on the server (with -s)")
    parser.add_argument("-p", "--profile", default="", help="the server to ask, by its profile's name")
    parser.add_argument("-m", "--model", default="", help="the model to ask for")
    parser.add_argument("--system", metavar="TEXT", help="instructions for this answer")
    parser.add_argument("-f", "--file", metavar="FILE", action="append", default=[], help="a text file to send along")
    parser.add_argument(
        "--attach",
        metavar="FILE",
        action="append",
        default=[],
        help="a text file or a picture to attach, as @FILE does in the window",
    )
    parser.add_argument("--output", choices=("text", "json", "jsonl"), default="text", help="how to print the answer")
    parser.add_argument("--raw", action="store_true", help="print the server's own bytes; tracks no conversation")
    parser.add_argument("--no-fresh", action="store_true", help="fail when the server has forgotten the conversation")
    parser.add_argument("--no-history", action="store_true", help="do not tell the server what was said before")
    parser.add_argument("--timeout", metavar="S", type=seconds, help="give up after S seconds")
    word = parser.add_mutually_exclusive_group()
    word.add_argument("--approve", action="store_true", help="say yes to what the session's newest answer asks")
    word.add_argument("--deny", action="store_true", help="say no to it; PROMPT is the reason")


def main(args: argparse.Namespace) -> int:
    """Ask, and give the exit status."""
    begin_raising()
    try:
        return _main(args)
    except Ended as ended:
        print_error(CANCELLED)
        return 128 + ended.number


def _main(args: argparse.Namespace) -> int:
    logs.begin(paths.find())
    config = config_file.load(paths.find().config_file)
    if args.raw and args.output != "text":
        raise UsageError("--raw and --output do not go together.")
    label = check_label(args.session) if args.session is not None else ""
    prompt, pictures = read_prompt(args.prompt, args.file, args.attach)
    is_answer = args.approve or args.deny
    if is_answer and not label:
        raise UsageError("Only a session can be answered in.", hint="name it with -s")
    if (args.at or args.fresh) and (not label or is_answer or args.raw):
        raise UsageError("--at and --fresh are for a prompt in a session.", hint="name it with -s")
    if not prompt.strip() and not is_answer:
        raise UsageError("There is no prompt.", hint="give it as words, on standard input, or with --file")
    if args.take_over and (not label or args.raw):
        raise UsageError("--take-over is for a session.", hint="name it with -s")
    for warning in config.warnings:
        tell(warning)
    if args.raw and label:
        tell("--raw tracks no conversation: the session is left out")
        label = ""
    config.profile(args.profile)
    return asyncio.run(_Ask(args, config, label, prompt, pictures).run())


class _Ask:
    """One question on its way."""

    def __init__(
        self, args: argparse.Namespace, config: Config, label: str, prompt: str, pictures: Sequence[Picture]
    ) -> None:
        self._args = args
        self._label = label
        self._prompt = prompt
        self._pictures = pictures
        self._out = Emitter(out_descriptor())
        self._printer = self._make_printer()
        self._store = Store(paths.find().history_file, kind=HolderKind.ASK, on_health=self._health)
        client = Client(on_bytes=self._out.write if args.raw else None)
        self._chat = Chat(self._store, client, config)
        self._key = ""
        self._signal = 0
        self._timed_out = False
        self._printing: asyncio.Timeout | None = None
        self._told_of_history = ""
        self._notices_told = 0
        self._notes = 0
        self._approvals = Approvals(self._chat, self._made_a_mistake)
        self._mistake: BaseException | None = None
        self._last: Turn | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in heeded(*ENDING):
            loop.add_signal_handler(number, self._signalled, number)
        self._out.on_broken = lambda: loop.call_soon_threadsafe(self._broken)
        try:
            session = await self._session()
            self._chat.subscribe(self._changed)
            turn = await self._turn(session)
        finally:
            await self._approvals.finish()
            await self._chat.aclose()
            if self._label:
                await self._store.close()
                self._say_where_kept()
        if self._mistake is not None:
            raise self._mistake
        self._printer.end(turn, self._label, self._chat.window_of(turn))
        is_printed = await self._print_all()
        return self._status(turn) if is_printed or not self._signal else 128 + self._signal

    async def _print_all(self) -> bool:
        """Wait until everything is printed, and tell whether it is: a reader that does not read has only a moment, once this
        is to end.
        """
        try:
            async with asyncio.timeout(READER_PATIENCE if self._signal or self._timed_out else None) as self._printing:
                await aside(self._out.close)
        except TimeoutError:
            return False
        finally:
            self._printing = None
        return True

    async def _session(self) -> Session | None:
        if not self._label:
            return None
        await self._store.open()
        for notice in self._store.notices:
            tell(notice)
        await self._refuse_if_new()
        session = await self._chat.open(self._label)
        if session.notice and not session.turns:
            tell(session.notice)
        self._key, self._approvals.session = session.id, session
        self._chat.attend(session.id)
        return session

    async def _refuse_if_new(self) -> None:
        """Make no session for what can be done only in one that is there, or cannot be done at all.

        Raises:
            StoreError: There is no such session.
            PalaverError: The server takes no pictures.
        """
        args = self._args
        needs_turns = bool(args.at or args.approve or args.deny)
        if not (needs_turns or self._pictures) or await self._chat.find(self._label) is not None:
            return
        if needs_turns:
            raise NoSuchSession(one_line(self._label, 60))
        refuse_pictures(self._chat.profile_of(None, args.profile, args.model), self._prompt)

    async def _turn(self, session: Session | None) -> Turn:
        args = self._args
        if session is not None and args.take_over:
            taken = await self._chat.take_over(session.id)
            if taken is not None:
                tell(f"taken over from process {taken.process}; what came there is kept")
        if session is not None and (args.approve or args.deny):
            await self._answer(session, Verdict(args.approve, reason="" if args.approve else self._prompt.strip()))
        else:
            await self._send(session)
        if self._signal:
            self._stop()
        if args.timeout:
            asyncio.get_running_loop().call_later(args.timeout, self._time_out)
        turn = await self._chat.settled(self._key)
        assert turn is not None
        return turn

    async def _answer(self, session: Session, verdict: Verdict) -> None:
        """Answer what the newest turn asks, which begins another one."""
        count = await self._chat.count(session.id)
        newest = await self._chat.turns(session.id, max(0, count - 1))
        asked = newest[-1].open_approvals if newest else ()
        if not asked:
            raise UsageError("Nothing in this session waits for an answer.")
        await self._chat.answer(session, newest[-1], asked[0], verdict)

    async def _send(self, session: Session | None) -> None:
        args = self._args
        if session is not None and args.at and args.at > session.turns:
            raise StoreError(
                f"There is no turn {args.at:,} in “{one_line(session.label, 60)}”: it has {session.turns:,}."
            )
        if session is not None and session.provenance is Provenance.FOREIGN:
            raise UsageError(
                "This conversation is someone else's.", hint=f"fork it to go on: {_fork_line(self._label)}"
            )
        profile = self._chat.profile_of(session, args.profile, args.model)
        if args.system is not None:
            profile = replace(profile, system=args.system)
        refuse_pictures(profile, self._prompt)
        for picture in self._pictures:
            await self._chat.keep_picture(picture)
        if session is not None and args.fresh:
            await self._chat.conversations.forget(session, profile)
        self._chat.send(
            session,
            self._prompt,
            profile=profile,
            allow_fresh=not args.no_fresh,
            with_history=not args.no_history,
            budget=args.timeout or 60.0,
            at=args.at - 1 if args.at else None,
        )

    def _make_printer(self) -> Printer:
        if self._args.raw:
            return Printer(self._out)
        return {"text": TextPrinter, "json": JsonPrinter, "jsonl": JsonLinesPrinter}[self._args.output](self._out)

    def _changed(self, change: Change) -> None:
        if isinstance(change, TurnChanged) and change.turn.session_id == self._key:
            turn = change.turn
            if self._last is not None and turn.id != self._last.id:
                return
            self._last = turn
            for note in turn.notes[self._notes :]:
                tell(note)
            self._notes = len(turn.notes)
            self._printer.show(turn)
            if not turn.status.is_final:
                self._approvals.confirm(turn)

    def _health(self, health: Health) -> None:
        for notice in health.notices[self._notices_told :]:
            tell(notice)
        self._notices_told = len(health.notices)
        # Once is enough: the answer is what was asked for.
        if health.message and not self._told_of_history:
            self._told_of_history = health.message
            is_off = not self._store.is_readable and not health.is_unreadable
            tell(f"{health.message} {self._unread}" if is_off else health.message)

    @property
    def _unread(self) -> str:
        return f"What was said in “{self._label}” before is not known to this answer."

    def _say_where_kept(self) -> None:
        """Say where it is kept, where that is not what was told before."""
        if self._told_of_history == WAITING and self._store.health.unsaved:
            tell(f"{self._store.health.message} What was said just now is lost.")
        kept_in = self._store.kept_in.get(self._key)
        if kept_in is not None and not self._store.health.unsaved and kept_in.label != self._label:
            tell(f"it is kept as “{kept_in.label}”: “{self._label}” cannot be gone on with now")
            self._label = kept_in.label

    def _signalled(self, number: int) -> None:
        if self._signal:
            os._exit(128 + number)
        self._signal = number
        self._chat.hasten()
        if self._printing is not None:
            self._printing.reschedule(asyncio.get_running_loop().time() + READER_PATIENCE)
        self._stop()

    def _stop(self) -> None:
        status = TurnStatus.CANCELLED if self._signal == signal.SIGINT else TurnStatus.INTERRUPTED
        lets_go = status is TurnStatus.INTERRUPTED or self._chat.lets_go_of(self._key)
        self._chat.cancel(self._key, status, lets_go=lets_go and bool(self._label))

    def _time_out(self) -> None:
        self._timed_out = self._chat.cancel(self._key, TurnStatus.INTERRUPTED)

    def _broken(self) -> None:
        self._chat.cancel(self._key, TurnStatus.INTERRUPTED)

    def _made_a_mistake(self, error: BaseException) -> None:
        self._mistake = error
        self._chat.cancel(self._key, TurnStatus.INTERRUPTED)

    def _status(self, turn: Turn) -> int:
        """Say how it ended, where that is not well, and give the exit status for it."""
        if self._out.trouble is not None:
            if isinstance(self._out.trouble, BrokenPipeError):
                return int(Exit.READER_LEFT)
            raise refused(self._out.trouble)
        if turn.status is TurnStatus.DONE:
            if turn.open_approvals:
                self._say_asked(turn)
                return int(Exit.INCOMPLETE)
            if turn.finish in _CUT_SHORT:
                tell(f"the server stopped the answer early: {turn.finish}")
                return int(Exit.INCOMPLETE)
            return int(Exit.DONE)
        if self._signal:
            print_error("The server goes on." if turn.run else CANCELLED)
            if turn.run:
                # Not on one line by force: blanks are part of a label.
                print_error(f"palaver: {command_to_open(self._label)} shows the rest")
            return 128 + self._signal
        if self._timed_out:
            tell(f"no complete answer in {self._args.timeout:g} s")
            return int(Exit.INCOMPLETE if turn.has_output else Exit.UNREACHABLE)
        if turn.error is not None:
            tell(str(self._at_command_line(turn.error)))
            return turn.error.exit_status
        if turn.status is TurnStatus.CANCELLED and not turn.has_output:
            # Another process has taken the session over, which a note says.
            return int(Exit.LIMITED)
        return int(Exit.INCOMPLETE)

    def _at_command_line(self, failure: Failure) -> Failure:
        """A failure, with what there is to do about it here."""
        told = without_keys(failure)
        if told.hint == failure.hint or self._args.approve or self._args.deny:
            return told
        return replace(told, hint="; ".join(filter(None, (told.hint, "the same command sends it again"))))

    def _say_asked(self, turn: Turn) -> None:
        for item in turn.open_approvals:
            tell(f"{item.name} wants your approval: {item.text}")
        if self._label:
            named = (
                f"--session={shell_word(self._label)}"
                if self._label.startswith("-")
                else f"-s {shell_word(self._label)}"
            )
            print_error(f"palaver: palaver ask {named} --approve (or --deny) answers it")


def _fork_line(label: str) -> str:
    """The command that forks a session, but for the new label, whatever the old one is."""
    dashes = "-- " if label.startswith("-") else ""
    return f"palaver sessions fork {dashes}{shell_word(label)} NEW"
