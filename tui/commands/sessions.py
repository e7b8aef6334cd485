"""List, show and change sessions."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tui import config_file, logs, paths
from tui.account import account_lines, account_object
from tui.arguments import whole_number
from tui.chat import Chat
from tui.client import Client
from tui.commands.table import print_json, print_line, print_table
from tui.console import print_error
from tui.errors import Exit, NoSuchSession, StoreError
from tui.model import HolderKind, ItemKind, Session, TurnStatus
from tui.moments import moment
from tui.objects import branch_object, iso, queued_object, session_object, turn_json, without_keys
from tui.signals import run
from tui.store import Store
from tui.text import clean, counted, one_line

FEW_FIGURES = 20
"""Turns of which people are told what they came to in numbers."""

ALL_FIGURES = 1000
"""The same for scripts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    listing = commands.add_parser("list", help="all sessions, the one used last first (the default)")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.add_argument("--deleted", action="store_true", help="those in the trash instead")
    show = commands.add_parser("show", help="what was said in a session")
    show.add_argument("label", metavar="LABEL")
    show.add_argument("--json", action="store_true", help="print JSON")
    rename = commands.add_parser("rename", help="give a session another label")
    rename.add_argument("label", metavar="LABEL")
    rename.add_argument("new", metavar="NEW")
    title = commands.add_parser("title", help="give a session a title; an empty one lets Palaver make it again")
    title.add_argument("label", metavar="LABEL")
    title.add_argument("text", metavar="TEXT")
    for name, help_text in (("pin", "keep a session on top"), ("archive", "take a session out of the way")):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("label", metavar="LABEL")
        command.add_argument("--undo", action="store_true", help="undo it")
    delete = commands.add_parser("delete", help="put a session into the trash")
    delete.add_argument("label", metavar="LABEL")
    restore = commands.add_parser("restore", help="take a session out of the trash")
    restore.add_argument("label", metavar="LABEL")
    fork = commands.add_parser("fork", help="a new session that goes on from another one")
    fork.add_argument("label", metavar="LABEL")
    fork.add_argument("new", metavar="NEW")
    _add_place(fork, "after this turn, counted from 1 (default: the last finished answer)")
    branches = commands.add_parser("branches", help="the branches of a session, made where a prompt was changed")
    branches.add_argument("label", metavar="LABEL")
    branches.add_argument("--json", action="store_true", help="print JSON")
    choose = commands.add_parser("choose", help="go on with another branch")
    choose.add_argument("label", metavar="LABEL")
    choose.add_argument("branch", metavar="BRANCH", type=whole_number, help="its number, as `branches` has it")
    conversation = commands.add_parser("conversation", help="what is known of a session's conversations with servers")
    conversation.add_argument("label", metavar="LABEL")
    conversation.add_argument("--json", action="store_true", help="print JSON")
    adopt = commands.add_parser("adopt", help="make a session of a conversation the server has")
    adopt.add_argument("label", metavar="LABEL", help="the new session's")
    adopt.add_argument("conversation", metavar="CONVERSATION_ID")
    adopt.add_argument("-p", "--profile", default="", help="the server, by its profile's name")
    detach = commands.add_parser("detach", help="forget the server's conversation (the server is not told)")
    detach.add_argument("label", metavar="LABEL")
    share = commands.add_parser("share", help="let others read the server's conversation, and print its id")
    share.add_argument("label", metavar="LABEL")
    _add_place(share, "up to this turn, counted from 1 (default: the last finished answer)")
    share.add_argument("--undo", action="store_true", help="stop sharing")
    takeover = commands.add_parser("takeover", help="stop what a window, or a script, is answering in a session")
    takeover.add_argument("label", metavar="LABEL")
    mapping = commands.add_parser("map", help="the conversations that servers keep")
    mapping.add_argument("--json", action="store_true", help="print JSON")


