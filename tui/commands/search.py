"""Search what was said in all sessions."""

from __future__ import annotations

import argparse
from contextlib import aclosing
from typing import Any

from tui.arguments import whole_number
from tui.chat import Chat
from tui.commands.sessions import history
from tui.commands.table import is_colourful, print_json, print_line, print_styled
from tui.console import print_error
from tui.errors import Exit, UsageError
from tui.found import Found, Hit, SessionHits
from tui.model import check_label
from tui.moments import moment
from tui.objects import iso
from tui.query import parse_query
from tui.signals import run
from tui.text import one_line

LIMIT = 20
"""Hits printed unless told otherwise."""

_MARKED = "\x1b[1;33m"
_STRONG = "\x1b[1m"
_FAINT = "\x1b[2m"
_PLAIN = "\x1b[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "query",
        metavar="QUERY",
        nargs="+",
        help='words, "a phrase", label:NAME, role:user or role:assistant, before:DAY, after:DAY; all of them have to fit',
    )
    parser.add_argument("-l", "--label", action="append", default=[], help="only in the session of this label")
    parser.add_argument("-n", "--limit", type=_limit, default=LIMIT, help=f"the most hits to print (default: {LIMIT})")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _limit(text: str) -> int:
    if whole_number(text) > 10_000:
        raise argparse.ArgumentTypeError("has to be from 1 to 10000")
    return int(text)


def main(args: argparse.Namespace) -> int:
    return run(_main(args))


async def _main(args: argparse.Namespace) -> int:
    labels = [check_label(label) for label in args.label]
    text = " ".join(args.query)
    async with history() as chat:
        problem = parse_query(text, chat.now()).problem
        if problem:
            raise UsageError(f"{problem[:1].upper()}{problem[1:]}.")
        found = await _search(chat, text, labels, args.limit)
        if chat.health.message:
            print_error(f"palaver: {chat.health.message}")
    if args.json:
        print_json([one for session in found.sessions for one in _objects(session)])
    else:
        _print(found)
    if not found.sessions:
        print_error("palaver: nothing was found")
    elif found.is_more:
        print_error("palaver: there is more; a larger --limit or more words show it")
    return int(Exit.DONE)


async def _search(chat: Chat, text: str, labels: list[str], limit: int) -> Found:
    everything = Found()
    async with aclosing(chat.search(text, labels=labels, limit=limit)) as search:
        async for found in search:
            everything = found
    return everything


def _objects(session: SessionHits) -> list[dict[str, Any]]:
    """The hits in a session; itself, where only its name fits."""
    named = {"session": session.label, "title": session.title}
    if not session.hits:
        only: dict[str, Any] = {"turn_id": None, "turn": None, "role": None, "created_at": iso(session.used_at)}
        return [named | only | {"passage": session.name, "marks": []}]
    return [
        named
        | {
            "turn_id": hit.turn_id,
            "turn": hit.depth + 1,
            "role": hit.role,
            "created_at": iso(hit.created_at),
            "passage": hit.passage,
            "marks": [list(mark) for mark in hit.marks],
        }
        for hit in session.hits
    ]


def _print(found: Found) -> None:
    strong, faint, marked, plain = (_STRONG, _FAINT, _MARKED, _PLAIN) if is_colourful() else ("", "", "", "")
    for number, session in enumerate(found.sessions):
        if number:
            print_line()
        label, title = one_line(session.label, 60), one_line(session.title, 80)
        heading = f"{strong}{label}{plain}"
        if title and title != label:
            heading += f" — {title}"
        print_styled(heading)
        for hit in session.hits:
            print_styled(
                f"  {faint}{moment(hit.created_at)}  {hit.role:<9}  #{hit.depth + 1}{plain}  {_passage(hit, marked, plain)}"
            )
        left_out = session.count - len(session.hits)
        if left_out and session.hits:
            print_styled(f"  {faint}and {left_out:,} more here{plain}")


def _passage(hit: Hit, marked: str, plain: str) -> str:
    parts, at = [], 0
    for start, end in hit.marks:
        parts += [hit.passage[at:start], marked, hit.passage[start:end], plain]
        at = end
    return "".join([*parts, hit.passage[at:]])
