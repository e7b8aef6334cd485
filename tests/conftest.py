"""What every test gets: folders of its own, an environment without anyone's settings, and no network but loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_OTHERS = (
    "PROXY",
    "_API_KEY",
    "_BASE_URL",
    "OPENAI_",
    "ANTHROPIC_",
    "OLLAMA_",
    "DATABRICKS_",
    "SSL_",
    "TEXTUAL",
    "NO_COLOR",
)


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests has any effect, and nothing is written outside the test's folder."""
    for name in list(os.environ):
        if any(part in name.upper() for part in _OTHERS) and not name.startswith("TEXTUAL_SNAPSHOT"):
            monkeypatch.delenv(name)
    for kind in ("CONFIG", "DATA", "LOG"):
        monkeypatch.setenv(f"PALAVER_{kind}_DIR", str(tmp_path / "palaver" / kind.lower()))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere but this machine is an error in the test."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Where a test's history is kept."""
    return tmp_path / "palaver" / "data" / "history.db"


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the configuration file, as only its owner may read it."""

    def write(text: str) -> Path:
        file = tmp_path / "palaver" / "config" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        return file

    return write
