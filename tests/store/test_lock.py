"""The lock all windows share: who has it, who is turned away, what happens where its file cannot be had."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tui.store.lock import Lock, Locked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@contextmanager
def locks(file: Path, count: int = 2) -> Iterator[list[Lock]]:
    """Locks on one file, as so many windows have them."""
    made = [Lock(file) for _ in range(count)]
    try:
        yield made
    finally:
        for lock in made:
            lock.close()


def is_free(lock: Lock) -> bool:
    try:
        with lock.held(0.0):
            return True
    except Locked:
        return False


def test_it_is_a_private_file_beside_the_history(file: Path) -> None:
    with locks(file, 1) as [lock]:
        lock.open()
        lock.open()
        (beside,) = file.parent.iterdir()
        assert beside.name == "history.db.lock"
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_one_has_it_at_a_time(file: Path) -> None:
    with locks(file) as [one, other]:
        with one.held():
            assert not is_free(other)
            assert is_free(one), "who has it may take it again"
            assert not is_free(other), "and still has it after that"
        assert is_free(other)
        with other.held(0.0):
            assert not is_free(one)


def test_it_is_given_back_where_the_work_fails(file: Path) -> None:
    with locks(file) as [one, other]:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), one.held():
                raise ZeroDivisionError
        assert is_free(other)


@pytest.mark.parametrize("patience", [0.0, 0.05])
def test_who_is_turned_away_has_waited_as_long_as_it_wanted(file: Path, patience: float) -> None:
    with locks(file) as [one, other], one.held():
        before = time.monotonic()
        with pytest.raises(Locked), other.held(patience):
            pass
        assert time.monotonic() - before >= patience


def test_closing_gives_it_up_and_it_can_be_had_again(file: Path) -> None:
    with locks(file) as [one, other]:
        with one.held():
            one.close()
            one.close()
            assert is_free(other)
        assert is_free(one)


def test_a_file_that_was_deleted_locks_no_one_out(file: Path) -> None:
    with locks(file) as [one, other]:
        with one.held():
            pass
        file.with_name("history.db.lock").unlink()
        with other.held():
            assert not is_free(one), "it has to look at the file that is there now"
        assert is_free(one)


def test_where_no_file_can_be_made_nothing_is_refused(tmp_path: Path) -> None:
    with locks(tmp_path / "gone" / "history.db") as [one, other]:
        with one.held(), one.held():
            assert is_free(other)
        with pytest.raises(FileNotFoundError):
            one.open()
    assert list(tmp_path.iterdir()) == []
