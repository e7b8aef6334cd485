"""Whether a file is the user's alone: what says where keys are sent must not be somebody else's to change."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tui.errors import ConfigError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
"""An access list's widest right for others shows as the group's, so that one look is enough."""


def check_unchangeable(file: Path) -> None:
    """Refuse a file which others can change, replace, or, where it is a link, have lead elsewhere.

    Raises:
        ConfigError: They can; it says which file or folder lets them.
    """
    target = Path(os.path.realpath(file))
    if _is_changeable(target.stat()):
        raise ConfigError(
            f"{_shown(file, target)} can be changed by other users, and says where your key is sent.",
            hint=f"chmod 600 {target}",
        )
    for path in {file, target}:
        folder, info = path.parent, path.parent.stat()
        # In a folder such as /tmp everyone may add files, but only touch their own.
        if _is_others(path.lstat()) or (_is_changeable(info) and not info.st_mode & stat.S_ISVTX):
            raise ConfigError(
                f"{path} can be replaced by other users, and says where your key is sent.",
                hint=f"chmod go-w {folder}, and see that folder and file are yours",
            )


def _shown(file: Path, target: Path) -> str:
    return str(file) if not file.is_symlink() else f"{target}, which {file} leads to,"


def _is_changeable(info: os.stat_result) -> bool:
    return bool(info.st_mode & _OTHERS_WRITE) or _is_others(info)


def _is_others(info: os.stat_result) -> bool:
    """Whether it belongs to another user, who may change it whatever its mode says. The system's own user is none."""
    return os.geteuid() != 0 and info.st_uid not in (0, os.geteuid())
