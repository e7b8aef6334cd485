"""Payloads in what a server names: its conversations, the fields it wants filled in, the titles its model makes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.loopback import loopback, profile_text
from tests.untrusted import agent
from tests.untrusted.commands import Found
from tests.untrusted.home import Home
from tests.untrusted.server import answers, framed
from tests.untrusted.sitting import Sitting, within
from tui.text import clean, one_line
from tui.titles import title_in


def conversations_shown(folder: Path, some: list[str], *, module: str = "tui") -> Found:
    """What a server of conversations says: their list, the proposal for a label, a session made of one, a form."""
    found, home = Found(), Home(folder)
    server = agent.NamingAgent(some)
    with loopback(server) as at:
        s = Sitting(home, found, 60, module=module, more=home.configured("agent", agent.profile_text(at.port)))
        s.sees("start", "Type a message")
        for number, title in enumerate(server.titles):
            s.says("/conversations")
            s.sees("conversations", "Conversations on the server")
            s.paste(f"Vq{number}q")
            s.sees("conversation's title", within(one_line(title, 100), 60))
            s.t.type("\r")
            s.sees("proposal for a label", "The session's label", " ".join(clean(one_line(title, 40)).split())[-20:])
            s.t.type("\x1b")
            s.until_gone("The session's label")
            s.says("/conversations")
            s.sees("conversations", "Conversations on the server")
            s.paste(f"Iq{number}q")
            s.sees("conversation's id", within(one_line(server.ids[number], 100), 60))
            s.t.type("\x1b")
            s.until_gone("Conversations on the server")
            s.says("/conversations")
            s.sees("conversations", "Conversations on the server")
            s.paste(f"Vq{number}q")
            s.sees("conversation's title", f"Vq{number}q")
            s.t.type("\r")
            s.sees("proposal for a label", "The session's label")
            s.t.type("\x15")
            s.paste(f"adopted-{number}")
            s.t.type("\r")
            s.sees("adopted", f"adopted-{number} goes on from the server's conversation")
        for entry in ("conversation's title", "conversation's id", "proposal for a label", "adopted conversation"):
            found.note(entry, len(some))
        s.starts_anew()
        s.says("fill in")
        s.sees("form", "waits for your approval")
        s.t.type("\ta")
        for name in server.fields:
            s.sees("field of a form", one_line(name, 100)[:40])
            s.t.type("x\r")
        s.sees("form", "That was all of it.")
        # Half a character is none, and cannot be sent back.
        if set(server.filled) != {re.sub("[\ud800-\udfff]", "\ufffd", name) for name in server.fields}:
            found.reading.wrong.append(f"form: {server.filled!r} was sent for {server.fields!r}")
        found.note("field of a form", len(some))
        s.leaves(copies=0)
    return found


def titles_shown(folder: Path, some: list[str], *, module: str = "tui") -> Found:
    """What a model calls a session: in the sidebar, in the list to choose from, in the dialog that changes it."""
    found, home = Found(), Home(folder)
    with loopback(answers(some)) as server:
        home.configure(server.url)
        titled = home.configured("titled", profile_text(server.url, more='titles = "model"'))
        s = Sitting(home, found, 60, module=module, more=titled)
        s.sees("start", "Type a message")
        for number, one in enumerate(some):
            title = title_in(f"T{framed(number, one)}")
            s.says(f"named {number}")
            s.sees("title in the sidebar", within(title, 20) or f"named {number}")
            s.t.type("\x0f")
            s.sees("title to choose", "Switch session")
            s.paste(title[:4] if title else f"named {number}")
            s.sees("title to choose", within(title, 50))
            s.t.type("\x1b")
            s.until_gone("Switch session")
            s.starts_anew()
        found.note("title by a model: sidebar", len(some))
        found.note("title by a model: switcher", len(some))
        s.leaves(copies=0)
    return found


NAMING_SCENES = (conversations_shown, titles_shown)
