"""`palaver history`, as a process."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.loopback import palaver
from tests.store.histories import a_mapping, a_session, change, content, found, is_whole, opened, rows, told
from tests.store.other import Other
from tui.store import schema
from tui.store.upkeep import Repaired, check, repair


async def some(file: Path) -> None:
    """Two sessions with three turns, and a conversation."""
    work, play = a_session("work"), a_session("play")
    async with opened(file) as store:
        await told(store, work, "first", "one")
        await told(store, play, "other", "thing")
        await told(store, work, "second", "two")
        await store.conversations.keep(a_mapping(work))


def wrong(file: Path) -> list[str]:
    done = palaver("history", "check", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == (9 if told["wrong"] else 0)
    assert told["file"] == str(file)
    return list(told["wrong"])


def test_where_it_is(history: Path) -> None:
    done = palaver("history", "path")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{history}\n", "")


@pytest.mark.parametrize("command", ["check", "backup", "repair"])
def test_none_yet(history: Path, command: str) -> None:
    done = palaver("history", command)
    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr == f"palaver: There is no history at {history}.\n"
    assert not history.parent.exists()


async def test_a_whole_history(history: Path) -> None:
    await some(history)
    before = content(history)
    done = palaver("history", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{history}: 2 sessions, 3 turns\nNothing is wrong.\n"
    assert palaver("history").stdout == done.stdout
    assert wrong(history) == []
    done = palaver("history", "repair")
    assert (done.returncode, done.stdout) == (0, "Nothing is wrong with the history; nothing was changed.\n")
    assert content(history) == before


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def beside(file: Path) -> list[str]:
    """The names that begin with a file's."""
    return sorted(one.name for one in file.parent.glob(f"{file.name}*"))


def no_database(file: Path) -> None:
    file.write_text("no database\n" * 100)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 4096)


