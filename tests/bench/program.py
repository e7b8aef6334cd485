"""The program to be measured: installed from the working tree as a user would, into a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

FOLDER = ROOT / ".bench"
"""Everything the measurements make."""

_VENV = FOLDER / "program"

PYTHON = _VENV / "bin" / "python"
PALAVER = _VENV / "bin" / "palaver"


def install() -> None:
    """Install the program as it is now, compiled."""
    FOLDER.mkdir(exist_ok=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT), "psutil>=7"], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(ROOT)], check=True)


def home(name: str, *, url: str = "", model: str = "none") -> dict[str, str]:
    """The environment of the program, with a history called `name` and the server at `url`, which it asks for `model`."""
    folder = FOLDER / "homes" / name
    (folder / "config").mkdir(parents=True, exist_ok=True)
    profile = f'protocol = "chat"\nbase_url = "{url or "http://127.0.0.1:9"}/v1"\nmodel = "{model}"\nreplay = false\n'
    (folder / "config" / "config.toml").write_text(f'profile = "bench"\n[profiles.bench]\n{profile}', encoding="utf-8")
    return environment() | {
        "HOME": str(folder),
        "PALAVER_CONFIG_DIR": str(folder / "config"),
        "PALAVER_DATA_DIR": str(folder),
        "PALAVER_LOG_DIR": str(folder / "log"),
    }


def history(name: str) -> Path:
    """Where the history of that name is."""
    return FOLDER / "homes" / name / "history.db"


def environment() -> dict[str, str]:
    """This process's environment without what changes how programs start or look."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "LINES", "COLUMNS", "TEXTUAL_FPS", "TEXTUAL_ANIMATIONS")
    return {name: value for name, value in os.environ.items() if name not in dropped}
