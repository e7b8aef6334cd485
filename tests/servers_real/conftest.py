"""Real servers for the tests of this folder, which only `make test-servers` runs."""

from __future__ import annotations

import os

import pytest

from tests.servers_real.install import PACKAGES, trouble_with

if not os.environ.get("PALAVER_REAL_SERVERS"):
    collect_ignore_glob = ["test_*.py"]


def need(name: str) -> None:
    """Leave out the tests that need a server which could not be installed."""
    if trouble_with(name):
        pytest.skip(f"{name} is not installed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers were talked to, and which were not."""
    if os.environ.get("PALAVER_REAL_SERVERS"):
        terminalreporter.section("real servers")
        for name, package in PACKAGES.items():
            trouble = trouble_with(name)
            said = f"NOT TESTED, as it could not be installed: {trouble}" if trouble else "tested"
            terminalreporter.write_line(f"{name} {package.version}: {said}")
