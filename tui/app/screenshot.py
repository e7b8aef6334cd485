"""Where a picture of the screen is put."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_downloads_path

from tui.errors import FileRefused
from tui.exchange.writing import NewFile, free_name


def save(picture: str, name: str) -> Path:
    """Write a picture to a new file of about that name: among the downloads, or where there is no folder for those, in the
    present one. Gives the file.

    Raises:
        FileRefused: It cannot be written.
    """
    folder = user_downloads_path()
    if not folder.is_dir():
        try:
            folder = Path.cwd()
        except OSError:
            raise FileRefused(
                "There is no folder for the picture: neither the present one nor one for downloads."
            ) from None
    file = free_name(folder / name)
    with NewFile(file) as new:
        new.write(picture)
    return file
