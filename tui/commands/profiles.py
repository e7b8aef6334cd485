"""List, show and test the servers Palaver knows."""

from __future__ import annotations

import argparse
import asyncio
import json

from tui import config_file, logs, paths
from tui.chat import Chat, TurnChanged
from tui.client import Client
from tui.commands.table import print_line, print_table
from tui.config import Config, Profile
from tui.errors import Exit, PalaverError
from tui.keys import read_key
from tui.model import Turn, TurnStatus
from tui.store import Store
from tui.text import one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("list", help="all profiles, and where each comes from (the default)")
    show = commands.add_parser("show", help="everything a profile says, but no key")
    show.add_argument("name", metavar="NAME", nargs="?", default="")
    test = commands.add_parser("test", help="try a profile: key, server, models, an answer, a second turn")
    test.add_argument("name", metavar="NAME", nargs="?", default="")


def main(args: argparse.Namespace) -> int:
    logs.begin(paths.find())
    config = config_file.load(paths.find().config_file)
    match args.command:
        case "show":
            _show(config.profile(args.name))
        case "test":
            return asyncio.run(_test(config, config.profile(args.name)))
        case _:
            _list(config)
    return int(Exit.DONE)


def _list(config: Config) -> None:
    rows = [
        ("*" if name == config.default else "", name, profile.protocol, profile.base_url, profile.model, profile.source)
        for name, profile in config.profiles.items()
    ]
    print_table(("", "NAME", "PROTOCOL", "URL", "MODEL", "FROM"), rows, "There are no profiles.")


def _show(profile: Profile) -> None:
    rows = [
        ("name", profile.name),
        ("from", profile.source),
        ("protocol", profile.protocol),
        ("base_url", profile.base_url),
        ("model", profile.model or "none"),
        ("key", str(profile.key)),
        ("headers", ", ".join(name for name, _ in profile.headers) or "none"),
        ("system", profile.system or "none"),
        ("continue_by", profile.continue_by),
        ("replay", "yes" if profile.replay else "no"),
        ("connect_timeout", f"{profile.connect_timeout:g} s"),
        ("idle_timeout", f"{profile.idle_timeout:g} s"),
        ("params", json.dumps(dict(profile.params))),
        ("ca_file", profile.ca_file or "none"),
    ]
    for name, value in rows:
        print_line(f"{name:16} {one_line(value)}")


async def _test(config: Config, profile: Profile) -> int:
    """Try what a profile has to be able to do, one line each; the status is that of the first failure."""
    client = Client()
    status = int(Exit.DONE)
    try:
        await read_key(profile.key)
        _line("key", True, str(profile.key))
    except PalaverError as error:
        _line("key", False, str(error))
        return int(error.exit_status)
    try:
        names = await client.ask(profile, lambda wire, http: wire.models(http))
        _line("models", True, ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else ""))
    except PalaverError as error:
        # Many servers have no list of models; an answer is what counts.
        _line("models", None, str(error))
    chat = Chat(Store(paths.find().history_file), client, config)
    turn = await _say(chat, profile, "Say the word: ready")
    if turn.status is TurnStatus.DONE:
        first = (turn.first_text_at or turn.created_at) - turn.created_at
        _line("answer", True, f"“{one_line(turn.text, 60)}” from {turn.model or 'the model'} after {first:.1f} s")
    else:
        _line("answer", False, str(turn.error))
        status = turn.error.exit_status if turn.error else int(Exit.REFUSED)
    if turn.status is TurnStatus.DONE and profile.traits.keeps:
        _line(
            "conversation", bool(turn.conversation_id), "kept by the server" if turn.conversation_id else "no id came"
        )
    await chat.aclose()
    return status


async def _say(chat: Chat, profile: Profile, prompt: str) -> Turn:
    last: list[Turn] = []
    chat.subscribe(lambda change: last.append(change.turn) if isinstance(change, TurnChanged) else None)
    chat.send(None, prompt, profile=profile, budget=10.0)
    return await chat.settled("") or last[-1]


def _line(name: str, ok: bool | None, text: str) -> None:
    mark = {True: "ok", False: "failed", None: "-"}[ok]
    print_line(f"{name:14} {mark:8} {one_line(text, 300)}")
