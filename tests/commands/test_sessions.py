"""`palaver sessions`, as a process."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.loopback import Loopback, loopback, palaver, profile_text

Write = Callable[[str], Path]


@pytest.fixture
def server(write_config: Write) -> Iterator[Loopback]:
    with loopback(lambda call: call.well(f"to {call.prompt}", f"resp_{len(here.calls)}")) as here:
        write_config(profile_text(here.url))
        yield here


def ask(label: str, prompt: str) -> None:
    assert palaver("ask", "-s", label, prompt).returncode == 0


def labels(*args: str) -> list[str]:
    return [session["label"] for session in json.loads(palaver("sessions", "list", "--json", *args).stdout)]


def test_nothing_yet() -> None:
    done = palaver("sessions")
    assert (done.returncode, done.stdout) == (0, "There are no sessions yet.\n")
    assert palaver("sessions", "list", "--deleted").stdout == "The trash is empty.\n"
    assert palaver("sessions", "map").stdout == "No server keeps a conversation for us yet.\n"
    assert palaver("sessions", "list", "--json").stdout == "[]\n"


def test_listing_showing_mapping(server: Loopback) -> None:
    ask("work", "first question")
    ask("日本語", "zweite Frage")
    ask("work", "third question")
    assert labels() == ["work", "日本語"]
    table = palaver("sessions").stdout.splitlines()
    assert table[0].split() == ["LABEL", "TITLE", "TURNS", "STATE", "LAST", "USED"]
    assert table[1].startswith("work    first question  2 ")
    shown = palaver("sessions", "show", "work").stdout
    assert "first question" in shown
    assert "to third question" in shown
    made = json.loads(palaver("sessions", "show", "work", "--json").stdout)
    assert [(turn["prompt"], turn["text"]) for turn in made["messages"]] == [
        ("first question", "to first question"),
        ("third question", "to third question"),
    ]
    assert [attempt["sent_id"] for attempt in made["messages"][1]["attempts"]] == ["resp_1"]
    mapping = json.loads(palaver("sessions", "map", "--json").stdout)
    assert {(one["session"], one["conversation_id"]) for one in mapping} == {("work", "resp_3"), ("日本語", "resp_2")}
    assert f"http://127.0.0.1:{server.port}" in palaver("sessions", "map").stdout


def test_changing_sessions(server: Loopback) -> None:
    ask("one", "hello")
    ask("two", "hello")
    assert palaver("sessions", "rename", "one", "uno").returncode == 0
    done = palaver("sessions", "rename", "two", "uno")
    assert done.returncode == 9
    assert "There is a session “uno” already" in done.stderr
    assert palaver("sessions", "rename", "two", "").returncode == 2
    assert palaver("sessions", "title", "uno", "A   title").stdout == "uno: A title\n"
    assert palaver("sessions", "pin", "uno").returncode == 0
    assert "pinned" in palaver("sessions").stdout
    assert palaver("sessions", "pin", "--undo", "uno").returncode == 0
    assert palaver("sessions", "archive", "two").returncode == 0
    assert "archived" in palaver("sessions").stdout
    assert palaver("sessions", "delete", "uno").returncode == 0
    assert labels() == ["two"]
    assert labels("--deleted") == ["uno"]
    assert palaver("sessions", "show", "uno").returncode == 9
    assert palaver("sessions", "restore", "uno").stdout == "uno is back\n"
    assert palaver("sessions", "restore", "uno").returncode == 9
    assert set(labels()) == {"uno", "two"}


@pytest.mark.parametrize(
    "command", [("show",), ("rename", "x"), ("title", "x"), ("pin",), ("archive",), ("delete",), ("restore",)]
)
def test_sessions_there_are_not(command: tuple[str, ...]) -> None:
    done = palaver("sessions", command[0], "nope", *command[1:])
    assert (done.returncode, done.stdout) == (9, "")
    assert "There is no session “nope”" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [("show",), ("rename", "x"), ("pin",), ("delete",)])
def test_sessions_in_the_trash_are_said_to_be_there(server: Loopback, command: tuple[str, ...]) -> None:
    ask("work", "hello")
    assert "The session “work” is not in the trash" in palaver("sessions", "restore", "work").stderr
    palaver("sessions", "delete", "work")
    done = palaver("sessions", command[0], "work", *command[1:])
    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr == "palaver: The session “work” is in the trash — `palaver sessions restore` brings it back\n"


@pytest.mark.fault("D44")
@pytest.mark.parametrize("args", [("list",), ("show", "x"), ("delete", "x"), ("map",)])
def test_a_history_that_cannot_be_had_is_an_error_here(history: Path, args: tuple[str, ...]) -> None:
    history.mkdir(parents=True)
    done = palaver("sessions", *args)
    assert (done.returncode, done.stdout) == (9, "")
    assert "is a folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.fault("L04", "T12")
def test_what_others_wrote_is_shown_clean(server: Loopback, history: Path) -> None:
    ask("work", "hello \x1b]0;x\x07 there")
    conn = sqlite3.connect(history)
    conn.execute("UPDATE sessions SET label = ?, title = ?", ("a\nb\x1b[2J\u202e", "t\x9b\x07"))
    conn.commit()
    conn.close()
    for args in (("list",), ("map",), ("show", "a\nb\x1b[2J\u202e")):
        done = subprocess.run([sys.executable, "-m", "tui", "sessions", *args], capture_output=True, timeout=60)
        assert b"\x1b" not in done.stdout + done.stderr
        assert b"\x07" not in done.stdout + done.stderr
        assert b"\xc2\x9b" not in done.stdout + done.stderr


@pytest.mark.fault("C18")
def test_a_reader_that_leaves(server: Loopback) -> None:
    ask("work", "hello")
    done = subprocess.run(
        f"{sys.executable} -m tui sessions show work | true; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_the_views_are_read_by_other_programs(server: Loopback, history: Path) -> None:
    ask("work", "hello")
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", "rows", str(history), "messages"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    rows = json.loads(done.stdout)
    assert [(row["session"], row["position"], row["role"], row["text"], row["status"]) for row in rows] == [
        ("work", 1, "user", "hello", "done"),
        ("work", 2, "assistant", "to hello", "done"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", "rows", str(history), "conversation_map"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    (row,) = json.loads(done.stdout)
    assert (row["session"], row["conversation_id"], row["state"]) == ("work", "resp_1", "live")


@pytest.mark.fault("D03", "D04", "D17", "D44")
def test_a_history_that_cannot_be_written_is_read_and_nothing_is_claimed(server: Loopback, history: Path) -> None:
    ask("work", "a question")
    conn = sqlite3.connect(history)
    conn.execute("PRAGMA user_version = 99")
    conn.close()
    before = history.read_bytes()
    for command, says in {"list": "work", "show work": "to a question", "map": "resp_1", "list --json": "work"}.items():
        done = palaver("sessions", *command.split())
        assert (done.returncode, says in done.stdout) == (0, True), command
        assert "made by a newer version" in done.stderr
    for command in ("rename work other", "title work new", "pin work", "archive work", "delete work"):
        done = palaver("sessions", *command.split())
        assert (done.returncode, done.stdout) == (9, ""), command
        assert "made by a newer version" in done.stderr
    assert history.read_bytes() == before


@pytest.mark.fault("D10", "D44")
def test_what_happened_to_the_file_is_no_part_of_the_output(history: Path) -> None:
    history.parent.mkdir(parents=True)
    history.write_text("no database at all" * 100)
    done = palaver("sessions", "list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "The history was damaged. It is kept as" in done.stderr


@pytest.mark.fault("D44")
@pytest.mark.parametrize(
    "command",
    [
        ("sessions", "show", "work"),
        ("sessions", "show", "work", "--json"),
        ("sessions", "branches", "work"),
        ("sessions", "fork", "work", "other"),
        ("export", "work", "-o", "-"),
        ("search", "question"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_read_is_not_taken_for_nothing(
    server: Loopback, history: Path, command: tuple[str, ...]
) -> None:
    ask("work", "a question")
    with closing(sqlite3.connect(history)) as conn:
        conn.execute("ALTER TABLE items RENAME TO gone")
    done = palaver(*command)
    assert (done.returncode, done.stdout) == (9, "")
    assert "History cannot be read: " in done.stderr


@pytest.mark.fault("D10", "D11", "D44")
def test_damage_that_is_met_late_is_told(server: Loopback, history: Path) -> None:
    ask("work", "a question")
    with closing(sqlite3.connect(history)) as conn:
        (page,) = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    with history.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x99" * size)
    done = palaver("sessions", "show", "work")
    assert "The history was damaged. It is kept as" in done.stderr
    assert "could be read from it" in done.stderr
