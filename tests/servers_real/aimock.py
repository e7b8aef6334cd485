"""aimock: a mock of model APIs, which keeps no conversations. It answers by the fixtures beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers_real.install import FOLDER
from tests.servers_real.processes import Process, free_port, running

FIXTURES = Path(__file__).parent / "aimock_fixtures.json"

PATHS = {"chat": "/v1", "responses": "/v1", "anthropic": "/v1", "ollama": ""}
"""The protocols it speaks, and where."""


@contextmanager
def serving(folder: Path, *, key: str = "", port: int = 0) -> Iterator[Process]:
    """It, running; with `key` it refuses every other one."""
    port = port or free_port()
    command = ["node", str(FOLDER / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js")]
    command += ["--port", str(port), "--host", "127.0.0.1", "--fixtures", str(FIXTURES), "--latency", "5"]
    # Without this the fixture of another turn answers where that of the right one is missing.
    env = {"AIMOCK_STRICT_TURN_INDEX": "1"} | ({"AIMOCK_API_KEYS": key} if key else {})
    with running(command, port=port, ready="/health", log=folder / "aimock.log", env=env) as process:
        yield process


def profile_text(url: str, protocol: str, *, name: str = "here", more: str = "") -> str:
    """A profile for it, as it stands in config.toml.

    Its Responses API takes no notice of the id of a response, so that it has to be told what was said.
    """
    forgets = 'continue_by = "nothing"\n' if protocol == "responses" else ""
    return (
        f'[profiles.{name}]\nprotocol = "{protocol}"\nbase_url = "{url}{PATHS[protocol]}"\nmodel = "mock-1"\n'
        f"{forgets}{more}\n"
    )
