"""The history in trouble: every answer is finished, the trouble is visible, and nothing that was said is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import CHAT_PROFILE, PROFILE, completed, delta
from tests.store.conftest import Disk
from tests.store.histories import (
    Healths,
    a_mapping,
    a_session,
    a_turn,
    change,
    content,
    found,
    is_whole,
    opened,
    rows,
    said,
    told,
)
from tests.store.other import Other
from tui.chat import HealthChanged
from tui.config import Profile
from tui.errors import SessionBusy
from tui.model import Turn, TurnStatus
from tui.store.files import stale_log_notice
from tui.store.lock import Lock, Locked

LONG = "a rather long prompt, so that it needs pages of its own " * 400
NOBODY = 65534


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes half a minute in life takes a moment here; no one heals unless the test says so."""
    monkeypatch.setattr("tui.store.access.PATIENCE", 0.1)
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    monkeypatch.setattr("tui.store.access.CLOSE_PATIENCE", 0.05)
    monkeypatch.setattr("tui.store.access.HEAL_EVERY", 3600.0)
    monkeypatch.setattr("tui.store.database.BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr("tui.store.database.WRITE_TIMEOUT", 0.01)


async def answered(t: Talk, label: str = "work", prompt: str = "hello", text: str = "hi") -> Turn:
    """A turn that ends well, whatever the history does."""
    session = await t.chat.open(label)
    turn = await t.answered(session, prompt, text, "resp_1")
    assert (turn.status, turn.text) == (TurnStatus.DONE, text)
    return turn


def troubles(t: Talk) -> list[str]:
    """Every state of the history's health that was published."""
    return [change.health.message for change in t.changes if isinstance(change, HealthChanged)]


def texts(file: Path) -> list[str]:
    return [text for (text,) in rows(file, "SELECT text FROM messages ORDER BY session, position")]


# A place that cannot be had


def a_file_as_folder(file: Path) -> None:
    file.parent.parent.mkdir(parents=True)
    file.parent.write_text("x")


def a_file_above(file: Path) -> None:
    file.parent.parent.write_text("x")


def a_link_to_no_folder(file: Path) -> None:
    file.parent.parent.mkdir(parents=True)
    file.parent.symlink_to(file.parent.parent / "nowhere")


def a_link_to_no_file(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.symlink_to(file.parent / "nowhere")


def a_folder(file: Path) -> None:
    file.mkdir(parents=True)


def a_folder_gone(file: Path) -> None:
    file.rmdir()


def a_pipe(file: Path) -> None:
    file.parent.mkdir(parents=True)
    os.mkfifo(file)


def a_loop(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.symlink_to(file)


@pytest.mark.fault("D02")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (a_file_as_folder, "is not a folder"),
        (a_file_above, "Not a directory"),
        (a_link_to_no_folder, "is not a folder"),
        (a_link_to_no_file, "is a link to a file that does not exist"),
        (a_folder, "is a folder"),
        (a_pipe, "is not a file"),
        (a_loop, "Too many levels of symbolic links"),
    ],
)
async def test_a_place_that_cannot_be_had(history: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(history)
    before = sorted(history.parent.parent.rglob("*"))
    async with talk(history) as t:
        assert t.chat.health.message.startswith("History is off: ")
        assert says in t.chat.health.message
        assert str(history.parent) in t.chat.health.message or str(history.parent.parent) in t.chat.health.message
        await answered(t)
        assert t.chat.health.unsaved
        (session,) = await t.chat.sessions()
        assert [turn.text for turn in await t.chat.turns(session.id)] == ["hi"]
    assert sorted(history.parent.parent.rglob("*")) == before


@pytest.mark.fault("D01")
async def test_folders_that_are_missing_are_made(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "c" / "history.db"
    async with talk(file) as t:
        await answered(t)
        assert t.chat.health.message == ""
    assert texts(file) == ["hello", "hi"]
    assert mode(file.parent) == 0o700


@pytest.mark.fault("D02")
async def test_a_place_that_can_be_had_later_is_used_later(history: Path) -> None:
    a_folder(history)
    async with talk(history) as t:
        await answered(t, prompt="first", text="one")
        await answered(t, prompt="second", text="two")
        a_folder_gone(history)
        await answered(t, prompt="third", text="three")
        assert t.chat.health.message == ""
        assert troubles(t)[-1] == ""
        assert texts(history) == ["first", "one", "second", "two", "third", "three"]
    assert is_whole(history)


# Read-only: as a user who may not write, because root may


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A history in a folder that the other user, who must not write, can reach."""
    folder = Path(tempfile.mkdtemp(prefix="palaver-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir(mode=0o700)
    yield data / "history.db"
    shutil.rmtree(folder)


def as_nobody(file: Path) -> list[str]:
    """The options for a process that is bound by the modes of files, which root is not."""
    if os.geteuid() != 0:
        return []
    for path in (file.parent, *file.parent.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    return ["--user", str(NOBODY)]


def allow(file: Path, folder_mode: int, file_mode: int) -> None:
    file.parent.chmod(0o700)
    file.chmod(file_mode)
    file.parent.chmod(folder_mode)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def left_beside(file: Path, suffix: str) -> None:
    """Another program's file, of a name that SQLite takes for the history's."""
    file.with_name(file.name + suffix).write_bytes(b"of something else")


def link(file: Path, target: Path) -> None:
    file.parent.mkdir(parents=True)
    file.symlink_to(target)


@pytest.mark.fault("D03", "D04")
@pytest.mark.parametrize(
    ("folder", "file", "says"),
    [
        (0o500, 0o600, "is read-only"),
        (0o500, 0o400, "is read-only"),
        (0o700, 0o400, "is read-only"),
    ],
    ids=["folder", "both", "file"],
)
async def test_what_may_not_be_written_is_read(shared: Path, folder: int, file: int, says: str) -> None:
    async with opened(shared) as store:
        await told(store, a_session(), "hello", "hi")
    shutil.rmtree(shared.with_name("history.db.live"))
    shared.with_name("history.db.lock").unlink()
    options = as_nobody(shared)
    allow(shared, folder, file)
    before = content(shared)
    with Other(shared, *options) as other:
        recovered, message = other.do("open")
        assert recovered == 0
        assert message.startswith("History is not saved: ")
        assert says in message or "cannot be written to" in message
        assert other.do("labels") == ["work"]
        assert other.do("texts", "work") == ["hi"]
        assert other.do("begin", "work", "more") == 1
        assert other.do("say", "work", "of it", "done") is False
        assert other.do("texts", "work") == ["hi", "of it"]
        assert content(shared) == before
        allow(shared, 0o700, 0o600)
        other.do("heal")
        assert other.do("health") == ""
        assert other.do("close") is True
    assert texts(shared) == ["hello", "hi", "more", "of it"]


@pytest.mark.fault("D02")
async def test_a_folder_that_may_not_be_entered(shared: Path) -> None:
    options = as_nobody(shared)
    shared.parent.chmod(0o000)
    with Other(shared, *options) as other:
        _, message = other.do("open")
        assert message.startswith("History is off: ")
        assert "Permission denied" in message
        assert other.do("begin", "work", "hello") == 0
        assert other.do("say", "work", "hi", "done") is False
        assert other.do("texts", "work") == ["hi"]
        shared.parent.chmod(0o700)
        other.do("heal")
        assert other.do("close") is True
    assert texts(shared) == ["hello", "hi"]


@pytest.mark.fault("D04")
async def test_a_file_that_becomes_read_only_while_it_is_open(shared: Path) -> None:
    options = as_nobody(shared)
    with Other(shared, *options) as other:
        other.do("open")
        assert other.do("begin", "work", "hello") == 0
        allow(shared, 0o500, 0o400)
        # The connection that is open may go on; one that is made now may not.
        other.do("reopen")
        assert other.do("say", "work", "hi", "done") is False
        assert "read-only" in other.do("health")
        assert other.do("texts", "work") == ["hi"]
        allow(shared, 0o700, 0o600)
        other.do("heal")
        assert other.do("close") is True
    assert texts(shared) == ["hello", "hi"]


@pytest.mark.fault("D31")
async def test_root_makes_nothing_in_another_users_folder(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_nobody(shared)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for file in (shared, shared.parent / "palaver" / "history.db"):
        async with talk(file) as t:
            assert t.chat.health.message.startswith(f"History is off: {shared.parent} belongs to another user")
            await answered(t)
    assert list(shared.parent.iterdir()) == []


@pytest.mark.fault("D32")
async def test_files_others_can_read_are_tightened(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session())
    allow(history, 0o755, 0o644)
    async with opened(history) as store:
        await told(store, a_session("more"))
        assert store.health.message == ""
    assert mode(history.parent) == 0o700
    assert {mode(file) for file in history.parent.glob("history.db*") if file.is_file()} == {0o600}


@pytest.mark.fault("D33")
async def test_a_link_to_a_file_of_ours_is_followed(history: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "mine.db"
    async with opened(elsewhere) as store:
        await told(store, a_session(), "hello", "hi")
    link(history, elsewhere)
    async with talk(history) as t:
        assert t.chat.health.message == ""
        await answered(t, prompt="more", text="of it")
    assert os.readlink(history) == str(elsewhere)
    assert texts(elsewhere) == ["hello", "hi", "more", "of it"]


@pytest.mark.fault("D10", "D11", "D33")
async def test_a_damaged_file_behind_a_link_is_set_aside_where_it_is(history: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "mine.db"
    await many_turns(elsewhere)
    pages(page_of(elsewhere, "items"))(elsewhere)
    link(history, elsewhere)
    async with talk(history) as t:
        for session in await t.chat.sessions():
            await t.chat.turns(session.id)
        (notice,) = t.store.notices
        await answered(t)
        assert t.chat.health.message == ""
    aside = set_aside_file(elsewhere)
    assert notice.startswith(f"The history was damaged. It is kept as {aside}. ")
    assert os.readlink(history) == str(elsewhere)
    assert texts(elsewhere)[-2:] == ["hello", "hi"]
    assert mode(elsewhere) == 0o600
    assert is_whole(elsewhere)


@pytest.mark.fault("D16", "D33")
async def test_a_log_beside_the_target_of_a_link_does_not_change_it(history: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "mine.db"
    async with opened(elsewhere) as store:
        await told(store, a_session(), "hello", "hi")
    left_beside(elsewhere, "-wal")
    link(history, elsewhere)
    async with talk(history) as t:
        (aside,) = elsewhere.parent.glob("mine.db-wal.stale-*")
        assert t.store.notices == [stale_log_notice(aside)]
        await answered(t, prompt="more", text="of it")
    assert texts(elsewhere) == ["hello", "hi", "more", "of it"]


@pytest.mark.fault("D33")
async def test_a_link_to_anothers_file_is_refused(history: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(shared) as store:
        await told(store, a_session(), "theirs", "too")
    if os.geteuid() == 0:
        as_nobody(shared)
    else:
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    before = content(shared)
    link(history, shared)
    async with talk(history) as t:
        assert "is a link to another user's file" in t.chat.health.message
        await answered(t)
        assert [session.turns for session in await t.chat.sessions()] == [1]
    assert content(shared) == before


# A full disk


@pytest.mark.fault("D05")
async def test_a_disk_that_is_full_before_the_prompt_is_sent(history: Path, disk: Disk) -> None:
    async with talk(history) as t:
        await answered(t, text="one")
        await disk.fill(t.store)
        session = await t.chat.open("work")
        t.chat.send(session, LONG)
        exchange = await t.server.request()
        # It was said before anything was sent, and it was sent.
        assert troubles(t) == ["History is not saved: The disk is full — what is not saved is kept in memory."]
        assert t.chat.health.unsaved
        answer_well(exchange, "two", "resp_2")
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert (turn.status, turn.depth) == (TurnStatus.DONE, 1)
        await answered(t, prompt=LONG + "again", text="three")
        assert [one.text for one in await t.chat.turns(session.id)] == ["one", "two", "three"]
        assert texts(history) == ["hello", "one"]
        await disk.mend(t.store)
        await t.store._heal()
        assert troubles(t)[-1] == ""
        assert not t.chat.health.unsaved
        assert texts(history) == ["hello", "one", LONG, "two", LONG + "again", "three"]
        assert (await t.chat.prompts(session.id)) == ["hello", LONG, LONG + "again"]
    assert is_whole(history)


@pytest.mark.fault("D06")
async def test_a_disk_that_fills_while_an_answer_streams(history: Path, disk: Disk) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        exchange = (await t.server.request()).respond().event(delta("begun, "))
        await t.until(lambda: rows(history, "SELECT 1 FROM messages WHERE text = 'begun, '"))
        await disk.fill(t.store)
        exchange.event(delta(LONG))
        await t.until(lambda: t.chat.health.unsaved)
        assert "The disk is full" in t.chat.health.message
        assert texts(history) == ["hello", "begun, "]
        (turn,) = await t.chat.turns(session.id)
        assert turn.text == f"begun, {LONG}"
        exchange.event(delta("done")).event(completed(f"begun, {LONG}done")).end()
        last = await t.chat.settled(session.id)
        assert last is not None
        assert (last.status, last.text) == (TurnStatus.DONE, f"begun, {LONG}done")
        assert texts(history) == ["hello", "begun, "]
        await disk.mend(t.store)
        await t.store._heal()
        assert texts(history) == ["hello", last.text]
        assert t.chat.health.message == ""
    assert found(history, "done") == [last.text]
    assert is_whole(history)


@pytest.mark.fault("D06")
async def test_a_disk_that_stays_full_is_said_at_the_end(history: Path, disk: Disk) -> None:
    async with talk(history) as t:
        await answered(t, text="one")
        await disk.fill(t.store)
        await answered(t, prompt=LONG, text="two")
    assert t.store.health.unsaved
    assert "The disk is full" in t.store.health.message
    assert texts(history) == ["hello", "one"]
    assert is_whole(history)


@pytest.mark.fault("D07")
async def test_a_quota_is_like_a_full_disk(history: Path) -> None:
    with Other(history) as other:
        other.do("open")
        assert other.do("begin", "work", "hello") == 0
        other.do("limit", len(content(history)))
        assert other.do("say", "work", LONG) is False
        assert other.do("health").startswith("History is not saved: ")
        assert "SQLITE_IOERR" in other.do("health")
        assert other.do("say", "work", LONG + "done", "done") is False
        assert other.do("begin", "work", LONG) == 1
        assert other.do("say", "work", "two", "done") is False
        assert other.do("texts", "work") == [LONG + "done", "two"]
        other.do("limit", -1)
        other.do("heal")
        assert other.do("health") == ""
        assert texts(history) == ["hello", LONG + "done", LONG, "two"]
    assert is_whole(history)


# A file that is damaged


def an_empty_file(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.touch()


def flip_magic(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(b"SQLite forma\x00 4")


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 4096)


def cut_in_half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 + 100)


def pages(*numbers: int) -> Callable[[Path], None]:
    """Overwrites these pages, counted from 0, or from the end."""

    def spoil(file: Path) -> None:
        with file.open("r+b") as stream:
            count = file.stat().st_size // 4096
            for number in numbers:
                stream.seek(number % count * 4096)
                stream.write(b"\xa5" * 4096)

    return spoil


def set_aside_file(file: Path) -> Path:
    """The one damaged file that was kept."""
    (aside,) = [one for one in file.parent.glob("*.damaged-*") if not one.name.endswith(("-journal", "-wal", "-shm"))]
    return aside


async def many_turns(file: Path, count: int = 60) -> None:
    """Three sessions, with turns that fill many pages."""
    async with opened(file) as store:
        for label in ("a", "b", "c"):
            session = a_session(label)
            for number in range(count // 3):
                await told(store, session, f"{label} prompt {number}", f"{label} answer {number} " + "x" * 1500)


def page_of(file: Path, table: str) -> int:
    """A page from the middle of a table, counted from 0."""
    with closing(sqlite3.connect(file)) as conn:
        first = int(conn.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])
    raw = content(file)
    kind = raw[(first - 1) * 4096]
    if kind not in (2, 5):
        return first - 1
    start = (first - 1) * 4096
    cells = int.from_bytes(raw[start + 3 : start + 5], "big")
    cell = int.from_bytes(raw[start + 12 + cells // 2 * 2 : start + 14 + cells // 2 * 2], "big")
    return int.from_bytes(raw[start + cell : start + cell + 4], "big") - 1


@pytest.mark.fault("D09")
async def test_an_empty_file_is_a_new_history(history: Path) -> None:
    an_empty_file(history)
    async with talk(history) as t:
        await answered(t)
        assert t.store.notices == []
        assert troubles(t) == []
    assert texts(history) == ["hello", "hi"]
    assert mode(history) == 0o600


@pytest.mark.fault("D10")
@pytest.mark.parametrize(
    "text", ["this is not a database\n" * 100, "x", "SQLite format 3\x00" + "rubbish" * 1000, "\x00" * 8192]
)
async def test_a_file_that_is_no_database_is_set_aside(history: Path, text: str) -> None:
    history.parent.mkdir(parents=True)
    parts = {"": text.encode(), "-journal": b"a journal", "-wal": b"a log", "-shm": b"an index"}
    for suffix, data in parts.items():
        history.with_name(f"history.db{suffix}").write_bytes(data)
    async with talk(history) as t:
        await answered(t)
        assert t.chat.health.message == ""
        (notice,) = t.store.notices
    aside = set_aside_file(history)
    assert notice == f"The history was damaged. It is kept as {aside}. 0 turns could be read from it into {history}."
    assert aside.name.removeprefix("history.db.damaged-")[:8].isdecimal()
    kept = {file.name.removeprefix(aside.name): content(file) for file in history.parent.glob("history.db.damaged-*")}
    # SQLite itself clears away a log whose database is not one; the file and its journal are as they were.
    assert kept[""] == parts[""]
    assert set(kept) <= set(parts)
    assert texts(history) == ["hello", "hi"]


def changed_pages(new: bytes, old: bytes) -> set[int]:
    """The pages by which two files differ, none of them a spoilt one."""
    places = range(0, max(len(new), len(old)), 4096)
    found = {at // 4096 for at in places if new[at : at + 4096] != old[at : at + 4096]}
    assert not any(old[number * 4096 : (number + 1) * 4096] == b"\xa5" * 4096 for number in found)
    return found


@pytest.mark.fault("D11")
@pytest.mark.parametrize("spoil", [flip_magic, cut, cut_in_half, pages(0), pages(-1), pages(-2, -3, -4)])
async def test_what_can_be_read_of_a_damaged_history_is_brought_over(
    history: Path, spoil: Callable[[Path], None]
) -> None:
    await many_turns(history)
    spoil(history)
    damaged = content(history)
    async with talk(history) as t:
        for session in await t.chat.sessions():
            await t.chat.turns(session.id)
        await answered(t, "a", "new prompt", "new answer")
        assert t.chat.health.message == ""
        notices = list(t.store.notices)
    assert is_whole(history)
    assert found(history, '"new answer"') == ["new answer"]
    kept = rows(history, "SELECT count(*) FROM turns")[0][0] - 1
    if notices:
        aside = set_aside_file(history)
        # Where only a write comes upon the damage, another one has been done before: it is among what is brought over.
        was_written = content(aside) != damaged
        assert not was_written or len(changed_pages(content(aside), damaged)) < 20
        assert notices == [
            f"The history was damaged. It is kept as {aside}. {kept + was_written:,} turns could be read from it into {history}."
        ]
    else:
        # The damage lies where nothing has looked yet.
        assert kept == 60


@pytest.mark.fault("D11")
@pytest.mark.parametrize(("table", "least"), [("items", 55), ("turns", 20), ("sessions", 55), ("branches", 55)])
async def test_a_page_in_the_middle_costs_what_was_on_it(history: Path, table: str, least: int) -> None:
    await many_turns(history)
    pages(page_of(history, table))(history)
    healths = Healths()
    async with opened(history, on_health=healths) as store:
        seen = [turn for session in await store.sessions() for turn in await store.turns(session.id)]
        assert store.health.message == ""
        assert len([turn for turn in seen if turn.prompt and turn.text.endswith("x")]) >= least
        assert len(store.notices) == 1
        assert "damaged" in store.notices[0]
        await told(store, a_session("new"))
    assert is_whole(history)


@pytest.mark.fault("D11")
async def test_turns_whose_sessions_are_lost_are_found_under_new_names(history: Path) -> None:
    await many_turns(history)
    pages(page_of(history, "sessions"))(history)
    async with opened(history) as store:
        assert sorted(session.label for session in await store.sessions()) == [
            "recovered-1",
            "recovered-2",
            "recovered-3",
        ]
        session = await store.find("recovered-2")
        assert session is not None
        assert [turn.prompt for turn in await store.turns(session.id)] == [f"b prompt {number}" for number in range(20)]
        assert await store.count(session.id) == session.turns == 20
        more = await told(store, session, "more")
        assert more.depth == 20
    assert is_whole(history)


@pytest.mark.fault("D11", "C19")
async def test_text_that_streamed_when_it_broke_is_brought_over(history: Path) -> None:
    with Other(history) as other:
        other.do("open")
        other.do("begin", "work", "hello")
        other.do("say", "work", "half")
        other.do("say", "work", "half and half")
    pages(page_of(history, "sessions"))(history)
    async with opened(history) as store:
        (session,) = await store.sessions()
        (turn,) = await store.turns(session.id)
        assert (turn.prompt, turn.text, turn.status) == ("hello", "half and half", TurnStatus.INTERRUPTED)
    assert found(history, "half") == ["half and half"]
    assert is_whole(history)


@pytest.mark.fault("D12")
async def test_damage_met_while_an_answer_streams(history: Path) -> None:
    await many_turns(history)
    async with talk(history) as t:
        session = await t.chat.open("b")
        t.chat.send(session, "and now?")
        exchange = (await t.server.request()).respond().event(delta("It "))
        await t.until(lambda: rows(history, "SELECT 1 FROM messages WHERE text = 'It '"))
        root = rows(history, "SELECT rootpage FROM sqlite_master WHERE name = 'chunks'")[0][0]
        spoil_in_another_process(history, root - 1)
        exchange.event(delta("breaks, "))
        await t.until(lambda: t.store.notices)
        exchange.event(delta("and goes on.")).event(completed("It breaks, and goes on.")).end()
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert (turn.status, turn.text) == (TurnStatus.DONE, "It breaks, and goes on.")
        told = [change.health.notices for change in t.changes if isinstance(change, HealthChanged)]
        assert told == [tuple(t.store.notices)]
        assert t.chat.health.message == ""
        assert [one.prompt for one in await t.chat.turns(session.id)][-2:] == ["b prompt 19", "and now?"]
    assert texts(history)[-1] != ""
    assert found(history, "breaks") == ["It breaks, and goes on."]
    assert rows(history, "SELECT count(*) FROM turns") == [(61,)]
    assert is_whole(history)


def spoil_in_another_process(file: Path, page: int) -> None:
    """Damage a page of a file that is open here, and have SQLite read it again: opening it here would free its locks."""
    script = (
        "import sys; f = open(sys.argv[1], 'r+b'); f.seek(24); n = int.from_bytes(f.read(4), 'big') + 1;"
        "f.seek(24); f.write(n.to_bytes(4, 'big')); f.seek(int(sys.argv[2]) * 4096); f.write(b'\\xa5' * 4096)"
    )
    subprocess.run([sys.executable, "-c", script, str(file), str(page)], check=True)


@pytest.mark.fault("D11")
async def test_two_windows_that_meet_damage_at_once_set_it_aside_once(history: Path) -> None:
    await many_turns(history)
    pages(page_of(history, "items"))(history)
    with ExitStack() as stack:
        others = [stack.enter_context(Other(history)) for _ in range(4)]
        for other in others:
            other.do("ready")
        for other in others:
            other.tell("open")
        assert [other.hear() for other in others] == [[0, ""]] * 4
        for number, other in enumerate(others):
            other.tell("many", f"work-{number}", 3)
        for other in others:
            other.tell("texts", "b")
        assert [other.hear() for other in others] == [3] * 4
        seen = [other.hear() for other in others]
        assert seen == [seen[0]] * 4
        assert len(seen[0]) == 20
        assert [other.do("health") for other in others] == [""] * 4
    set_aside_file(history)
    assert len(texts(history)) >= 24
    assert is_whole(history)


async def test_damage_in_a_folder_nothing_can_be_moved_in_leaves_it_alone(shared: Path) -> None:
    await many_turns(shared)
    flip_magic(shared)
    options = as_nobody(shared)
    before = content(shared)
    shared.parent.chmod(0o500)
    with Other(shared, *options) as other:
        _, message = other.do("open")
        assert "is damaged and cannot be moved aside" in message
        assert other.do("begin", "work", "hello") == 0
        assert other.do("say", "work", "hi", "done") is False
        assert other.do("texts", "work") == ["hi"]
    shared.parent.chmod(0o700)
    assert content(shared) == before


# What a crash leaves behind


def crash_within_a_write(file: Path) -> None:
    """Die with half a transaction in the file and its journal beside it."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode = TRUNCATE'); c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN IMMEDIATE');"
        "c.execute(\"UPDATE items SET text = 'lost ' || text\");"
        'c.execute("INSERT INTO items (turn_id, position, kind, text) "'
        "\"SELECT turn_id, position + 50, 'message', text FROM items\");"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    journal = file.with_name("history.db-journal")
    assert journal.stat().st_size > 512
    assert b"lost" in content(file)


@pytest.mark.fault("D13")
async def test_a_journal_a_crash_left_is_rolled_back(history: Path) -> None:
    await many_turns(history)
    before = texts(history)
    crash_within_a_write(history)
    async with talk(history) as t:
        assert t.store.notices == []
        assert t.chat.health.message == ""
        session = await t.chat.find("b")
        assert session is not None
        assert (await t.chat.turns(session.id))[7].text.startswith("b answer 7 x")
    assert texts(history) == before
    assert is_whole(history)


@pytest.mark.fault("D14")
async def test_a_journal_that_was_cleaned_away(history: Path) -> None:
    await many_turns(history)
    crash_within_a_write(history)
    history.with_name("history.db-journal").unlink()
    async with talk(history) as t:
        for session in await t.chat.sessions():
            await t.chat.turns(session.id)
        await answered(t, "new", "hello", "hi")
        assert t.chat.health.message == ""
        for notice in t.store.notices:
            assert notice.startswith("The history was damaged. It is kept as ")
    assert found(history, "hello") == ["hello"]


def break_a_log(file: Path, spoil: str) -> None:
    """Die with twenty changes in a write-ahead log, the middle of which is lost."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode = WAL');"
        "[c.execute('UPDATE sessions SET draft = ?', (f'draft {n}',)) for n in range(20)];"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    log = file.with_name("history.db-wal")
    middle = log.stat().st_size // 2
    if spoil == "cut":
        os.truncate(log, middle)
    else:
        with log.open("r+b") as stream:
            stream.seek(middle)
            stream.write(b"\xa5" * 100)


@pytest.mark.fault("D15")
@pytest.mark.parametrize("spoil", ["cut", "flip"])
async def test_a_log_of_another_journal_mode_that_is_broken(history: Path, spoil: str) -> None:
    await many_turns(history, 3)
    break_a_log(history, spoil)
    async with talk(history) as t:
        sessions = await t.chat.sessions()
        (draft,) = {session.draft for session in sessions}
        assert 5 <= int(draft.removeprefix("draft ")) <= 15
        assert [session.turns for session in sessions] == [1, 1, 1]
        await answered(t, "a", "hello", "hi")
        assert t.chat.health.message == ""
    assert is_whole(history)


# A file others hold, or take away


@pytest.mark.fault("D20", "D21")
async def test_a_history_that_cannot_be_read_costs_no_conversation(history: Path) -> None:
    async with talk(history) as t:
        await answered(t, text="one")
        session = await t.chat.open("work")
        with Other(history) as other:
            other.do("hold")
            for number, text in ((2, "two"), (3, "three")):
                t.chat.send(session, "more")
                exchange = await t.server.request()
                assert exchange.json["previous_response_id"] == f"resp_{number - 1}"
                answer_well(exchange, text, f"resp_{number}")
                turn = await t.chat.settled(session.id)
                assert turn is not None
                assert (turn.depth, turn.notes) == (number - 1, ())
            other.do("let_go")
        await t.store._heal()
        assert t.chat.health.message == ""
    assert texts(history) == ["hello", "one", "more", "two", "more", "three"]
    assert rows(history, "SELECT conversation_id, depth FROM conversations") == [("resp_3", 2)]


@pytest.mark.fault("D20", "D21")
@pytest.mark.parametrize("profile", [PROFILE, CHAT_PROFILE], ids=["by its id", "told all"])
async def test_nothing_is_sent_without_a_conversation_that_cannot_be_read(history: Path, profile: Profile) -> None:
    async with opened(history) as store:
        first = await told(store, session := a_session("work"), "hello", "one")
        mapping = a_mapping(session, "resp_1", origin=profile.origin, principal=profile.key.principal)
        await store.save(first, first, session, mapping)
    async with talk(history, profile) as t:
        session = await t.chat.open("work")
        assert session.turns == 1
        with Other(history) as other:
            other.do("hold")
            t.chat.send(session, "more")
            turn = await t.chat.settled(session.id)
            assert turn is not None
            assert (turn.status, turn.prompt) == (TurnStatus.FAILED, "more")
            assert str(turn.error) == (
                "History cannot be read: The history is locked by another program — nothing was sent"
            )
            assert t.server.seen == []
            # What is new has nothing to be sent with.
            new = await t.chat.new()
            t.chat.send(new, "hello")
            exchange = await t.server.request()
            assert t.chat.cancel(new.id)
            await exchange.closed.wait()
            await t.chat.settled(new.id)
            other.do("let_go")
        await t.store._heal()
        assert not t.chat.health.unsaved
        assert [text for text in texts(history) if text != "hello"] == ["one"]
        assert rows(history, "SELECT conversation_id, depth FROM conversations") == [("resp_1", 0)]
        t.chat.send(session, "more")
        exchange = await t.server.request()
        assert ("resp_1" in str(exchange.json)) is (profile is PROFILE)
        assert ("hello" in str(exchange.json)) is (profile is CHAT_PROFILE)


@pytest.mark.fault("D20", "D21")
async def test_where_only_what_was_said_cannot_be_read_nothing_is_sent_either(history: Path) -> None:
    async with talk(history, CHAT_PROFILE) as t:
        session = await t.chat.open("work")
        async with opened(history) as store:
            await told(store, session, "hello", "one")
        for spoilt, mended in (("items", "gone"), ("gone", "items")):
            change(history, f"ALTER TABLE {spoilt} RENAME TO {mended}")
            t.chat.send(session, "more")
            if spoilt == "items":
                turn = await t.chat.settled(session.id)
                assert turn is not None
                assert turn.error is not None
                assert (turn.error.kind, turn.error.hint) == ("history", "nothing was sent")
                assert t.server.seen == []
        exchange = await t.server.request()
        assert [one["content"] for one in exchange.json["messages"]] == ["hello", "one", "more"]
        assert t.chat.cancel(session.id)
        await t.chat.settled(session.id)
    assert texts(history) == ["hello", "one", "more"]


@pytest.mark.fault("D20", "C08")
@pytest.mark.parametrize(("take", "give"), [("take_lock", "free_lock"), ("hold", "let_go")], ids=["ours", "SQLite's"])
async def test_a_lock_others_keep_for_a_while_is_waited_for(
    history: Path, monkeypatch: pytest.MonkeyPatch, take: str, give: str
) -> None:
    monkeypatch.setattr("tui.store.access.PATIENCE", 30.0)
    monkeypatch.setattr("tui.store.access.SAID_AFTER", 0.02)
    async with talk(history) as t:
        await answered(t, text="one")
        session = await t.chat.open("work")
        t.chat.send(session, "second")
        exchange = (await t.server.request()).respond()
        with Other(history) as other:
            other.do(take)
            exchange.event(delta("two"))
            await t.until(lambda: t.turns[-1].text == "two")
            await t.until(lambda: t.chat.health.message == "History is not saved yet: another process is using it.")
            # The loop runs, what was said is read (if only from memory), and an answer is stopped at once.
            assert t.chat.cancel(session.id)
            await t.until(lambda: t.turns[-1].status is TurnStatus.CANCELLED)
            await t.until(exchange.closed.is_set)
            assert not t.chat.is_running(session.id)
            assert [turn.text for turn in await t.chat.turns(session.id)][-1] == "two"
            other.do(give)
            turn = await t.chat.settled(session.id)
            assert turn is None or turn.status is TurnStatus.CANCELLED
            await t.until(lambda: t.chat.health.message == "")
    assert texts(history) == ["hello", "one", "second", "two"]
    assert [row[0] for row in rows(history, "SELECT status FROM turns ORDER BY depth")] == ["done", "cancelled"]


@pytest.mark.fault("D21")
@pytest.mark.parametrize("take", ["take_lock", "hold"], ids=["ours", "SQLite's"])
async def test_a_lock_others_never_give_back_costs_no_answer(history: Path, take: str) -> None:
    async with opened(history) as store:
        await told(store, a_session(), "hello", "one")
    async with talk(history) as t:
        with Other(history) as other:
            other.do(take)
            session = await t.chat.open("work")
            for number in range(3):
                await t.answered(session, f"prompt {number}", f"answer {number}", "resp_1")
            assert t.chat.health.unsaved
            assert t.chat.health.message == "History is not saved: The history is locked by another process."
            assert [turn.text for turn in await t.chat.turns(session.id)][-3:] == [f"answer {n}" for n in range(3)]
        # The other process was killed, and with it goes what it held.
        await t.store._heal()
        assert t.chat.health.message == ""
    assert len(texts(history)) in (8, 6)
    assert texts(history)[-2:] == ["prompt 2", "answer 2"]
    assert is_whole(history)


@pytest.mark.fault("D21")
@pytest.mark.parametrize("take", ["take_lock", "hold"], ids=["ours", "SQLite's"])
async def test_opening_a_file_others_hold(history: Path, monkeypatch: pytest.MonkeyPatch, take: str) -> None:
    # What an answer waits for, the making of its session among it, has a patience of its own.
    monkeypatch.setattr("tui.store.access.PATIENCE", 3600.0)
    async with opened(history) as store:
        await told(store, a_session(), "hello", "one")
    with Other(history) as other:
        other.do(take)
        async with talk(history) as t:
            await answered(t, "other", "second", "two")
            assert t.chat.health.unsaved
            other.do("free_lock" if take == "take_lock" else "let_go")
            await t.store._heal()
            assert t.chat.health.message == ""
            assert sorted(session.label for session in await t.chat.sessions()) == ["other", "work"]
    assert texts(history) == ["second", "two", "hello", "one"]


async def test_a_wait_that_ends_in_a_refusal_is_over_all_the_same(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 30.0)
    monkeypatch.setattr("tui.store.access.SAID_AFTER", 0.0)
    session = a_session()
    healths = Healths()
    async with opened(history) as first, opened(history, on_health=healths) as second:
        await first.begin(a_turn(session), session)
        with Other(history) as other:
            other.do("take_lock")
            waiting = asyncio.ensure_future(second.begin(a_turn(session), session))
            async with asyncio.timeout(20):
                while not healths.seen:
                    await asyncio.sleep(0.001)
            other.do("free_lock")
            with pytest.raises(SessionBusy):
                await waiting
        assert healths.messages == ["History is not saved yet: another process is using it.", ""]
        assert second.health.message == ""


async def test_ending_does_not_wait_for_a_lock_others_keep(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.store.access.PATIENCE", 3600.0)
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        with Other(history) as other:
            other.do("take_lock")
            waiting = [
                asyncio.ensure_future(store.save(said(begun, text), begun, session)) for text in ("one", "one two")
            ]
            waiting.append(
                asyncio.ensure_future(store.save(said(begun, "all", status=TurnStatus.DONE), begun, session))
            )
            await asyncio.sleep(0)
            store.hasten()
            assert await asyncio.gather(*waiting) == [None, None, None]
            assert [turn.text for turn in await store.turns(session.id)] == ["all"]
    assert not store.health.unsaved
    assert texts(history) == ["hello", "all"]


def unlinked(file: Path, tmp: Path) -> None:
    file.unlink()


def renamed(file: Path, tmp: Path) -> None:
    file.rename(tmp / "renamed.db")


def replaced(file: Path, tmp: Path) -> None:
    """An older copy of itself is put in its place, as from a backup."""
    shutil.copy(tmp / "older.db", tmp / "copy.db")
    (tmp / "copy.db").rename(file)


def emptied(file: Path, tmp: Path) -> None:
    (tmp / "empty").touch()
    (tmp / "empty").rename(file)


def whole_folder(file: Path, tmp: Path) -> None:
    file.parent.rename(tmp / "elsewhere")


@pytest.mark.fault("D28")
@pytest.mark.parametrize("take_away", [unlinked, renamed, replaced, emptied, whole_folder])
async def test_a_file_that_is_taken_away_while_an_answer_streams(
    history: Path, tmp_path: Path, take_away: Callable[[Path, Path], None]
) -> None:
    async with talk(history) as t:
        await answered(t, "work", "first", "one")
        session = await t.chat.open("work")
        t.chat.send(session, "second")
        exchange = (await t.server.request()).respond().event(delta("two "))
        await t.until(lambda: rows(history, "SELECT 1 FROM messages WHERE text = 'two '"))
        # Taken while the answer had only begun.
        with closing(sqlite3.connect(history)) as conn, closing(sqlite3.connect(tmp_path / "older.db")) as copy:
            conn.backup(copy)
        exchange.event(delta("and more "))
        await t.until(lambda: rows(history, "SELECT 1 FROM messages WHERE text = 'two and more '"))
        take_away(history, tmp_path)
        exchange.event(delta("and on"))
        await t.until(lambda: history.exists() and rows(history, "SELECT 1 FROM sqlite_master WHERE name = 'messages'")
                      and rows(history, "SELECT 1 FROM messages WHERE text = 'two and more and on'"))  # fmt: skip
        exchange.event(completed("two and more and on.")).end()
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.status is TurnStatus.DONE
        kept = [one.text for one in await t.chat.turns(session.id)]
        assert kept == (["one", "two and more and on."] if take_away is replaced else ["two and more and on."])
        assert t.chat.health.message == ""
        assert len(t.store.notices) == 1
        assert "moved or replaced" in t.chat.health.notices[0]
    assert found(history, "two") == ["two and more and on."]
    assert is_whole(history)


async def test_the_lock_file_deleted_locks_no_one_out_and_lets_no_one_in(history: Path) -> None:
    first, second = Lock(history), Lock(history)
    history.parent.mkdir(parents=True)
    lock = history.with_name("history.db.lock")
    first.open()
    with first.held():
        lock.unlink()
        second.open()
        with second.held(0.0):
            pass
    with first.held(), _refused(second):
        pass
    with second.held(), _refused(first):
        pass
    lock.unlink()
    with first.held(), _refused(second):
        pass
    for one in (first, second):
        one.close()


@contextmanager
def _refused(lock: Lock) -> Iterator[None]:
    with pytest.raises(Locked), lock.held(0.0):
        pass
    yield


# Several processes


@pytest.mark.fault("D22")
async def test_two_processes_write_different_sessions(history: Path) -> None:
    with Other(history) as first, Other(history) as second:
        for other in (first, second):
            other.do("open")
        first.tell("many", "first", 30)
        second.tell("many", "second", 30)
        assert [first.hear(), second.hear()] == [30, 30]
        assert [other.do("health") for other in (first, second)] == ["", ""]
    assert rows(history, "SELECT s.label, count(*), max(depth) FROM turns t JOIN sessions s ON s.id = t.session_id "
                "WHERE t.status = 'done' GROUP BY s.label") == [("first", 30, 29), ("second", 30, 29)]  # fmt: skip
    assert is_whole(history)


@pytest.mark.fault("D23")
async def test_two_processes_write_the_same_session(history: Path) -> None:
    with Other(history) as first, Other(history) as second:
        first.do("open")
        first.do("create", "work")
        second.do("open")
        saved = 0
        for number in range(20):
            for other in (first, second):
                other.tell("begin", "work", f"prompt {number} of {other.pid}")
            results = {other: other.hear() for other in (first, second)}
            winners = [other for other, result in results.items() if isinstance(result, int)]
            for other, result in results.items():
                if other not in winners:
                    assert result[0] == "SessionBusy"
            assert len(winners) == 1
            assert winners[0].do("say", "work", "answer", "done") is True
            saved += 1
    assert [depth for (depth,) in rows(history, "SELECT depth FROM turns ORDER BY depth")] == list(range(saved))
    assert is_whole(history)


@pytest.mark.fault("L07")
async def test_a_label_that_several_processes_use_first_at_once_is_one_session(history: Path) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(Other(history)) for _ in range(4)]
        for other in others:
            other.do("open")
        for number in range(10):
            for other in others:
                other.tell("join", f"work-{number}")
            assert len({other.hear() for other in others}) == 1
        assert len(others[0].do("labels")) == 10


@pytest.mark.fault("D24")
async def test_many_processes_start_at_once_on_a_fresh_disk(history: Path) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(Other(history)) for _ in range(16)]
        for number, other in enumerate(others):
            other.tell("open")
            other.tell("many", f"work-{number}", 2)
        for other in others:
            assert other.hear() == [0, ""]
            assert other.hear() == 2
            assert other.do("health") == ""
    assert rows(history, "SELECT count(*) FROM turns WHERE status = 'done'") == [(32,)]
    assert is_whole(history)


# Stopped in the middle


@pytest.mark.fault("C07")
async def test_a_stop_during_a_write_lets_it_finish(history: Path, disk: Disk) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        exchange = (await t.server.request()).respond()
        within, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait(statement: str) -> None:
            """A write within which the user presses Esc."""
            if statement.startswith("INSERT OR REPLACE INTO items"):
                disk.on_statement = lambda _statement: None
                loop.call_soon_threadsafe(within.set)
                asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)

        disk.on_statement = wait
        exchange.event(delta("half"))
        await asyncio.wait_for(within.wait(), 20)
        assert t.chat.cancel(session.id)
        await t.until(exchange.closed.is_set)
        await t.until(lambda: t.turns[-1].status is TurnStatus.CANCELLED)
        go_on.set()
        turn = await t.chat.settled(session.id)
        assert turn is None or (turn.status, turn.text) == (TurnStatus.CANCELLED, "half")
        assert t.chat.health.message == ""
    assert texts(history) == ["hello", "half"]
    assert rows(history, "SELECT status FROM turns") == [("cancelled",)]
    assert is_whole(history)


@pytest.mark.fault("C24")
async def test_a_session_deleted_while_it_streams(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "hello")
        exchange = (await t.server.request()).respond().event(delta("half"))
        await t.until(lambda: t.turns[-1].text == "half")
        await t.chat.delete(session.id)
        assert exchange.closed.is_set()
        assert rows(history, "SELECT status FROM turns") == [("cancelled",)]
        assert await t.chat.sessions() == []
        assert rows(history, "SELECT * FROM messages") == []


class Interrupts:
    """Ctrl+C at a statement: from the nth one on, SQLite is told to stop."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        conn = sqlite3.Connection(*args, **options)
        conn.set_trace_callback(lambda _statement: self.step(conn))
        return conn

    def step(self, conn: sqlite3.Connection) -> None:
        self.passed += 1
        if self.passed > self.at:
            conn.interrupt()


@pytest.mark.fault("C26")
async def test_a_start_that_is_interrupted_leaves_old_or_new(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(file: Path, at: int) -> int:
        """Open a fresh file, interrupted there. Gives how many statements it came to."""
        interrupts = Interrupts(at)
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", interrupts.connect)
            async with opened(file):
                pass
        return interrupts.passed

    whole = await start(history, 10**9)
    made = {name for (name,) in rows(history, "SELECT name FROM sqlite_master")}
    outcomes = set()
    for at in range(0, whole, 3):
        file = history.with_name(f"history-{at}.db")
        await start(file, at)
        tables = {name for (name,) in rows(file, "SELECT name FROM sqlite_master")}
        assert tables in (made, set())
        outcomes.add(bool(tables))
        async with opened(file) as store:
            assert store.health.message == ""
            await told(store, a_session())
        assert is_whole(file)
    assert outcomes == {False, True}


async def test_a_store_that_cannot_be_read_says_so_and_heals(history: Path) -> None:
    session = a_session()
    healths = Healths()
    async with opened(history, on_health=healths) as store:
        await told(store, session, "hello", "hi")
        change(history, "ALTER TABLE items RENAME TO gone")
        assert await store.turns(session.id) == []
        assert store.health.message.startswith("History cannot be read: ")
        change(history, "ALTER TABLE gone RENAME TO items")
        assert [turn.text for turn in await store.turns(session.id)] == ["hi"]
        assert store.health.message == ""
        assert len(healths.seen) == 2
        begun = await store.begin(a_turn(session, "more"), session)
        assert await store.save(said(begun, "of it", status=TurnStatus.DONE), begun, session)
