"""Other programs' SQLite files, opened for reading: nothing is ever written to them, or beside them."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui.errors import FileRefused

_WAL_VERSION = 2
_VALUE_LIMIT = 64 * 1024 * 1024


class ForeignDatabase:
    """A file that another program keeps, for one user at a time; `name` is what messages call it."""

    def __init__(self, file: Path, name: str) -> None:
        self.name = name
        for suffix in ("-wal", "-journal"):
            beside = file.with_name(file.name + suffix)
            if beside.exists() and beside.stat().st_size:
                raise FileRefused(
                    f"{name} has a {suffix} file beside it: not all of it is in one place.",
                    hint="close the program it belongs to, or open and leave it once",
                )
        # A file in WAL mode makes others beside it even for a reader, unless it is said that no one writes to it.
        mode = "immutable=1" if _is_wal(file) else "mode=ro"
        try:
            self._conn = sqlite3.connect(
                f"{file.absolute().as_uri()}?{mode}", uri=True, timeout=5, check_same_thread=False
            )
            self._conn.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
            self._conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_LIMIT)
            self._conn.execute("PRAGMA query_only = ON")
            # What a file says it does when it is read is not trusted.
            self._conn.execute("PRAGMA trusted_schema = OFF")
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def close(self) -> None:
        self._conn.close()

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns; none where there is no such table. Views count for nothing."""
        return {
            str(name)
            for (name,) in self.rows(
                "SELECT c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name = ?",
                table,
            )
        }

    def rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """The rows a query finds.

        Raises:
            FileRefused: The file cannot be read.
        """
        try:
            yield from self._conn.execute(query, values)
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        except UnicodeDecodeError:
            # What SQLite says of damage repeats what is there, which need not be text.
            raise FileRefused(f"{self.name} is damaged.") from None

    def _refusal(self, error: sqlite3.Error) -> FileRefused:
        kind = getattr(error, "sqlite_errorname", "") or ""
        if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return FileRefused(f"{self.name} is being written to by another program.", hint="try again in a moment")
        if kind.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")):
            return FileRefused(f"{self.name} is damaged.")
        if kind.startswith("SQLITE_TOOBIG"):
            return FileRefused(f"{self.name} has a value longer than {_VALUE_LIMIT >> 20} MiB.")
        return FileRefused(f"{self.name} cannot be read: {error}.")


def _is_wal(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(20)[18:20] == bytes((_WAL_VERSION, _WAL_VERSION))
