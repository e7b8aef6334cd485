"""The files of a history: made private, told from others, moved out of the way."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tui.errors import StoreError
from tui.paths import NotHere, check_may_make, make_private_dir

SMALLEST = 512
"""The smallest database, in bytes: one page."""

_NO_LOG = b"\x01\x01"
"""The two bytes of a database's head that say that it is written without a write-ahead log."""


class Damaged(StoreError):
    """The file is not a database, or a broken one."""


def prepare(file: Path) -> None:
    """Make the file and its folder, private from the start.

    Raises:
        Damaged: What is there is too small to be a database.
        StoreError: They cannot be had.
    """
    refuse_others(file)
    try:
        make_private_dir(file.parent)
    except FileExistsError:
        raise StoreError(f"{file.parent} is not a folder.", hint="move it away") from None
    except OSError as error:
        raise StoreError(f"{error.filename or file.parent}: {error.strerror}.") from None
    try:
        info = file.stat()
    except FileNotFoundError:
        if file.is_symlink():
            raise StoreError(f"{file} is a link to a file that does not exist.") from None
        try:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise StoreError(f"{file} cannot be made: {error.strerror}.") from None
        return
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}.") from None
    if stat.S_ISDIR(info.st_mode):
        raise StoreError(f"{file} is a folder.", hint="move it away")
    if not stat.S_ISREG(info.st_mode):
        raise StoreError(f"{file} is not a file.", hint="move it away")
    if 0 < info.st_size < SMALLEST:
        # SQLite would take it for an empty database, and write over it.
        raise Damaged(f"{file} is damaged.")
    if info.st_mode & 0o077 and info.st_uid == os.getuid():
        with suppress(OSError):
            file.chmod(0o600)


def refuse_others(file: Path) -> None:
    """Leave alone what is another user's.

    Raises:
        StoreError: It is another user's, or there is no home folder to have it in.
    """
    try:
        check_may_make(file.absolute().parent)
    except NotHere as error:
        raise StoreError(f"{error.strerror}.", hint=error.hint) from None
    try:
        is_theirs = file.is_symlink() and {file.lstat().st_uid, file.stat().st_uid} != {os.geteuid()}
    except OSError:
        return
    if is_theirs:
        raise StoreError(f"{file} is a link to another user's file.", hint="move it away")


def set_stale_log_aside(file: Path) -> Path | None:
    """Move a write-ahead log out of the way that cannot be this file's. Gives its new name.

    SQLite would take its pages for newer ones and put them over the file's, without a word: this is how a restored copy
    turns into the history it was to replace. A file whose head does not speak of a log never had one. SQLite looks for it
    beside what a link leads to.

    Raises:
        StoreError: It cannot be moved.
    """
    file = Path(os.path.realpath(file))
    log = file.with_name(f"{file.name}-wal")
    if not log.exists():
        return None
    try:
        # The file may be read here: no connection of this process has it open yet, whose locks that could cost.
        with file.open("rb") as stream:
            head = stream.read(20)
        if len(head) < 20 or head[18:20] != _NO_LOG or not log.stat().st_size:
            return None
        aside = file.with_name(f"{log.name}.stale-{stamp()}")
        log.rename(aside)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{log} belongs to another file and cannot be moved aside: {error.strerror}.") from None
    return aside


def set_aside(file: Path) -> Path:
    """Move a damaged file, with everything that belongs to it, out of the way. Gives its new name. A link to it stays, and
    leads to an empty file then.

    Raises:
        StoreError: It cannot be moved.
    """
    is_link, file = file.is_symlink(), Path(os.path.realpath(file))
    aside = file.with_name(f"{file.name}.damaged-{stamp()}")
    try:
        for suffix in ("-journal", "-wal", "-shm", ""):
            part = file.with_name(file.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        if is_link:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"{file} is damaged and cannot be moved aside: {error.strerror}.") from None
    return aside


def stale_log_notice(aside: Path) -> str:
    """What to say of a log that was moved out of the way."""
    return f"A log of another file lay beside the history, where it would have changed it. It is kept as {aside}."


def stamp() -> str:
    """The present moment, for a file's name."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")


def identity(file: Path | int) -> tuple[int, int] | None:
    """What tells a file, given by its path or its descriptor, from others of its name; None where there is none."""
    try:
        info = os.stat(file)
    except OSError:
        return None
    return info.st_dev, info.st_ino