def _add_place(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument("--at", metavar="TURN", type=whole_number, help=help_text)


def main(args: argparse.Namespace) -> int:
    return run(_main(args))


async def _main(args: argparse.Namespace) -> int:
    async with history() as chat:
        match args.command:
            case "show":
                await _show(chat, args)
            case "map":
                await _map(chat, args)
            case "branches":
                await _branches(chat, args)
            case "conversation":
                await _conversation(chat, args)
            case "list" | None:
                await _list(chat, args)
            case _:
                done = await _change(chat, args)
                if chat.health.message:
                    raise StoreError(chat.health.message)
                print_line(done)
        if chat.health.message:
            print_error(f"palaver: {chat.health.message}")
    return int(Exit.DONE)


async def _change(chat: Chat, args: argparse.Namespace) -> str:
    """Change a session. Gives what has happened, in words, which are true once it is known to be saved."""
    if args.command == "adopt":
        session = await chat.conversations.adopt(args.label, args.conversation, chat.config.profile(args.profile))
        told = counted(session.turns, "turn")
        return f"{one_line(session.label)} goes on from {one_line(args.conversation)}; {told} came along"
    session = await named(chat, args.label, deleted=args.command == "restore")
    name = one_line(args.label)
    match args.command:
        case "rename":
            return f"{name} is now {one_line((await chat.rename(session.id, args.new)).label)}"
        case "title":
            session = await chat.set_title(session.id, args.text)
            return f"{one_line(session.label)}: {one_line(session.title) or 'no title of its own'}"
        case "fork":
            forked = await chat.conversations.fork(session, args.new, args.at)
            said = f"{one_line(forked.session.label)} goes on from {counted(forked.session.turns, 'turn')} of {name}"
            return f"{said}\n{forked.note}" if forked.note else said
        case "choose":
            branches = await chat.branches(session.id)
            if args.branch > len(branches):
                raise StoreError(
                    f"There is no branch {args.branch:,} in “{one_line(session.label, 60)}”.",
                    hint="see `palaver sessions branches`",
                )
            session = await chat.choose(session.id, branches[args.branch - 1].turn_id)
            return f"{name} goes on with branch {args.branch}, after {counted(session.turns, 'turn')}"
        case "takeover":
            taken = await chat.take_over(session.id)
            if taken is None:
                return f"{name} is free: no one is answering in it"
            return f"{name} is free: process {taken.process} was stopped, and what came is kept"
        case "detach":
            forgotten = await chat.conversations.forget(session)
            return f"{name} begins a new conversation next time" if forgotten else f"{name} has no conversation"
        case "share" if args.undo:
            await chat.conversations.unshare(session)
            return f"{name} is no longer shared"
        case "share":
            return await chat.conversations.share(session, args.at)
        case "pin":
            await chat.pin(session.id, not args.undo)
            return f"{name} is {'no longer ' if args.undo else ''}pinned"
        case "archive":
            await chat.archive(session.id, not args.undo)
            return f"{name} is {'no longer ' if args.undo else ''}archived"
        case "delete":
            await chat.delete(session.id)
            return f"{name} is in the trash; `palaver sessions restore` brings it back"
        case _:
            return f"{one_line((await chat.restore(session.id)).label)} is back"


@asynccontextmanager
async def history() -> AsyncIterator[Chat]:
    """A chat on the history, for a command about it, which takes nothing that cannot be read for nothing.

    Raises:
        StoreError: There is no history to be had, or what the command needs of it cannot be read.
    """
    logs.begin(paths.find())
    store = Store(paths.find().history_file, kind=HolderKind.COMMAND, must_read=True)
    chat = Chat(store, Client(), config_file.load(paths.find().config_file))
    try:
        await store.open()
        await store.require()
        yield chat
    finally:
        await chat.aclose()
        await store.close()
        for notice in store.notices:
            print_error(f"palaver: {notice}")


async def named(chat: Chat, label: str, *, deleted: bool = False) -> Session:
    """The session of that label.

    Raises:
        StoreError: There is none.
    """
    session = await chat.find(label, deleted=deleted)
    if session is not None:
        return session
    if await chat.find(label, deleted=not deleted) is None:
        raise NoSuchSession(one_line(label, 60))
    name = one_line(label, 60)
    if deleted:
        raise StoreError(f"The session “{name}” is not in the trash.")
    raise StoreError(f"The session “{name}” is in the trash.", hint="`palaver sessions restore` brings it back")


async def _list(chat: Chat, args: argparse.Namespace) -> None:
    is_trash = getattr(args, "deleted", False)
    sessions = await chat.sessions(deleted=is_trash)
    if getattr(args, "json", False):
        print_json([session_object(session) for session in sessions])
        return
    rows = [
        (
            session.label,
            session.title,
            str(session.turns),
            _marks(session),
            moment(session.last_used_at),
        )
        for session in sessions
    ]
    empty = "The trash is empty." if is_trash else "There are no sessions yet."
    print_table(("LABEL", "TITLE", "TURNS", "STATE", "LAST USED"), rows, empty, cut=(0, 1))


async def _show(chat: Chat, args: argparse.Namespace) -> None:
    session = await named(chat, args.label)
    turns = await chat.turns(session.id)
    queue = await chat.queue(session.id)
    if args.json:
        full = [await chat.turn(turn.id) or turn for turn in turns]
        messages = [turn_json(turn, session.label, chat.window_of(turn)) for turn in full]
        print_json(session_object(session) | {"messages": messages, "queue": [queued_object(one) for one in queue]})
        return
    print_line(one_line(session.name))
    if session.notice:
        print_line(f"[{one_line(session.notice)}]")
    for turn in turns:
        print_line()
        about = (moment(turn.created_at), turn.profile or turn.protocol, one_line(turn.model, 60), turn.status)
        print_line(f"── {' · '.join(filter(None, about))}")
        print_line(clean(turn.prompt))
        for item in turn.items:
            _print_item(item.kind, item.name, item.text)
        for note in turn.notes:
            print_line(f"[{one_line(note)}]")
        if turn.error:
            print_line(f"[{one_line(str(without_keys(turn.error)))}]")
    for number, queued in enumerate(queue, 1):
        print_line()
        print_line(f"── {moment(queued.created_at)} · waits, {number} of {len(queue)}")
        print_line(clean(queued.prompt))


def _print_item(kind: ItemKind, name: str, text: str) -> None:
    print_line()
    if kind is ItemKind.MESSAGE:
        print_line(clean(text))
    else:
        print_line(f"[{kind.replace('_', ' ')}{f' {one_line(name, 60)}' if name else ''}] {one_line(text, 300)}")


async def _map(chat: Chat, args: argparse.Namespace) -> None:
    mappings = await chat.mappings()
    if args.json:
        print_json(
            [
                {
                    "session": label,
                    "origin": mapping.origin,
                    "protocol": mapping.protocol,
                    "conversation_id": mapping.conversation_id,
                    "issued_at": iso(mapping.issued_at),
                    "used_at": iso(mapping.used_at),
                    "state": mapping.state,
                }
                for label, mapping in mappings
            ]
        )
        return
    rows = [
        (label, mapping.origin, mapping.protocol, mapping.conversation_id, moment(mapping.used_at), mapping.state)
        for label, mapping in mappings
    ]
    head = ("SESSION", "ORIGIN", "PROTOCOL", "CONVERSATION", "LAST USED", "STATE")
    print_table(head, rows, "No server keeps a conversation for us yet.")


async def _branches(chat: Chat, args: argparse.Namespace) -> None:
    session = await named(chat, args.label)
    branches = await chat.branches(session.id)
    if args.json:
        print_json([branch_object(number, branch) for number, branch in enumerate(branches, 1)])
        return
    rows = [
        (
            str(number),
            "now" if branch.is_present else "",
            str(branch.parts_at),
            str(branch.turns),
            moment(branch.at),
            one_line(branch.prompt, 60),
        )
        for number, branch in enumerate(branches, 1)
    ]
    print_table(
        ("BRANCH", "", "FROM TURN", "TURNS", "LAST USED", "BEGINS WITH"), rows, "Nothing was said in it yet.", cut=(5,)
    )


async def _conversation(chat: Chat, args: argparse.Namespace) -> None:
    newest = ALL_FIGURES if args.json else FEW_FIGURES
    account = await chat.conversations.account(await named(chat, args.label), newest)
    if args.json:
        print_json(account_object(account, iso))
    else:
        for line in account_lines(account):
            print_line(line)


def _marks(session: Session) -> str:
    marks = []
    if session.pinned:
        marks.append("pinned")
    if session.archived_at:
        marks.append("archived")
    if session.unread:
        marks.append("unread")
    if session.last_status in (TurnStatus.PENDING, TurnStatus.STREAMING):
        marks.append("answering")
    elif session.last_status and session.last_status is not TurnStatus.DONE:
        marks.append(session.last_status.value)
    return ", ".join(marks)
