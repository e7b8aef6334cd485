"""Installs real servers into a folder of their own, once: `python -m tests.servers_real.install`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

FOLDER = ROOT / ".servers"
"""Where everything is installed, with a note of what has been and what each installer said."""

PYTHON = FOLDER / "venv" / "bin" / "python"
"""The Python of the servers that are written in it; it has nothing of Palaver's."""

_PATIENCE = 900.0  # seconds that one installation may take


@dataclass(frozen=True)
class Package:
    """What a server is made of: exact versions, since what they say on the wire is what is tested."""

    installer: str
    parts: tuple[str, ...]

    @property
    def version(self) -> str:
        """The first part's, which is the server itself."""
        return self.parts[0].rpartition("@" if self.installer == "npm" else "==")[2]


PACKAGES = {
    "aimock": Package("npm", ("@copilotkit/aimock@1.43.0",)),
    "smg": Package("pip", ("smg==1.13.0",)),
    "agent-server": Package(
        "pip",
        (
            "mlflow-skinny==3.17.2",
            "openai-agents==0.24.0",
            "fastapi==0.165.0",
            "uvicorn==0.54.0",
            "httpx==0.28.1",
            "pandas==3.1.1",
        ),
    ),
}
"""The servers, by the names they are started by."""


def trouble_with(name: str) -> str:
    """Why a server is not there to be started; empty where it is."""
    note = _note(name)
    if note.get("parts") != list(PACKAGES[name].parts):
        return "it has not been installed"
    return str(note.get("trouble", ""))


def install(name: str) -> str:
    """Install a server unless it is there. Gives why it could not be; empty where all is well."""
    package = PACKAGES[name]
    if not trouble_with(name):
        return ""
    FOLDER.mkdir(exist_ok=True)
    trouble = _by_npm(name, package.parts) if package.installer == "npm" else _by_pip(name, package.parts)
    (FOLDER / f"{name}.json").write_text(json.dumps({"parts": package.parts, "trouble": trouble}), encoding="utf-8")
    return trouble


def _by_npm(name: str, parts: tuple[str, ...]) -> str:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no Node.js here"
    options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]
    return _run(name, ["npm", "install", "--prefix", str(FOLDER), *options, *parts])


def _by_pip(name: str, parts: tuple[str, ...]) -> str:
    trouble = "" if PYTHON.exists() else _run(name, [sys.executable, "-m", "venv", str(FOLDER / "venv")])
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
    return trouble or _run(name, [*pip, *parts])


def _run(name: str, command: list[str]) -> str:
    """Run an installer. What it says is kept in a file; its last word is why it failed."""
    file = FOLDER / f"{name}.install.log"
    with file.open("wb") as log:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=_PATIENCE
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 0:
        return ""
    said = [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in said if line.lower().startswith(("error", "npm error"))]
    last = (errors or said or ["it said nothing"])[-1]
    return f"{Path(command[0]).name} failed: {last[:200]} (all of it: {os.path.relpath(file)})"


def _note(name: str) -> dict[str, object]:
    try:
        note = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def main() -> int:
    """Install all of them. Succeeds also where one cannot be had, which its tests say when they are left out."""
    for name, package in PACKAGES.items():
        there = not trouble_with(name)
        trouble = install(name)
        said = f"NOT INSTALLED: {trouble}" if trouble else "there already" if there else "installed"
        print(f"{name} {package.version}: {said}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
