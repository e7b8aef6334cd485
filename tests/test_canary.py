"""The watch over the tests' key sees it wherever a test lets it go, and fails that test."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import canary

LEAKS = """
import base64, logging, subprocess, sys
from tests import canary
from tests.terminal import Terminal

def test_file(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "leaky.log").write_bytes(b"x" * 100_000 + canary.KEY.encode())

def test_encoded_file(tmp_path):
    (tmp_path / "leaky.db").write_bytes(b"Basic " + base64.b64encode(b"me:" + canary.KEY.encode()))

def test_printed():
    print(canary.KEY)

def test_complained(capfd):
    print(canary.KEY, file=sys.stderr)
    capfd.readouterr()

def test_logged():
    logging.getLogger("any").warning("sent %s", canary.KEY)

def test_program():
    subprocess.run([sys.executable, "-c", f"import os; print(os.environ['{canary.NAME}'])"], capture_output=True)

def test_terminal():
    t = Terminal([sys.executable, "-c", f"import os; print(os.environ['{canary.NAME}'])"])
    t.ends()
    t.close()

def test_nothing(tmp_path, capfd):
    (tmp_path / "innocent.log").write_text("sk-CANARY")
    print("fine")
    assert canary.KEY
"""

EXPECTED = {
    "file": "leaky.log",
    "encoded_file": "leaky.db",
    "printed": "Captured stdout call",
    "complained": "captured standard error",
    "logged": "Captured log call",
    "program": "standard output of a program",
    "terminal": "what a terminal was sent",
}


@pytest.mark.fault("K01", "K02", "K05", "K10")
def test_a_test_that_lets_the_key_go_fails(tmp_path: Path) -> None:
    leaky = tmp_path / "test_leaky.py"
    leaky.write_text(LEAKS)
    # With a key of its own: this one's is looked for in what it leaves behind.
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        canary.NAME: f"sk-CANARY+/{'0123456789abcdef' * 2}/=",
    }
    root = Path(canary.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", "/dev/null",
         "--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "base"), str(leaky)],
        cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    told = {line for line in done.stdout.splitlines() if line.startswith("The key is in ")}
    assert len(told) == len(EXPECTED), done.stdout
    for where in EXPECTED.values():
        assert any(where in line for line in told), done.stdout
    assert "test_nothing" not in done.stdout
    assert "7 errors" in done.stdout or "7 failed" in done.stdout


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "Bearer ", '{"key": "'])
@pytest.mark.parametrize("after", ["", "x", '"}'])
def test_it_is_seen_in_every_form(before: str, after: str) -> None:
    text = f"{before}{canary.KEY}{after}"
    shown = [
        text.encode(),
        quote(text, safe="").encode(),
        base64.b64encode(text.encode()),
        base64.urlsafe_b64encode(text.encode()),
        base64.b64encode(quote(text).encode()),
    ]
    assert all(canary.is_in(data) for data in shown)
    assert not canary.is_in(text.replace(canary.KEY, canary.KEY[:20]).encode())


def test_what_was_there_before_is_not_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    file = tmp_path / "deep" / "er" / "file"
    file.write_text("something")
    assert list(canary.files_in(tmp_path)) == [file]
    assert list(canary.files_in(tmp_path, since=file.stat().st_mtime + 1)) == []
    assert list(canary.files_in(tmp_path, depth=1)) == []
    assert list(canary.files_with_it([file])) == []
    assert list(canary.files_with_it([tmp_path / "none"])) == []
