"""smg: a gateway that keeps responses, forgets the oldest of them, and has conversations. A stand-in is its model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers_real.install import FOLDER
from tests.servers_real.processes import Process, free_port, running

KEPT = 3
"""How many responses it keeps: with the fourth, the first is forgotten."""


@contextmanager
def serving(folder: Path, upstream: str, *, key: str = "", port: int = 0) -> Iterator[Process]:
    """It, running in front of the server at `upstream`; with `key` it refuses every other one."""
    port = port or free_port()
    command = [str(FOLDER / "venv" / "bin" / "smg"), "launch", "--backend", "openai", "--worker-urls", upstream]
    # Without both hosts it listens on every network there is.
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
    command += ["--history-backend", "memory", "--history-memory-max-responses", str(KEPT)]
    command += ["--shutdown-grace-period-secs", "1", "--log-level", "warn"]
    command += ["--api-key", key] if key else []
    with running(command, port=port, ready="/readiness", log=folder / "smg.log") as process:
        yield process


def profile_text(url: str, *, name: str = "here", more: str = "") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'[profiles.{name}]\nprotocol = "responses"\nbase_url = "{url}/v1"\nmodel = "fake"\n{more}\n'
