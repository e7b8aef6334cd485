"""The prompt in the user's own editor: what it makes of it is taken, and trouble leaves the prompt as it was."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.fake_server import PROFILE, completed, delta
from tests.terminal import is_restored, terminal
from tui.credentials import KeySource

PASTE = "".join(f"line {number}\n" for number in range(30))


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that is the editor: what a test writes into it, run with the file's name as `file`."""
    script = tmp_path / "my editor.py"
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{sys.executable}' '{script}' --wait")
    return script


def does(editor: Path, code: str) -> None:
    editor.write_text(
        f"import os, pathlib, stat, sys\nfile = pathlib.Path(sys.argv[-1])\ntext = file.read_text()\n{code}\n", "utf-8"
    )


async def edited(w: Window) -> None:
    w.screen.say("")
    await w.press("ctrl+g")
    await w.until(lambda: not w.screen._chores._tasks)


async def test_what_the_editor_makes_of_it_is_the_prompt(history: Path, editor: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    does(
        editor,
        f"modes = [oct(stat.S_IMODE(os.stat(one).st_mode)) for one in (file, file.parent)]\n"
        f"pathlib.Path({str(told)!r}).write_text(repr((text, modes, sys.argv[1])))\n"
        "file.write_text(text.replace('two', 'zwei') + '\\x1b[2J\\n')",
    )
    async with window(history) as w:
        w.screen.prompt.replace_text("one\ntwo")
        await edited(w)
        assert told.read_text() == repr(("one\ntwo", ["0o600", "0o700"], "--wait"))
        assert w.screen.prompt.text == "one\nzwei␛[2J"
        assert w.screen.prompt.cursor_at_end_of_text
        assert os.listdir(tmp_path / "tmp") == []
        await w.press("ctrl+z")
        assert w.screen.prompt.text == "one\ntwo"


async def test_what_is_folded_is_whole_there_and_folded_again(history: Path, editor: Path) -> None:
    does(editor, f"assert text == 'read ' + {PASTE!r}\nfile.write_text('please ' + text + 'now')")
    async with window(history) as w:
        await w.type("read ")
        w.screen.prompt.paste(PASTE)
        await edited(w)
        assert w.screen.prompt.text == "please read \ufdd0Pasted 30 lines\ufdd1now"
        assert w.screen.prompt.whole == f"please read {PASTE}now"


TROUBLE = (
    ("file.write_text('other'); sys.exit(3)", "ended with status 3 — the prompt is as it was"),
    ("file.write_text('other'); os.kill(os.getpid(), 9)", "The editor was ended by SIGKILL — the prompt is as it was"),
    ("file.write_bytes(b'\\xff\\xfe')", "The editor's text is not UTF-8 — the prompt is as it was"),
    ("file.unlink()", "The editor's file cannot be read: No such file or directory — the prompt is as it was"),
    ("file.unlink(); os.mkfifo(file)", "The editor has left something that is no file — the prompt is as it was"),
    ("file.unlink(); file.symlink_to('/etc/hostname')", "The editor's file cannot be read: "),
    ("file.unlink(); file.mkdir()", "The editor"),
    ("os.truncate(file, 8 * 1024 * 1024 + 1)", "The editor's text is larger than 8 MiB — the prompt is as it was"),
    ("pass", "The editor changed nothing"),
)

NO_EDITOR = (
    (None, "There is no editor — set VISUAL or EDITOR to one"),
    ("  ", "There is no editor — set VISUAL or EDITOR to one"),
    ("no-such-editor -f", "The editor that EDITOR names was not found"),
    ("vi 'half", "EDITOR has a quote that is not closed"),
)


async def test_trouble_leaves_the_prompt_as_it_was(history: Path, editor: Path, tmp_path: Path) -> None:
    async with window(history, size=(160, 30)) as w:
        await w.type("mine")
        for code, said in TROUBLE:
            does(editor, code)
            await edited(w)
            assert w.screen.prompt.text == "mine", code
            assert said in w.status
            assert os.listdir(tmp_path / "tmp") == [], code


async def test_without_an_editor_it_is_said(history: Path, editor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with window(history) as w:
        await w.type("mine")
        for value, said in NO_EDITOR:
            monkeypatch.delenv("EDITOR") if value is None else monkeypatch.setenv("EDITOR", value)
            await edited(w)
            assert said in w.status
            assert w.screen.prompt.text == "mine"


@pytest.mark.fault("K06")
async def test_the_editor_is_told_no_key_and_answers_come_meanwhile(
    history: Path, editor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORK_KEY", "sk-secret")
    go, done = tmp_path / "go", tmp_path / "told"
    os.mkfifo(go)
    does(
        editor,
        f"pathlib.Path({str(done)!r}).write_text(repr('WORK_KEY' in os.environ)); open({str(go)!r}).read()",
    )
    async with window(history, replace(PROFILE, key=KeySource("env", ("WORK_KEY",)))) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond().event(delta("Once"))
        await w.press("ctrl+g")
        await w.until(done.exists)
        exchange.event(completed("Once upon a time")).end()
        await w.until(lambda: not w.talk.chat.running())
        assert w.app.is_terminal_lent
        os.close(os.open(go, os.O_WRONLY))
        await w.until(lambda: not w.app.is_terminal_lent)
        await w.until(lambda: "Once upon a time" in w.transcript)
        assert done.read_text() == "False"


async def test_leaving_ends_the_editor(history: Path, editor: Path, tmp_path: Path) -> None:
    began = tmp_path / "began"
    does(editor, f"pathlib.Path({str(began)!r}).write_text(str(os.getpid())); import signal; signal.pause()")
    async with window(history) as w:
        await w.type("mine")
        await w.press("ctrl+g")
        await w.until(lambda: began.exists() and began.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(int(began.read_text()), 0)
    async with window(history) as w:
        assert w.screen.prompt.text == "mine"


@pytest.mark.fault("K06")
def test_the_terminal_is_the_editors_and_then_the_windows_again(editor: Path) -> None:
    does(
        editor,
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('EDITING', flush=True)\n"
        "line = sys.stdin.readline().strip(); file.write_text(f'{text} and {line}')",
    )
    with terminal(env={"EDITOR": os.environ["EDITOR"]}) as t:
        t.shows("Type a message")
        t.type("mine")
        t.shows("│ mine")
        t.type("\x07")
        t.until(lambda _lines: b"EDITING" in t.output)
        assert is_restored(t)
        t.type("\x03typed there\n")
        lines = t.shows("│ mine and typed there")
        assert b"EDITING" not in t.output.split(b"\x1b[?1049h")[-1]
        assert any("Type a message and press Enter." in line for line in lines)
        t.type("!")
        t.shows("│ mine and typed there!")
        t.type("\x11")
        assert t.leaves() == 0
        assert is_restored(t)
