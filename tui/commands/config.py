"""Show where the configuration is and what is in force, or begin one."""

from __future__ import annotations

import argparse
import os

from tui import config_file, paths
from tui.commands.table import print_line
from tui.errors import ConfigError, Exit
from tui.paths import Paths, make_private_dir
from tui.text import one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("path", help="where the files are")
    commands.add_parser("show", help="what is in force (the default)")
    commands.add_parser("init", help="write a configuration to begin from, if there is none")


def main(args: argparse.Namespace) -> int:
    found = paths.find()
    match args.command:
        case "path":
            for folder in (found.config_dir, found.data_dir, found.log_dir):
                paths.require(folder)
            print_line(f"config   {found.config_file}")
            print_line(f"history  {found.history_file}")
            print_line(f"log      {found.log_file}")
        case "init":
            paths.require(found.config_dir)
            _init(found)
        case _:
            _show(found)
    return int(Exit.DONE)


def _show(found: Paths) -> None:
    config = config_file.load(found.config_file)
    paths.require(found.config_dir)
    there = "" if found.config_file.exists() else " (there is none; `palaver config init` writes one)"
    print_line(f"file                   {found.config_file}{there}")
    print_line(f"profile                {config.default}")
    print_line(f"profiles               {', '.join(config.profiles)}")
    print_line(f"conversation_ttl_days  {config.conversation_ttl / 86400:g}")
    print_line(f"theme                  {config.theme or 'textual-dark'}")
    print_line(f"notify                 {config.notify}")
    for name, keys in config.keys.items():
        print_line(f"keys.{name:17} {one_line(keys)}")
    for warning in config.warnings:
        print_line(f"warning: {one_line(warning)}")


def _init(found: Paths) -> None:
    file = found.config_file
    try:
        make_private_dir(file.parent)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{file} is there already.", hint="it was left as it is") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(config_file.EXAMPLE)
    print_line(f"{file} is written; every line is commented out; remove the # from those you want")
