"""What every test gets: folders of its own, an environment without anyone's settings, no network but loopback, and a key
that must not be found anywhere afterwards.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import canary

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
    "PALAVER_",
)
_KEPT = ("TEXTUAL_SNAPSHOT", "PALAVER_REAL_SERVERS")

_BEGUN = time.time()


def pytest_configure() -> None:
    canary.begin()
    # A shell that runs the tests in the background has them ignore some, and all they start.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores: half of the suite's time is waiting, for a process, a terminal, a frame."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test fails that let the key into what it wrote, printed, logged or showed."""
    report = yield
    for name, text in report.sections:
        if call.when in name:
            canary.watch.look(name, text)
    if call.when == "teardown":
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        leaks = canary.watch.take()
        if folder is not None:
            leaks += [str(file) for file in canary.files_with_it(canary.files_in(folder))]
        if leaks:
            report.outcome = "failed"
            report.longrepr = f"The key is in {', '.join(leaks)}."
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Once for a run: what no test owns does not hold the key either."""
    if hasattr(session.config, "workerinput"):
        return
    places = canary.shared_places()
    files = (file for place, depth in places for file in canary.files_in(place, _BEGUN, depth))
    if held := [str(file) for file in canary.files_with_it(files)]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nThe key is in {', '.join(held)}.")


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests has any effect, and nothing is written outside the test's folder."""
    for name in list(os.environ):
        if any(part in name.upper() for part in _OTHERS) and not name.startswith(_KEPT):
            monkeypatch.delenv(name)
    for kind in ("CONFIG", "DATA", "LOG"):
        monkeypatch.setenv(f"PALAVER_{kind}_DIR", str(tmp_path / "palaver" / kind.lower()))
    monkeypatch.setenv(canary.NAME, canary.KEY)
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
