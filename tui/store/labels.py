"""The labels of sessions, read in the time a user waits for a completion."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def read_labels(file: Path) -> list[str]:
    """The labels there are, the one used last first; none where they cannot be read at once. Changes nothing."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)) as conn:
            rows = conn.execute("SELECT label FROM sessions WHERE deleted_at IS NULL ORDER BY touched DESC, id DESC")
            return [str(label) for (label,) in rows]
    except sqlite3.Error:
        return []
