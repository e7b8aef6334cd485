"""The lifetime of the window: what is opened before it, what is closed after it, and the signals in between."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from tui import config_file, logs, paths
from tui.chat import Chat
from tui.client import Client
from tui.command_words import command_to_open
from tui.console import print_error, write_out
from tui.errors import OutputRefused
from tui.model import TurnStatus
from tui.signals import heeded
from tui.store import Store
from tui.values import dataclass

if TYPE_CHECKING:
    from tui.app.app import PalaverApp

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for: a session by its label, or a new one, and a server for it."""

    label: str = ""
    new: bool = False
    profile: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How it ended: the exit status, and whether the terminal had stopped reading by then."""

    status: int
    terminal_is_stuck: bool = False


async def run(wish: Wish) -> End:
    """Run the window to its end, then stop what runs and close the history."""
    gc.disable()
    _draw_in_utf8()
    logs.begin(paths.find())
    config = config_file.load(paths.find().config_file)
    config.profile(wish.profile)
    from tui.app.app import PalaverApp
    from tui.app.driver import install

    store = Store(paths.find().history_file)
    chat = Chat(store, Client(), config)
    store.on_health = chat.tell_health
    app = PalaverApp(chat, store, wish, driver_class=install())
    loop = asyncio.get_running_loop()
    caught: list[int] = []

    def leave(number: int) -> None:
        if app.is_terminal_lent and number in (signal.SIGINT, signal.SIGQUIT):
            return  # keys meant for the program that has the terminal
        caught.append(number)
        app.exit()

    # Ctrl+C is a key like others here: this is another program's way of saying it.
    for number in heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        loop.add_signal_handler(number, leave, number)
    # Its end is no signal to a window that was started to ignore the hang-up.
    app.on_gone = lambda: leave(signal.SIGHUP)
    loop.set_exception_handler(lambda _loop, context: _unattended(app, context))
    threading.excepthook = lambda args: _from_thread(app, loop, args)
    try:
        await app.run_async()
    finally:
        app.let_go_of_terminal()
        try:
            broken = app.failure is not None or (caught and caught[0] != signal.SIGINT)
            await chat.aclose(TurnStatus.INTERRUPTED if broken else TurnStatus.CANCELLED)
        finally:
            await store.close()
    if app.failure is not None:
        raise app.failure
    status = 128 + caught[0] if caught else 0
    if getattr(app._driver, "is_stuck", False):
        return End(status, terminal_is_stuck=True)
    _say_goodbye(app.come_back, store)
    return End(status)


def _unattended(app: PalaverApp, context: dict[str, Any]) -> None:
    """What no one waited for has gone wrong: its report is kept, and the window goes on where it can."""
    error = context.get("exception")
    if not isinstance(error, Exception):
        log.warning("%s", context.get("message"))
    elif "task" in context or "future" in context:
        app.tell_mistake(error)
    else:
        app.fail(error)


def _from_thread(app: PalaverApp, loop: asyncio.AbstractEventLoop, args: threading.ExceptHookArgs) -> None:
    if isinstance(args.exc_value, Exception) and loop.is_running():
        loop.call_soon_threadsafe(app.fail, args.exc_value)


def _say_goodbye(label: str, store: Store) -> None:
    """The command that comes back here, and what could not be kept."""
    if store.health.unsaved:
        print_error(f"palaver: {store.health.message} What was said since is lost.")
    if label:
        line = command_to_open(label)
        try:
            write_out(f"{line}\n".encode())
        except (OutputRefused, BrokenPipeError):
            # The terminal is what standard error leads to.
            print_error(line)


def _draw_in_utf8() -> None:
    """Have the window drawn in UTF-8, whatever encoding Python took from the environment for standard error: what is drawn
    there has no other."""
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr.encoding.lower() != "utf-8":
        sys.stderr.reconfigure(encoding="utf-8", errors="replace")
