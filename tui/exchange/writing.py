"""A new file, which is there whole or not at all; no file that is there already is ever touched."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from types import TracebackType

from tui.errors import FileRefused
from tui.text import one_line
from tui.unfinished import unfinished

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EMLINK, errno.EXDEV)


class NewFile:
    """Text on its way into a file that only its owner may read. It has its name once the `with` is left well."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._name = one_line(str(file), 200)
        # Whatever a file system takes for a name, this one is short enough beside it.
        self._part = file.parent / f".palaver-{secrets.token_hex(8)}.part"
        self._fd = -1
        self._noted = contextlib.ExitStack()

    def __enter__(self) -> NewFile:
        try:
            if self.file.is_symlink() or self.file.exists():
                raise self._exists()
            self._noted.enter_context(unfinished(self._part))
            self._fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._refusal(error) from None
        return self

    def check(self) -> None:
        """Leave no trace, but see whether it could be made.

        Raises:
            FileRefused: It could not.
        """
        self.__enter__()
        os.close(self._fd)
        self._part.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Add to it.

        Raises:
            FileRefused: It cannot be written.
        """
        data = memoryview(text.encode("utf-8", "replace"))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise self._refusal(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                os.fsync(self._fd)
                self._give_name()
        except OSError as failure:
            raise self._refusal(failure) from None
        finally:
            os.close(self._fd)
            self._part.unlink(missing_ok=True)
            self._noted.close()

    def _give_name(self) -> None:
        try:
            # Unlike a renaming, a link never takes the place of what is there.
            os.link(self._part, self.file, follow_symlinks=False)
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.close(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
            os.replace(self._part, self.file)
        with contextlib.suppress(OSError):
            folder = os.open(self.file.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _exists(self) -> FileRefused:
        return FileRefused(f"{self._name} is there already.", hint="use another name")

    def _refusal(self, error: OSError) -> FileRefused:
        return FileRefused(f"{self._name} cannot be written: {error.strerror}.")


def free_name(file: Path) -> Path:
    """`file`, or one beside it with a number, if it is there already."""
    stem, dot, suffixes = file.name.partition(".")
    # A dot may be part of the label; the suffixes of our own files begin at the last one, or at the one before.
    for known in (".palaver.jsonl", ".html", ".md"):
        if file.name.endswith(known):
            stem, dot, suffixes = file.name.removesuffix(known), "", known
    number, found = 1, file
    while found.exists() or found.is_symlink():
        number += 1
        found = file.with_name(f"{stem}-{number}{dot}{suffixes}")
    return found