def a_page(file: Path) -> None:
    """A page of an index is overwritten."""
    root = rows(file, "SELECT rootpage FROM sqlite_master WHERE name = 'session_order'")[0][0]
    with file.open("r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(b"\xa5" * 4096)


HANDS = {
    "items whose turn is missing: 2": "DELETE FROM turns WHERE depth = 1",
    "streamed text whose turn is missing: 1": "INSERT INTO chunks VALUES ('none', 1, 0, 'x')",
    "attempts whose turn is missing: 1": "INSERT INTO attempts (turn_id, number, kind, started_at) "
    "VALUES ('none', 1, 'first', 0)",
    "turns whose session is missing: 1": "DELETE FROM sessions WHERE label = 'play'",
    "turns whose branch is missing: 2": "DELETE FROM branches WHERE id = "
    "(SELECT branch_id FROM sessions WHERE label = 'work')",
    "branches whose parent is missing: 2": "UPDATE branches SET parent_id = 'none'",
    "branches whose session is missing: 1": "INSERT INTO branches (id, session_id) VALUES ('stray', 'none')",
    "sessions whose branch is missing: 2": "UPDATE sessions SET branch_id = 'none-' || label",
    "branches that are their own ancestors: 2": "UPDATE branches SET parent_id = id",
    "conversations whose session is missing: 1": "UPDATE conversations SET session_id = 'none'",
    "waiting prompts whose session is missing: 2": "INSERT INTO queue SELECT 'q' || value, 'none', value, 'later', 't', 0, 0 "
    "FROM json_each('[1, 2]')",
    "labels of more than one session: 1": "DROP INDEX session_label; UPDATE sessions SET label = 'same'",
    "turns before the beginning of their branch: 3": "UPDATE branches SET base = 9",
    "turns without a prompt: 1": "UPDATE items SET kind = 'message' WHERE id = 1",
    "ended turns with text that is not in their items: 1": "INSERT INTO chunks SELECT id, 1, 3, 'x' FROM turns LIMIT 1",
    "changes with a number that is still to come: ": "UPDATE meta SET value = 1 WHERE key = 'revision'",
    "texts that are not in the index of words: 1": "INSERT INTO items_fts (items_fts, rowid, text) "
    "SELECT 'delete', id, text FROM items WHERE id = 1",
    "entries of the index of words without a text: 1": "INSERT INTO items_fts (rowid, text) VALUES (999, 'x')",
    "words that are not in the index as they are in the texts: 2": "UPDATE items SET text = 'never' WHERE id = 1",
    "missing tables, indexes or views: session_order": "DROP INDEX session_order",
    "its tables claim to be of version ": "DELETE FROM _sqlite_migrations WHERE name = 'm002_runs'",
    "rows of “items” that point to nothing: 2": "DELETE FROM turns WHERE depth = 1",
}


@pytest.mark.fault("D36")
@pytest.mark.parametrize("says", HANDS)
async def test_what_a_hand_did_to_the_rows_is_told_shown_and_mended(history: Path, says: str) -> None:
    await some(history)
    change(history, *HANDS[says].split("; "))
    assert any(line.startswith(says) for line in check(history).wrong), check(history).wrong
    async with opened(history) as store:
        # Whatever is wrong, what can be shown is shown.
        assert store.health.message == ""
        for session in await store.sessions():
            await store.turns(session.id)
        assert store.health.message == ""
    before = rows(history, "SELECT count(*) FROM turns")[0][0]
    done = repair(history)
    assert isinstance(done, Repaired)
    assert check(history).wrong == ()
    assert is_whole(history)
    assert done.turns == before
    assert check(done.kept_as).wrong == done.wrong


@pytest.mark.fault("D36")
async def test_prompts_that_wait_in_no_session_are_kept_in_one(history: Path) -> None:
    await some(history)
    insert = "INSERT INTO queue (id, session_id, place, prompt, follows, created_at) VALUES "
    change(
        history,
        f"{insert} ('a', 'gone', 2, 'second', 't', 5), ('b', 'gone', 1, 'first', 't', 5), ('c', 'lost', 1, 'x', 't', 9)",
    )
    assert wrong(history) == ["waiting prompts whose session is missing: 3"]
    done = palaver("history", "repair")
    assert done.returncode == 0
    assert wrong(history) == []
    found = "SELECT label, prompt FROM queue JOIN sessions s ON s.id = session_id ORDER BY s.created_at, place"
    assert rows(history, found) == [("recovered-1", "first"), ("recovered-1", "second"), ("recovered-2", "x")]
    async with opened(history) as store:
        assert {session.label for session in await store.sessions()} == {"work", "play", "recovered-1", "recovered-2"}
        (lost,) = [session for session in await store.sessions() if session.label == "recovered-2"]
        assert [queued.prompt for queued in await store.queues.get(lost.id) or ()] == ["x"]


@pytest.mark.fault("D36")
async def test_two_turns_in_one_place_are_told_and_both_kept(history: Path) -> None:
    await some(history)
    # SQLite's own index forbids it: a hand that takes the index away can do it.
    table = rows(history, "SELECT sql FROM sqlite_master WHERE name = 'turns'")[0][0]
    with closing(sqlite3.connect(history)) as conn:
        conn.executescript(
            "PRAGMA foreign_keys = OFF; ALTER TABLE turns RENAME TO old;"
            + table.replace("UNIQUE (branch_id, depth)", "CHECK (1)")
            + "; INSERT INTO turns SELECT * FROM old; DROP TABLE old; UPDATE turns SET depth = 0;"
        )
    assert "places with more than one turn: 1" in wrong(history)
    async with opened(history) as store:
        session = await store.find("work")
        assert session is not None
        assert sorted(turn.prompt for turn in await store.turns(session.id)) == ["first", "second"]
    assert palaver("history", "repair").returncode == 0
    assert wrong(history) == []
    assert rows(history, "SELECT text FROM messages WHERE session = 'work' AND role = 'user'") == [
        ("first",),
        ("second",),
    ]


async def test_answers_that_run_and_gaps_are_worth_a_note(history: Path) -> None:
    await some(history)
    change(history, "UPDATE turns SET status = 'streaming', depth = 7 WHERE depth = 1",
           "INSERT INTO items_fts (items_fts) VALUES ('delete-all')",
           "INSERT INTO items_fts (rowid, text) SELECT i.id, i.text FROM items i JOIN turns t ON t.id = i.turn_id "
           "WHERE t.status = 'done'")  # fmt: skip
    done = palaver("history", "check")
    assert done.returncode == 0
    assert "note: answers that run, or were cut short by a crash: 1" in done.stdout
    assert "note: places from which a turn is gone: 1" in done.stdout


@pytest.mark.parametrize("spoil", [no_database, cut, a_page])
async def test_a_damaged_file_is_told_and_repaired(history: Path, spoil: Callable[[Path], None]) -> None:
    await some(history)
    spoil(history)
    history.with_name("history.db-journal").write_bytes(b"")
    before = content(history)
    done = palaver("history", "check")
    assert done.returncode == 9
    assert "\nwrong: " in done.stdout
    assert done.stderr == "palaver: The history is not in order — see `palaver history repair`\n"
    done = palaver("history", "repair", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert content(Path(told["kept_as"])) == before
    assert told["turns"] == rows(history, "SELECT count(*) FROM turns")[0][0]
    assert told["turns"] == {no_database: 0, a_page: 3}.get(spoil, told["turns"])
    assert is_whole(history)
    assert wrong(history) == []
    assert sorted(file.name for file in history.parent.glob("*.repaired-*")) == []
    assert mode(history) == 0o600


async def test_a_window_goes_on_in_the_repaired_history(history: Path) -> None:
    await some(history)
    with Other(history) as other:
        other.do("open")
        change(history, "DELETE FROM turns WHERE depth = 1")
        assert palaver("history", "repair").returncode == 0
        assert other.do("begin", "work", "after") == 1
        assert other.do("say", "work", "all", "done") is True
        assert other.do("close") is True
    assert found(history, "after") == ["after"]
    assert wrong(history) == []


async def test_a_newer_history_is_left_to_a_newer_version(history: Path) -> None:
    await some(history)
    change(history, f"PRAGMA user_version = {schema.VERSION + 1}")
    before = content(history)
    assert wrong(history) == [
        f"it was made by a newer version of Palaver (tables {schema.VERSION + 1}; this one knows {schema.VERSION})"
    ]
    done = palaver("history", "repair")
    assert (done.returncode, done.stdout) == (9, "")
    assert "was made by a newer version" in done.stderr
    assert content(history) == before


@pytest.mark.parametrize("command", ["check", "backup", "repair"])
def test_another_programs_database_is_left_alone(history: Path, command: str) -> None:
    history.parent.mkdir(parents=True)
    with closing(sqlite3.connect(history)) as conn:
        conn.execute("CREATE TABLE theirs (a)")
    before = content(history)
    done = palaver("history", command)
    assert (done.returncode, done.stdout) == (9, "")
    assert "is another program's database" in done.stderr
    assert content(history) == before
    assert [file.name for file in history.parent.iterdir() if not file.name.endswith(".lock")] == ["history.db"]


# Copies


async def test_a_copy_is_whole_private_and_of_now(history: Path, tmp_path: Path) -> None:
    await some(history)
    to = tmp_path / "copy.db"
    with Other(history) as other:
        other.do("open")
        other.do("begin", "work", "third")
        done = palaver("history", "backup", str(to))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{to}: 2 sessions, 4 turns, {to.stat().st_size:,} bytes\n"
        assert other.do("say", "work", "three", "done") is True
    assert mode(to) == 0o600
    assert beside(to) == ["copy.db"]
    assert rows(to, "SELECT text FROM messages ORDER BY 1") == [(w,) for w in
           ("first", "one", "other", "second", "thing", "third", "two")]  # fmt: skip
    assert is_whole(to)


async def test_without_a_name_a_copy_lies_beside_the_history(history: Path, tmp_path: Path) -> None:
    await some(history)
    told = json.loads(palaver("history", "backup", "--json").stdout)
    assert Path(told["file"]).parent == history.parent
    assert Path(told["file"]).name.startswith("history.db.backup-")
    assert (told["sessions"], told["turns"]) == (2, 3)
    folder = tmp_path / "copies"
    folder.mkdir()
    assert palaver("history", "backup", str(folder)).returncode == 0
    (copy,) = folder.iterdir()
    assert is_whole(copy)


@pytest.mark.fault("D16")
@pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm"])
async def test_no_copy_is_put_over_a_file_or_beside_what_would_change_it(
    history: Path, tmp_path: Path, suffix: str
) -> None:
    await some(history)
    there = tmp_path / f"copy.db{suffix}"
    there.write_text("precious")
    done = palaver("history", "backup", str(tmp_path / "copy.db"))
    assert (done.returncode, done.stdout) == (9, "")
    assert f"{there} is there already" in done.stderr
    assert beside(tmp_path / "copy.db") == [there.name]
    assert there.read_text() == "precious"


async def test_a_copy_that_cannot_be_made_leaves_nothing(history: Path, tmp_path: Path) -> None:
    await some(history)
    done = palaver("history", "backup", str(tmp_path / "nowhere" / "copy.db"))
    assert done.returncode == 9
    assert "No such file or directory" in done.stderr
    a_page(history)
    done = palaver("history", "backup", str(tmp_path / "copy.db"))
    assert done.returncode == 9
    assert "The history is damaged, and so is a copy of it" in done.stderr
    assert beside(tmp_path / "copy.db") == []


# A copy put back


def leave_a_log(file: Path) -> None:
    """A program that writes with a log of its own is killed with changes in it."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode = WAL');"
        "c.execute(\"UPDATE sessions SET title = 'from the log'\"); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    assert file.with_name(f"{file.name}-wal").stat().st_size


@pytest.mark.fault("D16")
@pytest.mark.parametrize("by", ["window", "check"])
async def test_a_log_left_beside_a_copy_put_back_does_not_change_it(history: Path, tmp_path: Path, by: str) -> None:
    await some(history)
    assert palaver("history", "backup", str(tmp_path / "copy.db")).returncode == 0
    leave_a_log(history)
    log = history.with_name("history.db-wal").read_bytes()
    shutil.copy(tmp_path / "copy.db", history)
    if by == "check":
        done = palaver("history", "check")
        assert done.returncode == 0
        assert "note: A log of another file lay beside the history" in done.stdout
    else:
        async with opened(history) as store:
            (notice,) = store.notices
            assert notice.startswith("A log of another file lay beside the history")
            assert store.health.message == ""
    (aside,) = history.parent.glob("history.db-wal.stale-*")
    assert aside.read_bytes() == log
    assert rows(history, "SELECT title FROM sessions WHERE title = 'from the log'") == []
    assert rows(history, "SELECT count(*) FROM turns") == [(3,)]


@pytest.mark.fault("D16")
async def test_a_log_that_is_the_historys_own_is_not_lost(history: Path) -> None:
    await some(history)
    leave_a_log(history)
    async with opened(history) as store:
        assert store.notices == []
        assert {session.title for session in await store.sessions()} == {"from the log"}
    assert not history.with_name("history.db-wal").exists()
