"""The ways to standard output and standard error, whatever became of those."""

from __future__ import annotations

import os
import sys

from tui.errors import OutputRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def out_descriptor() -> int:
    """The descriptor of standard output.

    Raises:
        OutputRefused: It is closed.
    """
    if sys.stdout is None:
        raise OutputRefused("Standard output is closed.")
    return sys.stdout.fileno()


def write_out(data: bytes) -> None:
    """Write to standard output, past Python's own encoding of it.

    Raises:
        OutputRefused: It is closed, or takes no more.
        BrokenPipeError: No one reads it any more.
    """
    if sys.stdout is None:
        raise OutputRefused("Standard output is closed.")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        _give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise refused(error) from None


def refused(error: OSError) -> OutputRefused:
    """What is told of an error of standard output."""
    return OutputRefused(f"Standard output cannot be written to: {error.strerror}.")


def tell(text: str) -> None:
    """A line of ours on standard error. Never raises: there may be no one to tell it to."""
    from tui.text import one_line

    print_error(f"palaver: {one_line(text, 2000)}")


def print_error(text: str, end: str = "\n") -> None:
    """A line on standard error, cleaned of what a terminal would obey, whatever the stream's encoding. Never raises: there
    may be no one to say it to."""
    from tui.text import clean

    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "utf-8"
    try:
        sys.stderr.write(clean(text).encode(encoding, "replace").decode(encoding) + end)
        sys.stderr.flush()
    except ValueError:
        return
    except OSError:
        _give_up(sys.stderr)


def _give_up(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere. Python writes it once more while it ends, and would fail: the exit status
    would not be ours then."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
