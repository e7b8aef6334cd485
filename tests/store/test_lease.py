"""Signs of life: a process that runs is never taken for dead, and one that died holds nothing up."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.store.histories import found, is_whole, opened, rows
from tests.store.other import Other
from tui.model import TurnStatus
from tui.store.lease import Lease


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "live"


def test_a_holder_is_alive_until_it_gives_up(folder: Path) -> None:
    mine, other = Lease(folder), Lease(folder)
    assert mine.holder != other.holder
    assert mine.holder.startswith(f"{os.getpid()}:")
    assert mine.is_alive(mine.holder)
    assert mine.is_alive(other.holder)
    assert other.is_alive(mine.holder)
    other.release()
    assert not mine.is_alive(other.holder)
    assert mine.is_alive(mine.holder)
    other.release()
    mine.release()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["", "1", ":", "1:2", "../../etc/passwd:1", "x" * 300, "1:\x7f"])
def test_a_name_no_one_has_is_dead(folder: Path, name: str) -> None:
    lease = Lease(folder)
    assert not lease.is_alive(name)
    lease.release()


def test_without_a_folder_no_one_is_known_and_nothing_fails(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    lease = Lease(blocked / "live")
    assert lease.is_alive(lease.holder)
    assert not lease.is_alive("1:2")
    lease.release()


def test_two_who_ask_at_once_agree_that_a_dead_one_is_dead(folder: Path) -> None:
    asking = [Lease(folder) for _ in range(4)]
    for _ in range(200):
        dead = Lease(folder)
        # As the system leaves a killed process: the lock is gone, the file is there.
        os.close(dead._fd)
        go = threading.Barrier(len(asking))
        answers: list[bool] = []

        def ask(lease: Lease, go: threading.Barrier = go, holder: str = dead.holder, to: list[bool] = answers) -> None:
            go.wait()
            to.append(lease.is_alive(holder))

        threads = [threading.Thread(target=ask, args=(lease,)) for lease in asking]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [False] * len(asking)
    for lease in asking:
        lease.release()


def test_one_that_is_just_being_made_is_never_taken_for_dead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever others see of it between its first and its last step, they neither find it dead nor take its file away."""
    watcher = Lease(folder)
    steps: list[str] = []

    def look() -> None:
        for file in list(folder.iterdir()):
            holder = file.name.replace("-", ":", 1)
            assert watcher.is_alive(holder), f"{file.name} was taken for dead"
        steps.append("looked")

    rename, real_open = Path.rename, os.open

    def watched_rename(self: Path, target: Path) -> Path:
        look()
        made = rename(self, target)
        look()
        return made

    def watched_open(path: str | Path, flags: int, *args: int) -> int:
        fd = real_open(path, flags, *args)
        if flags & os.O_CREAT:
            look()
        return fd

    monkeypatch.setattr(Path, "rename", watched_rename)
    monkeypatch.setattr(os, "open", watched_open)
    lease = Lease(folder)
    monkeypatch.undo()
    assert len(steps) == 3
    assert watcher.is_alive(lease.holder)
    lease.release()
    watcher.release()


def test_signs_of_the_dead_are_swept_away(folder: Path) -> None:
    dead, mine, alive = Lease(folder), Lease(folder), Lease(folder)
    os.close(dead._fd)
    mine.release()
    assert [file.name for file in folder.iterdir()] == [alive.holder.replace(":", "-")]
    alive.release()


# Processes


async def test_two_processes_never_answer_in_one_session(history: Path) -> None:
    with Other(history) as other, Other(history) as third:
        for one in (other, third):
            one.do("open")
        assert other.do("begin", "work", "first") == 0
        name, message = third.do("begin", "work", "second")
        assert name == "SessionBusy"
        assert message == f"This session is answering in another window (process {other.pid})."
        other.do("say", "work", "still here")
        assert third.do("begin", "work", "second")[0] == "SessionBusy"
        assert third.do("begin", "elsewhere", "third") == 0
        assert other.do("say", "work", "done", "done") is True
        assert third.do("begin", "work", "second") == 1
    assert rows(history, "SELECT depth, status FROM turns WHERE session_id = (SELECT id FROM sessions WHERE label = 'work') "
                "ORDER BY depth") == [(0, "done"), (1, "pending")]  # fmt: skip


@pytest.mark.fault("C19")
async def test_an_answer_cut_short_by_a_crash_is_marked_and_kept(history: Path) -> None:
    with Other(history) as other:
        other.do("open")
        other.do("begin", "work", "apples?")
        other.do("say", "work", "pears")
        other.do("say", "work", "pears and plums")
        other.do("begin", "silent", "nothing came")
        assert found(history, "plums") == []
        async with opened(history) as store:
            assert store.recovered == 0
            assert rows(history, "SELECT status FROM turns ORDER BY status") == [("pending",), ("streaming",)]
        os.kill(other.pid, signal.SIGKILL)
        other.process.wait()
    async with opened(history) as store:
        assert store.recovered == 2
        session = await store.find("work")
        assert session is not None
        assert session.last_status is TurnStatus.INTERRUPTED
        (turn,) = await store.turns(session.id)
        assert (turn.text, turn.status) == ("pears and plums", TurnStatus.INTERRUPTED)
        assert turn.error is not None
        assert turn.error.kind == "crash"
        assert found(history, "plums") == ["pears and plums"]
        assert found(history, "nothing") == ["nothing came"]
        assert rows(history, "SELECT count(*) FROM chunks") == [(0,)]
    async with opened(history) as store:
        assert store.recovered == 0
    assert is_whole(history)
    assert list(history.with_name("history.db.live").iterdir()) == []


async def test_a_window_that_stays_open_takes_over_from_one_that_died(history: Path) -> None:
    with Other(history) as survivor:
        survivor.do("open")
        with Other(history) as other:
            other.do("open")
            other.do("begin", "work", "first")
            other.do("say", "work", "half an ans")
            assert survivor.do("begin", "work", "second")[0] == "SessionBusy"
        assert survivor.do("begin", "work", "second") == 1
        assert survivor.do("texts", "work") == ["half an ans", ""]
    assert [row[0] for row in rows(history, "SELECT status FROM turns ORDER BY depth")] == ["interrupted", "pending"]


async def test_a_stopped_process_is_not_dead(history: Path) -> None:
    with Other(history) as other:
        other.do("open")
        other.do("begin", "work", "first")
        os.kill(other.pid, signal.SIGSTOP)
        try:
            async with opened(history) as store:
                assert store.recovered == 0
        finally:
            os.kill(other.pid, signal.SIGCONT)
        assert other.do("say", "work", "back", "done") is True
    assert rows(history, "SELECT status FROM turns") == [("done",)]


async def test_one_wrongly_taken_for_dead_has_the_last_word(history: Path) -> None:
    """A cleaner may sweep the signs of life away; what the living one says afterwards is kept whole."""
    with Other(history) as other:
        other.do("open")
        other.do("begin", "work", "first")
        other.do("say", "work", "one")
        for file in history.with_name("history.db.live").iterdir():
            file.unlink()
        async with opened(history) as store:
            assert store.recovered == 1
        assert other.do("say", "work", "one two") is True
        assert rows(history, "SELECT status FROM turns") == [("streaming",)]
        assert found(history, "one") == []
        assert other.do("say", "work", "one two three", "done") is True
        assert other.do("texts", "work") == ["one two three"]
    assert found(history, "one") == ["one two three"]
    assert is_whole(history)
