"""Editing a text in the user's own editor, which has the terminal meanwhile."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from tui.errors import UsageError
from tui.text import one_line

LARGEST = 8 * 1024 * 1024
"""Bytes of a text beyond which it is not taken back."""

PATIENCE = 2.0
"""Seconds an editor has to end when Palaver does."""

KEPT = "the prompt is as it was"


class Editor:
    """The user's editor. `lend` gives it the terminal, `withheld` are the environment variables it is not told."""

    def __init__(self, lend: Callable[[], AbstractContextManager[None]], withheld: Collection[str]) -> None:
        self._lend = lend
        self._withheld = withheld
        self._process: asyncio.subprocess.Process | None = None

    async def edit(self, text: str) -> str:
        """What the user makes of `text`.

        Raises:
            UsageError: There is no editor, it did not end well, or what it wrote cannot be read.
        """
        command = editor_command()
        try:
            folder = Path(tempfile.mkdtemp(prefix="palaver-"))
        except OSError as error:
            raise UsageError(f"There is no place for the prompt's file: {error.strerror}.", hint=KEPT) from None
        try:
            file = folder / "prompt.md"
            try:
                _write(file, text)
            except OSError as error:
                raise UsageError(f"The prompt's file cannot be written: {error.strerror}.", hint=KEPT) from None
            await self._run(command, file)
            made = _read(file)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        # Editors end the last line.
        return made if text.endswith("\n") else made.removesuffix("\n")

    async def close(self) -> None:
        """End the editor, if it is running: there is no one to go on for."""
        process = self._process
        if process is None:
            return
        for kill in (process.terminate, process.kill):
            with suppress(ProcessLookupError, TimeoutError):
                kill()
                async with asyncio.timeout(PATIENCE):
                    await process.wait()
                    return

    async def _run(self, command: list[str], file: Path) -> None:
        name = one_line(command[0], 100)
        environment = {name: value for name, value in os.environ.items() if name not in self._withheld}
        with self._lend():
            try:
                self._process = await asyncio.create_subprocess_exec(*command, str(file), env=environment)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise UsageError(f"The editor {name} could not be run: {reason}.", hint=KEPT) from None
            try:
                status = await self._process.wait()
            finally:
                self._process = None
        if status < 0:
            with suppress(ValueError):
                raise UsageError(f"The editor was ended by {signal.Signals(-status).name}.", hint=KEPT)
        if status:
            raise UsageError(f"The editor {name} ended with status {status}.", hint=KEPT)


def editor_command() -> list[str]:
    """What the environment says to edit with, taken apart as a shell does, but run by none.

    Raises:
        UsageError: It says nothing, or what is not there.
    """
    variable = next((name for name in ("VISUAL", "EDITOR") if os.environ.get(name, "").strip()), "")
    if not variable:
        raise UsageError("There is no editor.", hint="set VISUAL or EDITOR to one")
    try:
        command = shlex.split(os.environ[variable])
    except ValueError:
        raise UsageError(f"{variable} has a quote that is not closed.", hint=KEPT) from None
    if not command or shutil.which(command[0]) is None:
        raise UsageError(f"The editor that {variable} names was not found.", hint=KEPT)
    return command


def _write(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(text.encode())


def _read(file: Path) -> str:
    """What an editor has left in a file, which may be another one of that name now."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UsageError("The editor has left something that is no file.", hint=KEPT)
            raw = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"The editor's file cannot be read: {error.strerror}.", hint=KEPT) from None
    if len(raw) > LARGEST:
        raise UsageError(f"The editor's text is larger than {LARGEST // 1024 // 1024} MiB.", hint=KEPT)
    try:
        return raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise UsageError("The editor's text is not UTF-8.", hint=KEPT) from None
