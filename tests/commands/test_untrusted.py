"""What commands print of names and paths that others chose: only what a terminal does not obey."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import loopback, palaver, plain_environment, profile_text
from tests.sequences import read
from tests.terminal import Terminal

Write = Callable[[str], Path]
EVIL = "a\x1b]0;b\x07\u202ec"
SHOWN = "a␛]0;b␇<U+202E>c"


@pytest.mark.parametrize("command", ["path", "check", "backup"])
def test_the_path_of_a_history(command: str, tmp_path: Path) -> None:
    env = plain_environment(PALAVER_DATA_DIR=str(tmp_path / EVIL))
    palaver("ask", "-s", "work", "hello", env=env)
    done = palaver("history", command, env=env)
    assert SHOWN in done.stdout
    assert not read((done.stdout + done.stderr).encode(), sequences=False).wrong


def test_notices_about_a_history_that_was_none(tmp_path: Path) -> None:
    folder = tmp_path / EVIL
    folder.mkdir()
    (folder / "history.db").write_text("no history" * 200)
    done = palaver("sessions", "list", env=plain_environment(PALAVER_DATA_DIR=str(folder)))
    assert SHOWN in done.stderr
    assert not read((done.stdout + done.stderr).encode(), sequences=False).wrong


def test_what_a_configuration_says(write_config: Write, tmp_path: Path) -> None:
    name = '"a\\u001b]0;b\\u0007\\u202ec"'
    write_config(
        f'profile = {name}\ntheme = {name}\n[keys]\n{name} = {name}\n[profiles.{name}]\nbase_url = "http://a"\n'
    )
    shown = palaver("config", "show", env=plain_environment(PALAVER_LOG_DIR=str(tmp_path / EVIL))).stdout
    assert shown.count(SHOWN) == 5
    assert not read(shown.encode(), sequences=False).wrong
    assert SHOWN in palaver("config", "path", env=plain_environment(PALAVER_LOG_DIR=str(tmp_path / EVIL))).stdout


def test_the_command_that_comes_back_means_the_session_and_is_harmless() -> None:
    for _ in range(2):
        t = Terminal([sys.executable, "-m", "tui", "a\u202eb"])
        try:
            t.shows("<U+202E>")
            t.type("hello\r")
            t.shows("done in")
            t.type("\x11")
            assert t.ends() == 0
            assert t.strange() == []
            assert t.output.rstrip().endswith(rb"palaver $'a\u202eb'")
        finally:
            t.close()
    assert palaver("sessions", "list", "--json").stdout.count('"label"') == 1


@pytest.mark.fault("L03")
@pytest.mark.parametrize(
    ("label", "opening"),
    [
        ("-rf", ["--", "-rf"]),
        ("--", ["open", "--", "--"]),
        ("export", ["open", "export"]),
        ("a  b", ["a  b"]),
        ("a/../b", ["a/../b"]),
    ],
)
def test_the_command_that_comes_back_comes_back(write_config: Write, label: str, opening: list[str]) -> None:
    with loopback(lambda call: call.well("Fine.")) as server:
        write_config(profile_text(server.url))
        for is_new in (True, False):
            t = Terminal([sys.executable, "-m", "tui", *opening])
            try:
                t.shows("Type a message")
                if is_new:
                    t.type("hello\r")
                    t.shows("done in")
                t.shows("Fine.")
                t.type("\x11")
                assert t.ends() == 0
                _, *opening = shlex.split(t.output.decode().rstrip()[t.output.decode().rindex("palaver ") :])
            finally:
                t.close()
    (only,) = json.loads(palaver("sessions", "list", "--json").stdout)
    assert (only["label"], only["turns"]) == (label, 1)


@pytest.mark.fault("L03")
def test_a_label_may_be_of_characters_that_mean_something_elsewhere() -> None:
    for label in ("a/../b", "/", "..", "\\", ":", "-rf", "a  b"):
        assert palaver("ask", f"--session={label}", "hello").returncode == 0
    listed = json.loads(palaver("sessions", "list", "--json").stdout)
    assert [one["label"] for one in listed] == ["a  b", "-rf", ":", "\\", "..", "/", "a/../b"]
