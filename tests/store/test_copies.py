"""Copies of the history, and repairs of it: whole, under the name that was asked for, and nothing in their place else."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.histories import a_session, change, content, is_whole, opened, rows, told
from tui.errors import StoreError
from tui.store import schema, upkeep
from tui.store.check import Findings
from tui.store.keeper import Keeper
from tui.store.sql import turns
from tui.store.upkeep import Copy, Repaired, back_up, check, repair


async def some(file: Path) -> None:
    """Two sessions with three turns."""
    work = a_session("work")
    async with opened(file) as store:
        await told(store, work, "first", "one")
        await told(store, a_session("play"), "other", "thing")
        await told(store, work, "second", "two")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith((".lock", ".live", "-journal")))


def refused(function: Callable[[], object]) -> tuple[str, str]:
    """What is told of a refusal: in words, with what to do."""
    with pytest.raises(StoreError) as caught:
        function()
    return caught.value.message, caught.value.hint


async def test_a_copy_has_the_name_it_was_given_and_all_that_is_there(history: Path, tmp_path: Path) -> None:
    await some(history)
    to = tmp_path / "copies" / "mine.db"
    to.parent.mkdir()
    assert back_up(history, to) == Copy(to, to.stat().st_size, 2, 3)
    assert names(to.parent) == ["mine.db"]
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert is_whole(to)
    said = "SELECT role, text FROM messages ORDER BY 1, 2"
    assert rows(to, said) == rows(history, said)
    assert rows(to, "PRAGMA journal_mode") == [("delete",)]
    assert names(history.parent) == ["history.db"]


async def test_without_a_name_it_lies_beside_the_history_or_in_a_folder(history: Path, tmp_path: Path) -> None:
    await some(history)
    folder = tmp_path / "copies"
    folder.mkdir()
    for made, where in ((back_up(history), history.parent), (back_up(history, folder), folder)):
        assert made.file.parent == where
        assert re.fullmatch(r"history\.db\.backup-\d{8}T\d{12}", made.file.name)
        assert is_whole(made.file)
        assert made.file.name in names(where)


async def test_a_file_that_begins_while_it_is_copied_is_not_written_over(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(history)
    to = tmp_path / "mine.db"
    real = os.link

    def late(source: Path, target: Path) -> None:
        target.write_text("precious")
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    assert refused(lambda: back_up(history, to)) == (
        f"{to} is there already.",
        "it was left as it is; use another name",
    )
    assert to.read_text() == "precious"
    assert [name for name in names(tmp_path) if name.startswith("mine.db")] == ["mine.db"]


@pytest.mark.parametrize("is_taken", [False, True])
async def test_on_a_file_system_without_links_a_copy_is_renamed(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    await some(history)
    to = tmp_path / "mine.db"

    def no_links(_source: Path, target: Path) -> None:
        if is_taken:
            target.write_text("precious")
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    if is_taken:
        assert refused(lambda: back_up(history, to))[0] == f"{to} is there already."
        assert to.read_text() == "precious"
    else:
        assert back_up(history, to) == Copy(to, to.stat().st_size, 2, 3)
        assert is_whole(to)
    assert [name for name in names(tmp_path) if name.startswith("mine.db")] == ["mine.db"]


async def test_a_copy_is_on_the_disk_with_its_name_before_it_is_told_of(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(history)
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    made = back_up(history, tmp_path / "mine.db")
    part, folder = synced
    assert re.fullmatch(rf"{re.escape(str(made.file))}\.part-\d{{8}}T\d{{12}}", part.removesuffix(" (deleted)"))
    assert folder == str(tmp_path)


async def test_a_copy_that_lacks_something_is_not_kept(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(history)
    copied = upkeep._copy

    def all_but_one(conn: sqlite3.Connection, to: Path) -> None:
        copied(conn, to)
        change(to, "DELETE FROM turns WHERE depth = 1")

    monkeypatch.setattr(upkeep, "_copy", all_but_one)
    assert refused(lambda: back_up(history, tmp_path / "mine.db")) == (
        "The copy does not hold what the history holds; it was not kept.",
        "",
    )
    assert "mine.db" not in "".join(names(tmp_path))


async def test_what_cannot_be_copied_is_told_and_leaves_nothing(history: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "mine.db"
    assert refused(lambda: back_up(history, nowhere)) == (f"There is no history at {history}.", "")
    await some(history)
    assert refused(lambda: back_up(history, nowhere)) == (f"{nowhere} cannot be made: No such file or directory.", "")
    root = rows(history, "SELECT rootpage FROM sqlite_master WHERE name = 'session_order'")[0][0]
    with history.open("r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(b"\xa5" * 4096)
    assert refused(lambda: back_up(history, tmp_path / "mine.db")) == (
        "The history is damaged, and so is a copy of it.",
        "see `palaver history repair`",
    )
    assert "mine.db" not in "".join(names(tmp_path))


def test_a_history_that_was_never_set_up_is_copied_as_it_is(history: Path, tmp_path: Path) -> None:
    history.parent.mkdir(parents=True)
    history.touch(mode=0o600)
    to = tmp_path / "mine.db"
    assert back_up(history, to) == Copy(to, to.stat().st_size, 0, 0)


# Looking over


@pytest.mark.fault("D09")
def test_nothing_is_wrong_with_a_history_in_which_nothing_is_yet(history: Path) -> None:
    history.parent.mkdir(parents=True)
    history.touch(mode=0o600)
    assert check(history) == Findings(remarks=("nothing is in it yet; the next start sets it up",))
    assert repair(history) is None
    assert history.stat().st_size == 0


def test_nothing_is_wrong_with_a_history_whose_maker_was_killed_while_it_set_it_up(
    history: Path, tmp_path: Path
) -> None:
    """It has pages then, and a journal that says that they are to go again."""
    history.parent.mkdir(parents=True)
    making = tmp_path / "making.db"
    with closing(sqlite3.connect(making, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = TRUNCATE")
        conn.execute("PRAGMA cache_size = 1")
        conn.execute("BEGIN IMMEDIATE")
        schema.migrate(conn)
        for suffix in ("", "-journal"):
            kept = making.with_name(making.name + suffix).read_bytes()
            assert kept
            history.with_name(history.name + suffix).write_bytes(kept)
    assert check(history) == Findings(remarks=("nothing is in it yet; the next start sets it up",))


# Repairs


async def test_turns_that_share_a_place_are_kept_one_after_the_other(history: Path) -> None:
    await some(history)
    table = rows(history, "SELECT sql FROM sqlite_master WHERE name = 'turns'")[0][0]
    with closing(sqlite3.connect(history)) as conn:
        conn.executescript(
            "PRAGMA foreign_keys = OFF; ALTER TABLE turns RENAME TO old;"
            + table.replace("UNIQUE (branch_id, depth)", "CHECK (1)")
            + "; INSERT INTO turns SELECT * FROM old; DROP TABLE old; UPDATE turns SET depth = 0;"
        )
    wrong = check(history).wrong
    assert "places with more than one turn: 1" in wrong
    before = content(history)
    done = repair(history)
    assert done is not None
    assert done == Repaired(wrong, done.kept_as, 2, 3)
    assert content(done.kept_as) == before
    assert check(history).wrong == ()
    told_of = (
        "SELECT t.depth, i.text FROM turns t JOIN items i ON i.turn_id = t.id JOIN sessions s ON s.id = t.session_id "
    )
    assert rows(history, f"{told_of} WHERE s.label = 'work' ORDER BY t.depth, i.position") == [
        (0, "first"),
        (0, "one"),
        (1, "second"),
        (1, "two"),
    ]
    assert repair(history) is None


async def test_one_of_a_newer_version_is_not_repaired(history: Path) -> None:
    await some(history)
    newer = schema.VERSION + 1
    change(history, f"PRAGMA user_version = {newer}")
    before = content(history)
    wrong = f"it was made by a newer version of Palaver (tables {newer}; this one knows {schema.VERSION})"
    assert check(history) == Findings((wrong,), (), newer, 2, 3)
    assert refused(lambda: repair(history)) == (
        f"{history} was made by a newer version of Palaver.",
        "repair it with that one",
    )
    assert content(history) == before


async def test_the_inner_order_of_the_index_of_words_is_looked_at(history: Path) -> None:
    await some(history)
    assert check(history) == Findings((), (), schema.VERSION, 2, 3)
    change(history, "UPDATE items_fts_data SET block = zeroblob(4) WHERE id > 10")
    (wrong,) = check(history).wrong
    assert wrong.startswith("the index of words is damaged: ")
    done = repair(history)
    assert done is not None
    assert (done.sessions, done.turns) == (2, 3)
    assert is_whole(history)


async def test_a_log_of_another_file_is_set_aside_and_told_of(history: Path, tmp_path: Path) -> None:
    await some(history)
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL").fetchall()
        conn.execute("CREATE TABLE theirs (a)")
        log = (tmp_path / "other.db-wal").read_bytes()
    history.with_name("history.db-wal").write_bytes(log)
    (note,) = check(history).remarks
    (aside,) = (name for name in names(history.parent) if "-wal" in name)
    assert re.fullmatch(r"history\.db-wal\.stale-\d{8}T\d{12}", aside)
    where = history.with_name(aside)
    assert (
        note == f"A log of another file lay beside the history, where it would have changed it. It is kept as {where}."
    )
    assert content(where) == log
    assert check(history) == Findings((), (), schema.VERSION, 2, 3)


async def test_a_damaged_file_that_another_window_has_replaced_is_not_begun_again(history: Path) -> None:
    await some(history)
    renewed: list[str] = []
    keeper = Keeper(history, lambda: renewed.append("renewed"))
    keeper.open()
    try:
        keeper._start_over((0, 0))
        assert keeper.notices == []
        assert renewed == ["renewed"]
        assert keeper.write(turns.count_turns, "none") == 0
        assert not [name for name in names(history.parent) if "damaged" in name]
    finally:
        keeper.close()
