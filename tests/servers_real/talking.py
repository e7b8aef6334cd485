"""Palaver as a process that talks to a server, by `palaver ask` or in the window, and what is kept of it."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from typing import Any

from tests.loopback import palaver, start
from tests.terminal import Terminal


@dataclass(frozen=True)
class Asked:
    """What became of a prompt: the exit status, the turn as JSON, and what was said on standard error."""

    exit_status: int
    turn: dict[str, Any]
    said: list[str]

    @property
    def text(self) -> str:
        return str(self.turn["text"])

    @property
    def error(self) -> str:
        return str((self.turn["error"] or {}).get("message", ""))


def ask(prompt: str, *more: str, label: str = "talk") -> Asked:
    """Ask in a session, to the end of the answer."""
    done = palaver("ask", "-s", label, "--output", "json", *more, prompt)
    assert done.stdout, done.stderr
    return Asked(done.returncode, json.loads(done.stdout), done.stderr.splitlines())


def interrupt(prompt: str, begins: str, label: str = "talk") -> tuple[int, str, str, float]:
    """Ask, and press Ctrl+C once the answer begins with `begins`.

    Gives the exit status, both outputs, and how many seconds it took to end.
    """
    process = start("ask", "-s", label, prompt)
    assert process.stdout is not None
    shown = b""
    while not shown.startswith(begins.encode()):
        piece = process.stdout.read1(65536)
        if not piece:
            _, said = process.communicate(timeout=20)
            raise AssertionError(f"it ended with {shown!r} and {said!r}")
        shown += piece
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    rest, said = process.communicate(timeout=20)
    return process.returncode, (shown + rest).decode(), said.decode(), time.monotonic() - begun


def say(t: Terminal, prompt: str, answer: str, status: str = "done in") -> None:
    """Say something in the window, and wait until the answer is there and the status bar tells how it ended."""
    t.type(f"{prompt}\r")
    t.until(lambda lines: any(answer in line for line in lines) and any(status in line for line in lines))


def leave(t: Terminal) -> None:
    """Quit the window, which has written nothing strange."""
    t.type("\x11")
    assert t.ends() == 0
    assert t.strange() == []


def turns(label: str = "talk") -> list[dict[str, Any]]:
    """The turns of a session, as they are kept."""
    return list(json.loads(palaver("sessions", "show", label, "--json").stdout)["messages"])


def conversations() -> dict[str, str]:
    """The server's conversations that sessions go on in, by the sessions' labels."""
    found = json.loads(palaver("sessions", "map", "--json").stdout)
    return {one["session"]: one["conversation_id"] for one in found if one["state"] == "live"}


def trial(name: str = "here") -> tuple[int, list[tuple[str, str, str]]]:
    """`palaver profiles test`: its exit status, and each line as what was tried, how it went and what is said of it."""
    done = palaver("profiles", "test", name)
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return done.returncode, [(line[0], line[1], line[2] if len(line) > 2 else "") for line in lines]


def models(name: str = "here") -> list[str]:
    """`palaver profiles models`."""
    return palaver("profiles", "models", name).stdout.splitlines()
