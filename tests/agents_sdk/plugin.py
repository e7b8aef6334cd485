"""A pytest plugin that puts Palaver's sessions in the place of the SDK's, in the SDK's own tests.

It is loaded before them, by a Python that has the SDK.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import agents
import agents.memory
import agents.memory.sqlite_session
import pytest
from agents.memory.session_settings import SessionSettings, coerce_session_settings

from tui.agents import PalaverSession

INSIDE = re.compile(
    r"_locked_connection|_get_connection|_connections|\._lock\b|_file_lock|_drop_sqlite_table|closed_rejects"
    r"|_await_mutation|_get_compaction_snapshot|sqlite3\."
)
"""What tests speak of that are about how the SDK itself uses SQLite, not about what a session is."""


FOLDER = tempfile.TemporaryDirectory()
EMPTY = Path(FOLDER.name) / "empty.db"
"""A history with nothing in it: some of the tests allow seconds only, and making one takes a good part of that."""

asyncio.run(PalaverSession("none", history=EMPTY).get_items())


class Session(PalaverSession):
    """Palaver's, made as the SDK's is made."""

    def __init__(
        self,
        session_id: str,
        db_path: str | Path = ":memory:",
        *_tables: str,
        session_settings: Any = None,
    ) -> None:
        settings = SessionSettings() if session_settings is None else coerce_session_settings(session_settings)
        self._folder = tempfile.TemporaryDirectory() if str(db_path) == ":memory:" else None
        history = Path(self._folder.name) / "history.db" if self._folder else Path(db_path)
        if not history.exists():
            shutil.copyfile(EMPTY, history)
        super().__init__(session_id, session_settings=settings, history=history)

    def close(self) -> None:
        """The SDK's has to be closed; here there is nothing to close."""


for module in (agents, agents.memory, agents.memory.sqlite_session):
    module.SQLiteSession = Session


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what makes a session and asks of it what any session has to do."""
    kept, left_out = [], []
    for item in items:
        source = inspect.getsource(item.function) if isinstance(item, pytest.Function) else ""
        about_sessions = "SQLiteSession(" in source
        (kept if about_sessions and not INSIDE.search(source) else left_out).append(item)
        if about_sessions and INSIDE.search(source):
            print(f"left out, it looks inside the SDK's own session: {item.name}")
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept
