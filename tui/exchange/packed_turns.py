"""The turns of a thread on its way, packed: a million of them take the memory of a few."""

from __future__ import annotations

import marshal
import os
import weakref
from array import array
from collections.abc import Sequence
from typing import Any, overload

from tui.errors import FileRefused
from tui.model import Item, ItemKind, ItemState, Turn, TurnStatus, new_id

AT_ONCE = 1024 * 1024
"""How many packed bytes are kept in memory; the rest is put aside, in a file without a name."""


class PackedTurns(Sequence[Turn]):
    """Turns that are added one by one, and made anew each time they are looked at.

    Of a turn there is kept what other programs have: not what it is to a server of ours. Where there are many, they are
    used from one thread of execution at a time. What was put aside is gone with the last reference.
    """

    def __init__(self) -> None:
        self._ends = array("Q")
        self._packed = bytearray()
        self._aside = 0
        self._fd = -1

    def add(self, turn: Turn) -> None:
        """Append a turn, with the next depth and a new identifier. Its items are named by their numbers.

        Raises:
            FileRefused: There is no room for it.
        """
        items = [(item.kind.value, item.text, item.name, item.call_id, item.state.value) for item in turn.items]
        fields = (new_id(), turn.prompt, turn.status.value, turn.created_at, turn.ended_at, turn.model, items)
        self._packed += marshal.dumps(fields, 2)
        self._ends.append(self._aside + len(self._packed))
        if len(self._packed) > AT_ONCE:
            self._put_aside()

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> Turn: ...

    @overload
    def __getitem__(self, place: slice) -> list[Turn]: ...

    def __getitem__(self, place: int | slice) -> Turn | list[Turn]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        depth = range(len(self))[place]
        begin, end = self._ends[depth - 1] if depth else 0, self._ends[depth]
        if begin >= self._aside:
            return _turn(depth, self._packed[begin - self._aside : end - self._aside])
        try:
            return _turn(depth, _read(self._fd, begin, end))
        except OSError as error:
            raise _refusal(error) from None

    def _put_aside(self) -> None:
        try:
            if self._fd < 0:
                self._fd = _nameless()
                weakref.finalize(self, os.close, self._fd)
            data = memoryview(self._packed)
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise _refusal(error) from None
        self._aside += len(self._packed)
        self._packed = bytearray()


def _turn(depth: int, packed: bytes | bytearray) -> Turn:
    values: Any = marshal.loads(packed)
    turn_id, prompt, status, created_at, ended_at, model, items = values
    return Turn(
        turn_id,
        "",
        depth,
        prompt,
        TurnStatus(status),
        tuple(
            Item(str(number), ItemKind(kind), text, name, call, ItemState(state))
            for number, (kind, text, name, call, state) in enumerate(items, 1)
        ),
        created_at=created_at,
        ended_at=ended_at,
        model=model,
    )


def _nameless() -> int:
    """A file that is gone when it is closed, whatever ends this process."""
    import tempfile

    fd, name = tempfile.mkstemp(prefix="palaver-")
    os.unlink(name)
    return fd


def _read(fd: int, begin: int, end: int) -> bytes:
    data = os.pread(fd, end - begin, begin)
    while len(data) < end - begin:
        # One call of the system gives no more than two GiB, and may give less.
        more = os.pread(fd, end - begin - len(data), begin + len(data))
        if not more:
            raise OSError(0, "it ends too early")
        data += more
    return data


def _refusal(error: OSError) -> FileRefused:
    return FileRefused(
        f"What is read cannot be put aside: {error.strerror}.", hint="make room in the folder for temporary files"
    )
