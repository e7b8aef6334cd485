"""Where Palaver keeps its files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tui.errors import ConfigError
from tui.values import dataclass

APP = "palaver"


@dataclass(frozen=True, slots=True)
class Paths:
    """The three folders, which need not exist yet."""

    config_dir: Path
    data_dir: Path
    log_dir: Path

    @property
    def config_file(self) -> Path:
        return self.config_dir / "config.toml"

    @property
    def history_file(self) -> Path:
        return self.data_dir / "history.db"

    @property
    def log_file(self) -> Path:
        return self.log_dir / "palaver.log"


def find(environ: Mapping[str, str] | None = None) -> Paths:
    """The folders the environment names, or the platform's own.

    Raises:
        ConfigError: The platform's folders cannot be found because there is no home folder.
    """
    env = os.environ if environ is None else environ
    given = [env.get(f"PALAVER_{name}_DIR", "") for name in ("CONFIG", "DATA", "LOG")]
    if all(given):
        return Paths(*(Path(folder).absolute() for folder in given))
    import platformdirs

    try:
        usual = (
            platformdirs.user_config_path(APP, appauthor=False),
            platformdirs.user_data_path(APP, appauthor=False),
            platformdirs.user_log_path(APP, appauthor=False),
        )
    except RuntimeError:
        raise ConfigError(
            "There is no home folder to keep files in.",
            hint="set HOME, or PALAVER_CONFIG_DIR, PALAVER_DATA_DIR and PALAVER_LOG_DIR",
        ) from None
    return Paths(*(Path(own).absolute() if own else path for own, path in zip(given, usual, strict=True)))


def make_private_dir(path: Path) -> None:
    """Create a folder only its owner can enter, and tighten one that others can.

    Raises:
        OSError: It cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
        path.chmod(0o700)
