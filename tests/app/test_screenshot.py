"""“Screenshot” of the palette: where the picture is put, and what is said of it."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.app.driving import Window, window
from tests.fake_server import PROFILE
from tui.config import Profile
from tui.credentials import KeySource


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it, beside the present folder."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DOWNLOAD_DIR", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


async def told(w: Window) -> str:
    """What is told of a picture that is asked for in the palette."""
    before = len(w.app._notifications)
    await w.press("ctrl+p")
    await w.type("screenshot")
    await w.until(lambda: "Save what is on the screen" in w.picture)
    await w.press("enter")
    await w.until(lambda: len(w.app._notifications) > before)
    return [one.message for one in w.app._notifications][-1]


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("palaver-*.svg"))


async def test_it_is_in_the_downloads_folder_or_else_in_the_present_one(history: Path, home: Path) -> None:
    async with window(history) as w:
        await w.type("hello")
        for folder in (Path(os.getcwd()), home / "Downloads"):
            said = await told(w)
            (file,) = pictures(folder)
            assert said == f"Saved to {file}"
            assert file.stat().st_mode & 0o777 == 0o600
            assert "hello" in "".join(ElementTree.fromstring(file.read_text()).itertext())
            if folder != home / "Downloads":
                assert not (home / "Downloads").exists()
                (home / "Downloads").mkdir()


async def test_where_it_cannot_be_put_it_is_said(history: Path, home: Path) -> None:
    (home / "Downloads").symlink_to("/proc")
    async with window(history) as w:
        said = await told(w)
        assert said.startswith(f"{home}/Downloads/palaver-")
        assert said.endswith(".svg cannot be written: No such file or directory.")


async def test_where_there_is_no_folder_it_is_said(history: Path, home: Path) -> None:
    async with window(history) as w:
        os.rmdir(os.getcwd())
        assert await told(w) == "There is no folder for the picture: neither the present one nor one for downloads."


async def test_a_key_is_not_in_it(history: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", "sk-CANARY-7d0f2c9a")
    other = Profile("other", "chat", PROFILE.base_url, "m", KeySource("env", ("CANARY_KEY",)))
    async with window(history, PROFILE, other) as w:
        await w.type("with sk-CANARY-7d0f2c9a please")
        await told(w)
        text = pictures(Path(os.getcwd()))[0].read_text()
        assert "CANARY" not in text
        assert "***" in text
