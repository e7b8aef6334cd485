"""Where files are made, and where none are: in another user's folder, and where there is no home folder at all."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.loopback import palaver, plain_environment
from tui import cli, crash, logs, paths
from tui.errors import ConfigError

ROOT = Path(__file__).parent.parent
NOBODY = 65534


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another user's folder, seen as root sees it; all of Palaver's files would be in it."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for kind in ("CONFIG", "DATA", "LOG"):
        monkeypatch.setenv(f"PALAVER_{kind}_DIR", str(folder / kind.lower()))
    return folder


def report_of(error: Exception) -> Path | None:
    return crash.Reports().keep(error)


@pytest.mark.fault("D31")
def test_root_makes_no_log_in_another_users_folder(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = logs._File(paths.find())
    handler.emit(logging.LogRecord("tui", logging.ERROR, __file__, 1, "it failed", None, None))
    assert list(theirs.iterdir()) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.fault("D31")
def test_root_adds_nothing_to_a_log_another_user_has_begun(theirs: Path) -> None:
    file = theirs / "log" / "palaver.log"
    file.parent.mkdir()
    file.write_text("theirs\n")
    if os.getuid() == 0:
        os.chown(file.parent, NOBODY, NOBODY)
    logs._File(paths.find()).emit(logging.LogRecord("tui", logging.ERROR, __file__, 1, "it failed", None, None))
    assert file.read_text() == "theirs\n"


@pytest.mark.fault("D31")
def test_roots_report_is_in_a_folder_of_its_own(theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() != 0:
        pytest.skip("only root has a temporary folder that root may write to here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = report_of(ValueError("secret"))
    assert list(theirs.iterdir()) == []
    assert file is not None
    assert file.parent.parent == tmp_path
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert file.read_text().endswith("ValueError\n")


@pytest.mark.fault("D31")
def test_root_begins_no_configuration_in_another_users_folder(theirs: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root is root in a process of its own")
    done = palaver("config", "init")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"cannot be written: {theirs} belongs to another user" in done.stderr
    assert list(theirs.iterdir()) == []


def test_a_report_that_can_be_nowhere_is_told_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PALAVER_LOG_DIR", str(tmp_path / "file" / "log"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    monkeypatch.setattr(crash, "reports", crash.Reports())
    try:
        raise ValueError("secret")
    except ValueError as error:
        line = error.__traceback__.tb_lineno  # type: ignore[union-attr]
        said = crash.sentence(error)
    assert said == f"an internal error (ValueError); no report could be written; it was at test_paths.py:{line}"


@pytest.mark.fault("D30")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user there is not")
@pytest.mark.parametrize("data_home", ["", "relative"])
def test_a_user_there_is_not_is_answered_from_memory(tmp_path: Path, data_home: str) -> None:
    # What it needs is imported first, by an answer: such a user may not be allowed to read it.
    line = (
        "import os, tui.log_file; from tui.cli import main\n"
        "main(['ask', '-s', 'first', 'hello'])\n"
        "for name in ('CONFIG', 'DATA', 'LOG'): del os.environ[f'PALAVER_{name}_DIR']\n"
        f"del os.environ['HOME']; os.environ['XDG_DATA_HOME'] = {data_home!r}; os.setuid(54321)\n"
        "print('alone', flush=True); os._exit(main(['ask', '-s', 'work', 'hello']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", line], cwd=ROOT, env=plain_environment(), capture_output=True, text=True, check=False
    )
    before, _, after = done.stdout.partition("alone\n")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert before == after
    assert before.startswith("I am **guide**")
    (said,) = done.stderr.splitlines()
    assert said.startswith("palaver: History is off: There is no home folder — set HOME, or PALAVER_DATA_DIR")
    assert said.endswith(". What was said in “work” before is not known to this answer.")
    assert not (ROOT / "relative").exists()


@pytest.mark.fault("D30")
def test_without_a_home_folder_each_folder_is_still_had_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homeless(monkeypatch)
    monkeypatch.setenv("PALAVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    found = paths.find()
    assert (found.config_dir, found.data_dir) == (tmp_path / "xdg" / "palaver", tmp_path / "data")
    paths.require(found.data_dir)
    with pytest.raises(ConfigError) as caught:
        paths.require(found.log_dir)
    assert str(caught.value) == "There is no home folder — set HOME, or PALAVER_LOG_DIR"


@pytest.mark.fault("D30")
def test_without_a_home_folder_a_report_is_kept_and_a_log_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homeless(monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    logs._File(paths.find()).emit(logging.LogRecord("tui", logging.ERROR, __file__, 1, "it failed", None, None))
    file = report_of(ValueError("secret"))
    assert file is not None
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [file]


@pytest.mark.fault("D30")
def test_without_a_home_folder_commands_about_files_say_so(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    homeless(monkeypatch)
    for words, status, variable in (
        (["config", "path"], 3, "PALAVER_CONFIG_DIR"),
        (["config", "show"], 3, "PALAVER_CONFIG_DIR"),
        (["config", "init"], 3, "PALAVER_CONFIG_DIR"),
        (["history", "path"], 3, "PALAVER_DATA_DIR"),
        (["history", "check"], 3, "PALAVER_DATA_DIR"),
        (["sessions", "list"], 9, "PALAVER_DATA_DIR"),
    ):
        assert cli.main(words) == status
        captured = capfdbinary.readouterr()
        assert captured.out == b""
        assert "There is no home folder — " in captured.err.decode()
        assert captured.err.decode().rstrip(".\n").endswith(f"set HOME, or {variable}")
    assert cli.main(["completion", "labels"]) == 0
    assert cli.main(["profiles", "list"]) == 0
    assert not paths.NOWHERE.exists()


def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user the system has no record of, and no variable either."""
    import pwd

    def no_record(_uid: int) -> object:
        raise KeyError

    for kind in ("CONFIG", "DATA", "LOG"):
        monkeypatch.delenv(f"PALAVER_{kind}_DIR")
    for kind in ("CONFIG", "DATA", "STATE"):
        monkeypatch.delenv(f"XDG_{kind}_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", no_record)
