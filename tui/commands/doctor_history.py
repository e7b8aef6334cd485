"""The history's file and place, and what is in it as `palaver history check` sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tui import paths
from tui.commands.doctor_lines import Line, Mark
from tui.sizes import size_words
from tui.store import place, upkeep
from tui.text import counted, shell_word

FULL = 1 << 20
"""Bytes of room with which a history may not be saved any more."""

LOW = 100 << 20
"""Bytes of room that are soon used up."""

SHOWN = 6
"""How many things that are wrong are told; `palaver history check` tells all."""


def history() -> Iterator[Line]:
    """Where it is, whether it can be written to, and whether it is whole."""
    file = paths.find().history_file
    try:
        paths.check_may_make(file.parent)
    except paths.NotHere as error:
        yield Line(Mark.WRONG, "history", f"{error.strerror}: nothing is saved", error.hint)
        return
    is_there = os.path.lexists(file)
    folder = next(one for one in (file.parent, *file.parent.parents) if one.is_dir())
    disk = os.statvfs(folder)
    room = disk.f_bavail * disk.f_frsize
    kind = place.file_system(file)
    size = size_words(file.stat().st_size) if is_there else "not made yet"
    yield Line(Mark.OK, "history", f"{file}: {size}, {size_words(room)} free{f', {kind}' if kind else ''}")
    yield from obstacles(file if is_there else folder, folder, room, is_read_only=bool(disk.f_flag & os.ST_RDONLY))
    if not is_there:
        yield from (Line(Mark.NOTE, "history", remark) for remark in place.remarks(file))
        return
    found = upkeep.check(file)
    counts = f"{counted(found.sessions, 'session')}, {counted(found.turns, 'turn')}"
    if not found.wrong:
        yield Line(Mark.OK, "history", f"nothing is wrong in it: {counts}")
    for number, wrong in enumerate(found.wrong[:SHOWN], 1):
        is_last = number == min(len(found.wrong), SHOWN)
        yield Line(Mark.WRONG, "history", wrong, "see `palaver history repair`" if is_last else "")
    if len(found.wrong) > SHOWN:
        yield Line(Mark.WRONG, "history", f"and {len(found.wrong) - SHOWN} more", "see `palaver history check`")
    yield from (Line(Mark.NOTE, "history", remark) for remark in found.remarks)


def obstacles(path: Path, folder: Path, room: int, *, is_read_only: bool) -> Iterator[Line]:
    """What keeps `path`, in `folder`, from being written, with `room` bytes left on a disk that may be mounted read-only."""
    if is_read_only:
        yield Line(
            Mark.WRONG,
            "history",
            "its file system is mounted read-only: nothing is saved",
            "have it elsewhere: PALAVER_DATA_DIR",
        )
    for one in dict.fromkeys((path, folder)):
        if not is_read_only and not os.access(one, os.W_OK):
            fix = f"if it is yours: chmod u+rwX {shell_word(str(one))}"
            yield Line(Mark.WRONG, "history", f"{one} cannot be written to: nothing is saved", fix)
    if room < FULL:
        yield Line(Mark.WRONG, "history", "the disk is full: nothing is saved", "make room")
    elif room < LOW:
        yield Line(Mark.NOTE, "history", "the disk is nearly full", "make room")
