"""`palaver completion`: in a real bash, what is offered for what is typed."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback import palaver
from tests.store.histories import a_session, opened
from tui.command_words import COMMANDS
from tui.store.labels import read_labels

LABELS = ["parser", "two words", "a:b:c", "日本", "$(touch x)", "parts"]

COMPLETE = """
source "$1"; shift
COMP_LINE=$1; COMP_POINT=${#COMP_LINE}; shift
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_palaver
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def labels(history: Path) -> None:
    async def make() -> None:
        async with opened(history) as store:
            for label in LABELS:
                await store.create(a_session(label))

    asyncio.run(make())


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "palaver.bash"
    file.write_text(palaver("completion", "bash").stdout, encoding="utf-8")
    return file


def offered(script: Path, *words: str, line: str = "") -> list[str]:
    """What bash offers for the last of these words; `line` is how they stand there, if not with a blank between."""
    found = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", str(script), line or " ".join(words), *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=script.parent,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
    )
    assert found.stderr == ""
    return [word for word in found.stdout.splitlines() if word]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.usefixtures("labels")
class TestBash:
    def test_labels_and_commands_come_first(self, script: Path) -> None:
        found = offered(script, "palaver", "")
        assert set(found) >= {*COMMANDS, "parser", "--new", "two\\ words", "日本", "\\$\\(touch\\ x\\)"}
        assert offered(script, "palaver", "pa") == ["parts", "parser"]
        assert offered(script, "palaver", "se") == ["sessions", "search"]

    def test_labels_where_one_is_wanted(self, script: Path) -> None:
        for words in (("open",), ("ask", "-s"), ("ask", "--session"), ("sessions", "show"), ("sessions", "pin"),
                      ("export",), ("search", "--label"), ("ask", "-m", "x", "-s")):  # fmt: skip
            assert offered(script, "palaver", *words, "par") == ["parts", "parser"], words
        for words in (("ask",), ("ask", "-s", "parser"), ("sessions", "adopt"), ("import", "--label"), ("sessions",)):
            assert offered(script, "palaver", *words, "par") == [], words

    def test_options_and_words_of_a_command(self, script: Path) -> None:
        assert set(offered(script, "palaver", "sessions", "")) >= {"list", "show", "fork", "-h"}
        assert offered(script, "palaver", "sessions", "fork", "--a") == ["--at"]
        assert offered(script, "palaver", "completion", "f") == ["fish"]

    def test_odd_labels_are_one_word_and_never_carried_out(self, script: Path) -> None:
        assert offered(script, "palaver", "open", "two\\ w") == ["two\\ words"]
        assert offered(script, "palaver", "open", '"two w') == ['"two words"']
        assert offered(script, "palaver", "open", "a", ":", line="palaver open a:") == ["b:c"]
        assert offered(script, "palaver", "open", "a", ":", "b", ":", line="palaver open a:b:") == ["c"]
        assert offered(script, "palaver", "open", "\\$") == ["\\$\\(touch\\ x\\)"]
        assert not (script.parent / "x").exists()


@pytest.mark.usefixtures("labels")
def test_labels_are_read_and_nothing_is_changed(history: Path) -> None:
    before = history.read_bytes()
    done = palaver("completion", "labels")
    assert (done.returncode, done.stdout.splitlines()) == (0, LABELS[::-1])
    assert read_labels(history) == LABELS[::-1]
    assert history.read_bytes() == before


@pytest.mark.fault("T12", "T19")
@pytest.mark.usefixtures("labels")
def test_labels_that_a_terminal_would_obey_are_not_offered(history: Path) -> None:
    async def make() -> None:
        async with opened(history) as store:
            for label in ("a\u202eb", "a\x1b[2Jb", "a\nb", "a\x9bb", "a\u200bb", "\U000e0041"):
                await store.create(a_session(label))

    asyncio.run(make())
    assert palaver("completion", "labels").stdout.splitlines() == LABELS[::-1]


def test_without_a_history_there_are_none(history: Path) -> None:
    assert read_labels(history) == []
    assert not history.exists()
    history.parent.mkdir(parents=True)
    history.write_text("no database, but long enough to be looked at as one" * 100)
    assert read_labels(history) == []


def test_nothing_heavy_is_loaded() -> None:
    code = "import sys; from tui.cli import main; main(['completion', 'labels']); print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {"textual", "rich", "httpx", "tui.chat"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_knows_every_command(shell: str) -> None:
    done = palaver("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (*COMMANDS, "restore", "--no-fresh" if shell != "fish" else "-l no-fresh"):
        assert word in done.stdout
    if shutil.which(shell):
        check = [shell, "--no-execute" if shell == "fish" else "-n"]
        assert subprocess.run(check, input=done.stdout, text=True, timeout=60).returncode == 0


def test_another_shell_is_refused() -> None:
    assert palaver("completion", "tcsh").returncode == 2
