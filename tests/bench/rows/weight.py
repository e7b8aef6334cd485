"""B12: what an installation from nothing weighs beside Python, and whether anything has to be built."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.program import ROOT
from tests.bench.rows import Setting


def measure(setting: Setting) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(where / "venv")], check=True)
        empty = size(where / "venv")
        python = str(where / "venv" / "bin" / "python")
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
        wheels = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*wheels, "-w", str(where / "wheels"), str(ROOT)], check=True, capture_output=True)
        wheel = str(next((where / "wheels").glob("palaver-*.whl")))
        done = subprocess.run([*pip, "--only-binary=:all:", wheel], capture_output=True, text=True)
        trouble = "" if done.returncode == 0 else f"not from wheels only: {done.stderr.strip()[-200:]}"
        weight = (size(where / "venv") - empty) / 1e6
    return [Figure("B12", "installed, wheels only", "MB", () if trouble else (weight,), limit=60.0, trouble=trouble)]


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
