"""Palaver's window with a mistake of ours in a chosen place: `python -m tests.app.mistakes PLACE`. F1 makes it happen."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from tui import process
from tui.app import driver
from tui.app.app import PalaverApp
from tui.app.screens.chat import ChatScreen
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.status_bar import StatusBar
from tui.cli import main
from tui.runner import Fold


def broken(*_args: Any, **_more: Any) -> Any:
    """Raises, with a key and a prompt in its message, in its variables, and in what it came from."""
    key = os.environ["PALAVER_MISTAKE"]
    try:
        raise KeyError(key)
    except KeyError as error:
        error.add_note(key)
        raise ValueError(f"{key} is what went wrong") from error


async def broken_later(*_args: Any) -> None:
    await asyncio.sleep(0)
    broken()


class Mistake(Message):
    """Asks for nothing."""


class BrokenWidget(Widget):
    on_mount = broken


class BrokenScreen(Screen[None]):
    compose = broken


def in_status_bar(screen: ChatScreen) -> None:
    StatusBar.render_line = broken
    screen.status_bar.refresh()


def in_transcript(screen: ChatScreen) -> None:
    TranscriptView.paint_lines = broken
    screen.transcript.refresh()


def in_handler(screen: ChatScreen) -> None:
    setattr(ChatScreen, Mistake.handler_name, broken)
    screen.post_message(Mistake())


def in_keys(screen: ChatScreen) -> None:
    driver._Parser.feed = broken
    screen.say("The next key is the last.")


def in_turn(screen: ChatScreen) -> None:
    Fold.apply = broken
    screen.say("The next word is the last.")


def in_leaving(screen: ChatScreen) -> None:
    ChatScreen.on_unmount = broken
    screen.app.exit()


def in_task(_screen: ChatScreen) -> None:
    asyncio.get_running_loop().create_task(broken_later())


PLACES = {
    "an action": broken,
    "a timer": lambda screen: screen.set_timer(0.01, broken),
    "a callback": lambda screen: screen.call_after_refresh(broken),
    "a timer of the loop": lambda _screen: asyncio.get_running_loop().call_later(0.01, broken),
    "a worker": lambda screen: screen.run_worker(broken_later()),
    "a worker's thread": lambda screen: screen.run_worker(broken, thread=True),
    "a thread": lambda _screen: threading.Thread(target=broken).start(),
    "a handler": in_handler,
    "a widget's picture": in_status_bar,
    "a line of the transcript": in_transcript,
    "a widget's mount": lambda screen: screen.mount(BrokenWidget()),
    "a screen's contents": lambda screen: screen.app.push_screen(BrokenScreen()),
    "a chore": lambda screen: screen.do(broken_later()),
    "the reading of keys": in_keys,
    "leaving": in_leaving,
    "a task": in_task,
    "a turn": in_turn,
}


def break_at(place: str) -> None:
    """Have F1 make the mistake; or, where it is made before there are any keys, make it now."""
    if place == "the beginning":
        ChatScreen.compose = broken
    else:
        PalaverApp.action_help = lambda app: PLACES[place](app.screen_stack[0])


if __name__ == "__main__":
    process.begin()
    break_at(sys.argv[1])
    sys.exit(main([]))
