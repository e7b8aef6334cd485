"""A mistake of our own, wherever it is made: a line, a report that quotes no one, the terminal restored, nothing lost."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.app.mistakes import PLACES
from tests.fake_server import completed
from tests.loopback import Loopback, loopback, palaver, profile_text
from tests.terminal import Terminal, is_restored

Write = Callable[[str], Path]

CANARY = "sk-CANARY-mistake"
LIVES = ("a task", "a turn")
ENDS = [place for place in PLACES if place not in LIVES]


@contextmanager
def broken(place: str, write_config: Write) -> Iterator[tuple[Terminal, Loopback]]:
    """The window with a mistake in it, an answer half told, and a draft."""
    with loopback(lambda call: call.hold("half an answer").event(completed("half an answer, and the rest"))) as server:
        write_config(profile_text(server.url))
        t = Terminal([sys.executable, "-m", "tests.app.mistakes", place], env={"PALAVER_MISTAKE": CANARY})
        try:
            yield t, server
        finally:
            t.close()


def half_told(t: Terminal) -> None:
    t.shows("Type a message")
    t.type("a private prompt\r")
    t.shows("half an answer")
    t.type("the draft")
    t.shows("the draft")


def report_in(folder: Path) -> str:
    """The only report, which quotes nothing; nor does anything else that was written but the history."""
    for file in (folder / "log").rglob("*"):
        text = file.read_text(encoding="utf-8")
        assert CANARY not in text
        assert "private" not in text
    (report,) = (folder / "log").glob("crash-*.txt")
    assert report.stat().st_mode & 0o777 == 0o600
    return report.read_text(encoding="utf-8")


def kept(folder: Path) -> tuple[str, str, str]:
    """Status and text of the turn, and the draft."""
    (turn,) = json.loads(palaver("sessions", "show", "chat-1", "--json").stdout)["messages"]
    with sqlite3.connect(folder / "data" / "history.db") as history:
        (draft,) = history.execute("select draft from sessions").fetchone()
    history.close()
    return turn["status"], turn["text"], draft


@pytest.mark.fault("U08", "C21", "K03")
@pytest.mark.parametrize("place", ENDS)
def test_it_ends_with_a_line_and_nothing_is_lost(place: str, write_config: Write, tmp_path: Path) -> None:
    with broken(place, write_config) as (t, _):
        half_told(t)
        t.type("\x1bOP")
        if place == "the reading of keys":
            t.shows("The next key is the last.")
            t.type("x")
        assert t.ends() == 1
        assert is_restored(t)
        last = t.output.rpartition(b"\x1b")[2].partition(b"palaver: ")[2].decode().split()
        assert " ".join(last).startswith("an internal error (ValueError); a report is in /")
        assert b"Traceback" not in t.output
        assert CANARY.encode() not in t.output
        assert t.strange() == []
    folder = tmp_path / "palaver"
    report = report_in(folder)
    assert 'raise ValueError(f"{key} is what went wrong") from error' in report
    assert report.rstrip().splitlines()[-1] == "ValueError"
    assert "KeyError\n\nwhich led to:" in report
    status, text, draft = kept(folder)
    assert (status, text) == ("cancelled" if place == "leaving" else "interrupted", "half an answer")
    # What rests for less than half a second is not kept where the screen itself cannot be left properly.
    assert draft == "the draft" or place == "leaving"


@pytest.mark.fault("U08")
def test_a_mistake_before_the_first_frame(write_config: Write, tmp_path: Path) -> None:
    with broken("the beginning", write_config) as (t, _):
        assert t.ends() == 1
        assert is_restored(t)
        assert b"an internal error (ValueError)" in t.output
        assert CANARY.encode() not in t.output
    assert "mistakes.py" in report_in(tmp_path / "palaver")


@pytest.mark.fault("U08")
@pytest.mark.parametrize("place", LIVES)
def test_where_it_can_it_goes_on(place: str, write_config: Write, tmp_path: Path) -> None:
    with broken(place, write_config) as (t, server):
        half_told(t)
        t.type("\x1bOP")
        if place == "a task":
            t.shows("An internal error (ValueError); a report is in")
        else:
            t.shows("The next word is the last.")
        server.call().go_on.set()
        t.shows("Palaver made a mistake: ValueError." if place == "a turn" else "done in")
        t.shows("half an answer")
        t.shows("the draft")
        t.type("\x11")
        assert t.ends() == 0
        assert is_restored(t)
        assert CANARY.encode() not in t.output
    folder = tmp_path / "palaver"
    assert report_in(folder).rstrip().endswith("ValueError")
    if place == "a turn":
        assert kept(folder) == ("interrupted", "half an answer", "the draft")
    else:
        assert kept(folder) == ("done", "half an answer, and the rest", "the draft")
