"""`palaver export` and `palaver import`, as processes, and the same in the window."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.driving import window
from tests.exchange import files
from tests.exchange.taking import written
from tests.loopback import palaver, plain_environment, start
from tests.terminal import terminal


def labels() -> list[str]:
    return [session["label"] for session in json.loads(palaver("sessions", "list", "--json").stdout)]


def test_there_and_back(tmp_path: Path) -> None:
    written(tmp_path / "in.palaver.jsonl", files.bundle(files.turn("a", "b"), files.turn("c", "d\x9b")))
    done = palaver("import", "in.palaver.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "work  2 turns  Work\n", "palaver: Imported 1 thread\n")
    done = palaver("import", "in.palaver.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "palaver: Work is already here, as work\npalaver: Imported 0 threads; 1 already here\n"
    done = palaver("export", "work", "--until", "1", cwd=tmp_path)
    assert (done.returncode, Path(done.stdout.strip()).name, done.stderr) == (0, "work.palaver.jsonl", "")
    assert len((tmp_path / "work.palaver.jsonl").read_text().splitlines()) == 3
    assert palaver("export", "work", "-o", "page.html", cwd=tmp_path).returncode == 0
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    done = palaver("export", "work", "-o", "page.html", cwd=tmp_path)
    assert (done.returncode, "page.html is there already" in done.stderr) == (9, True)
    shown = palaver("export", "work", "--format", "md", "-o", "-").stdout
    assert shown.startswith("# Work\n")
    assert "\x9b" not in palaver("export", "work", "-o", "-").stdout
    assert palaver("export", "nothing").returncode == 9
    assert palaver("export", "work", "--until", "7").returncode == 9
    assert "begun by someone else" in palaver("sessions", "show", "work").stdout


def test_a_refusal_ends_with_a_status_and_the_rest_comes_in(tmp_path: Path) -> None:
    good = written(
        tmp_path / "good.json", [files.chatgpt(("user", "a"), ("assistant", "b")), files.chatgpt(source="empty")]
    )
    done = palaver("import", str(tmp_path / "gone"), str(tmp_path), str(good), "--label", "x")
    assert (done.returncode, labels()) == (2, [])
    done = palaver("import", str(tmp_path / "gone"), str(tmp_path), str(good))
    assert (done.returncode, labels()) == (9, ["a-talk"])
    assert done.stderr.splitlines() == [
        "palaver: gone cannot be read: No such file or directory.",
        f"palaver: {tmp_path.name} is a folder.",
        "palaver: Imported 1 thread; 1 with nothing in it; 2 refused",
    ]


@pytest.mark.fault("D44")
@pytest.mark.parametrize("args", [("export", "x"), ("import", "x")])
def test_a_history_that_cannot_be_had(history: Path, args: tuple[str, ...]) -> None:
    history.mkdir(parents=True)
    done = palaver(*args)
    assert (done.returncode, done.stdout) == (9, "")
    assert "is a folder" in done.stderr


@pytest.mark.fault("F15", "L18")
def test_an_import_that_is_killed_goes_on_where_it_was(tmp_path: Path, history: Path) -> None:
    said = [("user", "a"), ("assistant", "b")] * 20
    many = [files.chatgpt(*said, source=str(number), title=f"T {number}") for number in range(150)]
    file = written(tmp_path / "c.json", many)
    kept = 0
    for _ in range(3):
        process = start("import", str(file), env=plain_environment())
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        conn = sqlite3.connect(history)
        counts = conn.execute(
            "SELECT s.turns, count(t.id) FROM sessions s LEFT JOIN turns t ON t.session_id = s.id GROUP BY s.id"
        )
        found = counts.fetchall()
        conn.close()
        assert set(found) <= {(20, 20)}
        assert len(found) >= kept
        kept = len(found)
        if 0 < kept < 150:
            break
    done = palaver("import", str(file))
    assert done.returncode == 0
    conn = sqlite3.connect(history)
    assert conn.execute("SELECT count(*), count(DISTINCT source) FROM sessions").fetchone() == (150, 150)
    conn.close()
    assert f"; {kept:,} already here" in done.stderr


def test_a_bar_tells_how_far_a_long_thread_is_and_leaves_no_trace(tmp_path: Path) -> None:
    file = written(tmp_path / "b.jsonl", files.bundle(*(files.turn(f"q{number}", "a") for number in range(300))))
    with terminal("import", str(file)) as t:
        assert t.ends() == 0
        assert b"Reading" in t.output
        assert b"251 of 300 turns" in t.output
        assert [line for line in map(str.rstrip, t.screen()) if line] == [
            "work  300 turns  Work",
            "palaver: Imported 1 thread",
        ]


async def test_in_the_window(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "b.jsonl", files.bundle(files.turn("their question", "their answer")))
    async with window(history) as w:
        await w.exchange("hello", "fine")
        await w.send("/export talk.md")
        await w.until(lambda: "Wrote 1 turn to" in w.status)
        assert "hello" in (tmp_path / "talk.md").read_text()
        await w.send("/import b.jsonl")
        await w.until(lambda: "Imported 1 thread" in w.status)
        await w.until(lambda: "their answer" in w.said)
        assert "begun by someone else" in w.said
        await w.send("/export")
        await w.until(lambda: "The new file" in w.picture)
        await w.press("enter")
        await w.until(lambda: "work.palaver.jsonl" in w.status)
        assert (tmp_path / "work.palaver.jsonl").read_text() == (tmp_path / "b.jsonl").read_text().replace(
            ": ", ":").replace(", ", ",")  # fmt: skip
        await w.send("/import nothing")
        await w.until(lambda: "nothing cannot be read" in w.status)


async def test_many_stand_below_what_was_used_here_by_their_last_turn(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    talks = [files.chatgpt(("user", "hello"), ("assistant", "hi"), source=f"c{at}", title=f"T{at}") for at in (2, 3, 1)]
    for talk in talks:
        for node in talk["mapping"].values():
            if node.get("message"):
                node["message"]["create_time"] = 1_700_000_000.0 + int(talk["title"][1:])
    written(tmp_path / "conversations.json", json.dumps(talks))
    async with window(history) as w:
        await w.exchange("hello", "fine")
        await w.send("/import conversations.json")
        await w.until(lambda: "Imported 3 threads" in w.status)
        await w.until(lambda: "T3" in w.picture)
        entries = [one.session for one in w.screen.sidebar._entries if one.session is not None]
        assert [one.title for one in entries] == ["hello", "T3", "T2", "T1"]
        assert [one.title for one in await w.talk.chat.sessions()] == ["hello", "T3", "T2", "T1"]


def test_asking_for_help_loads_nothing_heavy() -> None:
    heavy = {"yaml", "markdown_it", "zipfile", "textual"}
    code = f"import sys, tui.exchange; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
