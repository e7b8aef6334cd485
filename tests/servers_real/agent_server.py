"""MLflow's agent server with an agent of the OpenAI Agents SDK, whose sessions are in SQLite. A stand-in is its model."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.servers_real.install import PYTHON
from tests.servers_real.processes import Process, free_port, running


@contextmanager
def serving(folder: Path, upstream: str, *, port: int = 0, is_lax: bool = False) -> Iterator[Process]:
    """It, running, with the model at `upstream`. Its sessions outlive it in `folder`.

    A lax agent calls every item the same, as the adapter of its model does, and takes answers it did not give.
    """
    port = port or free_port()
    command = [str(PYTHON), "-m", "uvicorn", "tests.servers_real.agent:app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "info"]
    env = {
        "UPSTREAM": f"{upstream}/v1",
        "SESSIONS": str(_file(folder)),
        "OWN_IDS": "" if is_lax else "yes",
        "TAKES_ANSWERS": "yes" if is_lax else "",
        "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with running(command, port=port, ready="/health", log=folder / "agent-server.log", env=env) as process:
        yield process


def profile_text(url: str, *, name: str = "here", more: str = "") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'[profiles.{name}]\nprotocol = "agent-server"\nbase_url = "{url}"\n{more}\n'


def kept(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """What the agent's sessions hold: who said what, in order, by their ids."""
    found: dict[str, list[tuple[str, str]]] = {}
    with closing(sqlite3.connect(_file(folder))) as base:
        for session, data in base.execute("SELECT session_id, message_data FROM agent_messages ORDER BY id"):
            found.setdefault(session, []).append(_said(json.loads(data)))
    return found


def forget(folder: Path) -> None:
    """Have the agent forget all its sessions."""
    with closing(sqlite3.connect(_file(folder))) as base, base:
        base.execute("DELETE FROM agent_messages")
        base.execute("DELETE FROM agent_sessions")


def _file(folder: Path) -> Path:
    return folder / "sessions.db"


def _said(item: dict[str, Any]) -> tuple[str, str]:
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content)
    return str(item.get("role") or item.get("type")), str(content or item.get("output") or item.get("arguments") or "")
