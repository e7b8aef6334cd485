"""A history's files as they are found: made private, refused in words, moved out of the way whole."""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tui.errors import StoreError
from tui.store.files import (
    SMALLEST,
    Damaged,
    identity,
    prepare,
    refuse_others,
    set_aside,
    set_stale_log_aside,
    stale_log_notice,
    stamp,
)

ANOTHER_USER = 12345
AWAY = "move it away"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    return folder / "history.db"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(file: Path) -> tuple[type[StoreError], str, str]:
    """What is said instead of preparing the file."""
    with pytest.raises(StoreError) as caught:
        prepare(file)
    return type(caught.value), caught.value.message, caught.value.hint


# Preparing


def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "history.db"
    before = os.umask(0)
    try:
        prepare(file)
        prepare(file)
    finally:
        os.umask(before)
    assert (mode(file), mode(file.parent), file.read_bytes()) == (0o600, 0o700, b"")


@pytest.mark.parametrize("found", [0o644, 0o606, 0o640, 0o600])
def test_what_others_could_read_becomes_private(file: Path, found: int) -> None:
    file.touch()
    file.chmod(found)
    prepare(file)
    assert mode(file) == 0o600


@pytest.mark.parametrize("size", [1, SMALLEST - 1])
def test_a_file_too_small_to_be_one_is_damaged(file: Path, size: int) -> None:
    file.write_bytes(b"x" * size)
    assert refusal(file) == (Damaged, f"{file} is damaged.", "")
    assert file.read_bytes() == b"x" * size


@pytest.mark.parametrize("size", [0, SMALLEST])
def test_whether_the_rest_is_one_is_for_sqlite_to_say(file: Path, size: int) -> None:
    file.write_bytes(b"x" * size)
    prepare(file)
    assert file.read_bytes() == b"x" * size


def test_what_cannot_be_a_history_is_told_apart(file: Path) -> None:
    file.mkdir()
    assert refusal(file) == (StoreError, f"{file} is a folder.", AWAY)
    file.rmdir()
    os.mkfifo(file)
    assert refusal(file) == (StoreError, f"{file} is not a file.", AWAY)
    file.unlink()
    file.symlink_to(file.with_name("gone"))
    assert refusal(file) == (StoreError, f"{file} is a link to a file that does not exist.", "")
    file.unlink()
    file.touch()
    assert refusal(file / "history.db") == (StoreError, f"{file} is not a folder.", AWAY)
    inside = file / "folder" / "history.db"
    assert refusal(inside) == (StoreError, f"{inside.parent}: Not a directory.", "")
    long = file.with_name("x" * 300)
    assert refusal(long) == (StoreError, f"{long}: File name too long.", "")


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the path is another user's, as far as root is asking."""
    if os.geteuid() == 0:
        os.chown(path, ANOTHER_USER, ANOTHER_USER, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_root_makes_nothing_in_another_users_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_away(file.parent, monkeypatch)
    for place in (file, file.parent / "deeper" / "history.db"):
        expected = (StoreError, f"{file.parent} belongs to another user.", "run Palaver as that user")
        assert refusal(place) == expected
        assert not place.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_link_to_another_users_file_is_left_alone(file: Path) -> None:
    theirs = file.with_name("theirs")
    theirs.touch()
    file.symlink_to(theirs)
    refuse_others(file)
    os.chown(theirs, ANOTHER_USER, ANOTHER_USER)
    assert refusal(file) == (StoreError, f"{file} is a link to another user's file.", AWAY)
    os.chown(theirs, 0, 0)
    os.chown(file, ANOTHER_USER, ANOTHER_USER, follow_symlinks=False)
    assert refusal(file) == (StoreError, f"{file} is a link to another user's file.", AWAY)


# A log of another file


HEAD = b"SQLite format 3\x00\x10\x00"
NO_LOG = HEAD + b"\x01\x01"


@pytest.mark.parametrize(
    ("head", "log", "is_moved"),
    [
        (NO_LOG, b"log", True),
        (NO_LOG + b"more", b"l", True),
        (NO_LOG, b"", False),
        (HEAD + b"\x02\x02", b"log", False),
        (HEAD + b"\x01\x02", b"log", False),
        (HEAD + b"\x02\x01", b"log", False),
        (NO_LOG[:19], b"log", False),
        (b"", b"log", False),
        (None, b"log", False),
        (NO_LOG, None, False),
    ],
)
def test_a_log_is_moved_only_where_the_file_says_that_it_has_none(
    file: Path, head: bytes | None, log: bytes | None, is_moved: bool
) -> None:
    beside = file.with_name("history.db-wal")
    for path, content in ((file, head), (beside, log)):
        if content is not None:
            path.write_bytes(content)
    aside = set_stale_log_aside(file)
    assert (aside is not None) is is_moved
    assert beside.exists() is (log is not None and not is_moved)
    if aside is not None:
        assert re.fullmatch(r"history\.db-wal\.stale-\d{8}T\d{12}", aside.name)
        assert (aside.parent, aside.read_bytes()) == (file.parent, log)
        assert stale_log_notice(aside) == (
            f"A log of another file lay beside the history, where it would have changed it. It is kept as {aside}."
        )


def test_a_log_that_cannot_be_moved_is_told(file: Path) -> None:
    file = file.with_name("x" * 250)
    file.write_bytes(NO_LOG)
    log = file.with_name(f"{file.name}-wal")
    log.write_bytes(b"log")
    with pytest.raises(StoreError) as caught:
        set_stale_log_aside(file)
    assert caught.value.message == f"{log} belongs to another file and cannot be moved aside: File name too long."
    assert log.read_bytes() == b"log"


# Damaged files


@pytest.mark.parametrize("suffixes", [("",), ("", "-journal"), ("", "-wal", "-shm"), ("-journal",)])
def test_a_damaged_file_is_moved_with_all_that_belongs_to_it(file: Path, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        file.with_name(file.name + suffix).write_text(suffix)
    stranger = file.with_name("history.db-other")
    stranger.touch()
    aside = set_aside(file)
    assert re.fullmatch(r"history\.db\.damaged-\d{8}T\d{12}", aside.name)
    found = {path.name: path.read_text() for path in file.parent.iterdir()}
    assert found == {stranger.name: ""} | {aside.name + suffix: suffix for suffix in suffixes}


def test_one_that_cannot_be_moved_is_told(file: Path) -> None:
    file = file.with_name("x" * 250)
    file.write_bytes(b"x")
    with pytest.raises(StoreError) as caught:
        set_aside(file)
    assert caught.value.message == f"{file} is damaged and cannot be moved aside: File name too long."
    assert file.exists()


# Telling them apart


def test_a_file_is_the_same_by_its_name_and_by_its_descriptor(file: Path) -> None:
    assert identity(file) is None
    file.touch()
    other = file.with_name("other")
    other.touch()
    fd = os.open(file, os.O_RDONLY)
    try:
        assert identity(file) == identity(fd) == (os.fstat(fd).st_dev, os.fstat(fd).st_ino)
    finally:
        os.close(fd)
    assert identity(file) != identity(other)
    assert identity(-1) is None


def test_a_stamp_is_the_present_moment() -> None:
    read = datetime.strptime(stamp(), "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    assert timedelta() <= datetime.now(UTC) - read < timedelta(minutes=1)
