"""Payloads through the window, in a terminal large enough to show many at once; its bytes and its screen are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from rich.cells import cell_len

from tests.loopback import loopback
from tests.untrusted.commands import Found, fill
from tests.untrusted.home import Home
from tests.untrusted.naming import NAMING_SCENES
from tests.untrusted.server import FAILURES, answers, framed, is_phrase
from tests.untrusted.sitting import WIDTH, Sitting
from tui.text import clean, one_line, typed

HIT = 58
"""Cells of a line of hits that are left for what is between the words looked for."""


def _literal(some: list[str]) -> list[tuple[int, str]]:
    """Payloads that stay as they are in a block of code: those that do not end it."""
    return [(number, one) for number, one in enumerate(some) if "`" not in one]


def answers_shown(folder: Path, some: list[str], *, module: str = "tui") -> Found:
    """What a server says: in Markdown, reasoning, tools, notices, questions; copied, too."""
    found, home = Found(), Home(folder)
    with loopback(answers(some)) as server:
        home.configure(server.url)
        s = Sitting(home, found, 36 * len(some) + 60, module=module)
        s.sees("start", "Type a message")
        s.t.type("\x02")
        for kind in ("answer", "names", "notices"):
            s.says(kind)
            s.sees(kind, "done in")
            if kind == "answer":
                s.sees(
                    "code fence", *(clean(f"f{framed(number, one)}".expandtabs(4)) for number, one in _literal(some))
                )
                for entry in ("heading", "list item", "quote", "table cell", "link text", "link target", "link title",
                              "image", "autolink", "code", "code's language", "raw HTML", "emphasis", "definition"):  # fmt: skip
                    found.note(entry, len(some))
                found.note("answer", len(some))
                found.note("code fence", len(some))
                found.note("model", 1)
            else:
                letter = kind[0] if kind == "names" else "x"
                s.sees(kind, *(one_line(f"{letter}{framed(number, one)}", 60) for number, one in enumerate(some)))
            s.starts_anew()
            found.note(f"{kind} (tool name, arguments, result)" if kind == "names" else kind, len(some))
        s.says("inside")
        s.sees("inside", "said", "done in")
        # Up from the end: the message, three calls, the reasoning; all but the first unfold.
        s.t.type("\t" + "\x1b[A" + "\x1b[A\r" * 4)
        marked = [framed(number, one) for number, one in enumerate(some)]
        for letter, entry in (("a", "tool arguments"), ("o", "tool result")):
            s.sees(entry, *(clean(f"{letter}{one}") for one in marked))
        for entry in (
            "reasoning",
            "tool arguments",
            "tool result",
            "table of a tool",
            "query of a tool",
            "JSON of a tool",
        ):
            found.note(entry, len(some))
        s.t.type("y")
        s.sees("copy", "Copied")
        s.t.type("\x1b")
        s.starts_anew()
        s.says("asks")
        s.sees("approval", "in here, a approves, d denies")
        s.sees("approval", *(one_line(f"{one}.n{framed(number, one)}", 60)[:40] for number, one in enumerate(some)))
        s.t.type("\tD")
        s.sees("approval's reason", "the server is told")
        s.t.type("\x1b")
        s.until_gone("the server is told")
        found.note("approval", len(some))
        s.leaves(copies=1)
    return found


def errors_shown(folder: Path, some: list[str], *, module: str = "tui") -> Found:
    """What a server says no with."""
    found, home = Found(), Home(folder)
    with loopback(answers(some)) as server:
        home.configure(server.url)
        s = Sitting(home, found, 60, module=module)
        s.sees("start", "Type a message")
        for start in range(0, len(some), 8):
            for way in FAILURES:
                s.says(f"fail {way} {start} {start + 8}")
                s.t.until(
                    lambda lines: len(server.calls) > 0 and any("fail" in line or "interr" in line for line in lines)
                )
                heard = way != "reason" or is_phrase(" ".join(some[start : start + 8]))
                if heard:
                    s.sees(way, "r sends the prompt again")
                else:
                    # By how much of it is HTTP all the same.
                    s.sees_either(way, "is not an HTTP server", "r sends the prompt again")
                found.note(f"error: {way}", min(8, len(some) - start))
                s.starts_anew()
        for start in range(0, len(some), 4):
            s.says(f"finish {start} {start + 4}")
            reason = " ".join(some[start : start + 4])
            # As much of it as is in one line, whatever is shown in place of what cannot be.
            s.sees("finish", f"The server stopped early: {one_line(reason, 100)}"[:100])
            s.starts_anew()
            found.note("finish", min(4, len(some) - start))
        s.leaves(copies=0)
    return found


def history_shown(folder: Path, some: list[str], *, module: str = "tui") -> Found:
    """What is in the history: names, drafts, notices, imported words; found, listed, visited, renamed, deleted."""
    found, home = Found(), Home(folder)
    asyncio.run(fill(home.history, some))
    with loopback(answers(some)) as server:
        home.configure(server.url)
        s = Sitting(home, found, 16 * len(some) + 80, "everything", module=module)
        marked = [framed(number, one) for number, one in enumerate(some)]
        s.sees("start", "Type a message")
        s.sees("prompt", *(clean(f"P{one}") for one in marked))
        s.sees("error of a turn", *(one_line(f"E{one}").rstrip(".") for one in marked))
        s.sees("note", *(one_line(f"note{one}") for one in marked))
        # Where nothing stands behind the dialogs.
        s.starts_anew()
        s.t.type("\x12")
        s.t.shows("─ Search ─")
        s.paste("needle")
        hits = [one_line(f"P{one}", 240) for one in marked]
        s.sees("search hit", *(one for one in hits if cell_len(one) <= HIT))
        s.t.type("\x1b")
        s.until_gone("─ Search ─")
        s.t.type("\x0f")
        s.t.shows("Switch session")
        s.sees("switcher", *(one_line(f"L{one}", 60)[:50] for one in marked[-10:]))
        s.t.type("\x1b")
        s.until_gone("Switch session")
        s.t.resize(WIDTH, 50)
        s.sees("resized", "A new session")
        for number in range(len(some)):
            s.until_gone("Switch session")
            s.t.type("\x0f")
            s.sees("switcher", "Switch session")
            s.paste(f"Lq{number}q")
            s.sees("switcher, marked", one_line(f"L{marked[number]}", 60)[:50])
            s.t.type("\r")
            s.sees("draft", typed(f"D{marked[number]}"))
            s.sees("notice", one_line(f"N{marked[number]}"))
            s.t.type("\x1b[17~")
            s.sees("account", "last used", one_line(f"C{marked[number]}"))
            s.t.type("\x1b")
            s.until_gone("last used")
            s.t.type("\tf")
            label = " ".join(f"{clean(f'L{marked[number]}')}-2".split())
            s.sees("dialog of a fork", "The new session's label", label[-20:])
            s.t.type("\x1b")
            s.until_gone("The new session's label")
            s.t.type("\x1b")
            s.t.type("\x1bOQ")
            s.sees("dialog of a label", "The session's label")
            s.t.type("\x1b")
            s.until_gone("The session's label")
        s.t.type("\x1b[19~")
        s.sees("deleted", "Deleted")
        for entry in ("prompt", "error of a turn", "note", "search hit", "switcher", "draft", "notice", "dialog of a label",
                      "dialog of a fork", "account", "title", "label", "conversation id", "branch's text",
                      "profile's name", "model's name"):  # fmt: skip
            found.note(f"history: {entry}", len(some))
        s.leaves(copies=0)
    return found


def typing_shown(folder: Path, some: list[str], *, module: str = "tui") -> Found:
    """What the user pastes, everywhere; files and models named so."""
    found, home = Found(), Home(folder)
    with loopback(answers(some)) as server:
        home.configure(server.url)
        environment = home.profiles("named", some)
        s = Sitting(home, found, 120, module=module, more=environment)
        s.sees("start", "Type a message", "keys: there is no action")
        s.says("/model")
        # What completes the line in the prompt has the same names for a moment.
        s.t.shows("─ Model ─")
        s.sees("model list", *(one_line(one, 100)[:60] for one in some[:10]))
        s.t.type("\x1b")
        s.until_gone("─ Model ─")
        s.says("/profile")
        s.t.shows("─ Profile ─")
        s.sees("profile names", "guide — ", "here (now) — ")
        s.t.type("\x1b")
        s.until_gone("─ Profile ─")
        # What can be exported.
        s.says("inside")
        s.sees("something said", "done in")
        for number, one in enumerate(some):
            mark = f"U{framed(number, one.encode('utf-8', 'replace').decode())}"
            line = " ".join(clean(mark).split())
            s.paste(mark)
            s.sees("prompt pasted", typed(mark.expandtabs(4)))
            s.t.type("\x03")
            s.sees("prompt cleared", "Cleared; Up brings it back")
            for key, entry, title in (
                ("\x0f", "switcher's field", "─ Switch session ─"),
                ("\x12", "search's field", "─ Search ─"),
                ("\x1bOQ", "dialog's field", "The session's label"),
            ):
                s.t.type(key)
                s.t.shows(title)
                s.paste(mark)
                s.sees(entry, line[-40:])
                s.t.type("\x1b")
                s.until_gone(title)
                found.note(f"typing: {entry}", 1)
            word = "".join(char for char in mark.replace("/", "_") if char not in "\r\n")
            for command, letter in (("/export no/", "e"), ("/import ", "i"), ("/model ", "m"), ("/profile ", "p")):
                s.paste(f"{command}{letter}{word}")
                s.t.shows(f"{command}{letter}Uq{number}q")
                s.t.type("\r")
                s.until_gone(f"{command}{letter}Uq{number}q")
                s.sees(command, f"{letter}Uq{number}q")
                found.note(f"typing: {command.strip()}", 1)
            found.note("typing: prompt pasted", 1)
        found.note("model list", len(some))
        found.note("profile names", len(some))
        s.leaves()
    return found


Scene = Callable[[Path, list[str]], Found]
SCENES: tuple[Scene, ...] = (answers_shown, errors_shown, history_shown, typing_shown, *NAMING_SCENES)
