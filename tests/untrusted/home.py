"""Folders of its own for the program, with payloads in what it finds there."""

from __future__ import annotations

import json
from pathlib import Path

from tests.loopback import profile_text


class Home:
    """Configuration, history and log below one folder, and the environment that has the program use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = folder / "data" / "history.db"
        self.url = ""
        self._config = folder / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "home").mkdir(exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        kinds = {f"PALAVER_{kind.upper()}_DIR": str(self.folder / kind) for kind in ("config", "data", "log")}
        return kinds | {"HOME": str(self.folder / "home"), "PALAVER_LOG": "DEBUG", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def configure(self, url: str) -> None:
        """Have the program talk to the server at `url`."""
        self.url = url
        self._write(self._config, profile_text(url))

    def configured(self, name: str, content: str) -> dict[str, str]:
        """What has the program use a configuration of this content."""
        folder = self.folder / "configurations" / name
        self._write(folder, content)
        return {"PALAVER_CONFIG_DIR": str(folder)}

    def profiles(self, name: str, some: list[str]) -> dict[str, str]:
        """What has the program use a configuration with profiles and keys named by payloads."""
        tables = [profile_text(self.url)]
        for number, one in enumerate(some):
            text = quoted(f"q{number}q{one}")
            tables.append(f'[profiles.{text}]\nbase_url = "{self.url}"\nmodel = {text}\nsystem = {text}\n')
        keys = dict.fromkeys(map(quoted, some))
        tables.append("[keys]\n" + "".join(f"{one} = {one}\n" for one in keys))
        return self.configured(name, "\n".join(tables))

    def file(self, name: str) -> Path:
        """A file of that name where a folder is wanted."""
        file = self.folder / "files" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("", encoding="utf-8")
        return file

    def damaged(self, name: str) -> dict[str, str]:
        """What has the program use a history that is none, in a folder of that name."""
        folder = self.folder / "damaged" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history.db").write_text("this is no history " * 100, encoding="utf-8")
        return {"PALAVER_DATA_DIR": str(folder)}

    @staticmethod
    def _write(folder: Path, content: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "config.toml"
        file.write_text(content, encoding="utf-8", newline="")
        file.chmod(0o600)


def quoted(text: str) -> str:
    """A text as it stands in TOML; what no file can hold is replaced."""
    given = text.encode("utf-8", "replace").decode()
    return json.dumps(given, ensure_ascii=False).replace("\x7f", "\\u007f")
