"""List, show and test the servers Palaver knows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

from tui import config_file, logs, paths
from tui.chat import Chat
from tui.client import Client
from tui.commands.table import print_json, print_line, print_table
from tui.commands.trial import Trial
from tui.config import Config, Profile
from tui.credentials import is_secret_parameter
from tui.errors import Exit
from tui.model import Conversation
from tui.moments import moment
from tui.objects import iso
from tui.signals import run
from tui.store import Store
from tui.text import one_line

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("list", help="all profiles, and where each comes from (the default)")
    show = commands.add_parser("show", help="everything a profile says, but no key")
    show.add_argument("name", metavar="NAME", nargs="?", default="")
    test = commands.add_parser("test", help="try a profile: key, models, an answer, going on, stopping")
    test.add_argument("name", metavar="NAME", nargs="?", default="")
    models = commands.add_parser("models", help="the models a profile's server has")
    models.add_argument("name", metavar="NAME", nargs="?", default="")
    talks = commands.add_parser("conversations", help="the conversations a profile's server has for you")
    talks.add_argument("name", metavar="NAME", nargs="?", default="")
    talks.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    logs.begin(paths.find())
    config = config_file.load(paths.find().config_file)
    match args.command:
        case "show":
            _show(config.profile(args.name))
        case "test":
            return run(Trial(config, config.profile(args.name), _line).run())
        case "models":
            return run(_models(config, config.profile(args.name)))
        case "conversations":
            return run(_conversations(config, config.profile(args.name), args.json))
        case _:
            _list(config)
    return int(Exit.DONE)


def _list(config: Config) -> None:
    rows = [
        ("*" if name == config.default else "", name, profile.protocol, profile.base_url, profile.model, profile.source)
        for name, profile in config.profiles.items()
    ]
    print_table(("", "NAME", "PROTOCOL", "URL", "MODEL", "FROM"), rows, "There are no profiles.", cut=(1, 3, 4, 5))


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
        ("titles", profile.titles),
        ("context_window", f"{profile.context_window:,} tokens" if profile.context_window else "not known"),
        ("options", ", ".join(f"{name} = {json.dumps(value)}" for name, value in profile.options.items()) or "none"),
        ("replay", "yes" if profile.replay else "no"),
        ("connect_timeout", f"{profile.connect_timeout:g} s"),
        ("idle_timeout", _idle_timeout(profile)),
        ("allow_plain_http", "yes" if profile.allow_plain_http else "no"),
        ("params", json.dumps(_without_keys(dict(profile.params)))),
        ("ca_file", profile.ca_file or "none"),
    ]
    for name, value in rows:
        print_line(f"{name:16} {one_line(value)}")


def _idle_timeout(profile: Profile) -> str:
    begin, within = profile.begin_timeout, profile.idle_timeout
    return f"{within:g} s" if begin in (None, within) else f"{begin:g} s before an answer, {within:g} s within it"


def _without_keys(params: Any) -> Any:
    """Fields of a request's body, with stars for those that are keys."""
    match params:
        case dict():
            return {
                name: "***" if is_secret_parameter(name, value) else _without_keys(value)
                for name, value in params.items()
            }
        case list():
            return [_without_keys(value) for value in params]
        case _:
            return params


async def _models(config: Config, profile: Profile) -> int:
    for name in await _ask(config, lambda chat: chat.conversations.models(profile)):
        print_line(one_line(name))
    return int(Exit.DONE)


async def _conversations(config: Config, profile: Profile, as_json: bool) -> int:
    found = await _ask(config, lambda chat: chat.conversations.listed(profile))
    if as_json:
        print_json([{**asdict(one), "used_at": iso(one.used_at)} for one in found])
        return int(Exit.DONE)
    rows = [(one.id, one.title, moment(one.used_at), ", ".join(_marks(one))) for one in found]
    print_table(("CONVERSATION", "TITLE", "LAST USED", ""), rows, "The server has no conversations.")
    return int(Exit.DONE)


def _marks(conversation: Conversation) -> list[str]:
    marks = {"someone else's": not conversation.is_own, "shared": conversation.is_shared}
    return [word for word, holds in marks.items() if holds]


async def _ask(config: Config, question: Callable[[Chat], Awaitable[T]]) -> T:
    """Ask a server something that no history is needed for."""
    chat = Chat(Store(paths.find().history_file), Client(), config)
    try:
        return await question(chat)
    finally:
        await chat.aclose()


def _line(name: str, ok: bool | None, text: str) -> None:
    mark = {True: "ok", False: "failed", None: "-"}[ok]
    print_line(f"{name:14} {mark:8} {one_line(text, 300)}")
