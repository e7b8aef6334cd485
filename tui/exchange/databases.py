"""Which program a SQLite file belongs to, by its tables."""

from __future__ import annotations

from pathlib import Path

from tui.errors import FileRefused
from tui.exchange.agents_sdk import AgentsSessions
from tui.exchange.llm_logs import LlmLogs
from tui.exchange.sources import Source
from tui.store.foreign import ForeignDatabase


def open_database(file: Path, name: str) -> Source:
    """A reader for a SQLite file.

    Raises:
        FileRefused: It is of no program that is known, or cannot be read.
    """
    try:
        db = ForeignDatabase(file, name)
    except OSError as error:
        raise FileRefused(f"{name} cannot be read: {error.strerror}.") from None
    try:
        if LlmLogs.fits(db):
            return LlmLogs(db)
        if AgentsSessions.fits(db):
            return AgentsSessions(db)
        if {"label", "branch_id"} <= db.columns("sessions"):
            raise FileRefused(f"{name} is a history of Palaver's.", hint="export a session from it, and import that")
        raise FileRefused(f"{name} is a database of no program that is known here.")
    except BaseException:
        db.close()
        raise
