"""Where Palaver keeps its files, and where it makes none."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tui.errors import ConfigError
from tui.values import dataclass

APP = "palaver"

NOWHERE = Path("/no home folder")
"""Stands for what holds the folders that cannot be had: there is no such folder, and nothing is made in it."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The three folders, which need not exist yet; what cannot be had is in `NOWHERE`."""

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


class NotHere(PermissionError):
    """Nothing of ours may be made in a folder; `strerror` says why, `hint` what helps."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(errno.EPERM, why)
        self.hint = hint


def find(environ: Mapping[str, str] | None = None) -> Paths:
    """The folders the environment names, or the platform's own; one in `NOWHERE` where there is no home folder for it."""
    env = os.environ if environ is None else environ
    given = ((name, env.get(f"PALAVER_{name}_DIR", "")) for name in ("CONFIG", "DATA", "LOG"))
    return Paths(*(Path(folder).absolute() if folder else _usual(name) for name, folder in given))


def _usual(name: str) -> Path:
    import platformdirs

    own: Mapping[str, Callable[..., Path]] = {
        "CONFIG": platformdirs.user_config_path,
        "DATA": platformdirs.user_data_path,
        "LOG": platformdirs.user_log_path,
    }
    try:
        folder = own[name](APP, appauthor=False)
    except RuntimeError:
        return NOWHERE / name
    # One that is not absolute has a ~ that leads nowhere, or would be another one in every folder.
    return folder if folder.is_absolute() else NOWHERE / name


def require(folder: Path) -> None:
    """Refuse to go on with one of `Paths` that cannot be had.

    Raises:
        ConfigError: There is no home folder to have it in.
    """
    try:
        _refuse_nowhere(folder)
    except NotHere as error:
        raise ConfigError(f"{error.strerror}.", hint=error.hint) from None


def check_may_make(folder: Path) -> None:
    """Refuse to make anything in `folder`, which need not exist, where that is not ours to do.

    As root another user's is left alone: files made as root in someone's home are a nuisance for years.

    Raises:
        NotHere: It is another user's, or there is no home folder to have it in.
    """
    _refuse_nowhere(folder)
    if os.geteuid() != 0:
        return
    folder = folder.absolute()
    # What root cannot look into, as with someone's home on another computer, is taken to be like what it is in.
    nearest = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    if nearest.stat().st_uid != 0:
        raise NotHere(f"{nearest} belongs to another user", "run Palaver as that user")


def _refuse_nowhere(folder: Path) -> None:
    if folder.parent == NOWHERE:
        raise NotHere("There is no home folder", f"set HOME, or PALAVER_{folder.name}_DIR")


def make_private_dir(path: Path) -> None:
    """Create a folder only its owner can enter, and tighten one that others can.

    Raises:
        OSError: It cannot be made, or it is not ours to make (NotHere).
    """
    check_may_make(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
        path.chmod(0o700)
