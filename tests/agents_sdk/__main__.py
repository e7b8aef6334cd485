"""Fetches the SDK with its tests into a folder that is thrown away, and runs them: `python -m tests.agents_sdk`."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

SDK = "openai-agents==0.24.0"

FILES = (
    "tests/memory/test_session.py",
    "tests/memory/test_session_limit.py",
    "tests/test_agent_runner.py",
    "tests/test_agent_runner_streamed.py",
    "tests/test_max_turns.py",
    "tests/test_native_tool_failure_history.py",
    "tests/test_programmatic_tool_calling.py",
    "tests/test_run_impl_resume_paths.py",
    "tests/test_soft_cancel.py",
    "tests/test_tool_batch_failure_history.py",
    "tests/test_tool_failure_boundaries.py",
)
"""The SDK's tests that make a session, whatever else they are about."""

PATIENCE = 1200.0
"""Seconds that one step may take."""


def main() -> int:
    """Gives pytest's own exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "venv" / "bin" / "python"
        _run(sys.executable, "-m", "venv", str(folder / "venv"))
        pip = (str(python), "-m", "pip", "--disable-pip-version-check", "-q")
        _run(*pip, "install", SDK, "hatchling", "pytest", "pytest-asyncio", "inline-snapshot", "-e", str(ROOT))
        # Built here, without a folder of its own: all that is wanted of it is the tests.
        sdist = ("--no-deps", "--no-build-isolation", "--no-binary", "openai-agents", "-d", str(folder))
        _run(*pip, "download", *sdist, SDK)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        source = folder / archive.name.removesuffix(".tar.gz")
        tests = [str(python), "-m", "pytest", "-q", "-s", "-p", "tests_plugin", *FILES]
        (source / "tests_plugin.py").write_text(Path(__file__).with_name("plugin.py").read_text(encoding="utf-8"))
        return subprocess.run([*tests, "-o", "addopts="], cwd=source, timeout=PATIENCE, check=False).returncode


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=PATIENCE, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
