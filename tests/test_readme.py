"""What the README says is true of the program."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from pathlib import Path

import pytest
from textual.binding import Binding

from tests.loopback import palaver
from tui import __version__
from tui.app.app import _bound_classes
from tui.command_words import COMMANDS
from tui.config_file import load
from tui.errors import Exit
from tui.store import Store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_configuration_shown_is_taken(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    assert load(file, {}).warnings == ()
    assert tomllib.loads(text)


def test_the_exit_statuses_are_all_of_them() -> None:
    table = re.search(r"\| Status \|.*?\n\n", README, re.S)
    assert table is not None
    told = {int(number) for row in re.findall(r"(?m)^\| ([\d, ]+) \|", table[0]) for number in row.split(",")}
    assert told == {int(status) for status in Exit}


def test_the_keys_exist() -> None:
    table = re.search(r"\| Keys \|.*?\n\n", README, re.S)
    assert table is not None
    bound = set()
    for cls in _bound_classes():
        for binding in Binding.make_bindings(cls.BINDINGS):
            bound.add(binding.key)
    names = {"pgup": "pageup", "pgdn": "pagedown", "esc": "escape"}
    for row in re.findall(r"(?m)^\| ([A-Z].*?) \|", table[0]):
        for key in row.split(", "):
            parts = [names.get(part.lower(), part.lower()) for part in key.split("+")]
            if parts != ["keys"]:
                assert "+".join(parts) in bound | {"ctrl+p"}, key


async def test_the_views_have_the_columns(tmp_path: Path) -> None:
    store = Store(tmp_path / "history.db")
    await store.open()
    await store.close()
    conn = sqlite3.connect(tmp_path / "history.db")
    for view, columns in re.findall(r"(?m)^\| `(\w+)` \| (`session`.*?) \|$", README):
        found = [column[0] for column in conn.execute(f"SELECT * FROM {view}").description]
        assert found == re.findall(r"`(\w+)`", columns)
    conn.close()


def test_the_pictures_are_there() -> None:
    for name in re.findall(r"\]\((assets/[\w-]+\.svg)\)", README):
        assert (ROOT / name).stat().st_size > 10_000


def test_commands_explain_themselves() -> None:
    for command in ((), *((name,) for name in COMMANDS)):
        done = palaver(*command, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith("usage: palaver")
    assert palaver("--version").stdout == f"palaver {__version__}\n"


def test_the_makes_named_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?m)^make (\w+)", "\n".join(blocks("bash"))):
        assert re.search(rf"(?m)^{target}:", makefile)
